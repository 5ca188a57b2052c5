"""A team's repository on disk: where its parts are, and what its values say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jobyard_cli.errors import UsageError
from jobyard_cli.parsing.documents import MAXIMUM_BYTES, Document, load
from jobyard_cli.platform.checkout import MissingPlatformError
from jobyard_cli.platform.current import current_platform
from jobyard_cli.platform.published import PublishedJobs, published_jobs, sound_jobs
from jobyard_cli.team.conflicts import Conflict, conflicts

NEEDED = ("dags", "schemas/job.schema.json", "values/node-groups.yaml", "values/team.yaml")


class NotATeamRepoError(UsageError):
    """The folder is no team's repository."""

    def __init__(self, root: Path, missing: list[str]) -> None:
        super().__init__(f"{root} is no team's repository: it lacks {', '.join(missing)}; run this in its top folder")
        self.missing = missing


TEXTS = (".vscode", "charts", "schemas", "values")
"""Folders in which files are the template's, besides those at the top."""
PUBLISHED_JOBS = "values/published-jobs.yaml"
"""The repository's own list of released jobs, as `jobyard published-jobs` writes it: a fallback for the platform's."""
ENVIRONMENTS = "values/platform"
"""The platform's `values/environments`; those of a team's own are of its chart."""


def _optional(root: Path, name: str) -> Document | None:
    return load(root / name, name) if (root / name).exists() else None


def _missing(root: Path) -> list[str]:
    return [name for name in NEEDED if not (root / name).exists()]


def _part(document: Document | None, name: str) -> dict[str, Any]:
    data = document.data if document is not None else None
    part = data.get(name) if isinstance(data, dict) else None
    return dict(part) if isinstance(part, dict) else {}


@dataclass
class TeamRepo:
    """A team's repository. What its values say is in documents, so that findings can point into them."""

    root: Path
    team_values: Document
    catalogue: Document
    types: Document | None = None
    published: Document | None = None
    job_files: list[Path] = field(default_factory=list)
    platform: Path | None = None
    """The platform's files, where they are not to be looked for."""
    _other_jobs: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path, platform: Path | None = None) -> TeamRepo:
        """Read what the check needs besides the jobs.

        Raises:
            NotATeamRepoError: a part that every team's repository has is not there.
        """
        root = root.absolute()
        if missing := _missing(root):
            raise NotATeamRepoError(root, missing)
        return cls(
            root=root,
            team_values=load(root / "values/team.yaml", "values/team.yaml"),
            catalogue=load(root / "values/node-groups.yaml", "values/node-groups.yaml"),
            types=_optional(root, "values/task-types.yaml"),
            published=_optional(root, PUBLISHED_JOBS),
            job_files=sorted((root / "dags").glob("*/job.yaml")),
            platform=platform,
        )

    @classmethod
    def find(cls, inside: Path) -> Path:
        """Top folder of the team's repository that a path is in; the path's own folder where it is in none."""
        path = inside.absolute()
        folder = path if path.is_dir() else path.parent
        return next((above for above in (folder, *folder.parents) if not _missing(above)), folder)

    @property
    def job_schema(self) -> Path:
        return self.root / "schemas" / "job.schema.json"

    @property
    def team(self) -> str:
        return str(self._value("team") or "")

    @property
    def namespace(self) -> str:
        return f"team-{self.team}"

    @property
    def allowed_node_groups(self) -> list[str]:
        return [str(name) for name in self._value("allowedNodeGroups") or []]

    @property
    def service_accounts(self) -> list[str]:
        return list(self._value("serviceAccounts") or {})

    @property
    def priorities(self) -> dict[str, int]:
        return dict(self._value("priorities") or {})

    @property
    def pools(self) -> list[str]:
        return list(self._value("pools") or {})

    @property
    def documents(self) -> list[Document]:
        """The files of values, each of them read before any job."""
        documents = (self.team_values, self.catalogue, self.types, self.published)
        return [document for document in documents if document is not None]

    @cached_property
    def environments(self) -> dict[str, dict[str, Any]]:
        """What the platform's file of each environment says; none where the repository is older than these files."""
        files = sorted((self.root / ENVIRONMENTS).glob("*.yaml"))
        return {file.stem: _part(load(file, file.relative_to(self.root).as_posix()), "environment") for file in files}

    @property
    def task_types(self) -> dict[str, dict[str, Any]]:
        return _part(self.types, "taskTypes")

    @property
    def shared_variables(self) -> list[str]:
        """The Airflow Variables that every team's templates may read."""
        data = self.types.data if self.types is not None else None
        return [str(name) for name in data.get("sharedVariables") or []] if isinstance(data, dict) else []

    @property
    def assets(self) -> list[str]:
        """What the team's jobs may write besides its own assets: prefixes, and whole assets."""
        return [str(name) for name in self._value("assets") or []]

    @cached_property
    def published_jobs(self) -> PublishedJobs | None:
        """What teams have released; None where nobody here knows. It is looked for only where it is asked for."""
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
    def conflicted(self) -> dict[Path, list[Conflict]]:
        """Files with what an upgrade or a merge left to choose: Helm's, schemas, the pipeline's, not the documents."""
        documents = {self.root / document.path for document in self.documents}
        nested = (file for folder in TEXTS for file in sorted((self.root / folder).rglob("*")))
        files = (file for file in (*sorted(self.root.iterdir()), *nested) if file.is_file() and file not in documents)
        read = {file: file.read_bytes() for file in files if file.stat().st_size <= MAXIMUM_BYTES}
        found = {file: list(conflicts(content.decode("utf-8", "replace"))) for file, content in read.items()}
        return {file: left for file, left in found.items() if left}

    @cached_property
    def own_jobs(self) -> list[str]:
        """The jobs of this repository, as `<team>.<job>`."""
        return [f"{self.team}.{file.parent.name}" for file in self.job_files]

    def other_job(self, name: str) -> dict[str, Any] | None:
        """What is known of `<team>.<job>`: of our own all that its file says, of another team's what is published."""
        if name not in self._other_jobs:
            self._other_jobs[name] = self._read_job(name)
        return self._other_jobs[name]

    def _read_job(self, name: str) -> dict[str, Any] | None:
        if name in self.own_jobs:
            file = f"dags/{name.partition('.')[2]}/job.yaml"
            job = load(self.root / file, file).data
        else:
            job = self.published_jobs.jobs.get(name) if self.published_jobs else None
        return dict(job) if isinstance(job, Mapping) else None

    @property
    def node_groups(self) -> dict[str, dict[str, Any]]:
        return _part(self.catalogue, "nodeGroups")

    @cached_property
    def images(self) -> list[str]:
        """Names of the images there are: folders of `images/` with a Dockerfile, and those that the values list."""
        built = {path.parent.name for path in (self.root / "images").glob("*/Dockerfile")}
        return sorted(built | {str(name) for name in self._value("images") or []})

    def _value(self, name: str) -> Any:
        data = self.team_values.data
        return data.get(name) if isinstance(data, dict) else None
