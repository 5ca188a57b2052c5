"""Environments of the platform's repository, and what each team has in one: read as the platform's chart reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard.contract import NO_QUEUEING

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.schema import check_values
from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.parsing.documents import Document, load
from jobyard_cli.platform.files import lines_of, require_files
from jobyard_cli.platform.metrics import store_problems
from jobyard_cli.platform.team_schema import TEAM_SCHEMA
from jobyard_cli.platform.teams import (
    PLATFORM_TEAM,
    Team,
    TeamFiles,
    all_findings,
    platform_team_findings,
    read_teams,
)

ENVIRONMENT_SCHEMA = "charts/platform/values.schema.json"
ENVIRONMENTS = "values/environments"
CATALOGUE = "values/node-groups.yaml"
PLATFORM_TEAM_FILE = "values/platform-team.yaml"
NODE_CLASS_FIELDS = {"nodeRole", "discovery", "amiAlias"}
"""Of `karpenter`: what the chart puts into the node classes that it makes."""


class UnknownEnvironmentError(UsageError):
    """There is no such environment."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"{unknown('environment', name, known, 'available')}; one is a file, {ENVIRONMENTS}/<name>.yaml"
        )


class InvalidValuesError(JobyardError):
    """Files of values are wrong; the message has every problem with its place."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(lines_of(findings))
        self.findings = findings


class MissingBucketError(JobyardError):
    """Nothing says where Airflow's bucket is."""

    def __init__(self, environment: str) -> None:
        file = f"{ENVIRONMENTS}/{environment}.yaml"
        super().__init__(f"{file} must name a bucket: write `bucket: <name>` under `environment`, or give --bucket")


@dataclass(frozen=True)
class Environment:
    """What an environment's file says under `environment`, and each team that is in it with what it has there."""

    name: str
    values: Mapping[str, Any]
    teams: Mapping[str, Mapping[str, Any]]
    elsewhere: frozenset[str] = frozenset()
    """Teams that the platform has, but not here."""
    data_buckets: frozenset[str] = frozenset()
    """Those of all environments: a job names an asset the same in each."""
    platform_team: Mapping[str, Any] | None = None
    """What the reserved team `platform` has here; None where the environment has no `metrics`."""

    @property
    def all_teams(self) -> dict[str, Mapping[str, Any]]:
        """Return the teams, with the reserved team `platform` where it has jobs: all that Airflow starts pods as."""
        own = {} if self.platform_team is None else {PLATFORM_TEAM: self.platform_team}
        return {**self.teams, **own}


def load_environment(repo: Path, name: str) -> Environment:
    """Return the environment of that name in the platform's repository.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        UnknownEnvironmentError: it does not exist.
        InvalidValuesError: its file, or one of a team, is wrong.
    """
    known = environment_names(repo)
    if name not in known:
        raise UnknownEnvironmentError(name, known)
    file = _load(repo, f"{ENVIRONMENTS}/{name}.yaml")
    files = read_teams(repo)
    _raise([*_environment_findings(file, name, repo), *all_findings(files, known, repo)])
    teams = _by_name(files)
    members = _members(teams, name)
    elsewhere = frozenset(teams.keys() - members.keys())
    values = file.data["environment"]
    own = _platform_team(repo) if values.get("metrics") else None
    return Environment(name, values, members, elsewhere, _data_buckets(repo, known), own)


def _platform_team(repo: Path) -> dict[str, Any]:
    """The reserved team's values, which are the same in every environment that has metrics."""
    document = _load(repo, PLATFORM_TEAM_FILE)
    _raise(platform_team_findings(document, repo))
    return dict(document.data)


def _members(teams: Mapping[str, Team], environment: str) -> dict[str, dict[str, Any]]:
    """Return the values in an environment of each team that is in it."""
    members = {}
    for name, team in teams.items():
        values = team.in_environment(environment)
        if values is not None:
            members[name] = values
    return members


def _data_buckets(repo: Path, environments: Collection[str]) -> frozenset[str]:
    """Those that the environments' files name; a file that is wrong is reported where it is loaded."""
    buckets = set()
    for name in environments:
        content = mapping(_load(repo, f"{ENVIRONMENTS}/{name}.yaml").data)
        values = mapping(content.get("environment"))
        if "dataBucket" in values:
            buckets.add(str(values["dataBucket"]))
    return frozenset(buckets)


def bucket(environment: Environment) -> str:
    """Return the name of Airflow's bucket.

    Raises:
        MissingBucketError: the environment's file names none.
    """
    if "bucket" not in environment.values:
        raise MissingBucketError(environment.name)
    return str(environment.values["bucket"])


def load_node_groups(repo: Path) -> dict[str, Any]:
    """Return the catalogue of node groups.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        InvalidValuesError: the catalogue is wrong.
    """
    require_files(repo, CATALOGUE, ENVIRONMENT_SCHEMA)
    document = _load(repo, CATALOGUE)
    _raise(document.findings or check_values(document, repo / ENVIRONMENT_SCHEMA, "nodeGroups"))
    groups: dict[str, Any] = document.data["nodeGroups"]
    return groups


def load_teams(repo: Path) -> dict[str, Team]:
    """Return every team of the platform, by name.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        InvalidValuesError: a team's file is wrong.
    """
    files = read_teams(repo)
    _raise(all_findings(files, environment_names(repo), repo))
    return _by_name(files)


def quotas_of(team: Team, repo: Path) -> dict[str, Mapping[str, Any]]:
    """Return the team's quota in each environment that it is in, as its files have it.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
    """
    quotas: dict[str, Mapping[str, Any]] = {}
    for environment in environment_names(repo):
        values = team.in_environment(environment)
        if values is not None:
            quotas[environment] = mapping(values.get("quota"))
    return quotas


def has_queues(repo: Path, environment: str) -> bool:
    """Return whether pods wait in queues in an environment, as its file has it, whether or not that is valid."""
    values = mapping(mapping(_load(repo, f"{ENVIRONMENTS}/{environment}.yaml").data).get("environment"))
    return bool(values.get("queueing", NO_QUEUEING) != NO_QUEUEING)


def loaders_of(team: Team, repo: Path) -> dict[str, int]:
    """Return how many loaders the team has in each environment that it is in; 1 where its files have no number.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
    """
    loaders: dict[str, int] = {}
    for environment in environment_names(repo):
        values = team.in_environment(environment)
        if values is not None:
            count = values.get("loaders")
            loaders[environment] = count if isinstance(count, int) else 1
    return loaders


def environment_names(repo: Path) -> list[str]:
    """Return the names of all environments.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
    """
    require_files(repo, ENVIRONMENTS, ENVIRONMENT_SCHEMA, TEAM_SCHEMA)
    return sorted(file.stem for file in (repo / ENVIRONMENTS).glob("*.yaml"))


def _environment_findings(document: Document, name: str, repo: Path) -> Iterator[Finding]:
    yield from document.findings
    if document.findings:
        return
    misfits = list(check_values(document, repo / ENVIRONMENT_SCHEMA, "environment"))
    yield from misfits
    if misfits:
        return
    for field, problem in store_problems(document.data["environment"]):
        yield document.finding(("environment", "metrics", field), problem, "name")
    values = document.data["environment"]
    if values.get("reclaim") == "preempt" and values.get("queueing", NO_QUEUEING) == NO_QUEUEING:
        yield document.finding(("environment", "reclaim"), "'preempt' needs `queueing: kueue`", "enum")
    missing = [field for field in ("account", "region") if field not in values]
    if values.get("externalSecrets") and missing:
        yield document.finding(("environment", "externalSecrets"), f"needs `{'` and `'.join(missing)}`", "required")
    yield from _karpenter_findings(document, repo)
    if (stated := values["name"]) != name:
        message = f"the environment's name must be the file's, '{name}', not '{stated}'"
        yield document.finding(("environment", "name"), message, "name")


def _karpenter_findings(document: Document, repo: Path) -> Iterator[Finding]:
    karpenter = mapping(document.data["environment"].get("karpenter"))
    place = ("environment", "karpenter")
    fixed = karpenter.get("fixedNodeGroups", [])
    known = mapping(mapping(_load(repo, CATALOGUE).data).get("nodeGroups")) if fixed else {}
    for number, group in enumerate(fixed):
        if group not in known:
            message = unknown("node group", group, sorted(known), f"in {CATALOGUE}")
            yield document.finding((*place, "fixedNodeGroups", number), message, "node-group")
    if "nodeClass" in karpenter:
        for field in NODE_CLASS_FIELDS & karpenter.keys():
            message = f"leave '{field}' out with `nodeClass`: the chart makes no node class that it could be in"
            yield document.finding((*place, field), message, "unknown-key", at_key=True)


def _by_name(teams: Iterable[TeamFiles]) -> dict[str, Team]:
    return {files.name: files.team() for files in teams}


def _load(repo: Path, name: str) -> Document:
    return load(repo / name, name)


def _raise(findings: Iterable[Finding]) -> None:
    if problems := sorted(findings):
        raise InvalidValuesError(problems)
