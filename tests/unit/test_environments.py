"""Environments and teams of the platform's repository: what is read, what is refused, and Airflow's kubeconfig."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowError
from jobyard_cli.platform.environments import (
    Environment,
    InvalidValuesError,
    MissingBucketError,
    UnknownEnvironmentError,
    bucket,
    load_environment,
    load_teams,
)
from jobyard_cli.platform.files import NotAPlatformRepoError
from jobyard_cli.platform.kubeconfig import InvalidRegionError, kubeconfig, launcher_role
from jobyard_cli.platform.missing_values import IncompleteEnvironmentError
from jobyard_cli.platform.teams import Team

from tests.support.command import Jobyard
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FRAUD = """\
repo: https://git.example.com/fraud/fraud-jobs.git
allowedNodeGroups: [default]
priorityBand: {min: 1000, max: 9999}
quota: {pods: 5, cpu: "4", memory: 8Gi, ephemeralStorage: 10Gi}
environments: [prod]
"""
FRAUD_IN_PROD = """\
quota: {pods: 9}
allowedNodeGroups: [gpu]
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
    override(repo, "prod", "fraud", FRAUD_IN_PROD)
    return repo


def override(repo: Path, environment: str, team: str, text: str) -> None:
    """Write what a team has in an environment instead of what its file says."""
    file = repo / "values" / "overrides" / environment / f"{team}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


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
    change(platform_repo, "teams/fraud.yaml", "^environments: .*\n", "")
    assert list(load_environment(platform_repo, "dev").teams) == ["fraud", "risk"]


def test_differences_of_an_environment_are_laid_over_the_teams_values() -> None:
    values: dict[str, Any] = {"a": {"x": 1, "y": 2}, "list": [1, 2], "gpu": 2, "environments": ["dev"]}
    assert Team(values).in_environment("prod") is None
    assert Team(values).in_environment("dev") == {"a": {"x": 1, "y": 2}, "list": [1, 2], "gpu": 2}
    different = Team(values, {"dev": {"a": {"x": 0}, "list": [], "gpu": 0, "new": {"z": 1}}})
    assert different.in_environment("dev") == {"a": {"x": 0, "y": 2}, "list": [], "gpu": 0, "new": {"z": 1}}


def test_an_unknown_environment_is_named_with_those_there_are(platform_repo: Path) -> None:
    with pytest.raises(UnknownEnvironmentError) as caught:
        load_environment(platform_repo, "pord")
    assert str(caught.value) == (
        "unknown environment 'pord' (did you mean 'prod'? available: dev, prod); "
        "one is a file, values/environments/<name>.yaml"
    )


def test_a_folder_that_is_not_the_platforms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAPlatformRepoError, match=r"values/environments is missing: run this in the root directory"):
        load_environment(tmp_path, "prod")


def test_everything_wrong_in_both_kinds_of_file_is_told_at_once_with_its_place(platform_repo: Path) -> None:
    change(platform_repo, "environments/prod.yaml", "^  account: .*", "  account: 1234")
    change(platform_repo, "environments/prod.yaml", "^  airflow:", "  airflwo:")
    change(platform_repo, "environments/prod.yaml", "^  bucket: .*", "  bucket: Prod")
    change(platform_repo, "teams/fraud.yaml", 'cpu: "4"', "cpu: 4000m")
    change(platform_repo, "teams/fraud.yaml", "^priorityBand: .*\n", "")
    (platform_repo / "values" / "teams" / "claims.yaml").write_text("quota: {pods: {\n")
    assert problems(platform_repo) == [
        "values/environments/prod.yaml:4:12: 'account' must be the 12 digits of an AWS account id, such as "
        "111122223333; got 1234",
        "values/environments/prod.yaml:11:11: 'bucket' must be the name of an S3 bucket, such as example-jobyard-prod; "
        "got 'Prod'",
        "values/environments/prod.yaml:12:3: unknown key 'airflwo' (did you mean 'airflow'?)",
        "values/teams/claims.yaml:2:1: invalid YAML: did not find expected node content (while parsing a flow node)",
        "values/teams/fraud.yaml:1:1: the file is missing the required key 'priorityBand'",
        "values/teams/fraud.yaml:3:23: 'cpu' must be a number of cores in canonical form, such as 4 or 250m; "
        "got '4000m'",
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
            "values/environments/prod.yaml:2:1: unknown key 'teams' (allowed: environment)",
        ),
        (
            "teams/fraud.yaml",
            r"environments: \[prod\]",
            "environments: [prod, produ]",
            "values/teams/fraud.yaml:5:22: unknown environment 'produ' (did you mean 'prod'? available: dev, prod)",
        ),
        (
            "overrides/prod/fraud.yaml",
            r"\[gpu\]",
            "[gpus]",
            "values/overrides/prod/fraud.yaml:2:21: unknown node group 'gpus' (did you mean 'gpu'? the catalogue has: "
            "default, gpu, graviton, high-cpu, high-memory)",
        ),
        (
            "overrides/prod/fraud.yaml",
            "^quota: .*",
            "quota: {cpu: 4}",
            "values/overrides/prod/fraud.yaml:1:14: 'cpu' must be a number of cores in canonical form, such as 4 or "
            "250m; got 4",
        ),
        (
            "overrides/prod/fraud.yaml",
            "^quota: .*",
            "repo: https://git.example.com/other.git",
            "values/overrides/prod/fraud.yaml:1:1: unknown key 'repo' (allowed: revision, viewerGroups, iamRoles, "
            "allowedNodeGroups, priorities, quota, queue, workerSlots, pools, loaders, assets, egress)",
        ),
        (
            "teams/fraud.yaml",
            r"environments: \[prod\]",
            "environments: [dev]",
            "values/overrides/prod/fraud.yaml:1:1: team fraud is not in environment prod: add it to `environments` of "
            "values/teams/fraud.yaml",
        ),
        (
            "teams/fraud.yaml",
            r"environments: \[prod\]",
            "environments: {prod: {quota: {pods: 9}}}",
            "values/teams/fraud.yaml:5:1: 'environments' must be a list of names, such as [dev, prod]; what is "
            "different in one belongs in values/overrides/<environment>/fraud.yaml",
        ),
        (
            "teams/fraud.yaml",
            r"^environments: \[prod\]",
            "egrss: []",
            "values/teams/fraud.yaml:5:1: unknown key 'egrss' (did you mean 'egress'?)",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_would_be_right(
    platform_repo: Path, name: str, pattern: str, replacement: str, problem: str
) -> None:
    change(platform_repo, name, pattern, replacement)
    assert problems(platform_repo) == [problem]


def test_a_file_in_the_form_of_before_is_refused_with_what_to_move_where(platform_repo: Path) -> None:
    below = "".join(f"    {line}\n" for line in FRAUD.splitlines())
    (platform_repo / "values" / "teams" / "fraud.yaml").write_text(f"# The team.\nteams:\n  fraud:\n{below}")
    assert problems(platform_repo) == [
        "values/teams/fraud.yaml:2:1: a team's file has its values at the top: move what is below `teams.fraud` there, "
        "and what `environments` says of an environment into values/overrides/<environment>/fraud.yaml"
    ]


def test_a_team_is_named_as_its_file(platform_repo: Path) -> None:
    teams = platform_repo / "values" / "teams"
    (teams / "fraud.yaml").rename(teams / "Fraud.yaml")
    assert problems(platform_repo) == [
        "values/overrides/prod/fraud.yaml:1:1: unknown team 'fraud' (did you mean 'Fraud'? values/teams has: "
        "Fraud, risk)",
        "values/teams/Fraud.yaml:1:1: 'Fraud' can't be a team's name: a DNS label that starts with a letter, of at "
        "most 40 characters",
    ]


def test_what_is_different_is_so_in_an_environment_of_a_team_that_there_are(platform_repo: Path) -> None:
    override(platform_repo, "produ", "fraud", FRAUD_IN_PROD)
    override(platform_repo, "prod", "frauds", FRAUD_IN_PROD)
    assert problems(platform_repo) == [
        "values/overrides/prod/frauds.yaml:1:1: unknown team 'frauds' (did you mean 'fraud'? values/teams has: "
        "fraud, risk)",
        "values/overrides/produ/fraud.yaml:1:1: unknown environment 'produ' (did you mean 'prod'? available: "
        "dev, prod)",
    ]


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
      command: sh
      args:
      - -c
      - SCRIPT
      - /usr/local/airflow/dags/jobyard/token_plugin.py
      - aws
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
      command: sh
      args:
      - -c
      - SCRIPT
      - /usr/local/airflow/dags/jobyard/token_plugin.py
      - aws
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
""".replace(
    "SCRIPT",
    """'if [ -r "$0" ] && command -v python3 >/dev/null; then exec python3 -I -S "$0" -- env "PATH=$PATH" "$@"; fi; """
    """echo "jobyard: $0 or python3 is missing, so every call makes a credential" >&2; exec "$@"'""",
)


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
        "values/environments/dev.yaml lacks what Airflow's kubeconfig is made from; write under `environment`:\n"
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
        "values/environments/prod.yaml must name a bucket: write `bucket: <name>` under `environment`, or give --bucket"
    )


@pytest.fixture
def working_folder(platform_repo: Path) -> Path:
    return platform_repo


def test_publish_platform_puts_the_environments_teams_and_kubeconfig_into_its_bucket(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    change(platform_repo, "environments/dev.yaml", "^  bucket: .*", "  bucket: airflow")
    code, out, err = jobyard("publish-platform", "--environment", "dev", "--no-pools")
    assert (code, err) == (0, "")
    assert "put s3://airflow/dags/risk.py\n" in out
    plugin, config = out.index("dags/jobyard/token_plugin.py\n"), out.index("dags/jobyard/kubeconfig.yaml\n")
    assert plugin < config
    keys = [entry.get("Key", "") for entry in s3.list_objects_v2(Bucket="airflow")["Contents"]]
    assert "dags/fraud.py" not in keys
    put = s3.get_object(Bucket="airflow", Key="dags/jobyard/kubeconfig.yaml")["Body"].read().decode()
    assert put == kubeconfig(load_environment(platform_repo, "dev"))
    [key] = [key for key in keys if key.endswith("/platform.json")]
    platform = json.loads(s3.get_object(Bucket="airflow", Key=key)["Body"].read())
    assert (platform["environment"], platform["cost_centers"]) == ("dev", {"risk": "risk-ml"})
    assert ("queueing" in platform, platform["fill_machines"]) == (False, True)


def test_publish_platform_says_what_pods_wait_in_and_which_machines_they_prefer(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    change(platform_repo, "environments/dev.yaml", "^  bucket: .*", "  bucket: airflow\n  queueing: kueue")
    change(platform_repo, "environments/dev.yaml", "^  fillMachines: .*", "  fillMachines: false")
    code, _, err = jobyard("publish-platform", "--environment", "dev", "--no-pools")
    assert (code, err) == (0, "")
    keys = [entry.get("Key", "") for entry in s3.list_objects_v2(Bucket="airflow")["Contents"]]
    [key] = [key for key in keys if key.endswith("/platform.json")]
    platform = json.loads(s3.get_object(Bucket="airflow", Key=key)["Body"].read())
    assert (platform["queueing"], "fill_machines" in platform) == ("kueue", False)


def test_publish_platform_warns_of_quotas_for_which_there_are_no_machines(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    """One team's quota is larger than the only machine, of which it has all; and another has its own besides."""
    arguments = ("publish-platform", "--environment=prod", "--bucket=data", "--no-pools")
    change(platform_repo, "overrides/prod/fraud.yaml", "^allowedNodeGroups: .*", "allowedNodeGroups: [gpu, high-cpu]")
    change(platform_repo, "node-groups.yaml", "^    maxNodes: 10$", "    maxNodes: 1")
    assert "warning" not in jobyard(*arguments)[1]
    change(platform_repo, "environments/prod.yaml", "^  bucket:", "  queueing: kueue\n  bucket:")
    assert jobyard(*arguments)[1].splitlines()[0] == (
        "warning: node group high-cpu: the quotas of the 2 teams that may use it are more than its machines have "
        "(19.6 of 15.6 cores, 34Gi of 26Gi memory, 98Gi of 88Gi disk). Pods may start to wait for a machine, which "
        "counts against `startup_timeout`, when they should wait in their queue. "
        "Set `queue.nodeGroups.high-cpu` of the teams, or raise its maxNodes"
    )


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


def test_publish_platform_without_the_kubeconfigs_plugin_puts_nothing(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client
) -> None:
    plugin = Path("dags/jobyard/token_plugin.py")
    (platform_repo / plugin).unlink()
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=airflow", "--no-pools")
    assert (code, out) == (2, "")
    assert err.startswith(f"{plugin} is missing: run this in the root directory of the platform repository")
    assert "Contents" not in s3.list_objects_v2(Bucket="airflow")


def test_publish_platform_makes_the_teams_pools_first_and_else_puts_nothing(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = PoolsAlone({"default_pool": (10_000, False), "risk": (1, False), "fraud": (16, False)})
    monkeypatch.setattr("jobyard_cli.platform.prepare.airflow_client", lambda *_: AirflowClient(airflow))
    change(platform_repo, "environments/prod.yaml", "^  airflow: .*", "  airflow: jobyard-prod\n  airflowSlots: 20")
    change(platform_repo, "teams/risk.yaml", "^revision: .*", "revision: main\npools: {warehouse: 4}")
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=data")
    assert (code, err) == (0, "")
    assert out.startswith(
        "pool risk: 12 slots\npool risk.warehouse: 4 slots\n"
        "warning: the teams' workerSlots are 32 in total, and Airflow has 20: a team may wait for others' tasks\nput s3://data/"
    )
    assert airflow.pools == {
        "default_pool": (10_000, False),
        "risk": (12, False),
        "risk.warehouse": (4, True),
        "fraud": (16, False),
    }
    airflow.refuses = True
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=airflow")
    assert (code, out, err) == (1, "", "refused\n")
    assert "Contents" not in s3.list_objects_v2(Bucket="airflow")


def test_of_deferred_tasks_named_pools_count_all_and_a_teams_own_none(
    jobyard: Jobyard, platform_repo: Path, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = PoolsAlone(
        {"default_pool": (10_000, False), "risk": (12, True), "risk.warehouse": (4, False), "fraud": (16, True)}
    )
    monkeypatch.setattr("jobyard_cli.platform.prepare.airflow_client", lambda *_: AirflowClient(airflow))
    change(platform_repo, "teams/risk.yaml", "^revision: .*", "revision: main\npools: {warehouse: 4}")
    arguments = ("publish-platform", "--environment=prod", "--bucket=data")
    assert jobyard(*arguments)[1].startswith(
        "pool fraud: 16 slots\npool risk: 12 slots\npool risk.warehouse: 4 slots\nput "
    )
    assert airflow.pools == {
        "default_pool": (10_000, False),
        "risk": (12, False),
        "risk.warehouse": (4, True),
        "fraud": (16, False),
    }
    assert "pool " not in jobyard(*arguments)[1]


@pytest.mark.parametrize(("slots", "is_small"), [(128, True), (1, True), (129, False), (10_000, False), (-1, False)])
def test_publish_platform_warns_of_a_small_default_pool(
    jobyard: Jobyard,
    platform_repo: Path,
    s3: S3Client,
    monkeypatch: pytest.MonkeyPatch,
    slots: int,
    is_small: bool,
) -> None:
    airflow = PoolsAlone({"default_pool": (slots, False), "risk": (16, False), "fraud": (16, False)})
    monkeypatch.setattr("jobyard_cli.platform.prepare.airflow_client", lambda *_: AirflowClient(airflow))
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=data")
    assert (code, err) == (0, "")
    warning = (
        f"warning: Airflow's default_pool has {slots} slots, as in MWAA environments from before August 2026: tasks of "
        "DAGs that are not Jobyard's share them, unless they name another pool; no task of Jobyard's uses it. To raise "
        'it: Admin > Pools on Airflow\'s page, or `airflow pools set default_pool 10000 "Default pool"`\n'
    )
    assert out.startswith(warning if is_small else "put s3://data/")
    assert airflow.pools["default_pool"] == (slots, False)


def test_publish_platform_needs_to_know_where_the_pools_go(jobyard: Jobyard, platform_repo: Path) -> None:
    change(platform_repo, "environments/prod.yaml", "^  airflow: .*\n", "")
    code, out, err = jobyard("publish-platform", "--environment=prod", "--bucket=data")
    assert (code, out) == (1, "")
    assert err.startswith(
        "values/environments/prod.yaml must name the Airflow in which to create the teams' pools: write"
    )


class PoolsAlone:
    """A stand-in for Airflow's API, which has pools and nothing else; tests/sync asks real ones."""

    address = "a stand-in"

    def __init__(self, pools: dict[str, tuple[int, bool]]) -> None:
        self.pools = pools
        """Slots, and whether deferred tasks hold one, by name."""
        self.refuses = False

    def call(self, method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if self.refuses:
            raise AirflowError("refused")
        name = path.removeprefix("pools/")
        match method, path:
            case "GET", "pools":
                entries = [self._entry(name) for name in self.pools]
                return {"pools": entries, "total_entries": len(entries)}
            case "GET", _:
                return self._entry(name)
            case "POST", _:
                name = body["name"]
        self.pools[name] = body["slots"], body["include_deferred"]
        return body

    def _entry(self, name: str) -> dict[str, Any]:
        slots, include_deferred = self.pools[name]
        return {"name": name, "slots": slots, "include_deferred": include_deferred}


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("pools: {a: 10, b: 6}", "10:1: the pools take 16 of 16"),
        ("workerSlots: 4\npools: {a: 4}", "11:1: the pools take 4 of 4"),
        ("workerSlots: 4\npools: {a: 3}", ""),
    ],
)
def test_a_teams_pools_are_a_part_of_its_slots(platform_repo: Path, lines: str, problem: str) -> None:
    change(platform_repo, "teams/risk.yaml", "^# What is different", f"{lines}\n# What is different")
    if not problem:
        load_environment(platform_repo, "prod")
        return
    wanted = f"values/teams/risk.yaml:{problem} workerSlots; at least one must be left for the other tasks"
    assert problems(platform_repo) == [wanted]


@pytest.mark.parametrize(
    ("share", "problem"),
    [
        ("default: {cpu: '16', borrow: {cpu: '0'}, lend: {cpu: '16', gpu: 0}}", ""),
        (
            "gpu: {cpu: '1'}",
            "the team may not use node group 'gpu' (allowedNodeGroups: default, high-cpu, high-memory)",
        ),
        ("default: {gpu: 1}", "node group 'default' has no GPU"),
        ("default: {borrow: {gpu: 1}}", "node group 'default' has no GPU"),
        ("default: {gpu: 0}", ""),
        (
            "high-cpu: {cpu: '65'}",
            "'queue.nodeGroups.high-cpu.cpu' is 65, more than the team's quota (64)",
        ),
        (
            "default: {cpu: '39'}",
            "'queue.nodeGroups.default.cpu' is 39, more than the group's machines have together (38500m)",
        ),
        (
            "default: {lend: {memory: 141Gi}}",
            "'queue.nodeGroups.default.lend.memory' is 141Gi, more than the team has there (140Gi)",
        ),
        (
            "default: {memory: 1Gi, lend: {memory: 2Gi}}",
            "'queue.nodeGroups.default.lend.memory' is 2Gi, more than the team has there (1Gi)",
        ),
        ("default: {cpu: 16}", "'cpu' must be a number of cores in canonical form, such as 4, 250m or 0; got 16"),
        ("default: {pods: 3}", "unknown key 'pods' (allowed: cpu, memory, ephemeralStorage, gpu, borrow, lend)"),
    ],
)
def test_what_a_team_has_of_a_node_group_makes_sense(platform_repo: Path, share: str, problem: str) -> None:
    (platform_repo / "values" / "overrides" / "dev" / "risk.yaml").unlink()
    change(platform_repo, "teams/risk.yaml", "^# What is different", f"queue: {{nodeGroups: {{{share}}}}}\n# What is")
    if not problem:
        load_environment(platform_repo, "prod")
        return
    [found] = problems(platform_repo)
    place, _, words = found.partition(": ")
    assert (place.rpartition(":")[0], words) == ("values/teams/risk.yaml:10", problem)


def test_what_a_team_has_of_a_node_group_makes_sense_in_each_environment(platform_repo: Path) -> None:
    (platform_repo / "values" / "overrides" / "dev" / "risk.yaml").unlink()
    shares = "queue: {nodeGroups: {high-cpu: {cpu: '32'}}}"
    change(platform_repo, "teams/risk.yaml", "^environments:", f"{shares}\nenvironments:")
    load_environment(platform_repo, "prod")
    override(platform_repo, "prod", "risk", "quota: {cpu: '16'}\n")
    wanted = "'queue.nodeGroups.high-cpu.cpu' is 32, more than the team's quota (16)"
    assert problems(platform_repo) == [f"values/overrides/prod/risk.yaml:1:1: {wanted}"]
    override(platform_repo, "prod", "risk", "quota: {cpu: '16'}\nqueue: {nodeGroups: {high-cpu: {cpu: '8'}}}\n")
    load_environment(platform_repo, "prod")


def test_the_secrets_operator_needs_to_know_where_it_is(platform_repo: Path) -> None:
    change(platform_repo, "environments/prod.yaml", "^  bucket:", "  externalSecrets: true\n  bucket:")
    load_environment(platform_repo, "prod")
    change(platform_repo, "environments/prod.yaml", "^  (account|region): .*\n", "")
    assert [line.partition(": ")[2] for line in problems(platform_repo)] == ["needs `account` and `region`"]


def test_quota_is_taken_back_only_where_there_are_queues(platform_repo: Path) -> None:
    change(platform_repo, "environments/prod.yaml", "^  bucket:", "  reclaim: preempt\n  bucket:")
    assert [line.partition(": ")[2] for line in problems(platform_repo)] == ["'preempt' needs `queueing: kueue`"]
    change(platform_repo, "environments/prod.yaml", "^  bucket:", "  queueing: kueue\n  bucket:")
    load_environment(platform_repo, "prod")


OWN_CLASS = "{group: karpenter.k8s.aws, kind: EC2NodeClass, name: batch}"


@pytest.mark.parametrize(
    ("karpenter", "wanted"),
    [
        ("{nodeRole: a, discovery: b, fixedNodeGroups: [gpu], consolidateAfter: 10m}", []),
        (
            "{nodeRole: a, discovery: b, consolidationPolicy: Never}",
            ["15:63: 'consolidationPolicy' must be one of WhenEmpty, WhenEmptyOrUnderutilized; got 'Never'"],
        ),
        (f"{{nodeClass: {OWN_CLASS}, autoMode: true}}", []),
        ("{discovery: b}", ["15:3: 'karpenter' is missing the required key 'nodeRole'"]),
        (
            f"{{nodeClass: {OWN_CLASS}, nodeRole: a, amiAlias: al2023@latest}}",
            [
                "15:87: leave 'nodeRole' out with `nodeClass`: the chart makes no node class that it could be in",
                "15:100: leave 'amiAlias' out with `nodeClass`: the chart makes no node class that it could be in",
            ],
        ),
        (
            "{nodeRole: a, discovery: b, fixedNodeGroups: [default, high-cpus], consolidateAfter: 0s}",
            [
                "15:99: 'consolidateAfter' must be a number of seconds, minutes or hours, such as 90s",
            ],
        ),
        (
            "{nodeRole: a, discovery: b, fixedNodeGroups: [default, high-cpus]}",
            ["15:69: unknown node group 'high-cpus' (did you mean 'high-cpu'?"],
        ),
    ],
)
def test_what_an_environment_says_of_karpenter_makes_sense(
    platform_repo: Path, karpenter: str, wanted: list[str]
) -> None:
    change(platform_repo, "environments/prod.yaml", "^  karpenter: .*", f"  karpenter: {karpenter}")
    if wanted:
        found = problems(platform_repo)
        assert len(found) == len(wanted)
        for line, start in zip(found, wanted, strict=True):
            assert line.startswith(f"values/environments/prod.yaml:{start}")
    else:
        assert load_environment(platform_repo, "prod").values["karpenter"]


def test_a_teams_pools_are_a_part_of_its_slots_in_each_environment(platform_repo: Path) -> None:
    change(platform_repo, "teams/risk.yaml", "^environments:", "pools: {a: 4}\nenvironments:")
    override(platform_repo, "prod", "risk", "workerSlots: 4\n")
    wanted = "the pools take 4 of 4 workerSlots; at least one must be left for the other tasks"
    assert problems(platform_repo) == [f"values/overrides/prod/risk.yaml:1:1: {wanted}"]


def test_kubeconfig_is_written_to_standard_output_or_a_file(jobyard: Jobyard, platform_repo: Path) -> None:
    wanted = kubeconfig(load_environment(platform_repo, "prod"))
    assert jobyard("kubeconfig", "--environment", "prod") == (0, wanted, "")
    assert jobyard("kubeconfig", "--environment", "prod", "--output", "k.yaml") == (0, "", "")
    assert (platform_repo / "k.yaml").read_text() == wanted
    change(platform_repo, "environments/prod.yaml", "^  region: .*\n", "")
    code, out, err = jobyard("kubeconfig", "--environment", "prod")
    assert (code, out) == (1, "")
    assert err.startswith("values/environments/prod.yaml lacks what Airflow's kubeconfig is made from")
