"""A busy machine: processes and the API server of a local platform that answer late, or not at first."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobyard_cli.system.errors import ProgramError, UnansweredError
from jobyard_local import argocd
from jobyard_local.control_plane import Kubectl
from jobyard_local.errors import TookTooLongError
from jobyard_local.layout import Layout
from jobyard_local.processes import Process, Supervisor
from jobyard_local.usage import UsageWatcher

from tests.waiting import wait_until

KubectlThat = Callable[..., Kubectl]
SYNCED = {
    "sync": {"status": "Synced", "revision": "1"},
    "health": {"status": "Healthy"},
    "operationState": {"phase": "Succeeded"},
}
APPLICATION = json.dumps({"items": [{"metadata": {"name": "team-risk"}, "status": SYNCED}]})
NOT_NOW = [
    "Unable to connect to the server: net/http: TLS handshake timeout",
    "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?",
    "Error from server (Timeout): the server was unable to return a response in the time allotted",
    "Error from server (TooManyRequests): storage is (re)initializing",
    "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
    "Error from server: etcdserver: request timed out",
    "error: http2: client connection lost",
]
REFUSALS = ['Error from server (Forbidden): pods is forbidden: User "x" cannot list', "Error from server (NotFound): x"]


@pytest.fixture
def kubectl(tmp_path: Path) -> KubectlThat:
    """A stand-in for kubectl, which says something on standard error a number of times, and then answers."""

    def make(says: str, times: int, answer: str = "answer", patience: float = 60) -> Kubectl:
        program = tmp_path / "kubectl"
        program.write_text(
            f"#!/bin/sh\necho >> {tmp_path}/calls\n"
            f"[ $(wc -l < {tmp_path}/calls) -gt {times} ] || {{ cat {tmp_path}/says >&2; exit 1; }}\n"
            f"cat {tmp_path}/answer\n"
        )
        program.chmod(0o755)
        (tmp_path / "says").write_text(says)
        (tmp_path / "answer").write_text(answer)
        return Kubectl(Layout(tmp_path, tmp_path, {}, "127.0.0.1"), patience=patience)

    return make


def calls(tmp_path: Path) -> int:
    """How often the stand-in was called."""
    return len((tmp_path / "calls").read_text().splitlines())


@pytest.mark.parametrize("says", NOT_NOW)
def test_a_call_that_the_api_server_did_not_answer_is_repeated(kubectl: KubectlThat, says: str, tmp_path: Path) -> None:
    assert kubectl(says, times=1)("get", "nodes") == "answer"
    assert calls(tmp_path) == 2


@pytest.mark.parametrize("says", REFUSALS)
def test_a_refusal_is_told_at_once(kubectl: KubectlThat, says: str, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="Error from server") as caught:
        kubectl(says, times=1)("get", "nodes")
    assert not isinstance(caught.value, UnansweredError)
    assert calls(tmp_path) == 1


def test_an_api_server_that_stays_away_is_told_in_kubectls_words(kubectl: KubectlThat, tmp_path: Path) -> None:
    with pytest.raises(UnansweredError, match="kubectl get nodes failed:\n  Unable to connect"):
        kubectl(NOT_NOW[0], times=99, patience=1)("get", "nodes")
    assert calls(tmp_path) > 1


def test_argo_cds_sync_is_waited_for_through_what_the_api_server_did_not_answer(
    kubectl: KubectlThat, tmp_path: Path
) -> None:
    found = argocd.wait_settled(kubectl(NOT_NOW[0], 2, APPLICATION), "team-risk", "1", timeout=60)
    assert (found.name, calls(tmp_path)) == ("team-risk", 3)


def test_argo_cds_sync_that_does_not_come_is_told_with_what_was_seen_last(kubectl: KubectlThat) -> None:
    with pytest.raises(TookTooLongError, match="within 0 s; last seen: team-risk: Synced, Healthy"):
        argocd.wait_settled(kubectl("", 0, APPLICATION), "team-risk", "2", timeout=0)


@pytest.mark.parametrize(
    "failure", [TimeoutError("timed out"), ConnectionRefusedError(), http.client.BadStatusLine("")]
)
def test_a_process_whose_first_answers_fail_is_waited_for(tmp_path: Path, failure: Exception) -> None:
    failures = [failure] * 3

    def ready() -> bool:
        if failures:
            raise failures.pop()
        return True

    supervisor = Supervisor(tmp_path)
    try:
        supervisor.start(Process("sleeper", ["sleep", "600"], ready))
    finally:
        supervisor.stop(["sleeper"], grace=0)
    assert failures == []


WATCHED = [
    {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired"},
    {"kind": "Pod", "metadata": {"uid": "1", "name": "train"}, "spec": {"nodeName": "default"}},
]


class ClusterWhoseWatchEnds:
    """A stand-in for a cluster: each watch of its pods says one thing and ends."""

    def __init__(self) -> None:
        self.kubectl = self
        self._says = iter(WATCHED)

    def start(self, *_: str) -> subprocess.Popen[bytes]:
        """What `kubectl get --watch` is."""
        command = ["echo", json.dumps(next(self._says, WATCHED[-1]))]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def memory_peaks(self) -> list[tuple[str, int]]:
        """None."""
        return []


def test_a_watch_of_pods_that_the_api_server_ends_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobyard_local.usage.PAUSE_SECONDS", 0)
    cluster: Any = ClusterWhoseWatchEnds()
    with UsageWatcher(cluster, "team-risk") as watcher:
        wait_until(lambda: watcher.pods)
    assert watcher.pods["1"].node == "default"
