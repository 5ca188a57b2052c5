"""Puts an environment's list of released jobs on a branch of its own in the platform's repository.

The branch is always one commit without a parent: nobody needs the lists of earlier hours, and clones do not grow.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from jobyard_cli.errors import JobyardError
from jobyard_cli.platform import remote
from jobyard_cli.platform.current import PUBLISHED, PUBLISHED_BRANCH
from jobyard_cli.system import git
from jobyard_cli.system.waiting import random_pauses

REMOTE = "origin"
_REF = f"refs/heads/{PUBLISHED_BRANCH}"
_TRIES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_OVERTAKEN = ("stale info", "fetch first", "cannot lock ref")
"""What git says where the branch is no longer what was read."""
_COMMITTER = {
    "GIT_AUTHOR_NAME": "Jobyard",
    "GIT_AUTHOR_EMAIL": "jobyard@localhost",
    "GIT_COMMITTER_NAME": "Jobyard",
    "GIT_COMMITTER_EMAIL": "jobyard@localhost",
}


class PushError(JobyardError):
    """The list could not be put on its branch."""


def push_list(repo: Path, environment: str, text: str) -> str:
    """Put the list beside those of the other environments; the branch's new commit.

    Raises:
        PushError: the remote refuses, does not answer, or others keep pushing at the same time.
    """
    tries = Retrying(
        # Another environment's pipeline was quicker.
        retry=retry_if_exception(_is_overtaken),
        wait=random_pauses(_FIRST_PAUSE, _LONGEST_PAUSE),
        stop=stop_after_attempt(_TRIES),
        reraise=True,
    )
    try:
        return tries(_push, repo, environment, text)
    except git.GitError as error:
        if _is_overtaken(error):
            raise PushError(f"{_TRIES} times another push to {PUBLISHED_BRANCH} came first; run this again") from error
        raise PushError(f"{environment}'s list is not on the branch {PUBLISHED_BRANCH}: {error}") from error


def _push(repo: Path, environment: str, text: str) -> str:
    current = _current_commit(repo)
    commit = _commit(repo, current, environment, text)
    remote.ask(repo, "push", "--quiet", f"--force-with-lease={_REF}:{current}", REMOTE, f"{commit}:{_REF}")
    return commit


def _is_overtaken(error: BaseException) -> bool:
    return isinstance(error, git.GitError) and any(word in str(error) for word in _OVERTAKEN)


def _current_commit(repo: Path) -> str:
    """The branch's commit, fetched; empty where the remote has no such branch."""
    if not remote.ask(repo, "ls-remote", REMOTE, _REF):
        return ""
    remote.ask(repo, "fetch", "--quiet", "--no-tags", REMOTE, _REF)
    return git.git(repo, "rev-parse", "FETCH_HEAD").strip()


def _commit(repo: Path, current: str, environment: str, text: str) -> str:
    """A commit without a parent, with the lists of the current commit and this one."""
    with tempfile.TemporaryDirectory(prefix="jobyard-") as folder:
        # An index of its own: neither the work tree nor what is staged in it is touched.
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        if current:
            git.git(repo, "read-tree", current, variables=index)
        blob = git.git(repo, "hash-object", "-w", "--stdin", variables=index, stdin=text).strip()
        entry = f"100644,{blob},{PUBLISHED}/{environment}.json"
        git.git(repo, "update-index", "--add", "--cacheinfo", entry, variables=index)
        tree = git.git(repo, "write-tree", variables=index).strip()
    message = f"Jobs that are released, as of {environment}'s last list"
    return git.git(repo, "commit-tree", tree, "-m", message, variables=_COMMITTER).strip()
