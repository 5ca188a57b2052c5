"""What a plan compares with: the files of a commit, or what is released in an environment."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from jobyard_cli.check.run import check_repo
from jobyard_cli.errors import JobyardError
from jobyard_cli.plan.model import Jobs
from jobyard_cli.plan.released import released
from jobyard_cli.release.compile import compile_jobs
from jobyard_cli.system import git
from jobyard_cli.team.repo import NotATeamRepoError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DEFAULT_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_READ = ("charts", "dags", "images", "schemas", "values")


class MissingBaseError(JobyardError):
    """There is no such commit to compare with."""


@dataclass
class Base:
    """Jobs as a release has them, and the files that they were made from, as far as both are known."""

    words: str
    jobs: Jobs = field(default_factory=dict)
    tree: Path | None = None
    notes: list[str] = field(default_factory=list)


@contextmanager
def commit_base(root: Path, ref: str = "") -> Iterator[Base]:
    """Yield the repository as of a commit: by default, the newest that the default branch has too.

    Raises:
        MissingBaseError: there is no such commit, or none in common.
    """
    chosen = _commit(root, ref)
    if chosen is None:
        yield Base("nothing, as there is no commit yet")
        return
    commit, words = chosen
    with _exported(root, commit) as tree:
        yield _compiled(tree, words) if tree else Base(words, notes=["the base has none of this folder's files"])


@contextmanager
def environment_base(root: Path, client: S3Client, bucket: str, team: str, environment: str) -> Iterator[Base]:
    """Yield what a team has released in an environment, with the files of the released commit.

    Raises:
        UnreadableReleaseError: the bucket refuses, is not there, or does not answer, or its content is not a release.
    """
    release = released(client, bucket, team)
    if release is None:
        yield Base(f"{environment}, where nothing is released yet")
        return
    # A release may have been put by hand.
    commit = str(release.get("commit", ""))
    with ExitStack() as stack:
        tree = stack.enter_context(_exported(root, commit)) if _is_here(root, commit) else None
        notes = [] if tree else ["the released commit is not in this clone: the chart's changes are not shown"]
        yield Base(f"{environment}, which has commit {commit[:12] or '?'}", release["jobs"], tree, notes)


def _is_here(root: Path, commit: str) -> bool:
    if not git.COMMIT.fullmatch(commit):
        return False
    try:
        return git.git(root, "cat-file", "-t", commit).strip() == "commit"
    except git.GitError:
        return False


def _compiled(tree: Path, words: str) -> Base:
    try:
        checked = check_repo(tree)
    except NotATeamRepoError as error:
        return Base(words, notes=[f"the base is not a team repository: it lacks {', '.join(error.missing)}"])
    jobs = compile_jobs(checked)
    wrong = sorted(set(checked.jobs) - set(jobs))
    notes = [f"these jobs of the base have problems, and count as missing: {', '.join(wrong)}"] if wrong else []
    return Base(words, jobs, tree, notes)


def _commit(root: Path, ref: str) -> tuple[str, str] | None:
    """The commit and its words; None where there is no commit at all."""
    if ref:
        commit = _resolved(root, ref)
        if commit is None:
            raise MissingBaseError(
                f"there is no commit '{ref}' here; if it is on the server, fetch it first (git fetch origin)"
            )
        return commit, f"{ref} ({commit[:12]})"
    if _resolved(root, "HEAD") is None:
        return None
    for branch in DEFAULT_BRANCHES:
        if _resolved(root, branch) is not None:
            return _merge_base(root, branch)
    raise MissingBaseError(f"there is no default branch here (looked for {', '.join(DEFAULT_BRANCHES)}); give --base")


def _merge_base(root: Path, branch: str) -> tuple[str, str]:
    try:
        commit = git.git(root, "merge-base", branch, "HEAD").strip()
    except git.GitError as error:
        hint = "fetch more of both (git fetch --unshallow), or give --base"
        raise MissingBaseError(f"this clone has no commit that {branch} and HEAD share: {hint}") from error
    return commit, f"{branch} ({commit[:12]})"


def _resolved(root: Path, ref: str) -> str | None:
    try:
        return git.git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    except git.GitError:
        return None


@contextmanager
def _exported(root: Path, commit: str) -> Iterator[Path | None]:
    """The commit's files that a plan reads, in a folder of their own; None where it has none of them."""
    listed = git.git(root, "ls-tree", "--name-only", "-z", commit).split("\0")
    folders = [name for name in listed if name in _READ]
    if not folders:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="jobyard-plan-") as folder:
        _unpack(git.archive(root, commit, folders), Path(folder))
        yield Path(folder)


def _unpack(archive: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        # With a filter.
        tar.extractall(folder, filter=_inside)  # noqa: S202


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Whatever stays in the folder; a link that leads out of it is left out."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None
