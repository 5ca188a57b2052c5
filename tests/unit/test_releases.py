"""What is in the bucket of a team's releases: listing them, going back, and not going back by mistake."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobyard_cli.release.compile import compile_release
from jobyard_cli.release.releases import (
    OlderReleaseError,
    StoreError,
    UnknownReleaseError,
    publish,
    releases,
    roll_back,
)
from jobyard_cli.system.git import is_later

from tests.support.command import jobyard_in
from tests.support.git import git

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddJob = Callable[..., Path]
BUCKET, KEY = "airflow", "dags/risk/jobs.json"
FIRST, SECOND, THIRD = "1" * 40, "2" * 40, "3" * 40


@pytest.fixture
def three(s3: S3Client, add_job: AddJob, team_repo: Path) -> S3Client:
    """A bucket with three releases, each of one job more than the one before."""
    for commit, by in ((FIRST, "ann"), (SECOND, "Zoë"), (THIRD, "")):
        add_job(f"job-{commit[0]}")
        publish(s3, BUCKET, compile_release(team_repo, commit), by)
    return s3


def body(client: S3Client) -> bytes:
    return client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()


def test_the_newest_release_is_listed_first_with_who_put_it(three: S3Client) -> None:
    found = [(one.commit, one.jobs, one.by) for one in releases(three, BUCKET, "risk")]
    assert found == [(THIRD, 3, ""), (SECOND, 2, "Zoë"), (FIRST, 1, "ann")]


def test_a_team_that_has_released_nothing_has_no_release(three: S3Client) -> None:
    assert releases(three, BUCKET, "care") == []
    with pytest.raises(UnknownReleaseError, match="team care has released nothing yet"):
        roll_back(three, BUCKET, "care")


def test_a_release_that_says_nothing_of_itself_is_listed_too(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"{}")
    (one,) = releases(s3, BUCKET, "risk")
    assert (one.commit, one.jobs, one.by) == ("", None, "")


def test_going_back_puts_the_release_before_again_byte_for_byte(three: S3Client) -> None:
    before = three.get_object(Bucket=BUCKET, Key=KEY, VersionId=releases(three, BUCKET, "risk")[1].version)
    expected = before["Body"].read()
    assert roll_back(three, BUCKET, "risk", by="ann").release.commit == SECOND
    assert body(three) == expected
    newest = releases(three, BUCKET, "risk")
    assert [(one.commit, one.by) for one in newest[:2]] == [(SECOND, "ann"), (THIRD, "")]


def test_going_back_twice_goes_to_what_was_there_first(three: S3Client) -> None:
    roll_back(three, BUCKET, "risk")
    assert roll_back(three, BUCKET, "risk").release.commit == THIRD


def test_going_back_to_a_commit_takes_the_beginning_of_its_name(three: S3Client) -> None:
    assert roll_back(three, BUCKET, "risk", FIRST[:8]).release.commit == FIRST
    assert releases(three, BUCKET, "risk")[0].commit == FIRST


def test_a_commit_without_a_release_is_answered_with_those_that_have_one(three: S3Client) -> None:
    with pytest.raises(UnknownReleaseError) as caught:
        roll_back(three, BUCKET, "risk", "abc")
    assert str(caught.value) == (
        "there is no earlier release of commit abc among the newest 3 of team risk "
        f"(commits: {THIRD[:12]}, {SECOND[:12]}, {FIRST[:12]})"
    )
    assert len(releases(three, BUCKET, "risk")) == 3


def test_what_is_no_release_is_not_gone_back_to(s3: S3Client, add_job: AddJob, team_repo: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"[no release]")
    add_job("score")
    release = compile_release(team_repo, FIRST)
    publish(s3, BUCKET, release)
    with pytest.raises(UnknownReleaseError, match="s3://airflow/dags/risk/jobs.json: what was put .*Z is not a"):
        roll_back(s3, BUCKET, "risk")
    assert body(s3) == release.body


class Overtaken:
    """A client between whose reading of an earlier release and putting it another release goes in."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **arguments: Any) -> Any:
        self._client.put_object(Bucket=BUCKET, Key=KEY, Body=b'{"digest": "other"}')
        return self._client.get_object(**arguments)


def test_going_back_never_goes_over_a_release_that_came_meanwhile(three: S3Client) -> None:
    client: Any = Overtaken(three)
    with pytest.raises(StoreError, match="another release was published at the same time; look at `jobyard releases`"):
        roll_back(client, BUCKET, "risk")
    assert body(three) == b'{"digest": "other"}'


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, list[str]]:
    """A pipeline's clone, which ends at the first of two commits, and both commits."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch=main")
    git(origin, "commit", "--quiet", "--allow-empty", "--message=First")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", origin.as_uri(), str(clone))
    git(origin, "commit", "--quiet", "--allow-empty", "--message=Second")
    return clone, [git(origin, "rev-parse", "HEAD~1"), git(origin, "rev-parse", "HEAD")]


def test_a_late_pipeline_does_not_put_an_older_commit_over_a_later_one(
    s3: S3Client, add_job: AddJob, team_repo: Path, history: tuple[Path, list[str]]
) -> None:
    clone, (older, later) = history
    add_job("score")
    publish(s3, BUCKET, compile_release(team_repo, later))
    add_job("train")
    with pytest.raises(OlderReleaseError) as caught:
        publish(s3, BUCKET, compile_release(team_repo, older), is_later=partial(is_later, clone))
    assert str(caught.value) == (
        f"s3://airflow/dags/risk/jobs.json is from commit {later[:12]}, which is newer than {older[:12]}, "
        f"checked out here; nothing was published. To go back: jobyard sync --rollback {older[:12]}"
    )
    assert len(releases(s3, BUCKET, "risk")) == 1


def test_a_later_commit_goes_over_an_older_one(
    s3: S3Client, add_job: AddJob, team_repo: Path, history: tuple[Path, list[str]]
) -> None:
    clone, (older, later) = history
    add_job("score")
    publish(s3, BUCKET, compile_release(team_repo, older))
    add_job("train")
    git(clone, "fetch", "--quiet", "origin")
    assert publish(s3, BUCKET, compile_release(team_repo, later), is_later=partial(is_later, clone)).changed


@pytest.mark.parametrize("theirs", ["", "no-commit", "--upload-pack=touch x", "f" * 40])
def test_a_commit_that_nobody_knows_is_not_later(history: tuple[Path, list[str]], theirs: str) -> None:
    clone, (older, _) = history
    assert not is_later(clone, theirs, older)


@pytest.fixture
def pipeline(
    team_repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[str], str]]:
    """Run the command in the team's repository as a pipeline of ann's: exit code, lines, errors."""
    monkeypatch.setenv("JOBYARD_BUCKET", BUCKET)
    monkeypatch.setenv("GITLAB_USER_LOGIN", "ann")

    jobyard = jobyard_in(team_repo, capsys, monkeypatch)

    def run(*arguments: str) -> tuple[int, list[str], str]:
        code, out, err = jobyard(*arguments)
        return code, out.splitlines(), err

    return run


def test_a_pipeline_publishes_a_person_looks_and_goes_back(
    s3: S3Client, add_job: AddJob, pipeline: Callable[..., tuple[int, list[str], str]]
) -> None:
    add_job("score")
    assert pipeline("sync", "--no-wait") == (0, [f"s3://{BUCKET}/{KEY}: released"], "")
    add_job("train")
    assert pipeline("sync", "--no-wait")[0] == 0
    code, lines, _ = pipeline("releases")
    assert code == 0
    assert [line.split("Z  ")[1] for line in lines] == ["?                2 jobs  ann", "?                1 jobs  ann"]
    code, lines, _ = pipeline("sync", "--rollback", "--no-wait")
    assert code == 0
    assert lines[0].startswith("the release of commit ?, put ")
    assert pipeline("sync", "--rollback", "abc", "--no-wait") == (
        1,
        [],
        "there is no earlier release of commit abc among the newest 3 of team risk (commits: unknown)\n",
    )
