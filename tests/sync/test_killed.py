"""A sync that is killed at any point leaves a whole release, and running it again finishes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from jobyard_cli.release.compile import compile_release
from jobyard_cli.release.releases import publish

from tests.sync.forked import KILLED
from tests.sync.running import Forked, Run
from tests.sync.servers import Server
from tests.sync.stand_in_airflow import StandInAirflow

IMAGES = {"inference": "registry.example.com/risk/inference@sha256:" + "a" * 64}


def test_a_sync_that_is_killed_between_any_two_requests_leaves_a_whole_release(
    server: Server,
    forked: Forked,
    airflow: StandInAirflow,
    team_repo: Path,
    commit_job: Callable[[str], str],
    tmp_path: Path,
) -> None:
    images = tmp_path / "images.json"
    images.write_text(json.dumps(IMAGES))
    released = compile_release(team_repo, commit_job("old"))
    old = released.body
    new = compile_release(team_repo, commit_job("new"), IMAGES).body
    seen: dict[str, set[bytes]] = {"before": set(), "after": set()}
    points = 0
    for when in seen:
        for number in range(1, 100):
            bucket = server.bucket()
            airflow.reset(bucket)
            publish(server.client, bucket, released)
            others = server.others(bucket)
            arguments = ["sync", "--bucket", bucket, "--endpoint-url", server.url, "--airflow-url", airflow.url]
            run = Run(team_repo, [*arguments, "--images", str(images)], server.environment, die=(when, number))
            ended = forked.run(run)
            if ended.code == 0:
                break
            assert ended.code == KILLED, ended
            points += 1
            seen[when].add(server.released(bucket))
            assert seen[when] <= {old, new}

            run.die = None
            again = forked.run(run)
            assert (again.code, again.err) == (0, "")
            assert server.versions(bucket) == [new, old]
            assert server.others(bucket) == others
            assert json.loads(airflow.variables["jobyard_images_risk"]) == IMAGES
            assert airflow.written == 1
    # The points lie on both sides of the put.
    assert seen == {"before": {old, new}, "after": {old, new}}
    assert points > 20
