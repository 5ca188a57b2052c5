"""`jobyard render`: the team's chart as Argo CD would render it, and what the API server would say to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jobyard_cli.chart.check import OLDEST, check_manifests, known_bounds
from jobyard_cli.chart.helm import RenderError
from jobyard_cli.chart.manifests import MissingChartError, manifests
from jobyard_cli.platform.environments import UnknownEnvironmentError
from jobyard_cli.platform.files import NotAPlatformRepoError

from tests.support.paths import ROOT
from tests.unit.plan_repo import with_chart

Object = dict[str, object]
CHART = "charts/team/templates"


def problems(repo: Path, environment: str = "", platform: Path | None = ROOT) -> list[str]:
    bounds = known_bounds(repo, "risk", environment, platform)
    return check_manifests(manifests(repo, environment), "risk", bounds)


def values(repo: Path, old: str, new: str) -> None:
    file = repo / "values" / "team.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def template(repo: Path, text: str) -> None:
    (repo / CHART / "own.yaml").write_text(text)


def test_the_objects_of_a_fresh_repository_have_no_problem(team_repo: Path) -> None:
    repo = with_chart(team_repo)
    assert problems(repo) == []
    assert [manifest.name for manifest in manifests(repo)] == [
        "PriorityClass risk.high-3000",
        "PriorityClass risk.low-1000",
        "PriorityClass risk.normal-2000",
        "ServiceAccount team-risk/jobs",
        "ConfigMap team-risk/node-groups",
        "RoleBinding team-risk/launcher",
        "RoleBinding team-risk/viewer",
    ]


def test_an_environments_values_are_over_the_teams(team_repo: Path) -> None:
    repo = with_chart(team_repo)
    (repo / "values" / "environments").mkdir()
    arn = "arn:aws:iam::444455556666:role/risk-jobs"
    (repo / "values" / "environments" / "dev.yaml").write_text(f'serviceAccounts: {{jobs: {{roleArn: "{arn}"}}}}\n')
    annotations = {
        name: [one.content["metadata"].get("annotations") for one in manifests(repo, name) if "Account" in one.name]
        for name in ("dev", "prod")
    }
    assert annotations == {"dev": [{"eks.amazonaws.com/role-arn": arn}], "prod": [None]}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "high: 3000",
            "high: 3001",
            "PriorityClass risk.high-3001: metadata.name: the platform gives the team risk.high-3000, risk.low-1000, "
            "risk.normal-2000 (priorities in its values/teams/risk.yaml)",
        ),
        (
            "jobyard:risk:viewers",
            "oidc:fraud",
            "RoleBinding team-risk/viewer: subjects.0.name: oidc:fraud is not one",
        ),
        (
            "jobs: {}",
            'jobs: {roleArn: "arn:aws:iam::111122223333:role/admin"}',
            "ServiceAccount team-risk/jobs: metadata.annotations.eks.amazonaws.com/role-arn: "
            "arn:aws:iam::111122223333:role/admin is not one of the team's roles: risk-jobs",
        ),
    ],
)
def test_what_is_beyond_the_bounds_is_told_with_its_place(team_repo: Path, old: str, new: str, expected: str) -> None:
    values(with_chart(team_repo), old, new)
    (problem,) = problems(team_repo)
    assert problem.startswith(f"{CHART}/")
    assert expected in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: team-risk}\ndata: {a: 3}\n",
            ["ConfigMap team-risk/x: data.a: 3 is not of type 'string', 'null'"],
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: team-risk}\ndatas: {}\n",
            ["ConfigMap team-risk/x: Additional properties are not allowed ('datas' was unexpected)"],
        ),
        (
            "apiVersion: v1\nkind: Gadget\nmetadata: {name: x}\n",
            [
                "Gadget x: kind: Kubernetes 1.32 has no Gadget of v1",
                "Gadget x: kind: Kubernetes 1.37 has no Gadget of v1",
                "Gadget x: kind: a team may create ConfigMap, RoleBinding, ServiceAccount, PriorityClass, not Gadget",
            ],
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n",
            ["ConfigMap kube-system/x: metadata.namespace: must be team-risk, not kube-system"],
        ),
        (
            "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: x}\nvalue: 1500\n"
            "globalDefault: true\n",
            [
                "PriorityClass x: metadata.name: must begin with risk.",
                "PriorityClass x: globalDefault: a team's class may not be the cluster's default",
                "PriorityClass x: preemptionPolicy: must be Never",
            ],
        ),
        (
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x, namespace: team-risk}\n"
            "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}\n",
            [
                "RoleBinding team-risk/x: roleRef.name: a team may bind jobyard-launcher and jobyard-viewer, not admin",
            ],
        ),
        ("some: text\n", ["a Kubernetes object must have apiVersion and kind"]),
    ],
)
def test_an_object_that_the_cluster_would_refuse_is_told(team_repo: Path, text: str, expected: list[str]) -> None:
    template(with_chart(team_repo), text)
    assert problems(team_repo) == [f"{CHART}/own.yaml: {line}" for line in expected]


def test_without_the_platform_only_what_it_does_not_set_is_checked(team_repo: Path) -> None:
    repo = with_chart(team_repo)
    values(repo, "high: 3000", "high: 20000")
    assert problems(repo, platform=None) == []
    assert ".cruft.json is missing" in known_bounds(repo, "risk", "", None).why


def test_an_unknown_environment_and_another_repository_are_refused(team_repo: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownEnvironmentError, match="unknown environment 'prd'"):
        known_bounds(team_repo, "risk", "prd", ROOT)
    with pytest.raises(NotAPlatformRepoError):
        known_bounds(team_repo, "risk", "", tmp_path)


def test_helms_refusal_is_told_in_its_words(team_repo: Path) -> None:
    values(with_chart(team_repo), "viewerGroups", "viewersGroups")
    with pytest.raises(RenderError, match="Additional property viewersGroups is not allowed"):
        manifests(team_repo)


def test_a_repository_without_a_chart_is_told(team_repo: Path) -> None:
    with pytest.raises(MissingChartError, match="has no charts/team"):
        manifests(team_repo)


def test_the_oldest_kubernetes_is_the_charts() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "team" / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


Run = Callable[..., tuple[int, str, str]]


def test_render_prints_the_manifests_or_one_line(team_repo: Path, jobyard: Run) -> None:
    with_chart(team_repo)
    code, out, err = jobyard("render", "--platform", str(ROOT), "--environment", "dev")
    assert (code, err) == (0, "")
    assert len([one for one in yaml.safe_load_all(out) if one]) == 7
    assert jobyard("render", "--quiet", "--platform", str(ROOT)) == (0, "7 objects, no problems\n", "")


def test_render_with_a_problem_exits_with_1_and_the_problem_on_standard_error(team_repo: Path, jobyard: Run) -> None:
    values(with_chart(team_repo), "high: 3000", "high: 20000")
    code, out, err = jobyard("render", "--quiet", "--platform", str(ROOT))
    assert (code, out) == (1, "")
    assert err.startswith(
        f"{CHART}/priorityclasses.yaml: PriorityClass risk.high-20000: metadata.name: the platform gives"
    )


def test_render_of_values_that_helm_refuses_has_no_traceback(team_repo: Path, jobyard: Run) -> None:
    values(with_chart(team_repo), "viewerGroups", "viewersGroups")
    code, out, err = jobyard("render")
    assert (code, out) == (1, "")
    assert err.startswith("Error: values don't meet the specifications of the schema")
