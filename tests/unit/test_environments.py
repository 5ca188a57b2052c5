"""Environments and teams of the platform's repository: what is read, what is refused, and Airflow's kubeconfig."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowError
from jobyard_cli.cli import main
from jobyard_cli.platform.environments import (
    Environment,
    InvalidValuesError,
    MissingBucketError,
    UnknownEnvironmentError,
    bucket,
    in_environment,
    load_environment,
    load_teams,
)
from jobyard_cli.platform.files import NotAPlatformRepoError
from jobyard_cli.platform.kubeconfig import InvalidRegionError, kubeconfig, launcher_role
from jobyard_cli.platform.missing_values import IncompleteEnvironmentError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parents[2]
FRAUD = """\
teams:
  fraud:
    repo: https://git.example.com/fraud/fraud-jobs.git
    allowedNodeGroups: [default]
    priorityBand: {min: 1000, max: 9999}
    quota: {pods: 5, cpu: "4", memory: 8Gi, ephemeralStorage: 10Gi}
    environments: {prod: {quota: {pods: 9}, allowedNodeGroups: [gpu]}}
"""


@pytest.fixture
def platform_repo(tmp_path: Path) -> Path:
    """The parts of this repository that say what environments and teams there are, with team fraud besides."""
    repo = tmp_path / "platform"
    shutil.copytree(ROOT / "values", repo / "values")
    shutil.copytree(ROOT / "dags", repo / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    for chart in ("bounds", "platform"):
        (repo / "charts" / chart).mkdir(parents=True)
        shutil.copy(ROOT / "charts" / chart / "values.schema.json", repo / "charts" / chart)
    (repo / "values" / "teams" / "fraud.yaml").write_text(FRAUD)
    return repo


def problems(repo: Path, environment: str = "prod") -> list[str]:
    with pytest.raises(InvalidValuesError) as caught:
        load_environment(repo, environment)
    return str(caught.value).splitlines()


def change(repo: Path, name: str, pattern: str, replacement: str) -> None:
    """Replace what is in a file of values, which has to be in it."""
    file = repo / "values" / name
    text, count = re.subn(pattern, replacement, file.read_text(), flags=re.M)
    assert count
    file.write_text(text)


def test_an_environment_has_its_own_values_and_the_teams_that_are_in_it(platform_repo: Path) -> None:
    prod, dev = load_environment(platform_repo, "prod"), load_environment(platform_repo, "dev")
    assert (prod.name, prod.values["account"], bucket(prod)) == ("prod", "111122223333", "example-jobyard-prod")
    assert list(prod.teams) == ["fraud", "risk"]
    assert list(dev.teams) == ["risk"]
    assert prod.teams["fraud"]["quota"] == {"pods": 9, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi"}
    assert prod.teams["fraud"]["allowedNodeGroups"] == ["gpu"]
    assert dev.teams["risk"]["quota"]["cpu"] == "16"
    assert not [team for team in prod.teams.values() if "environments" in team]


def test_a_team_that_names_no_environment_is_in_all_of_them(platform_repo: Path) -> None:
    change(platform_repo, "teams/fraud.yaml", "^    environments: .*\n", "")
    assert list(load_environment(platform_repo, "dev").teams) == ["fraud", "risk"]


def test_differences_of_an_environment_are_laid_over_the_teams_values() -> None:
    team: dict[str, Any] = {"a": {"x": 1, "y": 2}, "list": [1, 2], "gpu": 2, "environments": {"dev": {}}}
    assert in_environment(team, "prod") is None
    assert in_environment(team, "dev") == {"a": {"x": 1, "y": 2}, "list": [1, 2], "gpu": 2}
    team["environments"]["dev"] = {"a": {"x": 0}, "list": [], "gpu": 0, "new": {"z": 1}}
    assert in_environment(team, "dev") == {"a": {"x": 0, "y": 2}, "list": [], "gpu": 0, "new": {"z": 1}}


def test_an_unknown_environment_is_named_with_those_there_are(platform_repo: Path) -> None:
    with pytest.raises(UnknownEnvironmentError) as caught:
        load_environment(platform_repo, "pord")
    assert str(caught.value) == (
        "unknown environment 'pord' (did you mean 'prod'? there are: dev, prod); "
        "one is a file, values/environments/<name>.yaml"
    )


def test_a_folder_that_is_not_the_platforms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAPlatformRepoError, match=r"values/environments is not there: run this in the top folder"):
        load_environment(tmp_path, "prod")


def test_everything_wrong_in_both_kinds_of_file_is_told_at_once_with_its_place(platform_repo: Path) -> None:
    change(platform_repo, "environments/prod.yaml", "^  account: .*", "  account: 1234")
    change(platform_repo, "environments/prod.yaml", "^  airflow:", "  airflwo:")
    change(platform_repo, "environments/prod.yaml", "^  bucket: .*", "  bucket: Prod")
    change(platform_repo, "teams/fraud.yaml", 'cpu: "4"', "cpu: 4000m")
    change(platform_repo, "teams/fraud.yaml", "^    priorityBand: .*\n", "")
    (platform_repo / "values" / "teams" / "claims.yaml").write_text("teams: {claims: {\n")
    assert problems(platform_repo) == [
        "values/environments/prod.yaml:4:12: 'account' can't be 1234: AWS account of the cluster. With it, service "
        "accounts get roles of this account alone; for example '111122223333'",
        "values/environments/prod.yaml:11:11: 'bucket' can't be 'Prod': airflow's bucket; for example "
        "'example-jobyard-prod'",
        "values/environments/prod.yaml:12:3: unknown key 'airflwo' (did you mean 'airflow'?)",
        "values/teams/claims.yaml:2:1: not YAML: did not find expected node content (while parsing a flow node)",
        "values/teams/fraud.yaml:2:3: 'fraud' lacks 'priorityBand'",
        "values/teams/fraud.yaml:5:27: 'cpu' can't be '4000m': cores ('4') or thousandths of one ('250m'), in the form "
        "in which Kubernetes gives them back; for example '16'",
    ]


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "problem"),
    [
        (
            "environments/prod.yaml",
            "name: prod",
            "name: production",
            "values/environments/prod.yaml:3:9: the environment's name must be the file's, 'prod', not 'production'",
        ),
        (
            "environments/prod.yaml",
            "^environment:",
            "teams: {}\nenvironment:",
            "values/environments/prod.yaml:2:1: unknown key 'teams' (known here: environment)",
        ),
        (
            "teams/fraud.yaml",
            "environments: {prod:",
            "environments: {produ:",
            "values/teams/fraud.yaml:7:20: unknown environment 'produ' (did you mean 'prod'? there are: dev, prod)",
        ),
        (
            "teams/fraud.yaml",
            r"\[gpu\]",
            "[gpus]",
            "values/teams/fraud.yaml:7:65: unknown node group 'gpus' (did you mean 'gpu'? the catalogue has: default, "
            "gpu, graviton, high-cpu, high-memory)",
        ),
        (
            "teams/fraud.yaml",
            "^  fraud:",
            "  frauds:",
            "values/teams/fraud.yaml:2:3: team 'frauds' belongs into values/teams/frauds.yaml",
        ),
        (
            "teams/fraud.yaml",
            "^  fraud:",
            "  Fraud:",
            "values/teams/fraud.yaml:2:3: 'Fraud' can't be a name: a DNS label that starts with a letter",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_would_be_right(
    platform_repo: Path, name: str, pattern: str, replacement: str, problem: str
) -> None:
    change(platform_repo, name, pattern, replacement)
    assert problems(platform_repo) == [problem]


def test_the_files_of_this_repository_are_right() -> None:
    assert list(load_teams(ROOT)) == ["risk"]
    assert [load_environment(ROOT, name).name for name in ("dev", "prod")] == ["dev", "prod"]


PROD = Environment(
    "prod",
    {
        "name": "prod",
        "account": "111122223333",
        "region": "eu-central-1",
        "cluster": {"name": "jobyard-prod", "server": "https://k.example.com", "certificateAuthority": "LS0t"},
    },
    {"risk": {"iamRoles": {"launcher": "batch/risk-starts"}}, "fraud": {}},
)
TEXT = """\
# Written by `jobyard kubeconfig --environment prod`.
apiVersion: v1
kind: Config
clusters:
- name: jobyard-prod
  cluster:
    server: https://k.example.com
    certificate-authority-data: LS0t
contexts:
- name: fraud
  context:
    cluster: jobyard-prod
    user: fraud
    namespace: team-fraud
- name: risk
  context:
    cluster: jobyard-prod
    user: risk
    namespace: team-risk
users:
- name: fraud
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: aws
      args:
      - eks
      - get-token
      - --cluster-name
      - jobyard-prod
      - --region
      - eu-central-1
      - --role-arn
      - arn:aws:iam::111122223333:role/jobyard-fraud
      - --output
      - json
      interactiveMode: Never
- name: risk
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: aws
      args:
      - eks
      - get-token
      - --cluster-name
      - jobyard-prod
      - --region
      - eu-central-1
      - --role-arn
      - arn:aws:iam::111122223333:role/batch/risk-starts
      - --output
      - json
      interactiveMode: Never
current-context: ''
"""


def test_the_kubeconfig_has_a_context_for_each_team_and_none_is_the_current_one() -> None:
    assert kubeconfig(PROD) == TEXT


@pytest.mark.parametrize(
    ("region", "arn"),
    [
        ("eu-central-1", "arn:aws:iam::111122223333:role/jobyard-fraud"),
        ("cn-northwest-1", "arn:aws-cn:iam::111122223333:role/jobyard-fraud"),
        ("us-gov-west-1", "arn:aws-us-gov:iam::111122223333:role/jobyard-fraud"),
        ("us-isob-east-1", "arn:aws-iso-b:iam::111122223333:role/jobyard-fraud"),
    ],
)
def test_a_role_is_in_the_partition_of_its_region(region: str, arn: str) -> None:
    assert launcher_role(Environment("prod", {**PROD.values, "region": region}, PROD.teams), "fraud") == arn


def test_a_region_that_aws_does_not_have_is_named() -> None:
    nowhere = Environment("prod", {**PROD.values, "region": "mars-north-1"}, PROD.teams)
    with pytest.raises(InvalidRegionError, match=r"^values/environments/prod.yaml: AWS has no region 'mars-north-1'$"):
        kubeconfig(nowhere)


def test_what_an_environment_lacks_is_told_with_what_to_write() -> None:
    with pytest.raises(IncompleteEnvironmentError) as caught:
        kubeconfig(Environment("dev", {"name": "dev", "cluster": {"name": "x"}}, {}))
    assert str(caught.value) == (
        "values/environments/dev.yaml lacks what Airflow's kubeconfig is made of; write under `environment`:\n"
        '  account: "111122223333"\n'
        "  region: eu-central-1\n"
        "  cluster:\n"
        "    server: https://….eks.amazonaws.com\n"
        "    certificateAuthority: LS0t…\n"
        "`aws eks describe-cluster --name <cluster>` shows what the cluster's are"
    )


def test_an_environment_without_a_bucket_says_what_to_write() -> None:
    with pytest.raises(MissingBucketError) as caught:
        bucket(PROD)
    assert str(caught.value) == (
        "values/environments/prod.yaml names no bucket: write `bucket: <name>` under `environment`, or give --bucket"
    )


Jobyard = Callable[..., tuple[int, str, str]]


@pytest.fixture
def jobyard(platform_repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Jobyard:
    """Run the command in the platform's repository: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(platform_repo)
        monkeypatch.setattr(sys, "argv", ["jobyard", *arguments])
        with pytest.raises(SystemExit) as caught:
            main.run()
        written = capsys.readouterr()
        return int(caught.value.code or 0), written.out, written.err

    return run


def test_publish_platform_puts_the_environments_teams_and_kubeconfig_into_its_bucket(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    change(platform_repo, "environments/dev.yaml", "^  bucket: .*", "  bucket: airflow")
    code, out, err = jobyard("publish-platform", "--environment", "dev", "--no-pools")
    assert (code, err) == (0, "")
    assert "put s3://airflow/dags/risk.py\n" in out
    keys = [entry.get("Key", "") for entry in s3.list_objects_v2(Bucket="airflow")["Contents"]]
    assert "dags/fraud.py" not in keys
    put = s3.get_object(Bucket="airflow", Key="dags/jobyard/kubeconfig.yaml")["Body"].read().decode()
    assert put == kubeconfig(load_environment(platform_repo, "dev"))
    [key] = [key for key in keys if key.endswith("/platform.json")]
    platform = json.loads(s3.get_object(Bucket="airflow", Key=key)["Body"].read())
    assert (platform["environment"], platform["cost_centers"]) == ("dev", {"risk": "risk-ml"})


def test_publish_platform_keeps_to_a_bucket_and_a_kubeconfig_that_are_given(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    (platform_repo / "mine.yaml").write_text("apiVersion: v1\n")
    code, _, err = jobyard(
        "publish-platform", "--environment=prod", "--bucket=data", "--kubeconfig=mine.yaml", "--no-pools"
    )
    assert (code, err) == (0, "")
    put = s3.get_object(Bucket="data", Key="dags/jobyard/kubeconfig.yaml")["Body"].read()
    assert put == b"apiVersion: v1\n"
    assert s3.head_object(Bucket="data", Key="dags/fraud.py")["ContentLength"] > 0


def test_publish_platform_makes_the_teams_pools_first_and_else_puts_nothing(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = PoolsAlone({"default_pool": 128, "risk": 1, "fraud": 16})
    monkeypatch.setattr("jobyard_cli.platform.prepare.airflow_client", lambda *_: AirflowClient(airflow))
    change(platform_repo, "environments/prod.yaml", "^  airflow: .*", "  airflow: jobyard-prod\n  airflowSlots: 20")
    change(platform_repo, "teams/risk.yaml", "^    revision: .*", "    revision: main\n    pools: {warehouse: 4}")
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=data")
    assert (code, err) == (0, "")
    assert out.startswith(
        "pool risk: 12 slots\npool risk.warehouse: 4 slots\n"
        "warning: the teams' workerSlots are 32, Airflow has 20: a team may wait for others' tasks\nput s3://data/"
    )
    assert airflow.pools == {"default_pool": 128, "risk": 12, "risk.warehouse": 4, "fraud": 16}
    airflow.refuses = True
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=airflow")
    assert (code, out, err) == (1, "", "refused\n")
    assert "Contents" not in s3.list_objects_v2(Bucket="airflow")


def test_publish_platform_needs_to_know_where_the_pools_go(jobyard: Jobyard, platform_repo: Path) -> None:
    change(platform_repo, "environments/prod.yaml", "^  airflow: .*\n", "")
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=data")
    assert (code, out) == (1, "")
    assert err.startswith("values/environments/prod.yaml names no Airflow, in which the teams' pools are made: write")


class PoolsAlone:
    """A stand-in for Airflow's API, which has pools and nothing else; tests/sync asks real ones."""

    address = "a stand-in"

    def __init__(self, pools: dict[str, int]) -> None:
        self.pools = pools
        self.refuses = False

    def call(self, method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if self.refuses:
            raise AirflowError("refused")
        if method == "GET":
            entries = [{"name": name, "slots": slots, "include_deferred": False} for name, slots in self.pools.items()]
            return {"pools": entries, "total_entries": len(entries)}
        name = body["name"] if method == "POST" else path.removeprefix("pools/")
        self.pools[name] = body["slots"]
        return body


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("    pools: {a: 10, b: 6}", "12:5: the pools take 16 of 16"),
        ("    workerSlots: 4\n    pools: {a: 4}", "13:5: the pools take 4 of 4"),
        ("    workerSlots: 4\n    pools: {a: 3}", ""),
    ],
)
def test_a_teams_pools_are_a_part_of_its_slots(platform_repo: Path, lines: str, problem: str) -> None:
    change(platform_repo, "teams/risk.yaml", "^    environments:$", f"{lines}\n    environments:")
    if not problem:
        load_environment(platform_repo, "prod")
        return
    wanted = f"values/teams/risk.yaml:{problem} workerSlots; at least one must be left for the other tasks"
    assert problems(platform_repo) == [wanted]


def test_a_teams_pools_are_a_part_of_its_slots_in_each_environment(platform_repo: Path) -> None:
    change(platform_repo, "teams/risk.yaml", "^    environments:$", "    pools: {a: 4}\n    environments:")
    change(platform_repo, "teams/risk.yaml", "^      prod: .*", "      prod: {workerSlots: 4}")
    wanted = "the pools take 4 of 4 workerSlots; at least one must be left for the other tasks"
    assert problems(platform_repo) == [f"values/teams/risk.yaml:15:14: {wanted}"]


def test_kubeconfig_is_written_to_standard_output_or_a_file(jobyard: Jobyard, platform_repo: Path) -> None:
    wanted = kubeconfig(load_environment(platform_repo, "prod"))
    assert jobyard("kubeconfig", "--environment", "prod") == (0, wanted, "")
    assert jobyard("kubeconfig", "--environment", "prod", "--output", "k.yaml") == (0, "", "")
    assert (platform_repo / "k.yaml").read_text() == wanted
    change(platform_repo, "environments/prod.yaml", "^  region: .*\n", "")
    code, out, err = jobyard("kubeconfig", "--environment", "prod")
    assert (code, out) == (1, "")
    assert err.startswith("values/environments/prod.yaml lacks what Airflow's kubeconfig is made of")
