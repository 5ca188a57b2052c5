"""Environments of the platform's repository, and what each team has in one: read as the platform's chart reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.schema import check_values
from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.parsing.documents import Document, load
from jobyard_cli.platform.files import NotAPlatformRepoError, node_groups

ENVIRONMENT_SCHEMA = "charts/platform/values.schema.json"
TEAM_SCHEMA = "charts/bounds/values.schema.json"
ENVIRONMENTS = "values/environments"
TEAMS = "values/teams"
CATALOGUE = "values/node-groups.yaml"
WORKER_SLOTS = 16
"""Of a team whose file does not say."""


class UnknownEnvironmentError(UsageError):
    """There is no such environment."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"{unknown('environment', name, known, 'there are')}; one is a file, {ENVIRONMENTS}/<name>.yaml"
        )


class InvalidValuesError(JobyardError):
    """Files of values are wrong; the message has every problem with its place."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings


class MissingBucketError(JobyardError):
    """Nothing says where Airflow's bucket is."""

    def __init__(self, environment: str) -> None:
        file = f"{ENVIRONMENTS}/{environment}.yaml"
        super().__init__(f"{file} names no bucket: write `bucket: <name>` under `environment`, or give --bucket")


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


def load_environment(repo: Path, name: str) -> Environment:
    """The environment of that name in the platform's repository.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        UnknownEnvironmentError: there is none of that name.
        InvalidValuesError: its file, or one of a team, is wrong.
    """
    known = environment_names(repo)
    if name not in known:
        raise UnknownEnvironmentError(name, known)
    file = _load(repo, f"{ENVIRONMENTS}/{name}.yaml")
    files = _team_files(repo)
    _raise([*_environment_findings(file, name, repo), *_team_findings(files, known, repo)])
    teams = _teams(files)
    inside = {team: here for team, values in teams.items() if (here := in_environment(values, name)) is not None}
    buckets = _data_buckets(repo, known)
    return Environment(name, file.data["environment"], inside, frozenset(teams.keys() - inside.keys()), buckets)


def _data_buckets(repo: Path, environments: Collection[str]) -> frozenset[str]:
    """Those that the environments' files name; a file that is wrong is reported where it is loaded."""
    files = [_load(repo, f"{ENVIRONMENTS}/{name}.yaml").data for name in environments]
    values = [file.get("environment") for file in files if isinstance(file, dict)]
    return frozenset(str(one["dataBucket"]) for one in values if isinstance(one, dict) and "dataBucket" in one)


def bucket(environment: Environment) -> str:
    """Airflow's bucket.

    Raises:
        MissingBucketError: the environment's file names none.
    """
    if "bucket" not in environment.values:
        raise MissingBucketError(environment.name)
    return str(environment.values["bucket"])


def load_node_groups(repo: Path) -> dict[str, Any]:
    """The catalogue of node groups.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        InvalidValuesError: the catalogue is wrong.
    """
    for needed in (CATALOGUE, ENVIRONMENT_SCHEMA):
        if not (repo / needed).exists():
            raise NotAPlatformRepoError(repo / needed)
    document = _load(repo, CATALOGUE)
    _raise(document.findings or check_values(document, repo / ENVIRONMENT_SCHEMA, "nodeGroups"))
    groups: dict[str, Any] = document.data["nodeGroups"]
    return groups


def load_teams(repo: Path) -> dict[str, dict[str, Any]]:
    """Every team that the platform has, with all that its file says.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        InvalidValuesError: a team's file is wrong.
    """
    files = _team_files(repo)
    _raise(_team_findings(files, environment_names(repo), repo))
    return _teams(files)


def environment_names(repo: Path) -> list[str]:
    """Names of the environments there are.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
    """
    for needed in (ENVIRONMENTS, ENVIRONMENT_SCHEMA, TEAM_SCHEMA):
        if not (repo / needed).exists():
            raise NotAPlatformRepoError(repo / needed)
    return sorted(file.stem for file in (repo / ENVIRONMENTS).glob("*.yaml"))


def in_environment(team: Mapping[str, Any], environment: str) -> dict[str, Any] | None:
    """What a team has in an environment, or None where it is not in it: as the charts' helper `jobyard.teams` says."""
    environments = team.get("environments") or {environment: {}}
    if environment not in environments:
        return None
    return _over({name: value for name, value in team.items() if name != "environments"}, environments[environment])


def team_findings(document: Document, environments: list[str], repo: Path) -> Iterator[Finding]:
    """A finding for each thing that is wrong in the document of `values/teams/<team>.yaml`."""
    yield from document.findings
    if document.findings:
        return
    misfits = list(check_values(document, repo / TEAM_SCHEMA, "teams"))
    yield from misfits
    if not misfits:
        for team, values in document.data["teams"].items():
            yield from _meaning(document, team, values, environments, list(node_groups(repo / "values")))


def _meaning(
    document: Document, team: str, values: Mapping[str, Any], environments: list[str], groups: list[str]
) -> Iterator[Finding]:
    path = ("teams", team)
    if document.path != f"{TEAMS}/{team}.yaml":
        # Helm would merge two files' values of one team without a word.
        yield document.finding(path, f"team '{team}' belongs into {TEAMS}/{team}.yaml", "name", at_key=True)
    for name in values.get("environments", {}):
        if name not in environments:
            message = unknown("environment", name, environments, "there are")
            yield document.finding((*path, "environments", name), message, "environment", at_key=True)
    for place, part in _parts(path, values):
        for index, group in enumerate(part.get("allowedNodeGroups", [])):
            if group not in groups:
                message = unknown("node group", group, groups, "the catalogue has")
                yield document.finding((*place, "allowedNodeGroups", index), message, "node-group")
    yield from _pools(document, path, values)


def _pools(document: Document, path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each place that gives a team's pools as many slots as the team has, or more."""
    base = {key: value for key, value in values.items() if key != "environments"}
    parts = [
        (place, part if place == path else _over(base, part))
        for place, part in _parts(path, values)
        if "pools" in part or "workerSlots" in part
    ]
    for place, part in parts:
        slots, pools = int(part.get("workerSlots", WORKER_SLOTS)), part.get("pools", {})
        if (taken := sum(pools.values())) >= slots:
            given = "pools" if "pools" in _at(document.data, place) else "workerSlots"
            message = f"the pools take {taken} of {slots} workerSlots; at least one must be left for the other tasks"
            yield document.finding((*place, given), message, "pools", at_key=True)


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def _parts(path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """A team's values, and those that it has in single environments, with the path of each."""
    yield path, values
    for name, differences in values.get("environments", {}).items():
        yield (*path, "environments", name), differences


def _environment_findings(document: Document, name: str, repo: Path) -> Iterator[Finding]:
    yield from document.findings
    if document.findings:
        return
    misfits = list(check_values(document, repo / ENVIRONMENT_SCHEMA, "environment"))
    yield from misfits
    if not misfits and (called := document.data["environment"]["name"]) != name:
        message = f"the environment's name must be the file's, '{name}', not '{called}'"
        yield document.finding(("environment", "name"), message, "name")


def _team_findings(files: list[Document], environments: list[str], repo: Path) -> Iterator[Finding]:
    for file in files:
        yield from team_findings(file, environments, repo)


def _team_files(repo: Path) -> list[Document]:
    folder = repo / TEAMS
    if not folder.is_dir():
        raise NotAPlatformRepoError(folder)
    return [_load(repo, f"{TEAMS}/{file.name}") for file in sorted(folder.glob("*.yaml"))]


def _teams(files: list[Document]) -> dict[str, dict[str, Any]]:
    return {team: values for file in files for team, values in sorted(file.data["teams"].items())}


def _load(repo: Path, name: str) -> Document:
    return load(repo / name, name)


def _raise(findings: Iterable[Finding]) -> None:
    if found := sorted(findings):
        raise InvalidValuesError(found)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both, those of `above` where both have one; mappings are merged, lists are not."""
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _over(merged[name], value) if both else value
    return merged
