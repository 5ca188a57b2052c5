"""A team's repository on disk: where its parts are, and what its values contain."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from jobyard.contract import namespace

from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.parsing.documents import MAXIMUM_BYTES, Document, load
from jobyard_cli.platform.checkout import MissingPlatformError
from jobyard_cli.platform.current import current_platform
from jobyard_cli.platform.environments import loaders_of, quotas_of
from jobyard_cli.platform.published import PublishedJobs, published_jobs, sound_jobs
from jobyard_cli.platform.teams import Team, readable_team
from jobyard_cli.team.conflicts import Conflict, conflicts

T = TypeVar("T")
TEAM_VALUES = "values/team.yaml"
NEEDED = ("dags", "schemas/job.schema.json", "values/node-groups.yaml", TEAM_VALUES)


class NotATeamRepoError(UsageError):
    """The folder is not a team's repository."""

    def __init__(self, root: Path, missing: list[str]) -> None:
        names = ", ".join(missing)
        super().__init__(f"{root} is not a team's repository: it has no {names}; run this in its top folder")
        self.missing = missing


TEXTS = (".vscode", "charts", "schemas", "values")
"""Folders with files of the template, besides the top folder."""
PUBLISHED_JOBS = "values/published-jobs.yaml"
"""The repository's own list of released jobs, as `jobyard published-jobs` writes it: the fallback where the platform's
list is not available."""
OWN_ENVIRONMENTS = "values/environments"
"""Values of the team's chart for one environment."""
ENVIRONMENTS = "values/platform"
"""A copy of the platform's `values/environments`; the team's own files in `values` are for its chart."""


def _job_files(dags: Path) -> list[Path]:
    """Return the jobs' files, sorted by the names of their folders."""
    folders = os.listdir(dags) if dags.is_dir() else []
    names = [name for name in sorted(folders) if os.path.exists(f"{dags}/{name}/job.yaml")]
    return [Path(dags, name, "job.yaml") for name in names]


def _optional(root: Path, name: str) -> Document | None:
    file = root / name
    if not file.exists():
        return None
    return load(file, name)


def _missing(root: Path) -> list[str]:
    return [name for name in NEEDED if not (root / name).exists()]


def _part(document: Document | None, name: str) -> dict[str, Any]:
    part = _value(document, name)
    return dict(part) if isinstance(part, dict) else {}


def _value(document: Document | None, name: str) -> Any:
    """Return a value at the top of a document; None if it is missing."""
    if document is None or not isinstance(document.data, dict):
        return None
    return document.data.get(name)


def _strings(value: Any) -> list[str]:
    """Return the entries of a list; none of what the check refuses in its place."""
    return [str(entry) for entry in value] if isinstance(value, list) else []


@dataclass
class TeamRepo:
    """A team's repository. Its values are kept as documents, so that findings can point into them."""

    root: Path
    team_values: Document
    catalogue: Document
    types: Document | None = None
    published: Document | None = None
    job_files: list[Path] = field(default_factory=list)
    platform: Path | None = None
    """A work tree of the platform, instead of its current branch."""
    _other_jobs: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path, platform: Path | None = None) -> TeamRepo:
        """Read what the check needs besides the jobs.

        Raises:
            NotATeamRepoError: a part that every team's repository has is missing.
        """
        root = root.absolute()
        if missing := _missing(root):
            raise NotATeamRepoError(root, missing)
        return cls(
            root=root,
            team_values=load(root / TEAM_VALUES, TEAM_VALUES),
            catalogue=load(root / "values/node-groups.yaml", "values/node-groups.yaml"),
            types=_optional(root, "values/task-types.yaml"),
            published=_optional(root, PUBLISHED_JOBS),
            job_files=_job_files(root / "dags"),
            platform=platform,
        )

    @classmethod
    def find(cls, inside: Path) -> Path:
        """Return the top folder of the repository that a path is in; the path's own folder if it is not in one."""
        path = inside.absolute()
        folder = path if path.is_dir() else path.parent
        for candidate in (folder, *folder.parents):
            if not _missing(candidate):
                return candidate
        return folder

    @property
    def job_schema(self) -> Path:
        return self.root / "schemas" / "job.schema.json"

    @cached_property
    def team(self) -> str:
        return str(self._value("team") or "")

    @property
    def namespace(self) -> str:
        return namespace(self.team)

    @cached_property
    def allowed_node_groups(self) -> list[str]:
        return _strings(self._value("allowedNodeGroups"))

    @cached_property
    def service_accounts(self) -> list[str]:
        return list(_part(self.team_values, "serviceAccounts"))

    @cached_property
    def priorities(self) -> dict[str, int]:
        return _part(self.team_values, "priorities")

    @cached_property
    def pools(self) -> list[str]:
        return list(_part(self.team_values, "pools"))

    @cached_property
    def secrets(self) -> list[str]:
        """The Secrets that the chart makes for the team, where the environment has the External Secrets operator."""
        return _strings(self._value("secrets"))

    @cached_property
    def mlflow(self) -> dict[str, Any]:
        """The team's MLflow server and experiment; empty for a team without one."""
        stated = _part(self.team_values, "mlflow")
        return stated if isinstance(stated.get("trackingUri"), str) else {}

    @property
    def documents(self) -> list[Document]:
        """The files of values, which are read before the jobs."""
        documents = (self.team_values, self.catalogue, self.types, self.published)
        return [document for document in documents if document is not None]

    @cached_property
    def own_environments(self) -> list[Document]:
        """What the team sets for one environment alone."""
        files = sorted((self.root / OWN_ENVIRONMENTS).glob("*.yaml"))
        return [load(file, file.relative_to(self.root).as_posix()) for file in files]

    @cached_property
    def environments(self) -> dict[str, dict[str, Any]]:
        """The values of each of the platform's environments; empty if the repository is older than these files."""
        environments: dict[str, dict[str, Any]] = {}
        for file in sorted((self.root / ENVIRONMENTS).glob("*.yaml")):
            document = load(file, file.relative_to(self.root).as_posix())
            environments[file.stem] = _part(document, "environment")
        return environments

    @cached_property
    def task_types(self) -> dict[str, dict[str, Any]]:
        return _part(self.types, "taskTypes")

    @cached_property
    def shared_variables(self) -> list[str]:
        """The Airflow Variables that templates of every team may read."""
        return _strings(_value(self.types, "sharedVariables"))

    @cached_property
    def assets(self) -> list[str]:
        """What the team's jobs may update besides its own assets: prefixes, which end with a slash, and assets."""
        return _strings(self._value("assets"))

    @cached_property
    def published_jobs(self) -> PublishedJobs | None:
        """The jobs that teams have released; None without a list. The platform is looked up on first use only."""
        return self._platforms_list() or self._own_list()

    def _platforms_list(self) -> PublishedJobs | None:
        try:
            return published_jobs(current_platform(self.root, self.platform).tree, self.team)
        except MissingPlatformError:
            return None

    def _own_list(self) -> PublishedJobs | None:
        if self.published is None:
            return None
        return PublishedJobs({"": dict(sound_jobs(_part(self.published, "jobs")))})

    @cached_property
    def memory_quotas(self) -> dict[str, Any]:
        """The team's quota of memory in each of its environments; empty if the platform's files are not available.

        The platform is looked up on first use only.
        """
        quotas = self._of_platform(quotas_of)
        return {environment: quota["memory"] for environment, quota in quotas.items() if "memory" in quota}

    @cached_property
    def loaders(self) -> dict[str, int]:
        """How many loaders the team has in each of its environments; empty likewise.

        The platform is looked up on first use only.
        """
        return self._of_platform(loaders_of)

    def _of_platform(self, read: Callable[[Team, Path], dict[str, T]]) -> dict[str, T]:
        """What the platform's current files say of the team by environment; empty if they are not available."""
        try:
            tree = current_platform(self.root, self.platform).tree
            team = readable_team(tree, self.team)
            return {} if team is None else read(team, tree)
        except JobyardError:
            return {}

    @cached_property
    def conflicted(self) -> dict[Path, list[Conflict]]:
        """Conflicts of an upgrade or a merge by file, in files of the template; reading a document finds its own."""
        documents = {self.root / document.path for document in self.documents}
        conflicted = {}
        for file in self._template_files():
            if file in documents or file.stat().st_size > MAXIMUM_BYTES:
                continue
            if in_file := list(conflicts(file.read_bytes().decode("utf-8", "replace"))):
                conflicted[file] = in_file
        return conflicted

    def _template_files(self) -> Iterator[Path]:
        """Yield the files at the top and in the folders of the template, such as charts, schemas and pipelines."""
        paths = sorted(self.root.iterdir())
        for folder in TEXTS:
            paths += sorted((self.root / folder).rglob("*"))
        yield from filter(Path.is_file, paths)

    @cached_property
    def own_jobs(self) -> list[str]:
        """The jobs of this repository, as `<team>.<job>`."""
        return [f"{self.team}.{file.parent.name}" for file in self.job_files]

    def other_job(self, name: str) -> dict[str, Any] | None:
        """Return what is known of `<team>.<job>`: its file if it is the team's own, otherwise what is published."""
        if name not in self._other_jobs:
            self._other_jobs[name] = self._read_job(name)
        return self._other_jobs[name]

    def _read_job(self, name: str) -> dict[str, Any] | None:
        job: Any = None
        if name in self.own_jobs:
            file = f"dags/{name.partition('.')[2]}/job.yaml"
            job = load(self.root / file, file).data
        elif self.published_jobs:
            job = self.published_jobs.jobs.get(name)
        return dict(job) if isinstance(job, Mapping) else None

    @cached_property
    def node_groups(self) -> dict[str, dict[str, Any]]:
        return _part(self.catalogue, "nodeGroups")

    @cached_property
    def images(self) -> list[str]:
        """The names of the images: folders of `images/` with a Dockerfile, and those that the values list."""
        images = set(_strings(self._value("images")))
        for dockerfile in (self.root / "images").glob("*/Dockerfile"):
            images.add(dockerfile.parent.name)
        return sorted(images)

    def _value(self, name: str) -> Any:
        return _value(self.team_values, name)
