"""The list of all teams' released jobs: from their releases, over a branch of the platform's, to a team's check."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobyard_cli.check.run import check_repo
from jobyard_cli.platform.current import PUBLISHED, refresh
from jobyard_cli.platform.published import KnownJob, PublishedJobs, list_text, published_jobs
from jobyard_cli.release.catalogue import UnreadableReleasesError, released_jobs
from jobyard_cli.release.compile import compile_release
from jobyard_cli.release.push_list import PushError, push_list

from tests.support.command import jobyard_in
from tests.support.git import commit_all, git
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddJob = Callable[..., Path]
BUCKET = "airflow"
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
DAILY: KnownJob = {"schedule": "@daily", "timezone": "UTC", "owner": ""}
AFTER = "apiVersion: jobyard/v1\nschedule: {after: [%s]}\ntasks: {score: {image: inference}}\n"
WAITS = 'apiVersion: jobyard/v1\nschedule: "@daily"\nwait_for: [%s]\ntasks: {score: {image: inference}}\n'


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """The platform's repository on its server."""
    folder = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    return folder


@pytest.fixture
def platform(tmp_path: Path, origin: Path) -> Path:
    """A clone of it, with two environments and team risk in both."""
    folder = tmp_path / "platform"
    for name in ("values", "charts/platform", "charts/bounds"):
        shutil.copytree(ROOT / name, folder / name)
    commit_all(folder)
    git(folder, "remote", "add", "origin", str(origin))
    git(folder, "push", "--quiet", "origin", "main")
    return folder


@pytest.fixture
def team(team_repo: Path, origin: Path, platform: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Team risk's repository, which knows the platform's server, and has no list of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (team_repo / "values" / "published-jobs.yaml").unlink()
    state = {"template": str(origin), "commit": git(platform, "rev-parse", "HEAD")}
    (team_repo / ".cruft.json").write_text(json.dumps(state))
    return team_repo


def put(platform: Path, age: timedelta = timedelta(), **jobs: list[str]) -> None:
    """Put a list of such jobs for each environment, made that long ago."""
    for environment, names in jobs.items():
        put_one(platform, environment, names, age)


def put_one(platform: Path, environment: str, names: list[str], age: timedelta = timedelta()) -> None:
    push_list(platform, environment, list_text(environment, dict.fromkeys(names, DAILY), datetime.now(UTC) - age))


def found(repo: Path) -> tuple[list[str], list[str]]:
    checked = check_repo(repo)
    return [str(one) for one in checked.findings], [str(one) for one in checked.warnings]


def test_the_list_is_made_of_the_releases_of_the_environments_teams(
    s3: S3Client, team_repo: Path, add_job: AddJob
) -> None:
    add_job("ingest")
    add_job("score", WAITS % "care.claims")
    s3.put_object(Bucket=BUCKET, Key="dags/care/jobs.json", Body=compile_release(team_repo, "").body)
    s3.put_object(Bucket=BUCKET, Key="dags/jobyard/platform.json", Body=b"{}")
    s3.put_object(Bucket=BUCKET, Key="dags/care/other/jobs.json", Body=b"x")
    # Nobody waits for the jobs of a team that was deleted; its file may be anything.
    s3.put_object(Bucket=BUCKET, Key="dags/gone/jobs.json", Body=b"x")
    jobs = released_jobs(s3, BUCKET, ["care", "risk"]).jobs
    assert jobs == {"care.ingest": DAILY, "care.score": {**DAILY, "wait_for": ["care.claims"]}}
    assert json.loads(list_text("dev", jobs, NOW)) == {
        "environment": "dev",
        "read": "2026-11-25T12:30:00Z",
        "jobs": jobs,
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not json", "can't be read: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "can't be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[]," * 3_000_000, "can't be read: it has more than 8,388,608 bytes"),
        (b"[" * 100_000, "can't be read: lists or objects are nested too deep"),
        (b"[]", "is not a release: it has no object 'jobs'"),
        (b'{"jobs": []}', "is not a release: it has no object 'jobs'"),
        (
            b'{"jobs": {"a": {"schedule": 5}}}',
            "job 'a' is left out: schedule: must be a string or null or an object, not a ",
        ),
        (
            b'{"jobs": {"../a": {}}}',
            "job '../a' is left out: must be a name of lower-case letters, digits and '-'; got '../a'",
        ),
    ],
)
def test_a_release_that_cannot_be_read_is_named_and_hides_no_other(
    s3: S3Client, team_repo: Path, add_job: Callable[..., Path], content: bytes, problem: str
) -> None:
    add_job("ingest")
    s3.put_object(Bucket=BUCKET, Key="dags/care/jobs.json", Body=content)
    s3.put_object(Bucket=BUCKET, Key="dags/risk/jobs.json", Body=compile_release(team_repo, "").body)
    found = released_jobs(s3, BUCKET)
    assert list(found.jobs) == ["risk.ingest"]
    (line,) = found.problems
    assert line.startswith(f"s3://airflow/dags/care/jobs.json: {problem}")


def test_a_bucket_that_is_not_there_is_named(s3: S3Client) -> None:
    with pytest.raises(UnreadableReleasesError, match="^s3://nothing/dags/: .*NoSuchBucket"):
        released_jobs(s3, "nothing")


def test_from_the_bucket_to_a_teams_check(
    s3: S3Client,
    platform: Path,
    team: Path,
    add_job: AddJob,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_job("features")
    s3.put_object(Bucket=BUCKET, Key="dags/risk/jobs.json", Body=compile_release(team, "").body)
    listing = ("published-jobs", "--environment=dev", f"--bucket={BUCKET}", "--push")
    code, out, _ = jobyard_in(platform, capsys, monkeypatch)(*listing)
    assert code == 0
    assert out.startswith("1 jobs of dev are on the branch published-jobs, in commit ")
    put(platform, prod=["risk.features", "care.ingest"])
    add_job("score", AFTER % "care.nothing")
    (finding,), warnings = found(team)
    line = "dags/score/job.yaml:2:20: unknown job 'care.nothing' (team care has not released it; listed just now)"
    assert (finding, warnings) == (line, [])
    add_job("score", AFTER % "care.ingst")
    assert "(did you mean 'care.ingest'?; listed just now)" in found(team)[0][0]
    add_job("score", AFTER % "care.ingest")
    warning = "dags/score/job.yaml:2:20: warning: job 'care.ingest' is not released in dev (listed just now); until"
    assert found(team) == ([], [f"{warning} it is, this job waits there"])
    add_job("score", WAITS % "claims.raw")
    assert "unknown job 'claims.raw' (no team claims has released a job; listed just now)" in found(team)[0][0]


def test_a_list_of_more_than_a_day_is_called_old(platform: Path, team: Path, add_job: AddJob) -> None:
    put(platform, timedelta(days=3), dev=["care.ingest"], prod=["care.ingest"])
    add_job("score", AFTER % "care.new")
    assert "(team care has not released it; the list is out of date: listed 3 days ago)" in found(team)[0][0]


def test_a_job_is_taken_on_trust_with_a_warning_where_there_is_no_list(
    team: Path, add_job: AddJob, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_job("score", AFTER % "care.nothing")
    words = "cannot verify that job 'care.nothing' exists: the platform has no list of released jobs"
    assert found(team) == ([], [f"dags/score/job.yaml:2:20: warning: {words}"])
    jobyard = jobyard_in(team, capsys, monkeypatch)
    for form, expected in (
        ("text", f"dags/score/job.yaml:2:20: warning: {words}\n1 job, no problems, 1 warning\n"),
        (
            "github",
            f"::warning file=dags/score/job.yaml,line=2,col=20,title=other-job::{words}",
        ),
        ("gitlab", '"severity": "minor"'),
        ("sarif", '"level": "warning"'),
        ("json", '"warnings": [\n  {'),
    ):
        code, out, _ = jobyard("check", f"--format={form}")
        assert code == 0
        assert expected in out


def test_a_check_without_jobs_of_others_asks_no_server(
    team: Path, add_job: AddJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobyard_cli.platform import remote

    monkeypatch.setattr(remote, "ask", lambda *_, **__: pytest.fail("asked"))
    add_job("train")
    add_job("score", AFTER % "risk.train")
    assert found(team) == ([], [])


def test_a_team_that_is_in_one_environment_is_not_warned_of_others(platform: Path, team: Path, add_job: AddJob) -> None:
    file = platform / "values" / "teams" / "risk.yaml"
    text = file.read_text()
    begin = text.index("environments:")
    file.write_text(text[:begin] + "environments: [prod]\n")
    commit_all(platform)
    git(platform, "push", "--quiet", "origin", "main")
    put(platform, dev=["care.other"], prod=["care.ingest"])
    add_job("score", AFTER % "care.ingest")
    assert found(team) == ([], [])
    add_job("score", AFTER % "care.other")
    assert "unknown job 'care.other'" in found(team)[0][0]


def test_the_branch_is_one_commit_with_a_list_for_each_environment_and_nothing_of_the_clone_is_touched(
    platform: Path, origin: Path
) -> None:
    (platform / "staged.txt").write_text("")
    git(platform, "add", "staged.txt")
    before = git(platform, "status", "--porcelain"), git(platform, "rev-parse", "HEAD")
    for number in range(3):
        put(platform, dev=[f"care.job-{number}"], prod=["care.ingest"])
    assert git(origin, "rev-list", "--count", "published-jobs") == "1"
    names = git(origin, "ls-tree", "-r", "--name-only", "published-jobs").splitlines()
    assert names == [f"{PUBLISHED}/dev.json", f"{PUBLISHED}/prod.json"]
    assert "care.job-2" in git(origin, "show", f"published-jobs:{PUBLISHED}/dev.json")
    assert (git(platform, "status", "--porcelain"), git(platform, "rev-parse", "HEAD")) == before


def test_two_pipelines_at_once_lose_neither_list(platform: Path, origin: Path, tmp_path: Path) -> None:
    clones = [platform, tmp_path / "other"]
    git(tmp_path, "clone", "--quiet", str(origin), "other")
    failures: list[BaseException] = []

    def push(clone: Path, environment: str) -> None:
        try:
            put_one(clone, environment, ["care.ingest"])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=push, args=pair) for pair in zip(clones, ("dev", "prod"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    names = git(origin, "ls-tree", "-r", "--name-only", "published-jobs").splitlines()
    assert names == [f"{PUBLISHED}/dev.json", f"{PUBLISHED}/prod.json"]


def test_a_server_that_refuses_the_push_is_quoted(platform: Path, origin: Path) -> None:
    hook = origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'this branch is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushError, match="dev's list is not on the branch published-jobs: (?s:.*)branch is protected"):
        put(platform, dev=["care.ingest"])


def test_a_list_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    folder = tmp_path / PUBLISHED
    folder.mkdir(parents=True)
    for content in ("{", "[]", '{"jobs": []}'):
        (folder / "dev.json").write_text(content)
        assert published_jobs(tmp_path, "risk") is None
    assert published_jobs(tmp_path / "nowhere", "risk") is None


def test_a_release_that_somebody_made_by_hand_does_not_stop_the_checks_of_others(tmp_path: Path) -> None:
    hostile = {
        "care.a": {"schedule": {"after": 5}, "wait_for": "x"},
        "care.b": 5,
        "care.c": {"schedule": 5, "wait_for": [5, "risk.score"]},
        "care.\x1b[2J": {},
        "care": {},
    }
    (tmp_path / PUBLISHED).mkdir(parents=True)
    (tmp_path / PUBLISHED / "dev.json").write_text(json.dumps({"read": "yesterday", "jobs": hostile}))
    listed = published_jobs(tmp_path, "risk")
    assert listed == PublishedJobs(
        {
            "dev": {
                "care.a": {"schedule": {"after": []}, "wait_for": []},
                "care.c": {"schedule": None, "wait_for": ["risk.score"]},
            }
        }
    )
    assert listed.age() == ""


def test_the_teams_bounds_of_a_file_that_is_younger_than_its_repository_are_known(platform: Path, team: Path) -> None:
    from jobyard_cli.plan.make import find_platform
    from jobyard_cli.plan.quota import quotas

    file = platform / "values" / "overrides" / "dev" / "risk.yaml"
    file.write_text(file.read_text().replace("pods: 10", "pods: 3", 1))
    commit_all(platform)
    git(platform, "push", "--quiet", "origin", "main")
    refresh(team)
    known = find_platform(team, None)
    assert known.repo is not None
    assert known.words.endswith("fetched just now")
    assert {name: int(quota.get("pods")) for name, quota in quotas(known.repo, "risk").items()} == {
        "dev": 3,
        "prod": 50,
    }
