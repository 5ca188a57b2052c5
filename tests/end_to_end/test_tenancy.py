"""A team's repository against its bounds: Argo CD itself syncs what the team commits, and must not give it more.

The tries are those that tests/charts makes on the API server alone. Then what an administrator does to a team: change
something by hand, and take the team away.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobyard_cli.system.programs import run
from jobyard_local import argocd, metrics
from jobyard_local.demo import team_repo
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.story import GRANT
from jobyard_local.platform import AIRFLOW_BUCKET, DATA_BUCKET, LocalPlatform
from jobyard_local.services import GitRepository, git

from tests.charts.attacks import KINDS, NAMESPACES, OBJECTS, OTHER, TEAM, Attack, forbidden
from tests.charts.pod_attacks import MACHINE, SHARES
from tests.charts.queue_attacks import KINDS as QUEUE_KINDS
from tests.charts.team_pods import changed
from tests.support.waiting import wait_until

Object = dict[str, Any]
APPLICATION = f"team-{TEAM}"
PODS = [
    forbidden(f"pod-{name}", changed({**changes, "metadata.namespace": APPLICATION}), "pods")
    for name, (changes, _) in {**SHARES, **MACHINE}.items()
]
BY_PROJECT = [attack for attack in (*KINDS, *QUEUE_KINDS, *PODS, *NAMESPACES, *OBJECTS) if attack.by_project]
BY_API_SERVER = [attack for attack in OBJECTS if not attack.by_project]
DOUBLING = '{{- $s := "aaaaaaaa" }}{{- range until 40 }}{{- $s = printf "%s%s" $s $s }}{{- end }}a: {{ $s }}\n'


class Attacker:
    """Somebody who may push to team risk's repository."""

    def __init__(self, platform: LocalPlatform, tree: Path) -> None:
        self.kubectl = platform.kubectl
        self.tree = tree
        self._repository = GitRepository(platform.layout, team_repo.NAME)
        self.clean = git(tree, "rev-parse", "HEAD").strip()

    def push(self, files: dict[str, str], links: dict[str, str] | None = None) -> str:
        """Put these files, and links, into what was there before any attack; the commit, which Argo CD knows of."""
        git(self.tree, "read-tree", "--reset", "-u", self.clean)
        for name, text in files.items():
            (self.tree / name).write_text(text)
        for name, target in (links or {}).items():
            (self.tree / name).symlink_to(target)
        git(self.tree, "add", "--all")
        git(self.tree, "commit", "--quiet", "--allow-empty", "--message", "A change")
        revision = self._repository.push(self.tree)
        self._end_operation()
        argocd.refresh(self.kubectl, APPLICATION)
        return revision

    def _end_operation(self) -> None:
        """As `argocd app terminate-op`: the next commit needs not wait for the next try at the last one."""
        if self.application()["status"].get("operationState", {}).get("phase") == "Running":
            patch = json.dumps({"status": {"operationState": {"phase": "Terminating"}}})
            self.kubectl("patch", "-n", argocd.NAMESPACE, "application", APPLICATION, "--type=merge", "--patch", patch)

    def application(self) -> Object:
        found: Object = self.kubectl.json("get", "-n", argocd.NAMESPACE, "application", APPLICATION)
        return found

    def refusals(self, attacks: Sequence[Attack]) -> dict[tuple[str, str], str]:
        """What Argo CD says of each object, by its kind and name, once the sync of a commit with all of them failed."""
        text = yaml.safe_dump_all([attack.object for attack in attacks])
        revision = self.push({"charts/team/templates/attacks.yaml": text})
        wait_until(lambda: bool(self._results(revision)))
        return {(one["kind"], one["name"]): one["message"] for one in self._results(revision)}

    def _results(self, revision: str) -> list[Object]:
        state = self.application()["status"].get("operationState", {})
        result = state.get("syncResult") or {}
        failed = state.get("retryCount") or state.get("phase") in ("Failed", "Error")
        found: list[Object] = result.get("resources") or [] if failed and result.get("revision") == revision else []
        return found

    def refused_viewer(self, group: str) -> str:
        """What Argo CD says of the viewers' role binding, once values that let this group look were not synced."""
        self.start_anew()
        revision = self.push({"values/team.yaml": self.values(viewerGroups=[group])})
        wait_until(lambda: bool(self._results(revision)))
        (refused,) = [one for one in self._results(revision) if one["status"] == "SyncFailed"]
        assert (refused["kind"], refused["name"]) == ("RoleBinding", "viewer")
        return str(refused["message"])

    def error(self, files: dict[str, str], links: dict[str, str] | None = None) -> str:
        """What Argo CD says where it can't even render a commit."""
        self.start_anew()
        self.push(files, links)
        wait_until(lambda: bool(self._errors()))
        return self._errors()

    def start_anew(self) -> str:
        """Leave no attack, so that what Argo CD says next is of the next one; the commit."""
        revision = self.push({})
        wait_until(lambda: is_synced(self.application(), revision))
        return revision

    def values(self, **changed: object) -> str:
        """The team's values with some of them changed."""
        values = yaml.safe_load(git(self.tree, "show", f"{self.clean}:values/team.yaml"))
        return yaml.safe_dump({**values, **changed})

    def _errors(self) -> str:
        conditions = self.application()["status"].get("conditions", [])
        return "\n".join(one["message"] for one in conditions if one["type"].endswith("Error"))


@pytest.fixture(scope="module")
def victim(demo: FinishedDemo) -> Iterator[LocalPlatform]:
    """The platform, with team fraud besides, whose repository is risk's with another name in its values."""
    platform = demo.story.platform
    tree = platform.state / "fraud-jobs"
    run(["git", "clone", "--quiet", demo.tree, tree])
    values = tree / "values" / "team.yaml"
    values.write_text(values.read_text().replace(TEAM, OTHER))
    team_repo.commit(tree, "Another team")
    repository = GitRepository(platform.layout, tree.name)
    repository.create()
    revision = repository.push(tree)
    platform.add_team(OTHER, {"repo": repository.url, **GRANT})
    argocd.wait_settled(platform.kubectl, f"team-{OTHER}", revision)
    yield platform
    shutil.rmtree(tree)


@pytest.fixture(scope="module")
def attacker(demo: FinishedDemo, victim: LocalPlatform) -> Iterator[Attacker]:
    """At the end the repository is as it was, and Argo CD has it."""
    made = Attacker(victim, demo.tree)
    yield made
    revision = made.start_anew()
    # As `argocd app sync`: what the last try left as failed is done again, though there is nothing to do.
    operation = json.dumps({"operation": {"sync": {"revision": revision, "syncOptions": ["ServerSideApply=true"]}}})
    made.kubectl("patch", "-n", argocd.NAMESPACE, "application", APPLICATION, "--type=merge", "--patch", operation)
    argocd.wait_settled(made.kubectl, APPLICATION, revision)


def is_synced(application: Object, revision: str) -> bool:
    sync = application["status"]["sync"]
    return (sync["status"], sync.get("revision")) == ("Synced", revision)


@pytest.fixture(scope="module")
def project_refusals(attacker: Attacker) -> dict[tuple[str, str], str]:
    return attacker.refusals(BY_PROJECT)


@pytest.mark.parametrize("attack", BY_PROJECT, ids=lambda attack: attack.name)
def test_the_teams_project_refuses(project_refusals: dict[tuple[str, str], str], attack: Attack) -> None:
    assert attack.by_project in project_refusals[attack.object["kind"], attack.object["metadata"]["name"]]


@pytest.fixture(scope="module")
def api_server_refusals(attacker: Attacker) -> dict[tuple[str, str], str]:
    return attacker.refusals(BY_API_SERVER)


@pytest.mark.parametrize("attack", BY_API_SERVER, ids=lambda attack: attack.name)
def test_the_api_server_refuses_the_teams_identity(
    api_server_refusals: dict[tuple[str, str], str], attack: Attack
) -> None:
    assert attack.reason in api_server_refusals[attack.object["kind"], attack.object["metadata"]["name"]]


def test_no_attack_left_anything(attacker: Attacker, api_server_refusals: dict[tuple[str, str], str]) -> None:
    kinds = "rolebindings,serviceaccounts,configmaps,pods,secrets,jobs,networkpolicies,priorityclasses,namespaces,roles"
    kinds += ",clusterqueues,localqueues,workloads,resourceflavors,cohorts,admissionchecks,workloadpriorityclasses"
    names = attacker.kubectl("get", kinds, "--all-namespaces", "--output=name").split()
    assert names
    assert not [name for name in names if "attack" in name]


def test_a_link_out_of_the_repository_is_refused(attacker: Attacker) -> None:
    error = attacker.error({}, {"charts/team/templates/leak.yaml": "/etc/passwd"})
    assert "repository contains out-of-bounds symlinks. file: charts/team/templates/leak.yaml" in error


def test_a_link_to_the_file_beside_the_repository_is_refused(attacker: Attacker) -> None:
    error = attacker.error({}, {"charts/team/templates/leak.yaml": "../../../../../etc/passwd"})
    assert "repository contains out-of-bounds symlinks. file: charts/team/templates/leak.yaml" in error


def test_a_source_file_of_the_teams_own_can_not_read_beside_the_repository(attacker: Attacker) -> None:
    source = yaml.safe_dump({"helm": {"valueFiles": ["../../../../../../etc/passwd"]}})
    error = attacker.error({"charts/team/.argocd-source.yaml": source})
    assert "resolved to outside repository root" in error


def test_a_source_file_of_the_teams_own_can_not_have_argo_cd_fetch_an_address(attacker: Attacker) -> None:
    source = yaml.safe_dump({"helm": {"valueFiles": ["http://127.0.0.1:1/values.yaml"]}})
    error = attacker.error({"charts/team/.argocd-source.yaml": source})
    assert "the URL scheme 'http' is not allowed" in error


def test_a_source_file_of_the_teams_own_can_not_name_another_tool(attacker: Attacker) -> None:
    source = yaml.safe_dump({"helm": None, "kustomize": {"namePrefix": "x-"}})
    error = attacker.error({"charts/team/.argocd-source.yaml": source})
    assert "multiple application sources defined" in error


def test_a_chart_can_not_have_argo_cd_fetch_another(attacker: Attacker) -> None:
    chart = attacker.tree / "charts" / "team" / "Chart.yaml"
    needs = [{"name": "other", "version": "1.0.0", "repository": "http://127.0.0.1:1/charts"}]
    text = yaml.safe_dump({**yaml.safe_load(chart.read_text()), "dependencies": needs})
    assert "a chart's dependencies have to be in its folder charts/" in attacker.error({"charts/team/Chart.yaml": text})


def test_a_chart_that_takes_all_memory_is_ended_and_no_other_team_waits(
    victim: LocalPlatform, attacker: Attacker
) -> None:
    error = attacker.error({"charts/team/templates/doubles.yaml": DOUBLING})
    assert "rendering the chart takes more than 512 MiB" in error
    tree = victim.state / f"{OTHER}-jobs"
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "Meanwhile")
    revision = GitRepository(victim.layout, tree.name).push(tree)
    argocd.refresh(victim.kubectl, f"team-{OTHER}")
    argocd.wait_settled(victim.kubectl, f"team-{OTHER}", revision)


def test_values_that_inject_yaml_into_a_name_are_refused(attacker: Attacker) -> None:
    error = attacker.error({"values/team.yaml": attacker.values(team=f"{TEAM}\nkind: ClusterRole")})
    assert "values don't meet the specifications of the schema(s)" in error
    assert "team: Does not match pattern" in error


def test_values_that_inject_yaml_into_a_text_stay_text(attacker: Attacker) -> None:
    refused = attacker.refused_viewer(f"jobyard:{OTHER}:viewers\n  - kind: User\n    name: admin")
    assert "ValidatingAdmissionPolicy 'jobyard-role-bindings' with binding 'jobyard-role-bindings' denied" in refused


def test_a_refused_change_of_something_that_is_there_is_never_shown_as_synced(attacker: Attacker) -> None:
    refused = attacker.refused_viewer("system:authenticated")
    assert f"team {TEAM} may only bind groups jobyard:{TEAM}:* and those that the platform gave it" in refused
    # Several looks of Argo CD's later it still says so.
    time.sleep(2 * argocd.POLL_SECONDS)
    assert attacker.application()["status"]["sync"]["status"] == "OutOfSync"


def test_a_change_by_hand_is_undone(victim: LocalPlatform, attacker: Attacker) -> None:
    kubectl, there = victim.kubectl, ("-n", f"team-{OTHER}")
    kubectl("delete", "rolebinding", "launcher", *there)
    kubectl("patch", "resourcequota", "team", *there, "--type=merge", "--patch", '{"spec": {"hard": {"pods": "999"}}}')
    kubectl("delete", "networkpolicy", "team", *there)

    def as_before() -> bool:
        found = kubectl("get", "rolebinding,networkpolicy", *there, "--output=name").split()
        pods = kubectl.json("get", "resourcequota", "team", *there)["spec"]["hard"]["pods"]
        return {"networkpolicy.networking.k8s.io/team", "rolebinding.rbac.authorization.k8s.io/launcher"} <= set(
            found
        ) and pods == str(GRANT["quota"]["pods"])

    wait_until(as_before)


def test_a_team_goes_only_when_a_person_confirms_and_its_data_stays(victim: LocalPlatform) -> None:
    kubectl = victim.kubectl
    release = f"dags/{OTHER}/jobs.json"
    kept = {AIRFLOW_BUCKET: release, DATA_BUCKET: f"feature-store/{OTHER}/kept"}
    for bucket, key in kept.items():
        victim.s3().put_object(Bucket=bucket, Key=key, Body=b"{}")
    everything = of_the_team(victim)
    assert {"namespace/team-fraud", f"priorityclass.scheduling.k8s.io/{OTHER}.normal-2000"} <= everything

    # The file is removed: nothing is deleted.
    remaining = {team: values for team, values in victim.teams().items() if team != OTHER}
    victim.register(remaining)
    wait_until(lambda: "auto-sync will wipe out all resources" in messages(victim, f"bounds-{OTHER}"))
    assert of_the_team(victim) == everything

    # Its Application is deleted with all it made, as `argocd app delete` does it: it waits for a word.
    delete_with_all_it_made(victim, f"bounds-{OTHER}")
    time.sleep(15)
    assert of_the_team(victim) == everything

    # The word is given, as `argocd app confirm-deletion` gives it.
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    annotation = f"argocd.argoproj.io/deletion-approved={now}"
    kubectl("annotate", "-n", argocd.NAMESPACE, "application", f"bounds-{OTHER}", annotation)
    wait_until(lambda: not of_the_team(victim))
    for bucket, key in kept.items():
        assert victim.s3().get_object(Bucket=bucket, Key=key)["Body"].read() == b"{}"
    # No other team noticed.
    others = {"platform", *metrics.APPLICATIONS, f"bounds-{TEAM}", APPLICATION}
    assert {application.name for application in argocd.statuses(kubectl)} == others


def of_the_team(platform: LocalPlatform) -> set[str]:
    """Every object that carries the other team's label, pods and events aside."""
    kinds = "namespaces,appprojects,applications,priorityclasses,clusterrolebindings,serviceaccounts,rolebindings,"
    kinds += "resourcequotas,limitranges,networkpolicies,configmaps"
    names = platform.kubectl("get", kinds, "--all-namespaces", f"--selector=jobyard.dev/team={OTHER}", "--output=name")
    return set(names.split())


def messages(platform: LocalPlatform, application: str) -> str:
    return "\n".join(
        message for one in argocd.statuses(platform.kubectl) if one.name == application for message in one.messages
    )


def delete_with_all_it_made(platform: LocalPlatform, application: str) -> None:
    patch = json.dumps({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}})
    there = ("-n", argocd.NAMESPACE, "application", application)
    platform.kubectl("patch", *there, "--type=merge", "--patch", patch)
    platform.kubectl("delete", *there, "--wait=false")
