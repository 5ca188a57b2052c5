"""Many syncs at once, and somebody who reads all the while."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from jobyard_cli.release.compile import compile_release
from jobyard_cli.release.releases import publish
from jobyard_local.bucket_copy import copy_once

from tests.support.git import git
from tests.sync.running import Forked, Run
from tests.sync.servers import KEY, Server
from tests.sync.stand_in_airflow import StandInAirflow

SYNCS = 100


def url(number: int) -> str:
    """The address of the image of a commit."""
    return "registry.example.com/risk/inference@sha256:" + f"{number:064x}"


def clones(origin: Path, folder: Path, commits: list[str]) -> list[Path]:
    """Of each commit what its pipeline has: the commit alone, without those before and after it."""
    for number, commit in enumerate(commits):
        git(origin, "tag", f"c{number}", commit)
    made = [folder / f"clone-{number}" for number in range(len(commits))]
    for number, clone in enumerate(made):
        git(folder, "clone", "--quiet", "--depth=1", f"--branch=c{number}", origin.as_uri(), str(clone))
        (clone / "images.json").write_text(json.dumps({"inference": url(number)}))
    return made


@pytest.mark.parametrize("count", [2, 20])
def test_of_syncs_at_once_the_newest_commits_release_and_images_stay(
    server: Server,
    forked: Forked,
    airflow: StandInAirflow,
    team_repo: Path,
    commit_job: Callable[[str], str],
    tmp_path: Path,
    count: int,
) -> None:
    bucket = server.bucket()
    airflow.reset(bucket)
    others = server.others(bucket)
    commits = [commit_job(f"commit {number}") for number in range(count)]
    repos = clones(team_repo, tmp_path, commits)
    where = ["--bucket", bucket, "--endpoint-url", server.url, "--airflow-url", airflow.url]
    runs = [Run(repo, ["sync", *where, "--images", "images.json"], server.environment) for repo in repos]

    # The newest is started first, so that the others come late.
    ended = forked.at_once(runs[::-1])[::-1]

    expected = {
        compile_release(repo, commit, {"inference": url(number)}).body: number
        for number, (repo, commit) in enumerate(zip(repos, commits, strict=True))
    }
    assert expected[server.released(bucket)] == count - 1
    went_in = [expected[body] for body in server.versions(bucket)]
    assert went_in == sorted(set(went_in), reverse=True)
    assert ended[-1].code == 0
    for number, end in enumerate(ended):
        if end.code:
            assert end.code == 1
            assert f", which is newer than {commits[number][:12]}, checked out here; nothing was published." in end.err
        else:
            assert number in went_in, end
    assert json.loads(airflow.variables["jobyard_images_risk"]) == {"inference": url(count - 1)}
    assert server.others(bucket) == others


class Reader(threading.Thread):
    """Copies the bucket all the time, as MWAA does, and reads the release as Airflow does."""

    def __init__(self, server: Server, bucket: str, folder: Path) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._bucket = bucket
        self._folder = folder
        self._known: dict[str, str] = {}
        self.ended = threading.Event()
        self.parsed: list[str] = []
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self._look()
            except self._server.client.exceptions.NoSuchKey:
                # versitygw 1.8 says so at times while an object is replaced; S3 does not, and the next look has it.
                continue
            except Exception as error:  # whatever it is, it is what is counted
                self.failures.append(repr(error))

    def _look(self) -> None:
        self._known = copy_once(self._server.client, self._bucket, self._folder, self._known)
        file = self._folder / KEY.removeprefix("dags/")
        if file.exists():
            release = json.loads(file.read_text())
            job = release["jobs"]["score"]
            assert job["source"].endswith(f"description: {job['description']}\n")
            self.parsed.append(job["description"])


def test_a_reader_never_sees_a_part_of_a_release(
    server: Server, team_repo: Path, add_job: Callable[..., Path], tmp_path: Path
) -> None:
    bucket = server.bucket()
    reader = Reader(server, bucket, tmp_path / "dags")
    reader.start()
    text = add_job("score").read_text()
    for number in range(SYNCS):
        # Each of another length, so that a part of one after a part of another is not JSON.
        add_job("score", f"{text}# {'long ' * (number * 37 % 1000)}\ndescription: number {number}\n")
        assert publish(server.client, bucket, compile_release(team_repo, ""), compare=True).changed
    reader.ended.set()
    reader.join()
    assert len(server.versions(bucket)) == SYNCS
    assert reader.failures == []
    assert len(reader.parsed) > SYNCS
    assert len(set(reader.parsed)) > SYNCS / 4
