"""What a plan compares with: the files of a commit, or what is released in an environment."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
_READ = frozenset({"charts", "dags", "images", "schemas", "values"})


class MissingBaseError(JobyardError):
    """There is no such commit to compare with."""


@dataclass
class Base:
    """Jobs as a release has them, and the files that they were made from, as far as both are known."""

    description: str
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
    commit, description = chosen
    with _exported(root, commit) as tree:
        if tree is None:
            yield Base(description, notes=["the base has none of this folder's files"])
        else:
            yield _compiled(tree, description)


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
    with _exported_if_known(root, commit) as tree:
        base = Base(f"{environment}, which has commit {commit[:12] or '?'}", release["jobs"], tree)
        if tree is None:
            base.notes.append("the released commit is not in this clone: the chart's changes are not shown")
        yield base


@contextmanager
def _exported_if_known(root: Path, commit: str) -> Iterator[Path | None]:
    """As `_exported`; None also where the clone has no such commit."""
    if not _is_known(root, commit):
        yield None
        return
    with _exported(root, commit) as tree:
        yield tree


def _is_known(root: Path, commit: str) -> bool:
    if not git.COMMIT.fullmatch(commit):
        return False
    try:
        return git.git(root, "cat-file", "-t", commit).strip() == "commit"
    except git.GitError:
        return False


def _compiled(tree: Path, description: str) -> Base:
    try:
        checked = check_repo(tree)
    except NotATeamRepoError as error:
        return Base(description, notes=[f"the base is not a team repository: it lacks {', '.join(error.missing)}"])
    base = Base(description, compile_jobs(checked), tree)
    if invalid := sorted(checked.jobs.keys() - base.jobs.keys()):
        base.notes.append(f"these jobs of the base have problems, and count as missing: {', '.join(invalid)}")
    return base


def _commit(root: Path, ref: str) -> tuple[str, str] | None:
    """The commit and its description; None where there is no commit at all."""
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
    names = git.git(root, "ls-tree", "--name-only", "-z", commit).split("\0")
    folders = sorted(_READ.intersection(names))
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
