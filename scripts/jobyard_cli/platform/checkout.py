"""The platform's repository at the commit that a team's was made from: the template's version, and the library's."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jobyard_cli.errors import JobyardError
from jobyard_cli.system import git
from jobyard_cli.system.folders import cache_dir

STATE = ".cruft.json"
"""What cruft, or the template's hook, notes in a team's repository of the template that it came from."""
ADDRESS = "JOBYARD_PLATFORM_URL"
"""Another address of the platform's repository, as a pipeline needs where the noted one is for a person's SSH key."""
HINT = "or name a work tree of the platform's repository with --platform"


class MissingPlatformError(JobyardError):
    """The platform's repository is not available."""


@dataclass(frozen=True)
class Origin:
    """Where a team's repository came from: the address of the platform's, and the commit."""

    address: str
    commit: str

    @property
    def folder(self) -> Path:
        """Return the folder in the user's cache for files from this address; `ci/install.sh` knows it too."""
        return cache_dir() / "platform" / sha256(self.address.encode()).hexdigest()[:12]


def platform_repo(team_repo: Path, work_tree: Path | None = None) -> Path:
    """Return a work tree of the platform's repository: the given one, or a clone at the commit in `.cruft.json`.

    Clones are kept among the user's caches, so that a commit is fetched once.

    Raises:
        MissingPlatformError: the team's repository does not say where it came from, or git can't fetch it.
    """
    if work_tree is not None:
        return work_tree
    origin = origin_of(team_repo)
    clone = origin.folder / origin.commit
    if not clone.is_dir():
        _clone(origin, clone)
    return clone


def origin_of(team_repo: Path) -> Origin:
    """Return the repository and commit that a team's repository came from.

    Raises:
        MissingPlatformError: it does not say so.
    """
    file = team_repo / STATE
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        address, commit = _address(state), str(state["commit"])
    except FileNotFoundError as error:
        writers = "`cookiecutter`, `cruft create` and `jobyard team new` write it"
        raise MissingPlatformError(f"{file} is missing; {writers}. Restore it from git, {HINT}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MissingPlatformError(
            f"{file} can't be read ({type(error).__name__}: {error}); restore it, {HINT}"
        ) from error
    if not address:
        raise MissingPlatformError(f'{file}: write the address of the platform\'s repository under "template", {HINT}')
    if not git.COMMIT.fullmatch(commit):
        advice = 'write the full id of a commit of the platform\'s repository under "commit"'
        raise MissingPlatformError(f"{file}: '{commit}' is not the full id of a commit; {advice}, {HINT}")
    return Origin(address, commit)


def _address(state: Any) -> str:
    """The address for pipelines: cruft notes as `template` what it was given, which may be a folder of somebody's."""
    answer = state.get("context", {}).get("cookiecutter", {}).get("platform_url")
    return os.environ.get(ADDRESS) or str(answer or state["template"])


def _clone(origin: Origin, target: Path) -> None:
    """Clone into a folder beside, so that what has the name is complete, even if others do the same."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        work_tree = Path(folder) / "clone"
        try:
            git.git(Path(folder), "clone", "--quiet", "--no-checkout", "--", origin.address, str(work_tree))
            git.git(work_tree, "checkout", "--quiet", "--detach", origin.commit)
        except git.GitError as error:
            raise MissingPlatformError(f"the platform's repository is not available: {error}") from error
        put(work_tree, target)


def put(folder: Path, target: Path) -> None:
    """Give a folder its name, unless another process did first."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise
