"""The end of the platform that the tests before these have shared: it is killed, repaired and removed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.folders import cache_dir
from jobyard_local import argocd, bridge
from jobyard_local.cluster import EmbeddedCluster
from jobyard_local.demo import team_repo
from jobyard_local.demo.story import SCORING
from jobyard_local.errors import UnsupportedError
from jobyard_local.nodes import PAUSE_IMAGE
from jobyard_local.platform import LocalPlatform, build
from jobyard_local.processes import Supervisor

from tests.end_to_end.following import run_to_its_end
from tests.support.waiting import wait_until

Shown = Callable[[], AbstractContextManager[Steps]]
DAG = f"{team_repo.TEAM}.{SCORING}"


def test_a_platform_whose_network_another_has_taken_leaves_it_alone(platform: LocalPlatform, tmp_path: Path) -> None:
    was_down = replace(platform.layout, state=tmp_path)
    with pytest.raises(UnsupportedError, match="another platform took the network"):
        bridge.create(was_down)
    EmbeddedCluster(was_down, platform.node_groups, Supervisor(was_down.state)).clean_up()
    assert bridge.is_anothers(was_down)
    assert not bridge.is_anothers(platform.layout)
    assert all(platform.processes().values())


def test_a_killed_platform_is_repaired_and_its_jobs_run(platform: LocalPlatform, shown: Shown) -> None:
    for record in (platform.state / "run").glob("*.json"):
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: not any(platform.processes().values()))
    with shown() as steps:
        platform.up(build(platform.source, cache_dir(), steps), steps)
    assert all(platform.processes().values())
    assert all(application.settled for application in argocd.statuses(platform.kubectl))
    run = platform.airflow.trigger(DAG, "after-the-kill", datetime.now(UTC).isoformat())
    tasks = run_to_its_end(platform, DAG, run)
    assert {task["state"] for task in tasks} == {"success"}, platform.airflow.log(DAG, run, tasks[0]["task_id"])


def test_down_leaves_nothing_behind_even_while_a_pod_runs(platform: LocalPlatform) -> None:
    state, network = str(platform.state), platform.layout.bridge
    namespaces_before = _network_namespaces()
    platform.kubectl("create", "namespace", "somebody")
    platform.kubectl("wait", "--namespace=somebody", "--for=create", "serviceaccount/default", "--timeout=300s")
    platform.kubectl("run", "pause", "--namespace=somebody", f"--image={PAUSE_IMAGE}", "--image-pull-policy=Never")
    platform.kubectl("wait", "--namespace=somebody", "--for=condition=Ready", "pod/pause", "--timeout=300s")
    assert _processes_of(state)
    platform.down(purge=True)
    assert not _processes_of(state)
    assert not platform.state.exists()
    assert state not in Path("/proc/mounts").read_text()
    assert not Path("/sys/class/net", network).exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{network}"))
    assert _network_namespaces() == namespaces_before


def _network_namespaces() -> set[str]:
    folder = Path("/run/netns")
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def _processes_of(state: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if f"{state}/" in line]
