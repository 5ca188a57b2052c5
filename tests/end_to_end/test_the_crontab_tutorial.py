"""The tutorial's page, run as it stands, on the platform that is up: its `jobyard local up` finds everything running.

It leaves the platform as it was, since the page ends with removing its team.
"""

from __future__ import annotations

from pathlib import Path

from jobyard_local import argocd
from jobyard_local.platform import AIRFLOW_BUCKET, LocalPlatform

from tests.support import pages, tutorial
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

TEAM = "shop"


def test_from_the_crontab_to_a_run_and_back(platform: LocalPlatform, tmp_path: Path) -> None:
    processes = [platform.supervisor.pid(name) for name in platform.processes()]
    teams = [*platform.teams()]
    (work := tmp_path / "work").mkdir()
    # The page's platform has no name of its own, so its state is `local`: here that is the one that the tests share.
    # The session holds the lock of the other name.
    (states := tmp_path / "state").mkdir()
    (states / "local").symlink_to(platform.state)
    page = tutorial.page()
    ran = pages.run(page, work, {**tutorial.environment(ROOT, tmp_path), "JOBYARD_STATE": str(states)})
    assert ran.code == 0, ran.last
    assert pages.differences(page, ran) == []
    assert [platform.supervisor.pid(name) for name in platform.processes()] == processes
    # The team is gone, and no other team noticed.
    assert [*platform.teams()] == teams
    assert not [one.name for one in argocd.statuses(platform.kubectl) if one.name.endswith(f"-{TEAM}")]
    assert not platform.kubectl("get", "namespace", f"team-{TEAM}", "--ignore-not-found")
    assert platform.s3().list_objects_v2(Bucket=AIRFLOW_BUCKET, Prefix=f"dags/{TEAM}").get("KeyCount") == 0
    wait_until(lambda: not [dag for dag in platform.airflow.dag_ids() if dag.startswith(f"{TEAM}.")])
