"""A platform on a cluster that is there already: another one on this machine plays it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.folders import cache_dir, state_dir
from jobyard_local import argocd, bridge
from jobyard_local.cluster import EmbeddedCluster
from jobyard_local.control_plane import KUBE_STATE_METRICS, PROMETHEUS, Kubectl
from jobyard_local.demo.story import Story
from jobyard_local.errors import UnsupportedError
from jobyard_local.layout import Layout
from jobyard_local.platform import AIRFLOW_BUCKET, Built, Existing, LocalPlatform, build
from jobyard_local.processes import Supervisor
from jobyard_local.settings import REAL_NODE_GROUPS, Source

from tests.charts.team_pods import BASE, LABELS, changed
from tests.support.waiting import wait_until

Shown = Callable[[], AbstractContextManager[Steps]]


@pytest.fixture(scope="module")
def existing(programs: Path, shown: Shown) -> Iterator[EmbeddedCluster]:
    """Control plane and nodes, and nothing in them."""
    state = state_dir("test-existing")
    host = LocalPlatform(state, Source.find())
    with host.claim(), shown() as steps:
        host.down(purge=True)
        build(host.source, cache_dir(), steps)
        layout = Layout.choose(state, programs, len(REAL_NODE_GROUPS))
        layout.save()
        bridge.create(layout)
        cluster = EmbeddedCluster(layout, host.node_groups, Supervisor(state), bare=True)
        try:
            cluster.start(steps)
            yield cluster
        finally:
            cluster.supervisor.stop(cluster.supervisor.names())
            host.down(purge=True)


@pytest.fixture(scope="module")
def beside(existing: EmbeddedCluster, shown: Shown) -> Iterator[LocalPlatform]:
    """The rest of a platform, with team risk."""
    platform = LocalPlatform(state_dir("test-beside"), Source.find())
    layout = existing.layout
    with platform.claim(), shown() as steps:
        platform.down(purge=True)
        try:
            built = build(platform.source, cache_dir(), steps, embedded=False)
            platform.up(built, steps, Existing(layout.admin_kubeconfig, address=layout.host))
            story = Story(platform, cache_dir(), steps)
            story.join_platform(story.bake())
            yield platform
        finally:
            platform.supervisor.stop(platform.supervisor.names())


def test_argo_cd_syncs_the_charts_into_it(existing: EmbeddedCluster, beside: LocalPlatform) -> None:
    assert not beside.layout.embedded
    applications = argocd.statuses(existing.kubectl)
    assert [application.name for application in applications] == ["bounds-risk", "platform", "team-risk"]
    assert all(application.settled for application in applications)
    assert existing.kubectl("get", "resourcequota", "team", "--namespace=team-risk", "--output=name")


def test_airflow_starts_pods_there_as_the_team_and_they_get_their_s3_key(beside: LocalPlatform, programs: Path) -> None:
    config = beside.s3().get_object(Bucket=AIRFLOW_BUCKET, Key="dags/jobyard/kubeconfig.yaml")["Body"].read()
    path = beside.state / "airflow-kubeconfig.yaml"
    path.touch(mode=0o600)
    path.write_bytes(config)
    airflow = Kubectl(beside.layout, path)
    owner = beside.kubectl(
        "get", "namespace", "team-risk", "--output=jsonpath={.metadata.labels.jobyard\\.dev/cost-center}"
    )
    labels = {**LABELS, "jobyard.dev/environment": "local", "jobyard.dev/cost-center": owner}
    pod = changed({"metadata.labels": labels, f"{BASE}.image": f"{beside.layout.registry}/risk/probe:1"})
    made = airflow("create", "--dry-run=server", "--output=yaml", "-f", "-", stdin=yaml.safe_dump(pod))
    environment = {one["name"]: one.get("value") for one in yaml.safe_load(made)["spec"]["containers"][0]["env"]}
    assert environment["AWS_ENDPOINT_URL_S3"] == beside.layout.s3_url
    for forbidden in (["get", "pods", "--namespace=default"], ["get", "secrets"]):
        with pytest.raises(ProgramError, match="(?i)forbidden"):
            airflow(*forbidden)


def up_on(kubeconfig: Path, built: Built, shown: Shown) -> None:
    platform = LocalPlatform(state_dir("test-refused"), Source.find())
    try:
        with shown() as steps:
            platform.up(built, steps, Existing(kubeconfig))
    finally:
        assert not platform.state.exists()


def test_a_cluster_with_an_argo_cd_of_its_own_is_refused_and_nothing_is_left(
    existing: EmbeddedCluster, beside: LocalPlatform, shown: Shown
) -> None:
    existing.kubectl("label", "namespace", argocd.NAMESPACE, "jobyard.dev/local-platform-")
    try:
        with pytest.raises(UnsupportedError, match="already has Argo CD"):
            up_on(existing.layout.admin_kubeconfig, Built(existing.layout.tools, Path("unused")), shown)
    finally:
        existing.kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": argocd.NAMESPACE, "labels": argocd.OURS}}
        )


def test_a_kubeconfig_without_an_administrators_rights_is_refused_and_nothing_is_left(
    existing: EmbeddedCluster, beside: LocalPlatform, shown: Shown
) -> None:
    launcher = beside.state / "airflow-kubeconfig.yaml"
    with pytest.raises(UnsupportedError, match="must give administrator permissions"):
        up_on(launcher, Built(existing.layout.tools, Path("unused")), shown)


def test_a_kubeconfig_that_leads_nowhere_is_refused_and_nothing_is_left(
    existing: EmbeddedCluster, tmp_path: Path, shown: Shown
) -> None:
    config = yaml.safe_load(existing.layout.admin_kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(yaml.safe_dump(config))
    with pytest.raises(UnsupportedError, match="refused"):
        up_on(nowhere, Built(existing.layout.tools, Path("unused")), shown)


def test_down_takes_out_what_was_put_in(existing: EmbeddedCluster, beside: LocalPlatform) -> None:
    existing.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "somebody-elses"}})
    beside.down(purge=True)
    assert not beside.state.exists()
    kinds = "namespaces,clusterroles,clusterrolebindings,priorityclasses,validatingadmissionpolicies,"
    kinds += "mutatingadmissionpolicies,crd"
    wait_until(lambda: not _of_beside(existing.kubectl("get", kinds, "--output=name")))
    assert "namespace/somebody-elses" in existing.kubectl("get", "namespaces", "--output=name")


def _of_beside(names: str) -> list[str]:
    """What the platform put in; the cluster has a Prometheus of its own."""
    kept = (PROMETHEUS, KUBE_STATE_METRICS)
    others = [name for name in names.split() if not name.endswith(kept)]
    return [name for name in others if any(word in name for word in ("jobyard", "argo", "risk", "team"))]
