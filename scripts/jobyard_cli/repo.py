"""A team's repository on disk: where its parts are, and what its values say."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jobyard_cli.documents import Document, load
from jobyard_cli.errors import JobyardError

NEEDED = ("dags", "schemas/job.schema.json", "values/node-groups.yaml", "values/team.yaml")


class NotATeamRepo(JobyardError):
    """The folder is no team's repository."""

    def __init__(self, root: Path, missing: list[str]) -> None:
        super().__init__(f"{root} is no team's repository: it lacks {', '.join(missing)}; run this in its top folder")
        self.missing = missing


def _missing(root: Path) -> list[str]:
    return [name for name in NEEDED if not (root / name).exists()]


@dataclass
class TeamRepo:
    """A team's repository. `team_values` and `catalogue` are documents, so that findings can point into them."""

    root: Path
    team_values: Document
    catalogue: Document
    job_files: list[Path] = field(default_factory=list)

    @classmethod
    def load(cls, root: Path) -> TeamRepo:
        """Read what the check needs besides the jobs.

        Raises:
            NotATeamRepo: a part that every team's repository has is not there.
        """
        root = root.absolute()
        if missing := _missing(root):
            raise NotATeamRepo(root, missing)
        return cls(
            root=root,
            team_values=load(root / "values/team.yaml", "values/team.yaml"),
            catalogue=load(root / "values/node-groups.yaml", "values/node-groups.yaml"),
            job_files=sorted((root / "dags").glob("*/job.yaml")),
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
    def node_groups(self) -> dict[str, dict[str, Any]]:
        data = self.catalogue.data
        return dict(data.get("nodeGroups") or {}) if isinstance(data, dict) else {}

    @cached_property
    def images(self) -> list[str]:
        """Names of the images that the repository builds: folders of `images/` with a Dockerfile."""
        return sorted(path.parent.name for path in (self.root / "images").glob("*/Dockerfile"))

    def _value(self, name: str) -> Any:
        data = self.team_values.data
        return data.get(name) if isinstance(data, dict) else None
