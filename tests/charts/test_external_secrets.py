"""A team's secrets, from Secrets Manager to its namespace: what a team may say of them, and who brings them.

The API server is real, and so is the External Secrets operator; moto stands in for AWS.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from jobyard_cli.system.folders import cache_dir
from jobyard_local.processes import Process, Supervisor, answers
from moto.server import ThreadedMotoServer

from tests.charts.conftest import ACCOUNT, PLATFORM, ApiServer, Cluster, Object, serving, with_charts
from tests.charts.external_secrets import PROGRAM, external_secrets
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

REGION = "eu-central-1"
TEAM, OTHER = "risk", "fraud"
NAMESPACE = f"team-{TEAM}"
WITH_SECRETS: Object = {
    **PLATFORM,
    "environment": {**PLATFORM["environment"], "region": REGION, "externalSecrets": True},
}
STORE = {"kind": "ClusterSecretStore", "name": NAMESPACE}
EXTRACT = {"key": f"jobyard/{TEAM}/mine"}


@pytest.fixture(scope="module")
def operator(shown: Callable[[], Any]) -> Path:
    """The folder with the operator and its kinds."""
    with shown() as steps, steps.step("External Secrets, from source") as report:
        return external_secrets(cache_dir(), report)


@pytest.fixture(scope="module")
def server(programs: Path, operator: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of its own with the operator's kinds."""
    with serving(programs, tmp_path_factory.mktemp("external-secrets")) as server:
        applied = server.kubectl("apply", "--server-side", "-f", str(operator / "kinds"))
        assert applied.returncode == 0, applied.stderr
        served = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=300s"]
        wait_until(lambda: server.kubectl(*served).returncode == 0)
        yield server


@pytest.fixture(scope="module")
def cluster(server: ApiServer, render_chart: Callable[..., list[Object]]) -> Cluster:
    """The charts on it, where the environment has the operator."""
    return with_charts(server, render_chart, WITH_SECRETS)


def team_chart(cluster: Cluster, render_chart: Callable[..., list[Object]], *secrets: str) -> list[Object]:
    """What Argo CD makes of the team's chart with these secrets."""
    values = {**cluster.team_values(TEAM), "secrets": list(secrets), "externalSecrets": True}
    return render_chart("team", values=values)


def mine(name: str = "mine", labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A team's external secret, with some fields of its specification changed; None takes one out."""
    usual = {"refreshInterval": "15m", "secretStoreRef": STORE, "dataFrom": [{"extract": EXTRACT}]}
    changed = {key: value for key, value in {**usual, **spec}.items() if value is not None}
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels or {"jobyard.dev/team": TEAM}},
        "spec": changed,
    }


def extract(key: str) -> list[Object]:
    """`dataFrom` of one key."""
    return [{"extract": {"key": key}}]


@dataclass(frozen=True)
class Attack:
    """What a team could put into its copy of the chart, and what the API server says to it."""

    name: str
    target: Object
    reason: str


def other_kind(kind: str, **spec: Any) -> Object:
    """An object of another of the operator's kinds."""
    metadata = {"name": "mine", "labels": {"jobyard.dev/team": TEAM}}
    if not kind.startswith("Cluster"):
        metadata["namespace"] = NAMESPACE
    version = "v1alpha1" if kind == "PushSecret" else "v1"
    return {"apiVersion": f"external-secrets.io/{version}", "kind": kind, "metadata": metadata, "spec": spec}


AWS_STORE = {"provider": {"aws": {"service": "SecretsManager", "region": REGION}}}
GENERATOR = {
    "generatorRef": {"apiVersion": "generators.external-secrets.io/v1alpha1", "kind": "Password", "name": "any"}
}
TOKEN_TEMPLATE = {
    "type": "kubernetes.io/service-account-token",
    "metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}},
}
KEY = f"of a team must have the key jobyard/{TEAM}/mine, not "
ONE = "of a team must have one dataFrom, an extract"
ATTACKS = [
    Attack("another-teams-secret", mine(dataFrom=extract(f"jobyard/{OTHER}/mine")), KEY + f"jobyard/{OTHER}/mine"),
    Attack("a-team-whose-name-begins-alike", mine(dataFrom=extract(f"jobyard/{TEAM}-eu/mine")), KEY),
    Attack("airflows-connections", mine(dataFrom=extract("airflow/connections/warehouse")), KEY),
    Attack("a-path-that-goes-up", mine(dataFrom=extract(f"jobyard/{TEAM}/../{OTHER}/mine")), KEY),
    Attack("all-that-begin-so", mine(dataFrom=[{"find": {"path": "jobyard/", "name": {"regexp": ".*"}}}]), ONE),
    Attack("one-more", mine(dataFrom=[*extract(f"jobyard/{TEAM}/mine"), *extract(f"jobyard/{OTHER}/mine")]), ONE),
    Attack("from-a-generator", mine(dataFrom=[{"sourceRef": GENERATOR}]), ONE),
    Attack(
        "a-key-of-another-store",
        mine(dataFrom=[{"extract": EXTRACT, "sourceRef": {"storeRef": {**STORE, "name": f"team-{OTHER}"}}}]),
        ONE,
    ),
    Attack("no-source", mine(dataFrom=None), ONE),
    Attack(
        "a-single-key",
        mine(data=[{"secretKey": "a", "remoteRef": {"key": f"jobyard/{OTHER}/mine"}}]),
        "may have spec dataFrom, refreshInterval, refreshPolicy, secretStoreRef, target, not data",
    ),
    Attack(
        "another-teams-store",
        mine(secretStoreRef={**STORE, "name": f"team-{OTHER}"}),
        f"must be of ClusterSecretStore team-{TEAM}",
    ),
    Attack(
        "a-store-of-its-own",
        mine(secretStoreRef={"kind": "SecretStore", "name": NAMESPACE}),
        f"must be of ClusterSecretStore team-{TEAM}",
    ),
    Attack("no-store", mine(secretStoreRef=None), f"must be of ClusterSecretStore team-{TEAM}"),
    Attack(
        "a-service-accounts-token",
        mine(target={"template": TOKEN_TEMPLATE}),
        "may have target name, creationPolicy, deletionPolicy, immutable, not template",
    ),
    Attack("another-secret", mine(target={"name": "others"}), "makes the Secret of that name, not others"),
    Attack(
        "into-one-that-is-there",
        mine(target={"creationPolicy": "Merge"}),
        "must own its Secret (creationPolicy Owner, not Merge)",
    ),
    Attack("every-second", mine(refreshInterval="1s"), "may be refreshed every 5 minutes, not every 1s"),
    Attack("a-name-with-dots", mine(name="sh.helm.release.v1"), "the name of a ExternalSecret of a team is"),
    Attack("another-teams-label", mine(labels={"jobyard.dev/team": OTHER}), "must have the label jobyard.dev/team"),
    Attack("a-store", other_kind("SecretStore", **AWS_STORE), 'cannot patch resource "secretstores"'),
    Attack(
        "a-store-for-all", other_kind("ClusterSecretStore", **AWS_STORE), 'cannot patch resource "clustersecretstores"'
    ),
    Attack(
        "in-all-namespaces",
        other_kind(
            "ClusterExternalSecret",
            externalSecretSpec={"secretStoreRef": STORE, "dataFrom": extract(f"jobyard/{TEAM}/mine")},
            namespaceSelectors=[{}],
        ),
        'cannot patch resource "clusterexternalsecrets"',
    ),
    Attack(
        "out-of-the-cluster",
        other_kind(
            "PushSecret",
            secretStoreRefs=[STORE],
            selector={"secret": {"name": "any"}},
            data=[{"match": {"remoteRef": {"remoteKey": "any"}}}],
        ),
        'cannot patch resource "pushsecrets"',
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_team_may_not_have(cluster: Cluster, attack: Attack) -> None:
    command = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"]
    answer = cluster.kubectl(*command, *cluster.as_team(TEAM), stdin=json.dumps(attack.target))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert attack.reason in answer.stderr


def test_in_an_earlier_version_of_the_kind_neither(cluster: Cluster) -> None:
    earlier = {**mine(dataFrom=extract(f"jobyard/{OTHER}/mine")), "apiVersion": "external-secrets.io/v1beta1"}
    answer = cluster.kubectl("create", "-f", "-", *cluster.as_team(TEAM), stdin=json.dumps(earlier))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert KEY in answer.stderr


def test_a_team_changes_no_external_secret_that_the_platform_made(cluster: Cluster) -> None:
    platforms = mine("platforms")
    platforms["metadata"]["labels"] = {}
    cluster.apply([platforms])
    deleted = cluster.kubectl("delete", "externalsecret/platforms", "-n", NAMESPACE, *cluster.as_team(TEAM))
    assert "may only change and delete what has the label jobyard.dev/team" in deleted.stderr


def test_a_team_has_only_as_many_as_its_quota(cluster: Cluster) -> None:
    used = {"status": {"used": {"count/externalsecrets.external-secrets.io": "20"}}}
    there = ["resourcequota/objects", "-n", NAMESPACE]
    cluster.kubectl("patch", *there, "--subresource=status", "--type=merge", "-p", json.dumps(used))
    try:
        answer = cluster.kubectl("create", "-f", "-", *cluster.as_team(TEAM), stdin=json.dumps(mine()))
        assert "exceeded quota: objects" in answer.stderr
    finally:
        cluster.count_nothing(TEAM)


def test_people_see_why_a_secret_is_not_there_and_not_what_is_in_it(cluster: Cluster) -> None:
    viewer = cluster.as_group(f"jobyard:{TEAM}:viewers")
    may = {
        what: cluster.kubectl("auth", "can-i", "get", what, "-n", NAMESPACE, *viewer).stdout.strip()
        for what in ("externalsecrets.external-secrets.io", "secrets")
    }
    assert may == {"externalsecrets.external-secrets.io": "yes", "secrets": "no"}


@dataclass(frozen=True)
class SecretsManager:
    """AWS's, played by moto, in the environment's account."""

    url: str

    def client(self, service: str, **credentials: str) -> Any:
        """Boto3's client."""
        keys = {"aws_access_key_id": "operator", "aws_secret_access_key": "any", **credentials}
        make: Any = boto3.client
        return make(service, region_name=REGION, endpoint_url=self.url, **keys)

    def put(self, name: str, **values: str) -> None:
        """Make a secret, or give it another version."""
        # moto tells accounts apart by the role that was assumed.
        arn = f"arn:aws:iam::{ACCOUNT}:role/administrator"
        assumed = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        client = self.client(
            "secretsmanager",
            aws_access_key_id=assumed["AccessKeyId"],
            aws_secret_access_key=assumed["SecretAccessKey"],
            aws_session_token=assumed["SessionToken"],
        )
        try:
            client.put_secret_value(SecretId=name, SecretString=json.dumps(values))
        except client.exceptions.ResourceNotFoundException:
            client.create_secret(Name=name, SecretString=json.dumps(values))


@pytest.fixture(scope="module")
def secrets_manager() -> Iterator[SecretsManager]:
    """It, with nothing in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield SecretsManager(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="module")
def running(
    server: ApiServer,
    cluster: Cluster,
    operator: Path,
    secrets_manager: SecretsManager,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """The cluster with the operator beside it, which has an identity in another account than the secrets' one."""
    state = tmp_path_factory.mktemp("operator")
    (metrics,) = free_ports(1)
    # As docs/secrets.md installs it: without what would make objects for anyone who asks.
    off = [
        f"--enable-{one}-reconciler=false" for one in ("cluster-external-secret", "cluster-push-secret", "push-secret")
    ]
    command = [str(operator / PROGRAM), f"--metrics-addr=127.0.0.1:{metrics}", "--loglevel=error", *off]
    environment = {
        "KUBECONFIG": str(server.kubeconfig),
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_STS_ENDPOINT": secrets_manager.url,
        "AWS_SECRETSMANAGER_ENDPOINT": secrets_manager.url,
    }
    supervisor = Supervisor(state)
    try:
        ready = answers(f"http://127.0.0.1:{metrics}/metrics")
        supervisor.start(Process("external-secrets", command, ready=ready, environment=environment))
        yield cluster
    finally:
        supervisor.stop(supervisor.names())


def content(cluster: Cluster, name: str) -> dict[str, str]:
    """What is in a Secret of the team's; nothing where there is no such Secret."""
    found = cluster.kubectl("get", f"secret/{name}", "-n", NAMESPACE, "-o", "json")
    data = json.loads(found.stdout).get("data", {}) if found.returncode == 0 else {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def reason(cluster: Cluster, name: str) -> str:
    """Why an external secret is not in sync, as a person of the team sees it."""
    viewer = cluster.as_group(f"jobyard:{TEAM}:viewers")
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}"
    return cluster.kubectl("get", f"externalsecret/{name}", "-n", NAMESPACE, "-o", path, *viewer).stdout


def test_a_secret_that_the_chart_names_is_there_with_all_its_keys(
    running: Cluster, render_chart: Callable[..., list[Object]], secrets_manager: SecretsManager
) -> None:
    secrets_manager.put(f"jobyard/{TEAM}/database", user="risk", password="first")
    running.apply(team_chart(running, render_chart, "database"), *running.as_team(TEAM))
    wait_until(lambda: content(running, "database") == {"user": "risk", "password": "first"})


def test_argo_cd_sees_no_difference_between_the_chart_and_the_cluster(
    cluster: Cluster, render_chart: Callable[..., list[Object]]
) -> None:
    """The API server adds defaults; one that the chart does not state would be a difference at each look."""
    (wanted,) = [one for one in team_chart(cluster, render_chart, "other") if one["kind"] == "ExternalSecret"]
    cluster.apply([wanted], *cluster.as_team(TEAM))
    found = cluster.kubectl("get", "externalsecret/other", "-n", NAMESPACE, "-o", "json")
    assert json.loads(found.stdout)["spec"] == wanted["spec"]


def test_a_secret_that_is_missing_is_seen_by_its_team(
    running: Cluster, render_chart: Callable[..., list[Object]]
) -> None:
    running.apply(team_chart(running, render_chart, "database", "missing"), *running.as_team(TEAM))
    wait_until(lambda: reason(running, "missing") == "SecretSyncedError")
    assert content(running, "missing") == {}


def test_a_secret_that_was_rotated_comes_with_the_next_look(
    running: Cluster, render_chart: Callable[..., list[Object]], secrets_manager: SecretsManager
) -> None:
    secrets_manager.put(f"jobyard/{TEAM}/database", user="risk", password="second")
    # A platform engineer's way not to wait for the quarter of an hour.
    command = ["annotate", "externalsecret/database", "force-sync=1", "-n", NAMESPACE, "--overwrite"]
    assert running.kubectl(*command).returncode == 0
    wait_until(lambda: content(running, "database")["password"] == "second")
    # While the annotation is there, the team's sync is refused, as docs/secrets.md says.
    chart = yaml.safe_dump_all(team_chart(running, render_chart, "database"))
    sync = ["apply", "--server-side", "-f", "-", *running.as_team(TEAM)]
    assert (
        "may have annotations argocd.argoproj.io/tracking-id, not force-sync"
        in running.kubectl(*sync, stdin=chart).stderr
    )
    there = ["annotate", "externalsecret/database", "force-sync-", "-n", NAMESPACE]
    assert running.kubectl(*there).returncode == 0
    synced = running.kubectl(*sync, stdin=chart)
    assert synced.returncode == 0, synced.stderr


def test_even_a_store_for_all_would_not_serve_another_namespace(
    running: Cluster, secrets_manager: SecretsManager
) -> None:
    """As without the policy: an administrator makes the object, and the store's own condition refuses it."""
    secrets_manager.put(f"jobyard/{OTHER}/database", password="theirs")
    foreign = mine(
        "foreign", secretStoreRef={**STORE, "name": f"team-{OTHER}"}, dataFrom=extract(f"jobyard/{OTHER}/database")
    )
    running.apply([foreign])
    wait_until(lambda: reason(running, "foreign") == "SecretSyncedError")
    assert content(running, "foreign") == {}
