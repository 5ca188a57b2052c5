"""What the command asks of git."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from jobyard_cli.errors import JobyardError

COMMIT = re.compile("[0-9a-f]{40,64}")


class GitError(JobyardError):
    """git refused, or is not there."""


def git(repo: Path, *arguments: str, variables: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """git's standard output, in a work tree; `variables` are added to its environment.

    Raises:
        GitError: it exited with another code than 0, or is not installed.
    """
    command = ["git", "-C", str(repo), *arguments]
    try:
        done = subprocess.run(
            command, input=stdin, env={**os.environ, **(variables or {})}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise GitError("there is no `git` on this machine") from error
    if done.returncode != 0:
        raise GitError(f"git {arguments[0]} in {repo}: {done.stderr.strip()}")
    return done.stdout


def commit(repo: Path) -> str:
    """The commit that is checked out, or nothing where the folder is no git work tree."""
    return _asked(repo, "rev-parse", "HEAD")


def origin(repo: Path) -> str:
    """The address of the remote `origin` without a password, or nothing where there is none.

    A pipeline's clone often has a token in it, which must not end in a file.
    """
    address = _asked(repo, "remote", "get-url", "origin")
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return address


def is_later(repo: Path, one: str, other: str) -> bool:
    """Whether a commit has another among those it follows; not so where this work tree can't be told of it.

    A pipeline's clone ends at its own commit, so a later one has to be fetched.
    """
    if one == other or not (COMMIT.fullmatch(one) and COMMIT.fullmatch(other)):
        return False
    if not _asked(repo, "cat-file", "-t", one):
        _asked(repo, "fetch", "--quiet", "origin", one)
    try:
        git(repo, "merge-base", "--is-ancestor", other, one)
    except GitError:
        return False
    return True


def _asked(repo: Path, *arguments: str) -> str:
    try:
        return git(repo, *arguments).strip()
    except GitError:
        return ""
