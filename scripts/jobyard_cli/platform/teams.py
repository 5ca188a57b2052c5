"""What the platform gives each team: its file, and over that one for each environment in which something is different.

Argo CD gives Helm the two files in this order; `merged` is Helm's rule, for what Python reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.schema import part_findings
from jobyard_cli.parsing.documents import Document, load
from jobyard_cli.platform.files import NotAPlatformRepoError, node_groups
from jobyard_cli.platform.queues import queue_findings
from jobyard_cli.platform.team_schema import (
    TEAM_SCHEMA,
    file_validator,
    name_validator,
    override_validator,
    platform_team_validator,
)

TEAMS = "values/teams"
OVERRIDES = "values/overrides"
PLATFORM_TEAM = "platform"
"""The reserved team that runs the platform's own jobs; its values are in a file of their own, not in `TEAMS`."""
RESERVED = ("jobyard", PLATFORM_TEAM, "airflow", "argocd", "default")
"""Names that a team can't have, besides those that begin with `kube-`, as in charts/bounds and the template."""
WORKER_SLOTS = 16
"""Of a team whose file does not say."""


@dataclass(frozen=True)
class Team:
    """What a team's file says, and by environment what is different there."""

    values: Mapping[str, Any]
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def in_environment(self, name: str) -> dict[str, Any] | None:
        """Return the team's values in an environment, None if it is not in it, as the charts' `jobyard.bounds` does."""
        if name not in self.values.get("environments", [name]):
            return None
        values = merged(self.values, self.overrides.get(name, {}))
        values.pop("environments", None)
        return values


@dataclass(frozen=True)
class TeamFiles:
    """A team's files as they were read; `overrides` has those of single environments by the environment's name."""

    document: Document
    overrides: Mapping[str, Document]

    @property
    def name(self) -> str:
        """Return the team, which the file is named after."""
        return self.document.path.removeprefix(f"{TEAMS}/").removesuffix(".yaml")

    def team(self) -> Team:
        """Return the team; its files must be valid."""
        return Team(self.document.data, {name: override.data for name, override in self.overrides.items()})

    @property
    def documents(self) -> Iterator[Document]:
        """Yield the team's file, then its overrides."""
        yield self.document
        yield from self.overrides.values()


def is_reserved(name: str) -> bool:
    """Return whether the platform uses the name itself, for folders of the bucket and for namespaces."""
    return name in RESERVED or name.startswith("kube-")


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both values, merged as Helm merges files: mappings key by key; all else in `above` replaces."""
    result = dict(below)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(result.get(name), Mapping):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def read_teams(repo: Path) -> list[TeamFiles]:
    """Return every team's files, valid or not.

    Raises:
        NotAPlatformRepoError: the folder of the teams' files is missing.
    """
    if not (repo / TEAMS).is_dir():
        raise NotAPlatformRepoError(repo / TEAMS)
    return [_read(repo, file.name) for file in sorted((repo / TEAMS).glob("*.yaml"))]


def readable_team(repo: Path, name: str) -> Team | None:
    """Return a team without the time that it takes to validate its files; None if they can't be read as a team's."""
    files = _read(repo, f"{name}.yaml")
    if not all(isinstance(document.data, dict) for document in files.documents):
        return None
    team = files.team()
    return team if isinstance(team.values.get("environments", []), list) else None


def _read(repo: Path, name: str) -> TeamFiles:
    overrides = {file.parent.name: _load(repo, file) for file in sorted((repo / OVERRIDES).glob(f"*/{name}"))}
    return TeamFiles(_load(repo, repo / TEAMS / name), overrides)


def _load(repo: Path, file: Path) -> Document:
    return load(file, file.relative_to(repo).as_posix())


def all_findings(teams: Iterable[TeamFiles], environments: list[str], repo: Path) -> Iterator[Finding]:
    """Yield a finding for each problem of the teams' files, and for overrides of teams that have no file."""
    known = []
    for files in teams:
        yield from team_findings(files, environments, repo)
        known.append(files.name)
    for file in sorted((repo / OVERRIDES).glob("*/*.yaml")):
        if file.stem not in known:
            message = unknown("team", file.stem, known, f"{TEAMS} has")
            yield Document(file.relative_to(repo).as_posix()).finding((), message, "name")


def team_findings(files: TeamFiles, environments: list[str], repo: Path) -> Iterator[Finding]:
    """Yield a finding for each problem of a team's files."""
    misfits = [*_own_findings(files, repo), *_override_findings(files, environments, repo)]
    yield from misfits
    if misfits:
        return
    yield from _environments(files, environments)
    catalogue = node_groups(repo / "values")
    for document in files.documents:
        yield from _node_groups(document, list(catalogue))
        # The team's own file over itself is that file.
        yield from queue_findings(document, merged(files.document.data, document.data), catalogue)
    yield from _pools(files)


def _own_findings(files: TeamFiles, repo: Path) -> Iterator[Finding]:
    document, schema = files.document, repo / TEAM_SCHEMA
    yield from document.findings
    if document.findings:
        return
    if not name_validator(schema).is_valid({"team": files.name}):
        rule = "a DNS label that starts with a letter, of at most 40 characters"
        yield document.finding((), f"'{files.name}' can't be a team's name: {rule}", "name")
    if is_reserved(files.name):
        message = f"'{files.name}' is reserved for the platform (so are {', '.join(RESERVED)} and kube-*)"
        yield document.finding((), message, "name")
    if old_form := _old_form(document, files.name):
        yield old_form
    else:
        yield from part_findings(document, (), document.data, file_validator(schema))


def platform_team_findings(document: Document, repo: Path) -> Iterator[Finding]:
    """Yield a finding for each problem of the reserved team's file."""
    yield from document.findings
    if document.findings:
        return
    yield from part_findings(document, (), document.data, platform_team_validator(repo / TEAM_SCHEMA))
    if isinstance(document.data, dict):
        catalogue = node_groups(repo / "values")
        yield from _node_groups(document, list(catalogue))
        yield from queue_findings(document, document.data, catalogue)


def _old_form(document: Document, name: str) -> Finding | None:
    """Return a finding for the form that these files had before: the team's values below its name, overrides inside."""
    values = mapping(document.data)
    if "teams" in values:
        message = (
            f"a team's file has its values at the top: move what is below `teams.{name}` there, "
            f"and what `environments` says of an environment into {OVERRIDES}/<environment>/{name}.yaml"
        )
        return document.finding(("teams",), message, "team", at_key=True)
    if isinstance(values.get("environments"), dict):
        message = (
            "'environments' must be a list of names, such as [dev, prod]; "
            f"what is different in one belongs in {OVERRIDES}/<environment>/{name}.yaml"
        )
        return document.finding(("environments",), message, "team", at_key=True)
    return None


def _override_findings(files: TeamFiles, environments: list[str], repo: Path) -> Iterator[Finding]:
    for name, override in files.overrides.items():
        yield from override.findings
        if name not in environments:
            yield override.finding((), unknown("environment", name, environments, "available"), "name")
        if not override.findings:
            yield from part_findings(override, (), override.data, override_validator(repo / TEAM_SCHEMA))


def _environments(files: TeamFiles, environments: list[str]) -> Iterator[Finding]:
    stated = files.document.data.get("environments", environments)
    for index, name in enumerate(stated):
        if name not in environments:
            message = unknown("environment", name, environments, "available")
            yield files.document.finding(("environments", index), message, "name")
    for name, override in files.overrides.items():
        if name not in stated:
            message = (
                f"team {files.name} is not in environment {name}: add it to `environments` of {files.document.path}"
            )
            yield override.finding((), message, "name")


def _node_groups(document: Document, known: list[str]) -> Iterator[Finding]:
    for index, group in enumerate(document.data.get("allowedNodeGroups", [])):
        if group not in known:
            message = unknown("node group", group, known, "the catalogue has")
            yield document.finding(("allowedNodeGroups", index), message, "node-group")


def _pools(files: TeamFiles) -> Iterator[Finding]:
    """A finding for each file that gives a team's pools all of the team's slots, or more."""
    for document in files.documents:
        # The team's own file over itself is that file.
        values = merged(files.document.data, document.data)
        slots = int(values.get("workerSlots", WORKER_SLOTS))
        taken = sum(values.get("pools", {}).values())
        key = _slots_key(document)
        if key and taken >= slots:
            message = f"the pools take {taken} of {slots} workerSlots; at least one must be left for the other tasks"
            yield document.finding((key,), message, "pool", at_key=True)


def _slots_key(document: Document) -> str:
    """Return the key at which a finding on the slots is: `pools`, else `workerSlots`; nothing without either."""
    for key in ("pools", "workerSlots"):
        if key in document.data:
            return key
    return ""
