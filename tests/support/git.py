"""Git repositories of tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")


def git(repo: Path, *arguments: str) -> str:
    """Run one git command in a work tree, with an author; return its output without the last line's end.

    Raises:
        subprocess.CalledProcessError: it exits with another code than 0.
    """
    command = ["git", "-C", str(repo), *AUTHOR, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.removesuffix("\n")


def commit_all(repo: Path) -> str:
    """Commit everything in a folder, which becomes a repository if it is not one yet; return the commit's id."""
    if not (repo / ".git").exists():
        git(repo, "init", "--quiet", "--initial-branch=main")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--allow-empty", "--message=All")
    return git(repo, "rev-parse", "HEAD")
