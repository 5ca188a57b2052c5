"""The platform's repository as its default branch is now: environments, teams with their bounds, and published jobs.

What is fetched is kept among the user's caches with the time at which that was, and taken as current for some minutes.
Where nothing newer can be had, what is kept is taken whatever its age, and its age is said.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from jobyard_cli.platform import remote
from jobyard_cli.platform.checkout import MissingPlatformError, Origin, origin_of, platform_repo, put
from jobyard_cli.system import git

BRANCH = "JOBYARD_PLATFORM_BRANCH"
"""Names another branch than the default one."""
MAX_AGE = "JOBYARD_PLATFORM_MAX_AGE"
"""Seconds for which what was fetched is current."""
FIVE_MINUTES = 300.0
PUBLISHED_BRANCH = "published-jobs"
"""Where the platform's scheduled pipeline puts the lists of released jobs."""
PUBLISHED = "values/published-jobs"
_NOTE = "current.json"
_KEPT_FOR = 86400.0
"""Seconds for which a folder stays that is no longer current."""
_TRIES = 2


@dataclass(frozen=True)
class Current:
    """A folder with the platform's files; of what age, in words; and why it is not newer, where it could be."""

    tree: Path
    words: str
    why: str = ""

    @property
    def state(self) -> str:
        """Return all that is known of its age."""
        if not self.why:
            return self.words
        return f"{self.words} (a newer one is not available: {self.why})"


@dataclass(frozen=True)
class _Note:
    """What was fetched last, and when; `tried` and `error` are of the last time that it was not possible."""

    branch: str = ""
    commit: str = ""
    published: str = ""
    fetched: float = 0.0
    asked: str = ""
    tried: float = 0.0
    error: str = ""

    @property
    def tree(self) -> str:
        """Return the folder's name: two branches' commits."""
        return f"{self.commit[:20]}-{self.published[:20] or 'none'}"


@dataclass(frozen=True)
class _Refs:
    """A repository's commits by the name of their ref, and the branch that HEAD is."""

    commits: Mapping[str, str]
    default: str


def current_platform(team_repo: Path, work_tree: Path | None = None) -> Current:
    """Return the platform's current files; as a fallback, the last that were available.

    Raises:
        MissingPlatformError: the team's repository does not say where it came from, or nothing can be had.
    """
    if work_tree is not None:
        return Current(work_tree, f"the work tree {work_tree}")
    origin = origin_of(team_repo)
    note = _read(origin)
    if not _is_recent(note.fetched) and not (note.error and _is_recent(note.tried)):
        note = _try(origin, note)
    return _kept(origin, note) or _of_template(team_repo, origin, note.error)


def refresh(team_repo: Path) -> Current:
    """Fetch the platform's files whatever the age of those that are kept.

    Raises:
        MissingPlatformError: the team's repository does not say where it came from, or nothing can be had.
    """
    origin = origin_of(team_repo)
    note = _try(origin, _read(origin))
    return _kept(origin, note) or _of_template(team_repo, origin, note.error)


def _kept(origin: Origin, note: _Note) -> Current | None:
    if not note.fetched:
        return None
    words = (
        f"commit {note.commit[:12]} of the platform's branch {note.branch}, fetched {age(time.time() - note.fetched)}"
    )
    return Current(_folder(origin, note), words, note.error)


def _of_template(team_repo: Path, origin: Origin, error: str) -> Current:
    try:
        tree = platform_repo(team_repo)
    except MissingPlatformError as missing:
        raise MissingPlatformError(f"the platform's repository is not available: {error or missing}") from missing
    return Current(tree, f"commit {origin.commit[:12]} of the platform, which this repository was made from", error)


def age(seconds: float) -> str:
    """Return `just now`, `3 minutes ago`, `2 hours ago`, `5 days ago`."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if (number := int(seconds // size)) > 0:
            return f"{number} {unit}{'s'[: number != 1]} ago"
    return "just now"


def _is_recent(moment: float) -> bool:
    longest = float(os.environ.get(MAX_AGE) or FIVE_MINUTES)
    return 0 <= time.time() - moment < longest


def _try(origin: Origin, note: _Note) -> _Note:
    """Fetch, with retries; as a fallback, return what was fetched last, with the reason."""
    for left in reversed(range(_TRIES)):
        try:
            fetched = _fetch(origin)
        except git.GitError as error:
            # A branch may have moved since it was asked for.
            if left and "no answer within" not in str(error):
                continue
            fetched = replace(note, tried=time.time(), error=f"{origin.address}: {error}")
        break
    _write(origin, fetched)
    _prune(origin, (note.tree, fetched.tree))
    return fetched


def _fetch(origin: Origin) -> _Note:
    branch = os.environ.get(BRANCH, "")
    head = f"refs/heads/{branch}" if branch else "HEAD"
    published = f"refs/heads/{PUBLISHED_BRANCH}"
    with _scratch(origin) as scratch:
        refs = _refs(remote.ask(scratch, "ls-remote", "--symref", "--", origin.address, head, published))
        if head not in refs.commits:
            raise git.GitError(f"the platform's repository has no branch {branch}" if branch else "it has no commit")
        commit, commit_of_lists = refs.commits[head], refs.commits.get(published, "")
        note = _Note(branch or refs.default, commit, commit_of_lists, time.time(), branch)
        if not _folder(origin, note).is_dir():
            _check_out(origin, note, scratch)
    return note


def _refs(text: str) -> _Refs:
    """Return what `git ls-remote --symref` prints; HEAD is its own branch where the server does not say which."""
    commits: dict[str, str] = {}
    default = "HEAD"
    for line in text.splitlines():
        target, _, name = line.partition("\t")
        if not target.startswith("ref: "):
            commits[name] = target
        elif name == "HEAD":
            default = target.removeprefix("ref: ").removeprefix("refs/heads/")
    return _Refs(commits, default)


def _check_out(origin: Origin, note: _Note, scratch: Path) -> None:
    """The files of the branch, with the lists of published jobs of the other; no history."""
    tree = scratch / "tree"
    git.git(scratch, "init", "--quiet", "--", str(tree))
    commits = [note.commit]
    if note.published:
        commits.append(note.published)
    remote.ask(tree, "fetch", "--quiet", "--depth=1", "--no-tags", "--", origin.address, *commits, deadline=120)
    git.git(tree, "checkout", "--quiet", "--detach", note.commit)
    if note.published and git.git(tree, "ls-tree", note.published, "--", f"{PUBLISHED}/"):
        shutil.rmtree(tree / PUBLISHED, ignore_errors=True)
        git.git(tree, "checkout", "--quiet", note.published, "--", f"{PUBLISHED}/")
    shutil.rmtree(tree / ".git")
    put(tree, _folder(origin, note))


@contextmanager
def _scratch(origin: Origin) -> Iterator[Path]:
    """A folder beside the kept ones, so that one made in it can get its name in one step."""
    trees = _trees(origin)
    trees.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=trees, prefix=".") as scratch:
        yield Path(scratch)


def _trees(origin: Origin) -> Path:
    """Return the folder of all trees that are kept."""
    return origin.folder / "current"


def _folder(origin: Origin, note: _Note) -> Path:
    return _trees(origin) / note.tree


def _prune(origin: Origin, kept: Collection[str]) -> None:
    """Delete what was current earlier, but for the one before, which another command may be reading."""
    trees = _trees(origin)
    if not trees.is_dir():
        return
    for folder in trees.iterdir():
        if folder.name not in kept and time.time() - folder.stat().st_mtime > _KEPT_FOR:
            shutil.rmtree(folder, ignore_errors=True)


def _read(origin: Origin) -> _Note:
    """Return the note; an empty one if it is missing or for another branch, or its folder was deleted."""
    try:
        note = _Note(**json.loads((origin.folder / _NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return _Note()
    if note.asked != os.environ.get(BRANCH, ""):
        return _Note()
    if note.fetched and not _folder(origin, note).is_dir():
        return _Note()
    return note


def _write(origin: Origin, note: _Note) -> None:
    """Replace the note in one step, as several commands may do it at once."""
    origin.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=origin.folder, prefix=".", delete=False, encoding="utf-8") as file:
        json.dump(asdict(note), file)
    Path(file.name).replace(origin.folder / _NOTE)
