"""What the command asks of git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from jobyard_cli.errors import JobyardError
from jobyard_cli.system.addresses import without_login
from jobyard_cli.system.errors import ProgramNotFoundError, ProgramTimeoutError
from jobyard_cli.system.programs import DEADLINE, Finished, finish

COMMIT = re.compile("[0-9a-f]{40,64}")


class GitError(JobyardError):
    """git refused, did not end in time, or is not installed."""


def git(
    repo: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    deadline: float = DEADLINE,
    session: bool = False,
) -> str:
    """Return git's standard output, in a work tree; `variables` are added to its environment.

    Raises:
        GitError: it exited with another code than 0, did not end within `deadline` seconds, or is not installed.
    """
    return _done(repo, arguments, variables, stdin, deadline, session).text


def archive(repo: Path, commit: str, paths: list[str]) -> bytes:
    """Return a tar archive of these paths as a commit has them.

    Raises:
        GitError: it has not all of them.
    """
    return _done(repo, ("archive", "--format=tar", commit, "--", *paths)).stdout


def _done(
    repo: Path,
    arguments: tuple[str, ...],
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    deadline: float = DEADLINE,
    session: bool = False,
) -> Finished:
    what = f"git {arguments[0]}"
    command = ["git", "-C", str(repo), *arguments]
    try:
        done = finish(command, what=what, stdin=stdin, environment=variables, deadline=deadline, session=session)
    except (ProgramNotFoundError, ProgramTimeoutError) as error:
        raise GitError(str(error)) from error
    if done.code != 0:
        # A server is asked from a folder that says nothing to a person.
        call = what if session else f"{what} in {repo}"
        raise GitError(f"{call}: {done.complaint or f'exit code {done.code}'}")
    return done


def commit(repo: Path) -> str:
    """Return the commit that is checked out; empty if the folder is not a git work tree."""
    return _asked(repo, "rev-parse", "HEAD")


def origin(repo: Path) -> str:
    """Return the address of the remote `origin` without a password; empty if it does not exist.

    A pipeline's clone often has a token in it, which must not end in a file.
    """
    return without_login(_asked(repo, "remote", "get-url", "origin"))


def is_later(repo: Path, commit: str, earlier: str) -> bool:
    """Return whether a commit has another among its ancestors; False if this work tree can't know.

    A pipeline's clone ends at its own commit, so a later one has to be fetched.
    """
    if commit == earlier or not (COMMIT.fullmatch(commit) and COMMIT.fullmatch(earlier)):
        return False
    if not _asked(repo, "cat-file", "-t", commit):
        _asked(repo, "fetch", "--quiet", "origin", commit)
    try:
        git(repo, "merge-base", "--is-ancestor", earlier, commit)
    except GitError:
        return False
    return True


def _asked(repo: Path, *arguments: str) -> str:
    try:
        return git(repo, *arguments).strip()
    except GitError:
        return ""
