"""Faults of networks, servers and credentials: retried, or reported in one clear line, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from jobyard_cli.aws import clients as aws
from jobyard_cli.release.compile import compile_release
from jobyard_cli.release.releases import publish

from tests.sync import faulty_proxy
from tests.sync.faulty_proxy import FaultyProxy
from tests.sync.running import Ended, Forked, Run
from tests.sync.servers import KEY, Server

CommitJob = Callable[[str], str]
FAULTS = [
    faulty_proxy.RESET,
    faulty_proxy.RESET_HALFWAY,
    faulty_proxy.LOST,
    faulty_proxy.SILENCE,
    faulty_proxy.SLOW_DOWN,
]


class Team:
    """A team with a release in a bucket, and a later one to put."""

    def __init__(self, server: Server, forked: Forked, repo: Path, commit_job: CommitJob) -> None:
        self.server = server
        self._forked = forked
        self._repo = repo
        self.bucket = server.bucket()
        released = compile_release(repo, commit_job("old " + "long " * 400))
        publish(server.client, self.bucket, released)
        self.old = released.body
        self.release = compile_release(repo, commit_job("new"))
        self.new = self.release.body

    def sync(
        self,
        url: str,
        keys: dict[str, str] | None = None,
        skew: float = 0,
        bucket: str = "",
        more: Sequence[str] = (),
    ) -> Ended:
        """What `jobyard sync` does over that address."""
        arguments = ["sync", "--no-wait", "--bucket", bucket or self.bucket, "--endpoint-url", url, *more]
        environment = self.server.environment if keys is None else keys
        return self._forked.run(Run(self._repo, arguments, environment, read_seconds=0.5, skew=skew))


@pytest.fixture
def team(server: Server, forked: Forked, team_repo: Path, commit_job: CommitJob) -> Team:
    return Team(server, forked, team_repo, commit_job)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["HEAD", "PUT"])
def test_what_befalls_a_request_once_or_twice_is_got_over(
    team: Team, proxy: FaultyProxy, fault: str, method: str
) -> None:
    proxy.befall({1: fault, 2: fault}, method=method)
    ended = team.sync(proxy.url)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"s3://{team.bucket}/{KEY}: released\n"
    # One version for one put, also where the server took it and the answer was lost.
    assert team.server.versions(team.bucket) == [team.new, team.old]
    assert len(proxy.requests) > 1


@pytest.mark.parametrize("fault", FAULTS)
def test_an_earlier_release_is_read_in_spite_of_faults(team: Team, proxy: FaultyProxy, fault: str) -> None:
    """The whole of the object is read only to compare with it: the command does that before it waits for Airflow."""
    proxy.befall({1: fault, 2: fault}, method="GET")
    # Put without metadata, as by hand: the current content must be read to be compared.
    team.server.client.put_object(Bucket=team.bucket, Key=KEY, Body=team.new)
    ended = team.sync(proxy.url)
    assert (ended.code, ended.out) == (0, f"s3://{team.bucket}/{KEY}: these jobs are released already\n")
    assert proxy.requests == ["GET"] * 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faulty_proxy.RESET, "Connection was closed before we received a valid response from endpoint URL"),
        (faulty_proxy.SILENCE, "Read timeout on endpoint URL"),
        (faulty_proxy.SLOW_DOWN, "SlowDown: Please reduce your request rate. (the server is busy"),
    ],
)
def test_what_does_not_end_is_told_with_the_address_after_a_bounded_number_of_tries(
    team: Team, proxy: FaultyProxy, fault: str, message: str
) -> None:
    proxy.befall(always=fault, method="PUT")
    ended = team.sync(proxy.url)
    assert ended.code == 1
    assert ended.err.startswith(f"s3://{team.bucket}/{KEY}: ")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert proxy.requests == ["PUT"] * aws.ATTEMPTS
    assert team.server.versions(team.bucket) == [team.old]
    assert team.sync(team.server.url).code == 0
    assert team.server.versions(team.bucket) == [team.new, team.old]


def test_a_put_whose_every_answer_was_lost_is_found_by_running_again(team: Team, proxy: FaultyProxy) -> None:
    proxy.befall({1: faulty_proxy.LOST}, always=faulty_proxy.RESET, method="PUT")
    assert team.sync(proxy.url).code == 1
    assert team.sync(team.server.url).out == f"s3://{team.bucket}/{KEY}: these jobs are released already\n"
    assert team.server.versions(team.bucket) == [team.new, team.old]


def one_line(ended: Ended) -> str:
    """The message of a run that failed with one."""
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    return ended.err


def test_expired_credentials_are_told_with_what_to_do(team: Team, proxy: FaultyProxy) -> None:
    proxy.befall(always=faulty_proxy.EXPIRED)
    message = one_line(team.sync(proxy.url))
    assert message.startswith(f"s3://{team.bucket}/{KEY}: ExpiredToken: The provided token has expired. (get new")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId: "),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch: "),
        ({"AWS_SESSION_TOKEN": "wrong"}, "InvalidToken: "),
    ],
)
def test_wrong_credentials_are_told_with_what_to_do(team: Team, change: dict[str, str], message: str) -> None:
    told = one_line(team.sync(team.server.url, {**team.server.environment, **change}))
    assert told.startswith(f"s3://{team.bucket}/{KEY}: {message}")
    assert "(these credentials belong to another account" in told or "(get new credentials" in told


def test_no_credentials_at_all_are_told_with_where_to_set_them(team: Team) -> None:
    told = one_line(team.sync(team.server.url, {"AWS_REGION": "us-east-1"}))
    assert "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in told


def test_a_profile_that_is_not_there_is_told(team: Team) -> None:
    told = one_line(team.sync(team.server.url, {"AWS_PROFILE": "nowhere"}))
    assert told == "no client for AWS's s3: The config profile (nowhere) could not be found\n"


def test_a_wrong_clock_is_told_with_what_to_do(team: Team) -> None:
    told = one_line(team.sync(team.server.url, skew=3600))
    assert "RequestTimeTooSkewed: " in told
    assert "(the clock of this machine is wrong: set it" in told


def test_a_bucket_that_is_not_there_is_told_with_where_it_is_named(team: Team) -> None:
    told = one_line(team.sync(team.server.url, bucket="nowhere"))
    assert told.startswith(f"s3://nowhere/{KEY}: NoSuchBucket: ")
    assert "(check `bucket` in the environment's file, or --bucket)" in told


@pytest.mark.parametrize("out", ["released", "these jobs are released already"])
def test_a_bucket_without_versions_gets_the_release_and_a_red_pipeline(team: Team, out: str) -> None:
    bucket = team.server.bucket(versioned=False)
    if out != "released":
        publish(team.server.client, bucket, team.release)
    ended = team.sync(team.server.url, bucket=bucket)
    assert (ended.code, ended.out) == (1, f"s3://{bucket}/{KEY}: {out}\n")
    assert ended.err.startswith(
        f"s3://{bucket} is not versioned: this release is published, but the previous one is lost"
    )
    assert f"aws s3api put-bucket-versioning --bucket {bucket} " in ended.err
    assert team.server.released(bucket) == team.new
    back = team.sync(team.server.url, bucket=bucket, more=["--rollback"])
    assert (back.code, back.out) == (1, "")
    assert "there is no earlier release with other jobs among the newest 1 of team risk" in back.err
    assert back.err.endswith("; the bucket is not versioned, so it keeps none\n")
