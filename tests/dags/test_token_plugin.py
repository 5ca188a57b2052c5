"""The kubeconfig's exec plugin with the clients of each Airflow: the operator's and the one that triggers use."""

import asyncio
import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from runpy import run_path
from typing import Any

import kubernetes
import kubernetes_asyncio
import pytest
from fake_cluster import FakeCluster, ended
from jobyard import token_plugin
from kubernetes.config import kube_config
from kubernetes_asyncio.config import kube_config as asynchronous
from support import NO_RETRIES, ROOT, Bucket, run, task

URL = "registry.example.com/risk/inference@sha256:0123"
TEAMS = ("risk", "care")
# As the published kubeconfig has it. The command line is not installed here, so its file is run alone.
exec_entry = run_path(str(ROOT / "scripts/jobyard_cli/platform/exec_entry.py"))["exec_entry"]


@pytest.fixture
def config(bucket: Bucket, cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kubeconfig in which a stand-in for `aws eks get-token` gives each team its token, and notes that it ran."""
    monkeypatch.setenv("JOBYARD_TOKEN_CACHE", str(tmp_path / "kept"))
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": cluster.url}}],
        "users": [user(team, tmp_path, bucket.folder) for team in TEAMS],
        "contexts": [{"name": team, "context": {"cluster": "local", "user": team}} for team in TEAMS],
        "current-context": "",
    }
    return str(bucket.write("jobyard/kubeconfig.yaml", content))


def user(team: str, folder: Path, dags: Path) -> dict[str, Any]:
    """Return a team's entry; `aws eks get-token` says that a token is valid for 14 minutes."""
    expires = datetime.now(UTC) + timedelta(minutes=14)
    answer = {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "spec": {},
        "status": {"expirationTimestamp": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "token": f"{team}-launcher"},
    }
    script = f"echo {team} >>{shlex.quote(str(folder / 'runs'))}; echo {shlex.quote(json.dumps(answer))}"
    return {"name": team, "user": {"exec": exec_entry(["sh", "-c", script], str(dags))}}


def runs(folder: Path) -> list[str]:
    """Return the team of each run."""
    return (folder / "runs").read_text().split()


def ask(config: str, team: str) -> None:
    """Make a request as the operator's client does."""
    with kubernetes.config.new_client_from_config(config, context=team) as api:
        kubernetes.client.CoreV1Api(api).list_namespaced_event("team-risk")


async def ask_asynchronously(config: str, team: str) -> None:
    """Make a request as a trigger's client does."""
    api = await kubernetes_asyncio.config.new_client_from_config(config, context=team)
    async with api:
        await kubernetes_asyncio.client.CoreV1Api(api).list_namespaced_event("team-risk")


async def ask_at_once(config: str, *teams: str) -> None:
    await asyncio.gather(*(ask_asynchronously(config, team) for team in teams))


@pytest.mark.usefixtures("database")
def test_all_tasks_of_a_team_and_both_clients_share_one_token(
    bucket: Bucket, cluster: FakeCluster, config: str, tmp_path: Path
) -> None:
    names = [f"score-{number}" for number in range(5)]
    for name in names:
        cluster.ends[name] = lambda pod: ended(0)
    done = run(bucket, tasks={name: task(image=URL, retries=NO_RETRIES) for name in names})
    assert done.items() >= dict.fromkeys(names, ("success", 1)).items()
    of_tasks = len(cluster.authorizations)
    assert sorted(cluster.ran()) == names
    asyncio.run(ask_at_once(config, *["risk"] * 5))
    assert len(cluster.authorizations) == of_tasks + 5
    assert set(cluster.authorizations) == {"Bearer risk-launcher"}
    assert runs(tmp_path) == ["risk"]


def test_each_team_has_its_own_token_in_both_clients(cluster: FakeCluster, config: str, tmp_path: Path) -> None:
    for team in TEAMS * 2:
        ask(config, team)
    assert cluster.authorizations == [f"Bearer {team}-launcher" for team in TEAMS * 2]
    cluster.authorizations.clear()
    asyncio.run(ask_at_once(config, *TEAMS * 5))
    assert sorted(cluster.authorizations) == ["Bearer care-launcher"] * 5 + ["Bearer risk-launcher"] * 5
    assert runs(tmp_path) == list(TEAMS)


def test_a_token_is_renewed_before_a_client_asks_for_another_one_at_every_request() -> None:
    for client in (kube_config, asynchronous):
        assert timedelta(seconds=token_plugin.EARLY) > client.EXPIRY_SKEW_PREVENTION_DELAY
