"""The platform's own files for Airflow: library, teams' loaders, node groups, the kubeconfig and its exec plugin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from jobyard.contract import images_variable
from jobyard.platform_entries import PlatformFile

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.parsing.documents import load
from jobyard_cli.platform.connections import connection_problems
from jobyard_cli.platform.exec_entry import PLUGIN
from jobyard_cli.platform.loader import loader_source
from jobyard_cli.platform.loader_counts import loader_names


class NotAPlatformRepoError(UsageError):
    """A file that the platform's repository has is not there."""

    def __init__(self, missing: Path) -> None:
        super().__init__(f"{missing} is missing: run this in the root directory of the platform repository")


class UnreadableValuesError(JobyardError):
    """A file of values can't be used; the message says where and why."""


_SHARED = re.compile(rf"(?!{images_variable('')})[A-Za-z0-9_.-]{{1,250}}")


@dataclass(frozen=True)
class PlatformFiles:
    """What the platform has below `dags/` in Airflow's bucket."""

    version: dict[str, bytes]
    """One version of the library with the platform's data, which never changes: the folder's name is its digest."""
    shared: dict[str, bytes]
    """What has one name in all versions, in the order in which it is to be put: each fits any version beside it."""
    loaders: dict[str, bytes]
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many of the loaders each team has."""

    @property
    def flat(self) -> dict[str, bytes]:
        """Return all files, with the version's beside the chooser, as in the repository: for a fixed copy."""
        library = {f"jobyard/{name}": content for name, content in self.version.items()}
        return {**library, **self.shared, **self.loaders}

    @property
    def folder(self) -> str:
        """Return the name of the version's folder, below `jobyard/`."""
        digest = sha256()
        for name, content in sorted(self.version.items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:12]


PRICES = "jobyard/prices.yaml"
"""The object, below `dags/`, from which the platform's own job reads the prices of machines."""


def platform_files(
    dags: Path, counts: Mapping[str, int], platform: PlatformFile, kubeconfig: str, prices: bytes | None = None
) -> PlatformFiles:
    """Return the platform's files, with the library in the folder `dags` of its repository.

    `counts` says how many loaders each team has, `prices` are those of machines, for the platform's own job.
    """
    library = dags / "jobyard"
    # The plugin is for another folder of Airflow's; see `jobyard airflow-plugin`.
    paths = sorted([*library.glob("*.py"), *library.glob("following/*.py")])
    modules = {str(path.relative_to(library)): path.read_bytes() for path in paths}
    chooser = modules.pop("__init__.py")
    # A plan may build with the library of an older commit, which has no plugin.
    plugin = modules.pop(Path(PLUGIN).name, None)
    return PlatformFiles(
        version={**modules, "platform.json": json.dumps(platform, sort_keys=True, indent=1).encode()},
        shared={
            ".airflowignore": (dags / ".airflowignore").read_bytes(),
            # Before the kubeconfig, which starts it.
            **({} if plugin is None else {PLUGIN: plugin}),
            "jobyard/kubeconfig.yaml": kubeconfig.encode(),
            **({} if prices is None else {PRICES: prices}),
            "jobyard/__init__.py": chooser,
        },
        loaders={name: loader_source(team).encode() for name, team in loader_names(counts)},
        counts=counts,
    )


def node_groups(values: Path) -> dict[str, Any]:
    """Return the catalogue of node groups.

    Raises:
        NotAPlatformRepoError: the file is not there.
        UnreadableValuesError: it is not YAML, or not of this form.
    """
    return _catalogue(values / "node-groups.yaml", "nodeGroups")


def task_types(values: Path) -> dict[str, Any]:
    """Return the catalogue of task types.

    Raises:
        NotAPlatformRepoError: the file is not there.
        UnreadableValuesError: it is not YAML, or not of this form; or a type would leave a task a
            connection that is not the team's.
    """
    file = values / "task-types.yaml"
    types = _catalogue(file, "taskTypes")
    if problems := [f"{file}: {problem}" for problem in connection_problems(types)]:
        raise UnreadableValuesError("\n".join(problems))
    return types


def shared_variables(values: Path) -> list[str]:
    """Return the Airflow Variables that every team's templates may read, from the catalogue of task types.

    Raises:
        NotAPlatformRepoError: the file is not there.
        UnreadableValuesError: it is not YAML, or a name can't be that of a Variable, or is another team's.
    """
    file = values / "task-types.yaml"
    names = _data(file).get("sharedVariables", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and _SHARED.fullmatch(name) for name in names):
        raise UnreadableValuesError(
            f"{file}: sharedVariables must be a list of names of Airflow Variables, none of them {images_variable('*')}"
        )
    return list(names)


def _catalogue(file: Path, key: str) -> dict[str, Any]:
    content = _data(file).get(key)
    if not isinstance(content, dict):
        raise UnreadableValuesError(f"{file}: must have a mapping under '{key}'")
    return content


def _data(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise NotAPlatformRepoError(file)
    document = load(file, str(file))
    if document.findings:
        raise UnreadableValuesError(lines_of(document.findings))
    return mapping(document.data)


def require_files(repo: Path, *names: str) -> None:
    """Refuse a folder that lacks one of these files or folders.

    Raises:
        NotAPlatformRepoError: it lacks one; the message has the first.
    """
    for name in names:
        if not (repo / name).exists():
            raise NotAPlatformRepoError(repo / name)


def lines_of(findings: Iterable[Finding]) -> str:
    """Return the findings as an error's message has them, each on a line."""
    return "\n".join(str(finding) for finding in findings)
