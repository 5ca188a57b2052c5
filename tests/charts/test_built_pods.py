"""Every pod that the library makes for a job that the check accepts is admitted, on each supported Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from jobyard.entries import Job
from jobyard.platform_entries import PlatformFile
from jobyard_cli.check.run import check_repo
from jobyard_cli.cli.steps import Steps
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import task_types
from jobyard_cli.release.compile import compile_jobs
from jobyard_cli.team.scaffold import examples, new_job
from jobyard_local.pod_identity import policies

from tests.airflow.test_planned_jobs import EVERYTHING
from tests.charts.team_pods import start_all
from tests.conftest import make_team_repo
from tests.support.airflow_workers import SOURCE, VERSIONS, airflow_workers
from tests.support.paths import FIXTURES

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]
ANY_IMAGE = "registry.example.com/risk/any@sha256:" + 64 * "0"
SHAPES = """\
apiVersion: jobyard/v1
schedule: null
tasks:
  gpu: {image: inference, node_group: gpu, resources: {cpu: 1, memory: 2Gi, gpu: 1}, scratch: 1Gi}
  arm: {image: inference, node_group: graviton, timeout: 7d}
  least: {image: inference, resources: {cpu: 10m, memory: 32Mi}}
"""
GPUS = {"key": "nvidia.com/gpu", "operator": "Exists"}
"""What ExtendedResourceToleration adds, which EKS has on and the API server of these tests has off."""


@pytest.fixture(scope="module")
def team(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> Iterator[Cluster]:
    """The cluster with team risk on every node group, and with the key for S3 that the local platform gives to pods."""
    from tests.charts.conftest import CATALOGUE, PLATFORM, TEAMS

    ample = {"pods": 100, "cpu": "900", "memory": "900Gi", "ephemeralStorage": "900Gi", "gpu": 9}
    levels = {"low": 1000, "normal": 2000, "high": 3000}
    larger = {**TEAMS["risk"], "allowedNodeGroups": list(CATALOGUE), "quota": ample, "priorities": levels}
    cluster.apply(render_chart("bounds", values={**PLATFORM, "team": "risk", **larger}))
    cluster.count_nothing("risk")
    own = {**cluster.team_values("risk"), "priorities": levels}
    cluster.apply(render_chart("team", values=own), *cluster.as_team("risk"))
    risk = {"AWS_ACCESS_KEY_ID": "risk", "AWS_ENDPOINT_URL_S3": "http://10.0.0.1"}
    keys = policies(risk, {"AWS_ACCESS_KEY_ID": "own"})
    cluster.apply(keys)
    yield cluster
    for one in keys:
        cluster.kubectl("delete", one["kind"], one["metadata"]["name"])
    cluster.kubectl("delete", "priorityclass", "risk.low-1000", "risk.high-3000")
    cluster.apply(render_chart("bounds", values={**PLATFORM, "team": "risk", **TEAMS["risk"]}))
    cluster.count_nothing("risk")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """The jobs of all fixtures and examples, compiled."""
    team_repo = make_team_repo(tmp_path_factory.mktemp("jobs") / "risk-jobs")
    values = team_repo / "values" / "team.yaml"
    everywhere = "allowedNodeGroups: [default, gpu, graviton, high-cpu, high-memory]"
    values.write_text(values.read_text().replace("allowedNodeGroups: [default, high-cpu, high-memory]", everywhere))
    for example in examples():
        new_job(team_repo, f"like-{example}", example)
    texts = {file.parent.name: file.read_text("utf-8-sig") for file in sorted(FIXTURES.glob("valid/*/job.yaml"))}
    for name, text in {**texts, "everything": EVERYTHING, "shapes": SHAPES}.items():
        file = team_repo / "dags" / name / "job.yaml"
        file.parent.mkdir()
        file.write_text(text)
    checked = check_repo(team_repo)
    assert [str(finding) for finding in checked.findings] == []
    return compile_jobs(checked)


@pytest.fixture(scope="module")
def sent(
    jobs: dict[str, Job],
    shown: Callable[[], AbstractContextManager[Steps]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Object]:
    """The pods that each Airflow sends: by version, job and task."""
    with ExitStack() as stack:
        with shown() as steps, steps.step("pods of each Airflow") as report:
            folder = tmp_path_factory.mktemp("workers")
            ask = stack.enter_context(airflow_workers("plan_worker.py", folder, _platform(), report))
        answers = {name: ask(entry) for name, entry in jobs.items()}
    return {version: {name: answer[version]["sent"] for name, answer in answers.items()} for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_pod_of_the_builder_is_let_in(team: Cluster, sent: dict[str, Object], version: str) -> None:
    pods = {
        f"{job}.{task}": _rendered(pod, gpu)
        for job, tasks in sent[version].items()
        for task, pod in tasks.items()
        for gpu in ["nvidia.com/gpu" in pod["spec"]["containers"][0]["resources"]["requests"]]
    }
    assert len(pods) > 20
    assert start_all(team, pods) == {}


def _platform() -> PlatformFile:
    from tests.charts.conftest import CATALOGUE, REGISTRY

    return platform_data(
        CATALOGUE,
        "prod",
        task_types=task_types(SOURCE.values),
        teams={"risk": {"assets": ["s3://"], "pools": {"warehouse": 4}}},
        limits={"image_registries": [REGISTRY], "fill_machines": True},
    )


def _rendered(pod: Object, gpu: bool) -> Object:
    """The pod with an image, which is looked up when a task runs, and the toleration that EKS adds for a GPU."""
    container = pod["spec"]["containers"][0]
    if container["image"].startswith("{{"):
        container["image"] = ANY_IMAGE
    if gpu:
        pod["spec"]["tolerations"].append(GPUS)
    return pod
