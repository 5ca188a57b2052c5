"""When a pod that does not run is given up."""

from types import SimpleNamespace
from typing import Any

import pytest
from jobyard.compat import AirflowFailException
from jobyard.errors import PodCannotStartError, PodNotStartedError
from jobyard.start import GRACE_SECONDS, StartWatch


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def pod(phase: str, reason: str = "", message: str = "", containers: bool = True) -> Any:
    """Return a pod whose container waits for that reason."""
    waiting = SimpleNamespace(reason=reason, message=message)
    status = SimpleNamespace(name="base", state=SimpleNamespace(waiting=waiting))
    statuses = [status] if containers else None
    return SimpleNamespace(
        status=SimpleNamespace(phase=phase, container_statuses=statuses, reason="Evicted", message="no room")
    )


def event(reason: str, message: str | None, kind: str = "Warning") -> Any:
    """Return an event of the pod."""
    metadata = SimpleNamespace(uid=f"{reason} {message}")
    return SimpleNamespace(metadata=metadata, type=kind, reason=reason, message=message)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> StartWatch:
    return StartWatch(600, clock)


@pytest.mark.parametrize("phase", ["Running", "Succeeded", "Failed"])
def test_the_wait_is_over_once_the_container_has_started(watch: StartWatch, phase: str) -> None:
    assert watch.is_over(pod(phase))


@pytest.mark.parametrize("phase", ["Pending", "Unknown", None])
def test_a_node_may_take_its_ten_minutes_but_no_more(watch: StartWatch, clock: Clock, phase: Any) -> None:
    watch.is_new(event("FailedScheduling", "0/5 nodes are available"))
    clock.now = 599
    assert not watch.is_over(pod(phase, "ContainerCreating"))
    clock.now = 600
    with pytest.raises(PodNotStartedError) as raised:
        watch.is_over(pod(phase, "ContainerCreating"))
    assert str(raised.value) == (
        "the pod was not running after 600 s; last warning: FailedScheduling: 0/5 nodes are available"
    )
    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("InvalidImageName", "couldn't parse image name"),
        ("ErrImageNeverPull", ""),
        ("ErrImagePull", "rpc error: code = NotFound desc = registry/x@sha256:0: not found"),
        ("ErrImagePull", "manifest unknown: Requested image not found"),
        ("ImagePullBackOff", "Back-off pulling image: ErrImagePull: 403 Forbidden"),
        ("ErrImagePull", "no match for platform in manifest: not found"),
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
        ("CreateContainerConfigError", 'secret "token" not found'),
    ],
)
def test_what_no_further_try_can_mend_fails_at_once_and_for_good(watch: StartWatch, reason: str, message: str) -> None:
    with pytest.raises(PodCannotStartError) as raised:
        watch.is_over(pod("Pending", reason, message))
    assert str(raised.value) == f"container 'base' cannot start: {reason}: {message}"
    assert isinstance(raised.value, AirflowFailException)


def test_the_cause_may_be_in_the_event_alone(watch: StartWatch) -> None:
    watch.is_new(event("Failed", 'Failed to pull image "x": not found'))
    watch.is_new(event("Failed", "Error: ErrImagePull"))
    watch.is_new(event("Failed", None))
    with pytest.raises(PodCannotStartError, match='ImagePullBackOff: Failed to pull image "x": not found$'):
        watch.is_over(pod("Pending", "ImagePullBackOff", "Back-off pulling image"))


@pytest.mark.parametrize(
    "message", ["dial tcp: i/o timeout", "toomanyrequests: rate exceeded", "Back-off pulling image"]
)
def test_a_registry_in_trouble_gets_a_minute_and_the_task_another_try(
    watch: StartWatch, clock: Clock, message: str
) -> None:
    watch.is_new(event("FailedMount", "configmap not found"))
    clock.now = 300
    assert not watch.is_over(pod("Pending", "ErrImagePull", message))
    clock.now += GRACE_SECONDS - 1
    assert not watch.is_over(pod("Pending", "ImagePullBackOff", message))
    clock.now += 1
    with pytest.raises(PodNotStartedError, match=message) as raised:
        watch.is_over(pod("Pending", "ErrImagePull", message))
    assert not isinstance(raised.value, AirflowFailException)


def test_a_pod_that_its_node_refused_is_not_taken_for_started(watch: StartWatch) -> None:
    with pytest.raises(PodNotStartedError, match="failed before it started: Evicted: no room"):
        watch.is_over(pod("Failed", containers=False))


def test_an_event_is_new_once(watch: StartWatch) -> None:
    seen = event("Scheduled", "assigned", "Normal")
    assert [watch.is_new(seen), watch.is_new(seen)] == [True, False]
