"""What a worker asks of the API server for a task's pod, by the provider's client.

Each request goes on for a while where the server or the network fails: an API server that restarts, or that is
replaced, costs no try.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client import ApiException, CoreV1Api, V1ObjectMeta, V1Pod  # type: ignore[import-untyped]
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential
from urllib3.exceptions import HTTPError

from jobyard.following.create import EXISTS, QUOTA

PATIENCE_SECONDS = 600
LOOK_SECONDS = 1.0
BUSY = (429, 500, 502, 503, 504)
ALIVE = ("Pending", "Running")
Answer = TypeVar("Answer")


class Pods:
    """The pods of a team's namespace."""

    def __init__(self, client: CoreV1Api, manager: PodManager, namespace: str, log: Any) -> None:
        self._client = client
        self._manager = manager
        self._namespace = namespace
        self._log = log

    def create(self, pod: V1Pod) -> V1Pod | None:
        """Make the pod; return it as the API server has it, None if the team's quota has no room for it now.

        Raises:
            ApiException: the API server refused it.
            HTTPError: the server could not be reached.
        """
        name = pod.metadata.name
        try:
            return self._patiently(lambda: self._manager.create_pod(pod))
        except ApiException as error:
            if error.status == 403 and QUOTA in str(error.body):
                return None
            # An earlier request arrived, and its answer did not.
            if error.status != 409:
                raise
            return self._patiently(lambda: self._client.read_namespaced_pod(name, self._namespace))

    def take_up(self, selector: str, patience: float = 0, first_try: int = 1) -> V1Pod | None:
        """Return the pod that a lost try of the task left waiting or running; None if there was none.

        Any other that it left is deleted: nothing distinguishes what it wrote from what an earlier run of the task
        wrote. So is a pod of a try before `first_try`, the first since somebody cleared the task, and one that is
        deleted within `patience` seconds: the triggerer followed it until somebody stopped the task, which the
        triggerer may notice later than the next try starts.

        Raises:
            ApiException: the API server refused.
            HTTPError: the server could not be reached.
        """
        found = self._patiently(
            lambda: self._client.list_namespaced_pod(self._namespace, label_selector=selector)
        ).items
        alive = [pod for pod in found if _is_alive(pod) and _try_of(pod) >= first_try]
        alive.sort(key=lambda pod: pod.metadata.creation_timestamp)
        chosen = alive.pop() if alive else None
        if chosen is not None and self._goes(chosen.metadata.name, patience):
            chosen = None
        for pod in found:
            if pod is not chosen:
                self.delete(pod.metadata.name)
        if chosen is not None:
            self._log.info("Taking up pod %s, which an earlier try has left", chosen.metadata.name)
        return chosen

    def _goes(self, name: str, seconds: float) -> bool:
        """Return whether somebody deletes the pod within that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
            try:
                pod = self._patiently(lambda: self._client.read_namespaced_pod(name, self._namespace))
            except ApiException as error:
                return bool(error.status == 404)
            if pod.metadata.deletion_timestamp:
                return True
        return False

    def delete(self, name: str) -> None:
        """Delete the pod; that it can't be deleted must not fail the task, whose work is done."""
        try:
            self._patiently(lambda: self._client.delete_namespaced_pod(name, self._namespace))
        except ApiException as error:
            if error.status != 404:
                self._log.warning("Could not delete pod %s: %s", name, error.reason)
        except HTTPError as error:
            self._log.warning("Could not delete pod %s: %s", name, error)

    def manifest(self, pod: V1Pod) -> dict[str, Any]:
        """Return the pod as JSON values."""
        found: dict[str, Any] = self._client.api_client.sanitize_for_serialization(pod)
        return found

    def handle(self, name: str) -> V1Pod:
        """Return what the provider needs to delete the pod when the task is stopped."""
        return V1Pod(metadata=V1ObjectMeta(name=name, namespace=self._namespace))

    def _patiently(self, request: Callable[[], Answer]) -> Answer:
        retrying = Retrying(
            retry=retry_if_exception(_is_transient),
            stop=stop_after_delay(PATIENCE_SECONDS),
            wait=wait_random_exponential(max=30),
            before_sleep=lambda state: self._log.warning("The API server can't be asked: %s", _cause(state)),
            reraise=True,
        )
        return retrying(request)


def _is_transient(error: BaseException) -> bool:
    if not isinstance(error, ApiException):
        return isinstance(error, HTTPError)
    # Two requests that change the same quota at once are in conflict too.
    return error.status in BUSY or (error.status == 409 and EXISTS not in str(error.body))


def _cause(state: Any) -> BaseException | None:
    found: BaseException | None = state.outcome.exception()
    return found


def _is_alive(pod: V1Pod) -> bool:
    return pod.status.phase in ALIVE and not pod.metadata.deletion_timestamp


def _try_of(pod: V1Pod) -> int:
    """Return the number of the try that made the pod, from the provider's label."""
    return int((pod.metadata.labels or {}).get("try_number", 1))
