"""The policies on the oldest Kubernetes that the charts are for: the same pods and objects are admitted and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.folders import cache_dir

from tests.charts import queue_attacks, test_pod_fields
from tests.charts.attacks import KINDS, NAMESPACES, OBJECTS, TEAM, Attack
from tests.charts.oldest_kubernetes import oldest_programs, version
from tests.charts.pod_attacks import CREATED
from tests.charts.team_pods import POD_IDENTITY, ROLES_FOR_ACCOUNTS, changed, keep, start_all
from tests.charts.test_render import VERSIONS
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]


@pytest.fixture(scope="module")
def folder(programs: Path, shown: Callable[[], AbstractContextManager[Steps]]) -> Path:
    """That API server, and the other programs beside it."""
    with shown() as steps, steps.step(f"kube-apiserver {version()}, from source") as report:
        return oldest_programs(cache_dir(), programs, report)


@pytest.fixture(scope="module")
def oldest(
    folder: Path, render_chart: Callable[..., list[Object]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The charts on that API server."""
    from tests.charts.conftest import serving, with_charts

    with serving(folder, tmp_path_factory.mktemp("oldest")) as server:
        yield with_charts(server, render_chart)


@pytest.fixture(scope="module")
def with_queues(
    folder: Path, render_chart: Callable[..., list[Object]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The charts on another, where pods wait in queues, with a pod that waits."""
    from tests.charts.conftest import QUEUEING, install_kueue_kinds, serving, with_charts

    with serving(folder, tmp_path_factory.mktemp("oldest-queues")) as server:
        install_kueue_kinds(server, folder)
        cluster = with_charts(server, render_chart, QUEUEING)
        keep(cluster, queue_attacks.WAITING)
        yield cluster


def test_it_is_the_one_that_the_charts_and_the_readme_name(oldest: Cluster) -> None:
    minor = VERSIONS[0]
    assert version().startswith(f"v{minor}.")
    assert json.loads(oldest.kubectl("version", "-o", "json").stdout)["serverVersion"]["gitVersion"] == version()
    for chart in ("platform", "team"):
        stated = yaml.safe_load((ROOT / "charts" / chart / "Chart.yaml").read_text())["kubeVersion"]
        assert stated == f">={minor}.0-0"
    assert f"EKS {minor} or newer" in (ROOT / "README.md").read_text()


def test_pods_beyond_the_bounds_are_refused_for_the_same_reasons(oldest: Cluster) -> None:
    # Of a feature that is off, this API server drops the field: the pod that it lets in has no claim.
    tried = {name: attack for name, attack in CREATED.items() if name != "resource-claim"}
    said = start_all(oldest, {name: changed(changes) for name, (changes, _) in tried.items()})
    wrong = {name: said.get(name, "was admitted") for name in tried}
    for name, (_, reason) in tried.items():
        if reason in wrong[name]:
            del wrong[name]
    assert wrong == {}


def test_pods_inside_the_bounds_are_let_in(oldest: Cluster) -> None:
    inside = {"usual": {}, "role-for-an-account": ROLES_FOR_ACCOUNTS, "pod-identity": POD_IDENTITY}
    assert start_all(oldest, {name: changed(changes) for name, changes in inside.items()}) == {}


def test_each_field_that_no_pod_of_the_builder_has_is_refused(
    oldest: Cluster, render_chart: Callable[..., list[Object]]
) -> None:
    with test_pod_fields.lookalikes(oldest, render_chart):
        test_pod_fields.try_each_field(
            oldest,
            test_pod_fields.whole_pods(oldest),
            test_pod_fields.known_schemas(oldest),
            dropped=frozenset({"metadata.generation"}),
        )


def test_pods_that_would_get_past_their_queue_are_refused_for_the_same_reasons(with_queues: Cluster) -> None:
    tries = {**queue_attacks.CREATED_AS_WITHOUT, **queue_attacks.CREATED}
    del tries["resource-claim"]
    pods = {name: changed(changes, queue_attacks.WAITING) for name, (changes, _) in tries.items()}
    said = start_all(with_queues, pods)
    wrong = {name: said.get(name, "was admitted") for name in tries}
    for name, (_, reason) in tries.items():
        if reason in wrong[name]:
            del wrong[name]
    assert wrong == {}
    assert start_all(with_queues, {"usual": queue_attacks.WAITING}) == {}


@pytest.mark.parametrize(("operations", "reason"), queue_attacks.CHANGED.values(), ids=queue_attacks.CHANGED)
def test_a_pod_that_waits_can_not_be_made_one_that_does_not(
    with_queues: Cluster, operations: list[Object], reason: str
) -> None:
    command = ["patch", "pod/mine", "-n", "team-risk", "--dry-run=server", "--type=json"]
    answer = with_queues.kubectl(*command, "-p", json.dumps(operations))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert reason in answer.stderr


@pytest.mark.parametrize("attack", [*KINDS, *NAMESPACES, *OBJECTS], ids=lambda attack: attack.name)
def test_what_a_teams_chart_may_not_have_is_refused(oldest: Cluster, attack: Attack) -> None:
    command = ["apply", "--server-side", "--dry-run=server", "-f", "-", *oldest.as_team(TEAM)]
    answer = oldest.kubectl(*command, stdin=json.dumps(attack.object))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert attack.reason in answer.stderr
