"""What a worker asks of the API server, which may be away for a while."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from jobyard.pods import Pods
from kubernetes.client import ApiException, V1ObjectMeta, V1Pod, V1PodStatus
from urllib3.exceptions import MaxRetryError, NewConnectionError

EXISTS = json.dumps({"reason": "AlreadyExists", "message": 'pods "a" already exists'})
CONFLICT = json.dumps({"reason": "Conflict", "message": 'Operation cannot be fulfilled on resourcequotas "team"'})
QUOTA = json.dumps({"reason": "Forbidden", "message": 'pods "a" is forbidden: exceeded quota: team'})
NOWHERE = MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]


def refusal(status: int, body: str = "") -> ApiException:
    """Return what the client raises."""
    found = ApiException(status=status, reason=f"{status}")
    found.body = body
    return found


def made(name: str = "a", phase: str = "Running", minute: int = 0, is_going: bool = False, attempt: int = 1) -> V1Pod:
    """Return a pod as the API server has it."""
    at = datetime(2026, 11, 3, 12, minute, tzinfo=UTC)
    labels = {"try_number": str(attempt)}
    metadata = V1ObjectMeta(name=name, uid=f"uid-{name}", creation_timestamp=at, labels=labels)
    metadata.deletion_timestamp = at if is_going else None
    return V1Pod(metadata=metadata, status=V1PodStatus(phase=phase))


class Server:
    """The client and the provider's pod manager; `faults` are raised first, one at each request."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.requests: list[str] = []
        self.pods: list[V1Pod] = []
        self.reads: list[V1Pod | Exception] = []

    def _ask(self, request: str) -> None:
        self.requests.append(request)
        if self.faults:
            raise self.faults.pop(0)

    def create_pod(self, pod: V1Pod) -> V1Pod:
        self._ask("create")
        return made(pod.metadata.name)

    def read_namespaced_pod(self, name: str, namespace: str) -> V1Pod:
        self._ask("read")
        found = self.reads.pop(0) if self.reads else made(name)
        if isinstance(found, Exception):
            raise found
        return found

    def list_namespaced_pod(self, namespace: str, label_selector: str) -> Any:
        self._ask("list")
        return type("List", (), {"items": self.pods})

    def delete_namespaced_pod(self, name: str, namespace: str) -> None:
        self._ask(f"delete {name}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return Server()


@pytest.fixture
def pods(server: Server) -> Pods:
    return Pods(server, server, "team-risk", logging.getLogger("test"))  # type: ignore[arg-type]


FAULTS: dict[str, Callable[[], Exception]] = {
    "busy": lambda: refusal(429),
    "broken": lambda: refusal(500),
    "away": lambda: refusal(503),
    "nowhere": lambda: NOWHERE,
    "two at once": lambda: refusal(409, CONFLICT),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_pod_is_made_when_that_has_passed(server: Server, pods: Pods, fault: Callable[[], Exception]) -> None:
    server.faults = [fault(), fault(), fault()]
    found = pods.create(made())
    assert found is not None and found.metadata.uid == "uid-a"
    assert server.requests == ["create"] * 4


def test_a_request_whose_answer_was_lost_has_made_the_pod(server: Server, pods: Pods) -> None:
    server.faults = [NOWHERE, refusal(409, EXISTS), refusal(503)]
    assert pods.create(made()) is not None
    assert server.requests == ["create", "create", "read", "read"]


def test_a_quota_without_room_and_another_refusal(server: Server, pods: Pods) -> None:
    server.faults = [refusal(403, QUOTA)]
    assert pods.create(made()) is None
    server.faults = [refusal(403, "policy")]
    with pytest.raises(ApiException):
        pods.create(made())
    assert server.requests == ["create", "create"]


def test_the_newest_pod_that_lives_is_taken_up_and_the_others_go(server: Server, pods: Pods) -> None:
    server.faults = [refusal(503)]
    server.pods = [
        made("old", minute=1),
        made("new", phase="Pending", minute=3),
        made("going", minute=5, is_going=True),
        made("done", phase="Succeeded", minute=4),
        made("failed", phase="Failed", minute=2),
    ]
    found = pods.take_up("a=b")
    assert found is not None and found.metadata.name == "new"
    deleted = sorted(request for request in server.requests if request.startswith("delete"))
    assert deleted == ["delete done", "delete failed", "delete going", "delete old"]


@pytest.mark.parametrize("answer", [refusal(404), made("new", is_going=True)], ids=["gone", "going"])
def test_one_that_is_deleted_meanwhile_is_not_taken_up(server: Server, pods: Pods, answer: Any) -> None:
    server.pods = [made("new")]
    server.reads = [made("new"), answer]
    assert pods.take_up("a=b", patience=60) is None
    assert server.requests == ["list", "read", "read", "delete new"]


def test_one_that_stays_is_taken_up_after_a_while(server: Server, pods: Pods) -> None:
    server.pods = [made("new")]
    found = pods.take_up("a=b", patience=0.05)
    assert found is not None and found.metadata.name == "new"
    assert "delete new" not in server.requests


def test_the_pod_of_a_task_that_was_cleared_is_not_taken_up(server: Server, pods: Pods) -> None:
    """However late the triggerer notices it."""
    server.pods = [made("before", attempt=2)]
    assert pods.take_up("a=b", patience=60, first_try=3) is None
    assert server.requests == ["list", "delete before"]
    server.pods = [made("before", minute=2, attempt=2), made("after", minute=1, attempt=3)]
    found = pods.take_up("a=b", first_try=3)
    assert found is not None and found.metadata.name == "after"


def test_without_one_there_is_nothing_to_take_up(server: Server, pods: Pods) -> None:
    server.pods = [made("done", phase="Succeeded")]
    assert pods.take_up("a=b") is None


def test_a_pod_that_can_t_be_deleted_fails_no_task(
    server: Server, pods: Pods, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = [refusal(404)]
    pods.delete("a")
    assert caplog.records == []
    server.faults = [refusal(403)]
    pods.delete("a")
    monkeypatch.setattr("jobyard.pods.PATIENCE_SECONDS", 0)
    server.faults = [NOWHERE]
    pods.delete("a")
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["Could not delete pod a"] * 2
