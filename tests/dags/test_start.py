"""When a pod that does not run is given up."""

from typing import Any

import pytest
from jobyard.following.start import GRACE_SECONDS, StartWatch
from jobyard.following.target import Ending, Kind


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def pod(reason: str = "", message: str = "", gated: bool = False, **metadata: str) -> dict[str, Any]:
    """Return a pod whose container waits for that reason."""
    waiting = {"reason": reason, "message": message}
    statuses = [{"name": "base", "state": {"waiting": waiting}}]
    status = {"phase": "Pending", "containerStatuses": statuses}
    return {"metadata": metadata, "gated": gated, "status": status, "node": ""}


def event(reason: str, message: str, kind: str = "Warning") -> dict[str, Any]:
    """Return an event of the pod."""
    return {"uid": f"{reason} {message}", "type": kind, "reason": reason, "message": message}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> StartWatch:
    return StartWatch(600, clock)


def test_a_node_may_take_its_ten_minutes_but_no_more(watch: StartWatch, clock: Clock) -> None:
    watch.is_new(event("FailedScheduling", "0/5 nodes are available"))
    assert watch.judge(pod("ContainerCreating")) is None
    clock.now = 599
    assert watch.judge(pod("ContainerCreating")) is None
    clock.now = 600
    words = "the pod was not running after 600 s; last warning: FailedScheduling: 0/5 nodes are available"
    assert watch.judge(pod("ContainerCreating")) == Ending(Kind.NOT_STARTED, words)


def test_a_pod_that_waits_in_a_queue_has_its_time_when_it_has_left_it(watch: StartWatch, clock: Clock) -> None:
    clock.now = 10_000
    created = "1970-01-01T00:00:00Z"
    assert watch.judge(pod(gated=True, creationTimestamp=created)) is None
    assert watch.deadline(pod(gated=True, creationTimestamp=created)) is None
    clock.now = 20_000
    assert watch.deadline(pod(creationTimestamp=created)) == 20_600


def test_what_passed_before_the_pod_was_first_seen_counts(watch: StartWatch, clock: Clock) -> None:
    clock.now = 700
    assert watch.deadline(pod(creationTimestamp="1970-01-01T00:01:40Z")) == 700
    ending = watch.judge(pod(creationTimestamp="1970-01-01T00:01:40Z"))
    assert ending is not None and ending.kind is Kind.NOT_STARTED


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
def test_what_no_further_try_can_mend_ends_at_once_and_for_good(watch: StartWatch, reason: str, message: str) -> None:
    words = f"container 'base' cannot start: {reason}: {message}"
    assert watch.judge(pod(reason, message)) == Ending(Kind.CANNOT_START, words)


def test_the_cause_may_be_in_the_event_alone(watch: StartWatch) -> None:
    watch.is_new(event("Failed", 'Failed to pull image "x": not found'))
    watch.is_new(event("Failed", "Error: ErrImagePull"))
    watch.is_new(event("Failed", ""))
    ending = watch.judge(pod("ImagePullBackOff", "Back-off pulling image"))
    assert ending is not None
    assert ending.message.endswith('ImagePullBackOff: Failed to pull image "x": not found')


@pytest.mark.parametrize(
    "message", ["dial tcp: i/o timeout", "toomanyrequests: rate exceeded", "Back-off pulling image"]
)
def test_a_registry_in_trouble_gets_a_minute_and_the_task_another_try(
    watch: StartWatch, clock: Clock, message: str
) -> None:
    watch.is_new(event("FailedMount", "configmap not found"))
    clock.now = 300
    assert watch.judge(pod("ErrImagePull", message)) is None
    assert watch.next_look() == 300 + GRACE_SECONDS
    clock.now += GRACE_SECONDS - 1
    assert watch.judge(pod("ImagePullBackOff", message)) is None
    clock.now += 1
    ending = watch.judge(pod("ErrImagePull", message))
    assert ending is not None and ending.kind is Kind.NOT_STARTED and message in ending.message


def test_an_event_is_new_once(watch: StartWatch) -> None:
    seen = event("Scheduled", "assigned", "Normal")
    assert [watch.is_new(seen), watch.is_new(seen)] == [True, False]
