"""A real Prometheus with a recorded day, and a real S3 server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_local import machine
from jobyard_metrics.patience import Patience
from jobyard_metrics.sources.prometheus_api import PrometheusApi

from tests.metrics.recorded import GIB, Pod, Recording, prometheus
from tests.sync.servers import Server, s3_server


@pytest.fixture(scope="session")
def s3(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """versitygw, whose conditional puts are those of S3."""
    with s3_server(programs, tmp_path_factory.mktemp("metrics-s3")) as running:
        yield running


@pytest.fixture(scope="session")
def recorded(
    shown: Callable[[], AbstractContextManager[Steps]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a Prometheus with the recorded day."""
    with shown() as steps, steps.step("Prometheus") as report:
        machine.install({"prometheus": "promtool"}, report)
    with prometheus(recording(), tmp_path_factory.mktemp("prometheus")) as address:
        yield address


@pytest.fixture
def api(recorded: str) -> PrometheusApi:
    """That Prometheus."""
    return PrometheusApi(recorded, Patience(60))


def recording() -> Recording:
    """Pods of one node that are long, short, never sampled, over midnight, and of another node that goes."""
    found = Recording()
    found.node(label_karpenter_sh_capacity_type="spot")
    found.node(first=3600, last=7200, name="node-b", label_eks_amazonaws_com_capacity_type="ON_DEMAND")
    found.pod(Pod("usual", created=36_000, ended=36_600))
    found.pod(Pod("short", created=40_000, ended=40_040, rate=2, run_label="run-2"))
    found.pod(Pod("unseen", created=41_000, ended=41_060, samples=0, run_label="run-3", reason=""))
    found.pod(Pod("from-yesterday", created=-3600, ended=1800, run_label="run-4"))
    found.pod(Pod("into-tomorrow", created=82_800, ended=90_000, run_label="run-5"))
    found.pod(Pod("of-yesterday", created=-3600, ended=-60, run_label="run-6"))
    found.pod(Pod("killed", created=50_000, ended=50_300, peak=4 * GIB, reason="OOMKilled", run_label="run-7"))
    found.pod(Pod("other", created=3700, ended=7000, node="node-b", namespace="kube-system"))
    for one in one_try():
        found.pod(one)
    found.node(first=52_000, last=53_220, name="node-c", label_karpenter_sh_capacity_type="spot")
    brief = Pod("brief", created=45_001, ended=45_012, started=45_004, samples=0, run_label="run-10")
    found.pod(brief)
    found.whole(brief, peak=3 * GIB)
    evicted = Pod("evicted", created=60_000, ended=60_300, run_label="run-8", reason="Error")
    found.pod(evicted)
    for reason in ("Evicted", "NodeLost"):
        of = {**evicted.key, "reason": reason}
        found.constant("kube_pod_status_reason", of, 60_200, 60_300, float(reason == "Evicted"))
    return found


def one_try() -> list[Pod]:
    """Three pods of one try: nobody saw why the first one ended, nor that the second one did, with its node."""
    pods = [
        Pod("one-killed", created=52_100, ended=52_400, memory=4 * GIB, peak=4 * GIB, reason=""),
        Pod("two-lost", created=52_420, ended=53_500, memory=8 * GIB, node="node-c", reason=""),
        Pod("three", created=53_450, ended=54_450, memory=8 * GIB, peak=12 * GIB),
    ]
    return [replace(pod, run_label="run-11", task="grow") for pod in pods]
