"""charts/team on a cluster without the platform's charts: `helm install`, then what Airflow and people may do there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobyard_cli.plan.pods import pod
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups, task_types
from jobyard_cli.release.compile import compile_release
from write_standalone_files import copies

from tests.charts.conftest import ApiServer, Cluster, running
from tests.charts.test_render import EXAMPLES
from tests.conftest import make_team_repo
from tests.support.paths import ROOT

Object = dict[str, Any]
Render = Callable[..., list[Object]]

FIXTURES = ROOT / "tests" / "fixtures" / "valid"
VALUES: Object = {**EXAMPLES["team"][2], "standalone": True}
BOUNDS = ("LimitRange", "Namespace", "NetworkPolicy", "ResourceQuota")
IN_TEAM = ("-n", "team-risk")
OF_CHART = ("helm.sh/chart", "app.kubernetes.io/name")
"""Labels that say which chart made an object."""


def named(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def test_the_copied_files_are_what_they_are_copied_from() -> None:
    assert {file: file.read_text() for file, _ in copies()} == dict(copies()), "run `make docs`"


def test_it_bounds_a_team_as_the_platform_does(render_chart: Render) -> None:
    """The same values give the same specifications, those that are the same for all teams included."""
    bounds = yaml.safe_load((ROOT / "values" / "teams" / "risk.yaml").read_text())
    given = {"quota": bounds["quota"], "costCenter": bounds["costCenter"]}
    own = named(render_chart("team", ["values/node-groups.yaml"], {**VALUES, "bounds": given}))
    under_platform = {
        key: one for key, one in named(render_chart(*EXAMPLES["bounds"])).items() if one["kind"] in BOUNDS
    }
    assert {kind for kind, _ in under_platform} == set(BOUNDS)
    for key, expected in under_platform.items():
        assert own[key].get("spec") == expected.get("spec"), key
        labels = {name: value for name, value in expected["metadata"]["labels"].items() if name not in OF_CHART}
        assert labels.items() <= own[key]["metadata"]["labels"].items(), key


@pytest.mark.parametrize("role", ["jobyard-launcher", "jobyard-viewer"])
def test_its_roles_have_the_rights_of_the_platforms(render_chart: Render, role: str) -> None:
    own = named(render_chart("team", ["values/node-groups.yaml"], VALUES))["Role", role]
    assert own["rules"] == named(render_chart("platform"))["ClusterRole", role]["rules"]
    assert own["metadata"]["namespace"] == "team-risk"


def test_under_the_platform_it_makes_no_bounds(render_chart: Render) -> None:
    kinds = {one["kind"] for one in render_chart(*EXAMPLES["team"])}
    assert kinds == {"ConfigMap", "PriorityClass", "RoleBinding", "ServiceAccount"}


@pytest.fixture(scope="module")
def empty_cluster(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(programs, tmp_path_factory.mktemp("empty")) as server:
        yield server


@pytest.fixture(scope="module")
def installed(empty_cluster: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """`helm install` of the chart as it is in a team's repository, with nothing else of this one beside it."""
    chart = tmp_path_factory.mktemp("repo") / "charts" / "team"
    shutil.copytree(ROOT / "charts" / "team", chart)
    files = ("-f", str(ROOT / "values" / "node-groups.yaml"), "-f", "-")
    helm(empty_cluster, "install", "risk", str(chart), *files, stdin=yaml.safe_dump(VALUES))
    Cluster(empty_cluster).count_nothing("risk")
    yield empty_cluster
    helm(empty_cluster, "uninstall", "risk", "--wait=false")
    left = empty_cluster.kubectl("get", "priorityclasses", "--selector=jobyard.dev/team", "--output=name")
    assert left.stdout == ""


def helm(server: ApiServer, *arguments: str, stdin: str | None = None) -> None:
    """Run Helm on that cluster."""
    command = [str(Path(sys.executable).parent / "helm"), f"--kubeconfig={server.kubeconfig}", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def built_pods(folder: Path) -> list[Object]:
    """The pods of the fixtures, as the job builder makes them: on all node groups that the team may use."""
    repo = make_team_repo(folder)
    for fixture in ("all", "least", "ensemble"):
        (repo / "dags" / fixture).mkdir()
        shutil.copy(FIXTURES / fixture / "job.yaml", repo / "dags" / fixture)
    groups, types = node_groups(ROOT / "values"), task_types(ROOT / "values")
    platform = platform_data(groups, "dev", task_types=types, teams={"risk": {}})
    return [
        pod(platform, "risk", job, name, task)
        for job, entry in json.loads(compile_release(repo, "").body)["jobs"].items()
        for name, task in entry["tasks"].items()
        if not task.get("type")
    ]


def test_airflow_can_start_the_pods_of_the_builder(installed: ApiServer, tmp_path: Path) -> None:
    pods = built_pods(tmp_path / "risk-jobs")
    assert len(pods) > 3
    for number, one in enumerate(pods):
        # Airflow names pods, and a dry run counts nothing towards the quota.
        one["metadata"]["name"] = f"pod-{number}"
    command = ["create", "-f", "-", "--dry-run=server", *Cluster.as_group("jobyard:risk:launchers")]
    made = installed.kubectl(*command, stdin="\n---\n".join(map(json.dumps, pods)))
    assert made.returncode == 0, made.stderr
    assert len(made.stdout.splitlines()) == len(pods)


def test_a_pod_of_the_builder_is_kept(installed: ApiServer, tmp_path: Path) -> None:
    first, *_ = built_pods(tmp_path / "risk-jobs")
    first["metadata"]["name"] = "kept"
    launcher = Cluster.as_group("jobyard:risk:launchers")
    try:
        made = installed.kubectl("create", "-f", "-", *launcher, stdin=json.dumps(first))
        assert made.returncode == 0, made.stderr
        seen = installed.kubectl("get", "pod/kept", *IN_TEAM, *Cluster.as_group("jobyard:risk:viewers"), "-o", "json")
        spec = json.loads(seen.stdout)["spec"]
        assert (spec["priority"], spec["serviceAccountName"]) == (2000, "jobs")
    finally:
        installed.kubectl("delete", "pod/kept", *IN_TEAM, "--grace-period=0", "--force")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hostNetwork": True}, 'violates PodSecurity "restricted:latest"'),
        ({"priorityClassName": "risk.other-1"}, "no PriorityClass with name risk.other-1 was found"),
    ],
)
def test_it_bounds_pods(installed: ApiServer, tmp_path: Path, change: Object, reason: str) -> None:
    first, *_ = built_pods(tmp_path / "risk-jobs")
    first["metadata"]["name"] = "beyond"
    first["spec"].update(change)
    command = ["create", "-f", "-", "--dry-run=server", *Cluster.as_group("jobyard:risk:launchers")]
    answer = installed.kubectl(*command, stdin=json.dumps(first))
    assert answer.returncode != 0
    assert reason in answer.stderr


@pytest.mark.parametrize(
    ("verb", "resource", "namespace"),
    [
        ("create", ["pods"], "default"),
        ("create", ["pods", "--subresource=exec"], "team-risk"),
        ("get", ["secrets"], "team-risk"),
        ("delete", ["resourcequotas"], "team-risk"),
    ],
)
def test_its_launchers_have_no_right_but_their_roles(
    installed: ApiServer, verb: str, resource: list[str], namespace: str
) -> None:
    launcher = Cluster.as_group("jobyard:risk:launchers")
    asked = installed.kubectl("auth", "can-i", verb, *resource, "-n", namespace, *launcher)
    assert asked.stdout.strip() == "no"
