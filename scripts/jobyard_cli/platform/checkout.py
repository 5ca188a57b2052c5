"""The platform's repository, as a team's was made from it: environments, quotas and Airflow's pins are there alone."""

from __future__ import annotations

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path

from jobyard_cli import git
from jobyard_cli.errors import JobyardError

STATE = ".cruft.json"
"""What cruft notes in a team's repository of the template that it came from."""


class NoPlatform(JobyardError):
    """The platform's repository can't be had."""


def platform_repo(team_repo: Path, given: Path | None = None) -> Path:
    """A work tree of the platform's repository: the one that was given, or a clone at the commit that cruft noted.

    Clones are kept among the user's caches, so that a commit is fetched once.

    Raises:
        NoPlatform: the team's repository does not say where it came from, or git can't fetch it.
    """
    if given is not None:
        return given
    template, commit = _origin(team_repo)
    kept = _cache() / sha256(template.encode()).hexdigest()[:12] / commit
    if not kept.is_dir():
        _clone(template, commit, kept)
    return kept


def _origin(team_repo: Path) -> tuple[str, str]:
    """Address of the template, and the commit."""
    hint = "give the platform's work tree with --platform"
    try:
        state = json.loads((team_repo / STATE).read_text(encoding="utf-8"))
        template, commit = str(state["template"]), str(state["commit"])
    except FileNotFoundError as error:
        raise NoPlatform(f"{team_repo} has no {STATE}, as it was not made by cruft: {hint}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise NoPlatform(f"{team_repo / STATE} does not say which commit of which template this is: {hint}") from error
    if not git.COMMIT.fullmatch(commit):
        raise NoPlatform(f"{team_repo / STATE}: '{commit}' is no commit: {hint}")
    return template, commit


def _clone(template: str, commit: str, target: Path) -> None:
    """Clone into a folder beside, so that what has the name is whole, whoever else does the same."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        work_tree = Path(folder) / "clone"
        try:
            git.git(Path(folder), "clone", "--quiet", "--no-checkout", "--", template, str(work_tree))
            git.git(work_tree, "checkout", "--quiet", "--detach", commit)
        except git.GitFailed as error:
            raise NoPlatform(f"the platform's repository can't be had: {error}") from error
        try:
            work_tree.rename(target)
        except OSError:
            if not target.is_dir():
                raise


def _cache() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "jobyard" / "platform"
