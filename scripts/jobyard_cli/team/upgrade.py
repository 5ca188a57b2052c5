"""Brings a team's repository to a later version of the template it was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.checkout import STATE, platform_repo
from jobyard_cli.system import git
from jobyard_cli.team import template
from jobyard_cli.team.conflicts import conflicts
from jobyard_cli.team.repo import TeamRepo

_IN_USE = ("charts", "dags", "pyproject.toml", "schemas", "scripts", "uv.lock", "values")
"""What pipelines use of the platform's repository, at the commit that cruft noted."""
_ERROR = re.compile(r"^error: ([^:\n]+: [^:\n]+)$", re.M)
"""What git says of a file to which it could not apply the change."""


class UpgradeError(JobyardError):
    """The repository is not in a state in which it can be upgraded; it was left as it is."""


@dataclass(frozen=True)
class Upgraded:
    """What was done to the work tree."""

    before: str
    after: str
    """Commits of the template."""
    changed: list[str]
    """A line for each file that changed, as `git status` has it."""
    conflicts: list[str]
    """A line for each thing that a person has to decide."""


def upgrade(repo: Path, checkout: str = "") -> Upgraded:
    """Bring a team's repository to the template's newest commit, or to another; nothing is committed.

    Raises:
        UpgradeError: it does not say where it came from, or has changes of its own that are in no commit.
        CruftError: the template can't be had, or refuses the repository's answers.
        MissingPlatformError: the template can't be had.
    """
    before = _commit(repo)
    _refuse_unclean(repo)
    target = ["--checkout", checkout] if checkout else []
    # cruft ends with 0 even where its changes and the team's meet.
    said = template.cruft("update", "--skip-apply-ask", *target, cwd=repo).complaint
    changed = _changed(repo)
    if [line[3:] for line in changed] == [STATE] and not _is_of_use(repo, before):
        # Nothing but the note of a later commit, which would be a merge request about nothing.
        git.git(repo, "checkout", "--", STATE)
        return Upgraded(before, before, [], [])
    return Upgraded(before, _commit(repo), changed, list(_to_decide(repo, changed, said)))


def _is_of_use(repo: Path, before: str) -> bool:
    """Whether the template changed in what this repository's pipelines use of it, besides the files that are here."""
    clone, own = platform_repo(repo), f"values/teams/{TeamRepo.load(repo).team}.yaml"
    try:
        names = git.git(clone, "diff", "--name-only", before, "HEAD").splitlines()
    except git.GitError:
        return True  # a clone without history, which can't tell
    parts = [name.split("/") for name in names]
    others = [name for name in names if name.startswith("values/teams/") and name != own]
    return any(name not in others and part[0] in _IN_USE for name, part in zip(names, parts, strict=True))


def _commit(repo: Path) -> str:
    try:
        state = json.loads((repo / STATE).read_text(encoding="utf-8"))
        if state["commit"] and state["template"]:
            return str(state["commit"])
    except FileNotFoundError as error:
        why = "run this in the repository's top folder, or restore the file from git"
        raise UpgradeError(f"{repo / STATE} is missing: {why}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UpgradeError(f"{repo / STATE} does not say which commit of the template this is: {error}") from error
    what = "the address of the platform's repository and the commit that this one is made from"
    raise UpgradeError(f'{repo / STATE}: write {what} under "template" and "commit"')


def _refuse_unclean(repo: Path) -> None:
    if changed := _changed(repo):
        raise UpgradeError("\n".join(["changes here are in no commit; commit or stash them first:", *changed]))
    if rejected := _rejected(repo):
        names = ", ".join(rejected)
        raise UpgradeError(f"{names}: left of an earlier upgrade; put what is right into the file, then delete it")


def _changed(repo: Path) -> list[str]:
    return git.git(repo, "status", "--porcelain", "--untracked-files=all", "--no-renames").splitlines()


def _rejected(repo: Path) -> list[str]:
    """Changes that git could not apply; the repository's .gitignore hides them."""
    return sorted(git.git(repo, "ls-files", "--others", "--", "*.rej").splitlines())


def _to_decide(repo: Path, changed: list[str], said: str) -> Iterator[str]:
    """A line for each thing that a person has to decide."""
    named = set()
    for line in changed:
        state, name = line[:2], line[3:]
        marked = [f"{name}:{one.first}:1: {one}" for one in conflicts(_text(repo / name))]
        yield from marked
        if not marked and "U" in state:
            yield f"{name}: changed here and in the template, one of which removed it; `git add` or `git rm` it"
        if marked or "U" in state:
            named.add(name)
    for name in _rejected(repo):
        named.add(name.removesuffix(".rej"))
        yield f"{name}: the part of the template's change that does not fit; put it into the file, then delete this"
    for error in dict.fromkeys(_ERROR.findall(said)):
        if error.partition(":")[0] not in named:
            yield f"{error}; the template's change to it, or its removal, was left out: make it by hand, or leave it"


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
