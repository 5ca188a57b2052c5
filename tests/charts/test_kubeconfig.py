"""Airflow's kubeconfig on a real API server: in each team's context one is that team, for both programs that use it.

Only `aws eks get-token` is a stand-in: it gives, for the IAM role that it is asked for, the token that this API server
knows that team's launcher by, and notes that it ran.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from jobyard_cli.platform.environments import Environment
from jobyard_cli.platform.kubeconfig import kubeconfig
from kubernetes import client, config  # type: ignore[import-untyped]

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from tests.charts.conftest import ApiServer, Cluster

STAND_IN_AWS = f"""\
#!{sys.executable}
# A stand-in for the AWS command line: it knows one call, and answers in the version asked for, as the real one does.
import json, os, sys

*asked, role, output, form = sys.argv[1:]
expected = ["eks", "get-token", "--cluster-name", "jobyard-test", "--region", "eu-central-1", "--role-arn"]
if [*asked, output, form] != [*expected, "--output", "json"]:
    sys.exit(f"not what is asked on MWAA: {{sys.argv[1:]}}")
with open(os.environ["RUNS"], "a") as runs:
    runs.write(f"{{role}}\\n")
version = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["apiVersion"]
tokens = {{f"arn:aws:iam::111122223333:role/{{name}}": f"{{team}}-launcher" for name, team in
          [("jobyard-risk", "risk"), ("batch/fraud-starts", "fraud")]}}
status = {{"expirationTimestamp": "2100-01-01T00:00:00Z", "token": tokens[role]}}
print(json.dumps({{"kind": "ExecCredential", "apiVersion": version, "spec": {{}}, "status": status}}))
"""
TEAMS = ("risk", "fraud")


@pytest.fixture
def launchers(api_server: ApiServer, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kubeconfig of an environment whose cluster is the API server here; the stand-in is the only `aws`."""
    there = yaml.safe_load(api_server.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    authority = base64.b64encode(api_server.certificate.read_bytes()).decode()
    values = {
        "account": "111122223333",
        "region": "eu-central-1",
        "cluster": {"name": "jobyard-test", "server": there, "certificateAuthority": authority},
    }
    teams: dict[str, dict[str, dict[str, str]]] = {
        "risk": {},
        "fraud": {"iamRoles": {"launcher": "batch/fraud-starts"}},
    }
    file = tmp_path / "kubeconfig.yaml"
    file.write_text(kubeconfig(Environment("test", values, teams), str(ROOT / "dags")))
    monkeypatch.setenv("JOBYARD_TOKEN_CACHE", str(tmp_path / "tokens"))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    aws = tmp_path / "bin" / "aws"
    aws.parent.mkdir()
    aws.write_text(STAND_IN_AWS)
    aws.chmod(0o755)
    monkeypatch.setenv("PATH", f"{aws.parent}{os.pathsep}{os.environ['PATH']}")
    return file


@pytest.fixture
def kubectl(api_server: ApiServer, launchers: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """kubectl with Airflow's kubeconfig."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [api_server.program, f"--kubeconfig={launchers}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    return run


@pytest.mark.parametrize(("team", "other"), [TEAMS, TEAMS[::-1]])
def test_kubectl_is_the_team_and_gets_its_pods_alone(
    kubectl: Callable[..., subprocess.CompletedProcess[str]], team: str, other: str
) -> None:
    groups = kubectl("--context", team, "auth", "whoami", "-o", "jsonpath={.status.userInfo.groups}")
    assert groups.stdout == f'["jobyard:{team}:launchers","system:authenticated"]', groups.stderr
    own = kubectl("--context", team, "get", "pods")
    assert (own.returncode, own.stderr) == (0, f"No resources found in team-{team} namespace.\n")
    refused = kubectl("--context", team, "get", "pods", "-n", f"team-{other}")
    assert refused.returncode == 1
    assert f'cannot list resource "pods" in API group "" in the namespace "team-{other}"' in refused.stderr


@pytest.mark.parametrize(("team", "other"), [TEAMS, TEAMS[::-1]])
def test_the_client_that_airflow_uses_gets_the_teams_pods_alone(launchers: Path, team: str, other: str) -> None:
    with config.new_client_from_config(str(launchers), context=team) as api:
        core = client.CoreV1Api(api)
        assert core.list_namespaced_pod(f"team-{team}").items == []
        with pytest.raises(client.ApiException) as refused:
            core.list_namespaced_pod(f"team-{other}")
    assert refused.value.status == 403


def test_kubectl_and_the_client_that_airflow_uses_share_a_teams_token(
    kubectl: Callable[..., subprocess.CompletedProcess[str]], launchers: Path, tmp_path: Path
) -> None:
    for team in TEAMS * 2:
        assert kubectl("--context", team, "get", "pods").returncode == 0
        with config.new_client_from_config(str(launchers), context=team) as api:
            client.CoreV1Api(api).list_namespaced_pod(f"team-{team}")
    roles = [f"arn:aws:iam::111122223333:role/{name}" for name in ("jobyard-risk", "batch/fraud-starts")]
    assert (tmp_path / "runs").read_text().splitlines() == roles


def test_without_a_context_nobody_gets_in(kubectl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert kubectl("get", "pods", "-n", "team-risk").returncode == 1
