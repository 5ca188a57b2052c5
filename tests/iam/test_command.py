"""`jobyard iam` as a person meets it: what it prints, and what it says of a mistake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.iam.conftest import PLATFORM_REPO, VALUES
from tests.support.command import jobyard_in
from tests.support.paths import ROOT

Run = Callable[..., tuple[int, str, str]]
QUOTA = {"pods": 5, "cpu": "4", "memory": "16Gi", "ephemeralStorage": "16Gi"}
TEAM: dict[str, Any] = {
    "repo": "https://git.example.com/risk/risk-jobs.git",
    "allowedNodeGroups": ["default"],
    "priorityBand": {"min": 1, "max": 9},
    "quota": QUOTA,
}


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A platform's repository with one environment, and without a team."""
    for folder in ("environments", "teams"):
        (tmp_path / "values" / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "charts", tmp_path / "charts")
    shutil.copy(ROOT / "values" / "node-groups.yaml", tmp_path / "values")
    write_environment(tmp_path, VALUES)
    return tmp_path


def write_environment(platform: Path, values: dict[str, Any]) -> None:
    (platform / "values" / "environments" / "prod.yaml").write_text(yaml.safe_dump({"environment": values}))


def write_team(platform: Path, name: str, **different: Any) -> None:
    (platform / "values" / "teams" / f"{name}.yaml").write_text(yaml.safe_dump({**TEAM, **different}))


@pytest.fixture
def iam(platform: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `jobyard iam --environment prod` there: exit code, standard output, standard error."""

    jobyard = jobyard_in(platform, capsys, monkeypatch)

    def run(*arguments: str, platform_repo: str = PLATFORM_REPO) -> tuple[int, str, str]:
        given = [f"--platform-repo={platform_repo}"] if platform_repo else []
        return jobyard("iam", "--environment=prod", *given, *arguments)

    return run


def test_a_template_is_printed_that_yaml_reads(platform: Path, iam: Run) -> None:
    write_team(platform, "risk")
    code, out, err = iam()
    assert (code, err) == (0, "")
    assert list(yaml.safe_load(out)["Resources"]) == [
        "GitHost1", "Airflow", "PlatformCi", "PlatformCatalogue",
        "riskCi", "riskPlan", "riskLauncher", "riskLauncherAccessEntry",
    ]  # fmt: skip


def test_only_a_teams_roles_are_printed_where_that_is_asked(platform: Path, iam: Run) -> None:
    write_team(platform, "risk")
    code, out, err = iam("--only=risk", "--format=json")
    assert (code, err) == (0, "")
    assert list(json.loads(out)) == ["jobyard-risk-ci", "jobyard-risk-plan", "jobyard-risk"]


def test_a_role_that_may_write_raw_rows_is_one_of_the_jobs(platform: Path, iam: Run) -> None:
    write_team(platform, "risk", iamRoles={"serviceAccounts": ["risk-ingestion"], "writeRaw": ["risk-ingest"]})
    code, out, err = iam()
    assert (code, out) == (1, "")
    where = "values/teams/risk.yaml: iamRoles.writeRaw: "
    assert f"{where}unknown role 'risk-ingest' (did you mean 'risk-ingestion'?" in err


def test_rights_that_are_not_bounded_to_one_team_are_told(platform: Path, iam: Run) -> None:
    write_team(platform, "risk")
    write_environment(platform, {name: value for name, value in VALUES.items() if name != "variablesPrefix"})
    code, out, err = iam()
    assert code == 0
    warning = "Airflow role Op: without `variablesPrefix` in the environment's file, "
    assert err.startswith(f"jobyard-risk-ci: {warning}")
    assert f"\n  # {warning}" in out
    rights = yaml.safe_load(out)["Resources"]["riskCi"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert rights[-1]["Resource"] == ["arn:aws:airflow:eu-central-1:111122223333:role/ml-prod/Op"]


@pytest.mark.parametrize(("folder", "repositories"), [("", "risk/*"), ("/ml/x", "ml/x/risk/*")])
def test_images_go_where_the_environments_registry_is(platform: Path, iam: Run, folder: str, repositories: str) -> None:
    write_team(platform, "risk")
    write_environment(platform, {**VALUES, "registry": f"999900001111.dkr.ecr.eu-west-1.amazonaws.com{folder}"})
    assert images(iam("--format=json")[1]) == [f"arn:aws:ecr:eu-west-1:999900001111:repository/{repositories}"]


def test_a_registry_that_is_not_ecrs_gets_no_right(platform: Path, iam: Run) -> None:
    write_team(platform, "risk")
    write_environment(platform, {**VALUES, "registry": "registry.example.com/ml"})
    code, out, err = iam("--format=json")
    assert (code, images(out)) == (0, [])
    assert err == (
        "jobyard-risk-ci: No right to push images: the environment's registry is not ECR, "
        "and knows the pipeline by other means.\n"
    )


def images(out: str) -> list[str]:
    """Repositories that the pipeline of team risk may push to."""
    (policy,) = json.loads(out)["jobyard-risk-ci"]["policies"]
    return [arn for one in policy["Statement"] if "ecr:PutImage" in one["Action"] for arn in one["Resource"]]


def test_china_has_arns_of_its_own(platform: Path, iam: Run) -> None:
    write_team(platform, "risk")
    write_environment(platform, {**VALUES, "region": "cn-north-1"})
    out = iam("--format=json")[1]
    assert "arn:aws-cn:s3:::airflow/dags/risk/jobs.json" in out
    assert "arn:aws:" not in out


def test_all_values_that_are_missing_are_told_with_an_example_of_each(platform: Path, iam: Run) -> None:
    write_environment(platform, {"name": "prod", "region": "eu-central-1"})
    assert iam() == (
        1,
        "",
        "values/environments/prod.yaml lacks what its IAM roles are made from; write under `environment`:\n"
        '  account: "111122223333"\n'
        "  bucket: example-jobyard-prod\n"
        "  airflow: jobyard-prod\n"
        "  cluster:\n"
        "    name: jobyard-prod\n"
        "`aws eks describe-cluster --name <cluster>` shows what the cluster's are\n",
    )


@pytest.mark.parametrize(
    ("repo", "ci", "message"),
    [
        ("file:///srv/risk.git", "gitlab", "must be the address of a repository on a gitlab host, "),
        (
            "https://git.example.com:8443/risk/jobs",
            "gitlab",
            "must be on a git host without a port, ",
        ),
        ("https://github.com/risk", "github", "must be the address of a repository on a github host, "),
        ("https://github.com/risk/sub/jobs", "github", "must be the address of a repository on a github host, "),
        ("https://git.example.com/ri%sk/jobs", "gitlab", "must be the address of a repository on a gitlab host, "),
    ],
)
def test_pipelines_that_iam_can_not_know_are_told(platform: Path, iam: Run, repo: str, ci: str, message: str) -> None:
    write_team(platform, "risk", repo=repo, ci=ci)
    code, out, err = iam()
    assert (code, out) == (1, "")
    assert err.startswith(f"values/teams/risk.yaml: repo {message}")
    assert err.endswith(f"; got '{repo}'\n")


def test_every_problem_is_told_at_once(platform: Path, iam: Run) -> None:
    write_team(platform, "risk", repo="file:///risk.git")
    write_team(platform, "care", revision="${aws:username}")
    write_team(platform, "mwaa")
    code, out, err = iam(platform_repo="")
    assert (code, out) == (1, "")
    starts = [
        "the platform's repository has no remote `origin`",
        "values/teams/risk.yaml: repo must be the address of a repository",
        "values/teams/care.yaml: revision must be a branch, tag or commit; got '${aws:username}'",
    ]
    lines = err.splitlines()
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert lines[0].endswith("give its address with --platform-repo")


@pytest.mark.parametrize("name", ["jobyard", "platform", "kube-system"])
def test_a_reserved_name_is_refused(platform: Path, iam: Run, name: str) -> None:
    write_team(platform, name)
    code, out, err = iam()
    assert (code, out) == (1, "")
    assert err.startswith(f"values/teams/{name}.yaml:1:1: '{name}' is reserved for the platform")


@pytest.mark.parametrize(
    ("name", "roles", "other", "whose"),
    [
        ("mwaa", {}, "jobyard-mwaa", "Airflow on MWAA"),
        ("risk-ci", {}, "jobyard-risk-ci", "pipeline of team risk that releases its jobs, on main"),
        ("fraud", {"launcher": "x/Jobyard-Risk-Plan"}, "jobyard-risk-plan", "pipelines of team risk's merge requests"),
    ],
)
def test_two_roles_of_one_name_are_refused(
    platform: Path, iam: Run, name: str, roles: dict[str, Any], other: str, whose: str
) -> None:
    write_team(platform, "risk")
    write_team(platform, name, iamRoles=roles)
    code, out, err = iam()
    assert (code, out) == (1, "")
    assert f"two roles would be named '{other}'" in err and whose in err
    assert "in `iamRoles` of values/teams/" in err


@pytest.mark.parametrize("name", ["x" * 65, "a//b", "batch/"])
def test_a_name_that_iam_does_not_take_is_told(platform: Path, iam: Run, name: str) -> None:
    write_team(platform, "risk", iamRoles={"launcher": name})
    code, out, err = iam()
    assert (code, out) == (1, "")
    assert err.startswith(
        f"a role's name must have 1 to 64 characters; got '{name}' (Airflow where it starts pods of team risk)"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--only=rsik", "unknown part 'rsik' (did you mean 'risk'? available: platform, risk)\n"),
        (
            "--permissions-boundary=boundary",
            "--permissions-boundary must be the ARN of a policy, such as arn:aws:iam::111122223333:policy/boundary; "
            "got 'boundary'\n",
        ),
    ],
)
def test_a_wrong_option_is_told_with_what_would_be_right(platform: Path, iam: Run, option: str, message: str) -> None:
    write_team(platform, "risk")
    assert iam(option) == (2, "", message)
