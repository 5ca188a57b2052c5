"""The platform's own job: the reserved team, its release in environments that have `metrics`, and its images."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from jobyard.contract import images_variable
from jobyard_cli.platform.environments import Environment, InvalidValuesError, load_environment
from jobyard_cli.platform.kubeconfig import kubeconfig
from jobyard_cli.platform.missing_values import IncompleteEnvironmentError
from jobyard_cli.platform.own_jobs import check_own_jobs, own_images, own_release, settings
from jobyard_cli.platform.pools import wanted_pools
from jobyard_cli.platform.teams import RESERVED

from tests.support.command import Jobyard, jobyard_in
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

JOB = "dags/platform/metrics/job.yaml"
RELEASE = "dags/platform/jobs.json"
ADDRESS = f"registry.example.com/platform/metrics@sha256:{'0' * 64}"
METRICS = {"prometheusUrl": "http://prometheus.monitoring:9090"}
WORKSPACE = "ws-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"


@pytest.fixture
def platform_repo(tmp_path: Path) -> Path:
    """The platform's repository, as far as its own jobs need it; `prod` has metrics, `dev` has none."""
    repo = tmp_path / "platform"
    for folder in ("values", "dags", "schemas"):
        shutil.copytree(ROOT / folder, repo / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for chart in ("bounds", "platform"):
        (repo / "charts" / chart).mkdir(parents=True)
        shutil.copy(ROOT / "charts" / chart / "values.schema.json", repo / "charts" / chart)
    for image in ("metrics", "inference"):
        (repo / "images" / image).mkdir(parents=True)
        shutil.copy(ROOT / "images" / image / "Dockerfile", repo / "images" / image)
    for environment in ("dev", "prod"):
        set_values(repo, environment, bucket="airflow")
    set_values(repo, "prod", metrics=METRICS)
    return repo


@pytest.fixture
def working_folder(platform_repo: Path) -> Path:
    return platform_repo


def set_values(repo: Path, environment: str, **values: Any) -> None:
    """Change what an environment's file says; None takes a value away."""
    file = repo / "values" / "environments" / f"{environment}.yaml"
    content = yaml.safe_load(file.read_text())
    content["environment"].update(values)
    for name in [name for name, value in values.items() if value is None]:
        del content["environment"][name]
    file.write_text(yaml.safe_dump(content))


def change(repo: Path, name: str, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, (repo / name).read_text(), flags=re.M)
    assert count
    (repo / name).write_text(text)


def names(s3: S3Client) -> set[str]:
    return {entry.get("Key", "") for entry in s3.list_objects_v2(Bucket="airflow").get("Contents", [])}


def publish(jobyard: Jobyard, environment: str = "prod", *more: str) -> str:
    code, out, err = jobyard("publish-platform", "--environment", environment, "--no-pools", *more)
    assert (code, err) == (0, "")
    return out


def test_the_reserved_team_is_where_there_are_metrics(platform_repo: Path) -> None:
    prod, dev = load_environment(platform_repo, "prod"), load_environment(platform_repo, "dev")
    assert (list(prod.teams), list(prod.all_teams), list(dev.all_teams)) == (["risk"], ["risk", "platform"], ["risk"])
    assert wanted_pools(prod.all_teams)["platform"] == 1
    contexts = {one["name"]: one["context"] for one in yaml.safe_load(kubeconfig(prod))["contexts"]}
    assert contexts["platform"] == {"cluster": "jobyard-prod", "user": "platform", "namespace": "team-platform"}
    assert "platform" not in kubeconfig(dev)


@pytest.mark.parametrize("team", [*RESERVED, "kube-system"])
def test_no_team_may_have_a_name_of_the_platforms(platform_repo: Path, team: str) -> None:
    shutil.copy(platform_repo / "values/teams/risk.yaml", platform_repo / f"values/teams/{team}.yaml")
    with pytest.raises(InvalidValuesError) as raised:
        load_environment(platform_repo, "dev")
    assert str(raised.value) == (
        f"values/teams/{team}.yaml:2:1: '{team}' is reserved for the platform "
        "(so are jobyard, platform, airflow, argocd, default and kube-*)"
    )


def test_the_template_and_the_chart_reserve_the_same_names() -> None:
    hook = (ROOT / "hooks" / "pre_gen_project.py").read_text()
    chart = (ROOT / "charts" / "bounds" / "templates" / "_helpers.tpl").read_text()
    assert f"RESERVED = ({', '.join(json.dumps(name) for name in RESERVED)})" in hook
    assert f"$reserved := list {' '.join(json.dumps(name) for name in RESERVED)} " in chart


def test_the_reserved_teams_file_is_checked(platform_repo: Path) -> None:
    change(platform_repo, "values/platform-team.yaml", r"^allowedNodeGroups: .*", "allowedNodeGroups: [big]\nrepo: x")
    with pytest.raises(InvalidValuesError) as raised:
        load_environment(platform_repo, "prod")
    assert [line.partition(": ")[2] for line in str(raised.value).splitlines()] == [
        "unknown node group 'big' (the catalogue has: default, gpu, graviton, high-cpu, high-memory)",
        "unknown key 'repo' (allowed: costCenter, viewerGroups, iamRoles, allowedNodeGroups, priorityBand, priorities, "
        "quota, queue, workerSlots, pools, assets, egress)",
    ]
    assert load_environment(platform_repo, "dev").platform_team is None


def test_the_check_finds_nothing_in_the_platforms_jobs() -> None:
    checked = check_own_jobs(ROOT)
    assert (checked.findings, list(checked.entries)) == ([], ["metrics"])
    assert own_images(ROOT) == ["metrics"]


def test_the_release_has_the_environments_values(platform_repo: Path) -> None:
    release = own_release(platform_repo, load_environment(platform_repo, "prod"), "abc", {"metrics": ADDRESS})
    assert release is not None
    task = release.content["jobs"]["metrics"]["tasks"]["collect"]
    assert task["env"] == {
        "AWS_REGION": "eu-central-1",
        "JOBYARD_AIRFLOW_MWAA": "jobyard-prod",
        "JOBYARD_ENVIRONMENT": "prod",
        "JOBYARD_METRICS_STORE": "s3://example-jobyard-prod-data/metrics",
        "JOBYARD_PROMETHEUS_URL": "http://prometheus.monitoring:9090",
        "JOBYARD_RELEASES": "s3://airflow/dags",
        "JOBYARD_TEAMS_READ": "own",
    }
    assert task["secrets"] == {}
    assert release.content["images"] == {"metrics": ADDRESS}
    again = own_release(platform_repo, load_environment(platform_repo, "prod"), "abc", {"metrics": ADDRESS})
    assert again is not None and again.body == release.body


def test_an_airflow_that_is_not_mwaas_has_a_login_and_a_page() -> None:
    values = {
        "airflowUrl": "http://10.0.0.1:8080/",
        "bucket": "airflow",
        "metrics": {
            "prometheusUrl": "x",
            "prometheusWorkspace": WORKSPACE,
            "bucket": "m",
            "prefix": "a/b",
            "teamsRead": "all",
            "argocdUrl": "https://argocd.example.com",
        },
        "region": "eu-central-1",
    }
    environment = Environment("local", values, {}, platform_team={})
    assert settings(environment) == {
        "AWS_REGION": "eu-central-1",
        "JOBYARD_AIRFLOW_PAGE": "http://10.0.0.1:8080",
        "JOBYARD_AIRFLOW_URL": "http://10.0.0.1:8080/",
        "JOBYARD_ARGOCD_PAGE": "https://argocd.example.com",
        "JOBYARD_ENVIRONMENT": "local",
        "JOBYARD_METRICS_STORE": "s3://m/a/b",
        "JOBYARD_PROMETHEUS_WORKSPACE": WORKSPACE,
        "JOBYARD_RELEASES": "s3://airflow/dags",
        "JOBYARD_TEAMS_READ": "all",
    }
    release = own_release(ROOT, environment, "abc", {})
    assert release is not None
    assert release.content["jobs"]["metrics"]["tasks"]["collect"]["secrets"] == {
        "JOBYARD_AIRFLOW_PASSWORD": {"secret": "airflow", "key": "password"},
        "JOBYARD_AIRFLOW_USERNAME": {"secret": "airflow", "key": "username"},
    }


def test_an_environment_that_lacks_what_the_job_needs(platform_repo: Path) -> None:
    set_values(platform_repo, "prod", dataBucket=None, airflow=None)
    with pytest.raises(IncompleteEnvironmentError) as raised:
        own_release(platform_repo, load_environment(platform_repo, "prod"), "", {})
    assert str(raised.value).splitlines() == [
        "values/environments/prod.yaml lacks what the platform's job is made from; write under `environment`:",
        "  dataBucket: example-jobyard-prod-data",
        "  airflowUrl: https://airflow.example.com",
    ]


def test_publish_platform_releases_the_job_and_takes_its_loader_away_again(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    note = (
        "note: this is the first release of the platform's own jobs; until Argo CD has synced the Application "
        "`platform-team`, which makes the namespace team-platform, their runs fail with 403 and are retried\n"
    )
    assert publish(jobyard).endswith(f"s3://airflow/{RELEASE}: released\n{note}")
    assert {"dags/platform.py", RELEASE} <= names(s3)
    release = json.loads(s3.get_object(Bucket="airflow", Key=RELEASE)["Body"].read())
    assert (release["team"], list(release["jobs"])) == ("platform", ["metrics"])
    assert publish(jobyard).endswith(f"s3://airflow/{RELEASE}: unchanged\n")
    change(platform_repo, JOB, "^description: .*", "description: Another.")
    assert publish(jobyard).endswith(f"s3://airflow/{RELEASE}: released\n")
    set_values(platform_repo, "prod", metrics=None)
    out = publish(jobyard)
    assert "deleted s3://airflow/dags/platform.py\n" in out
    assert RELEASE not in out


def test_the_prices_of_machines_go_beside_the_releases(jobyard: Jobyard, platform_repo: Path, s3: S3Client) -> None:
    (platform_repo / "values" / "prices.yaml").write_text("prices: {}\n")
    publish(jobyard)
    assert s3.get_object(Bucket="airflow", Key="dags/jobyard/prices.yaml")["Body"].read() == b"prices: {}\n"


def test_an_environment_without_metrics_has_nothing_of_it(jobyard: Jobyard, platform_repo: Path, s3: S3Client) -> None:
    (platform_repo / "values" / "prices.yaml").write_text("prices: {}\n")
    publish(jobyard, "dev")
    assert not [name for name in names(s3) if name.startswith("dags/platform") or name.endswith("prices.yaml")]


def test_a_mistake_in_the_job_is_a_finding_and_nothing_is_published(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    change(platform_repo, JOB, "image: metrics", "image: metric")
    code, out, err = jobyard("publish-platform", "--environment=prod", "--no-pools")
    assert (code, out) == (1, "")
    assert err == (
        f"{JOB}:13:12: unknown image 'metric' (did you mean 'metrics'? images/ and values/team.yaml have: inference, "
        "metrics)\n1 problem in 1 file\nnothing was released\n"
    )
    assert names(s3) == set()


def test_the_jobs_image_goes_into_the_teams_variable(jobyard: Jobyard, platform_repo: Path, s3: S3Client) -> None:
    file = platform_repo.parent / "images.json"
    file.write_text(json.dumps({"metrics": ADDRESS}))
    out = publish(jobyard, "prod", "--images", str(file))
    ssm = boto3.client("ssm", region_name="eu-central-1")
    name = f"/airflow/variables/{images_variable('platform')}"
    assert f"{name}: set\n" in out
    assert json.loads(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]) == {"metrics": ADDRESS}


def test_the_platforms_repository_has_the_images_of_its_own_jobs_alone(
    platform_repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *command], cwd=platform_repo, check=True)
    built: list[str] = []
    monkeypatch.setattr(
        "jobyard_cli.images.publish._build", lambda wanted, *_: built.extend(one.name for one in wanted)
    )
    code, out, _ = jobyard_in(platform_repo, capsys, monkeypatch)(
        "build-images", "--output", str(platform_repo / "out")
    )
    assert (code, built) == (0, ["metrics"])
    assert "built: metrics" in out
