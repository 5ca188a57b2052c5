"""Upgrade a team's repository to a newer version of its template."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.checkout import STATE, platform_repo
from jobyard_cli.platform.teams import OVERRIDES, TEAMS
from jobyard_cli.system import git
from jobyard_cli.team import template
from jobyard_cli.team.conflicts import conflicts
from jobyard_cli.team.repo import TeamRepo

_OF_TEAMS = (f"{TEAMS}/", f"{OVERRIDES}/")
_IN_USE = ("charts", "dags", "pyproject.toml", "schemas", "scripts", "uv.lock", "values")
"""The parts of the platform's repository that pipelines use, at the commit that cruft recorded."""
_ERROR = re.compile(r"^error: ([^:\n]+: [^:\n]+)$", re.M)
"""git's message for a file to which it could not apply the change."""


class UpgradeError(JobyardError):
    """The repository is not in a state in which it can be upgraded; it was not changed."""


@dataclass(frozen=True)
class Upgraded:
    """The result of an upgrade of the work tree."""

    before: str
    after: str
    """Commits of the template."""
    changed: list[str]
    """A line for each changed file, as `git status` prints it."""
    conflicts: list[str]
    """A line for each conflict that a person must resolve."""


def upgrade(repo: Path, checkout: str = "") -> Upgraded:
    """Upgrade a team's repository to the template's newest commit, or to another one; nothing is committed.

    Raises:
        UpgradeError: the repository does not name its template, or has uncommitted changes.
        CruftError: the template cannot be fetched, or refuses the repository's answers.
        MissingPlatformError: the template cannot be fetched.
    """
    before = _commit(repo)
    _refuse_unclean(repo)
    options = ["--skip-apply-ask"]
    if checkout:
        options += ["--checkout", checkout]
    # cruft exits with 0 even if there are conflicts.
    output = template.cruft("update", *options, cwd=repo).complaint
    changed = _changed(repo)
    if _is_state_alone(changed) and not _affects_pipelines(repo, before):
        # Only the recorded commit is newer, which is not worth a merge request.
        git.git(repo, "checkout", "--", STATE)
        return Upgraded(before, before, [], [])
    return Upgraded(before, _commit(repo), changed, list(_conflicts(repo, changed, output)))


def _is_state_alone(changed: list[str]) -> bool:
    return len(changed) == 1 and changed[0][3:] == STATE


def _affects_pipelines(repo: Path, before: str) -> bool:
    """Return whether the platform changed in a part that this repository's pipelines use of it."""
    clone = platform_repo(repo)
    own = f"{TeamRepo.load(repo).team}.yaml"
    try:
        names = git.git(clone, "diff", "--name-only", before, "HEAD").splitlines()
    except git.GitError:
        return True  # A clone without history has no differences to look at.
    return any(_is_in_use(name, own) for name in names)


def _is_in_use(name: str, own: str) -> bool:
    of_another_team = name.startswith(_OF_TEAMS) and name.rpartition("/")[2] != own
    return name.split("/")[0] in _IN_USE and not of_another_team


def _commit(repo: Path) -> str:
    try:
        state = json.loads((repo / STATE).read_text(encoding="utf-8"))
        if state["commit"] and state["template"]:
            return str(state["commit"])
    except FileNotFoundError as error:
        advice = "run this in the repository's top folder, or restore the file from git"
        raise UpgradeError(f"{repo / STATE} is missing: {advice}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UpgradeError(f"{repo / STATE} does not have the commit of the template: {error}") from error
    values = "the address of the platform's repository and the commit that this one was made from"
    raise UpgradeError(f'{repo / STATE}: set "template" and "commit" to {values}')


def _refuse_unclean(repo: Path) -> None:
    if changed := _changed(repo):
        raise UpgradeError("\n".join(["there are uncommitted changes; commit or stash them first:", *changed]))
    if rejected := _rejected(repo):
        names = ", ".join(rejected)
        raise UpgradeError(
            f"{names}: left over from an earlier upgrade; apply the change by hand, then delete this file"
        )


def _changed(repo: Path) -> list[str]:
    return git.git(repo, "status", "--porcelain", "--untracked-files=all", "--no-renames").splitlines()


def _rejected(repo: Path) -> list[str]:
    """Return the files with changes that git could not apply; the repository's .gitignore hides them."""
    return sorted(git.git(repo, "ls-files", "--others", "--", "*.rej").splitlines())


def _conflicts(repo: Path, changed: list[str], output: str) -> Iterator[str]:
    """Yield a line for each conflict that a person must resolve. `output` is that of cruft."""
    reported = set()
    for line in changed:
        name = line[3:]
        problems = list(_file_conflicts(repo, name, is_unmerged="U" in line[:2]))
        yield from problems
        if problems:
            reported.add(name)
    for name in _rejected(repo):
        reported.add(name.removesuffix(".rej"))
        yield f"{name}: part of the template's change could not be applied; apply it by hand, then delete this file"
    for error in dict.fromkeys(_ERROR.findall(output)):
        if error.partition(":")[0] not in reported:
            yield f"{error}; the template's change to this file was skipped: make it by hand, or ignore it"


def _file_conflicts(repo: Path, name: str, *, is_unmerged: bool) -> Iterator[str]:
    has_markers = False
    for conflict in conflicts(_text(repo / name)):
        has_markers = True
        yield f"{name}:{conflict.first}:1: {conflict}"
    if is_unmerged and not has_markers:
        yield f"{name}: changed on one side and removed on the other; `git add` it to keep it, or `git rm` it"


def _text(file: Path) -> str:
    if not file.is_file():
        return ""
    return file.read_text(encoding="utf-8", errors="replace")
