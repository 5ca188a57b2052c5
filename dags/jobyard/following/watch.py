"""One watch of a team's pods and one of their events, shared by all that follow a pod of it."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .cluster import FAILURES, Cluster, RequestError
from .queue import positions, reason_of, workload_name
from .reflector import REFUSED, Reflector
from .verdict import TERMINAL
from .waiting import wait_for

CONFIRM_SECONDS = 5
"""A pod that the watch has not shown by then is asked for by its name."""
EVENTS = 30
"""Kept of a pod that nobody follows yet: the kubelet can be faster than the triggerer."""
EVENT_SECONDS = 120
POSITION_SECONDS = 5.0
"""How old the positions of the pods that wait for quota may be."""
METADATA = ("name", "uid", "labels", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


class Subscription:
    """What is known of one pod, as it changes."""

    def __init__(self, name: str, uid: str) -> None:
        self.name = name
        self.uid = uid
        self.pod: dict[str, Any] | None = None
        self.gone = False
        self.events: deque[dict[str, Any]] = deque()
        self.waits_for = ""
        """Why Kueue has not admitted the pod, in Kueue's words; "" if it has not said that."""
        self._changed = asyncio.Event()

    async def change(self, seconds: float) -> None:
        """Wait for the next change, at most that long."""
        await wait_for(self._changed, seconds)
        self._changed.clear()

    def notify(self) -> None:
        """Wake who waits."""
        self._changed.set()

    def show(self, pod: dict[str, Any]) -> None:
        """Take in the pod as it is now."""
        if pod["metadata"]["uid"] == self.uid:
            self.pod = pod
            self.notify()
        elif self.pod is not None:
            # Another pod has taken the place of this one. Before this one was shown, it may be one of before.
            self.vanish()

    def doubt(self) -> None:
        """Take in that the pod may not exist any longer."""
        if self.pod is not None:
            self.pod = None
            self.notify()

    def vanish(self) -> None:
        """Take in that there is no such pod any longer."""
        self.gone = True
        self.notify()


class PodWatch:
    """The pods of a namespace that are Jobyard's, or one of them."""

    def __init__(
        self, cluster: Cluster, namespace: str, *, pod: str | None = None, environment: str | None = None
    ) -> None:
        """Watch one pod of the namespace by its name, or those of an environment."""
        self._cluster = cluster
        self._only = pod
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self._events_path = f"/api/v1/namespaces/{namespace}/events"
        self.pods: dict[str, dict[str, Any]] = {}
        self.turn = asyncio.Lock()
        """Held by who asks for a pod for which the quota had no room."""
        self.room = asyncio.Event()
        """Set when a pod has ended, which may leave room in the quota."""
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._events: dict[str, tuple[float, deque[dict[str, Any]]]] = {}
        pods_of = (
            {"fieldSelector": f"metadata.name={pod}"}
            if pod
            else {"labelSelector": f"jobyard.dev/environment={environment}"}
        )
        self._events_listed = asyncio.Event()
        kind = "involvedObject.kind=Pod"
        events_of = {"fieldSelector": f"{kind},involvedObject.name={pod}" if pod else kind}
        self._pod_reflector = Reflector(cluster, self.pods_path, pods_of, self._replace, self._change, trim=trimmed)
        self._event_reflector = Reflector(
            cluster,
            self._events_path,
            events_of,
            self._take_events,
            self._take_event,
            on_refusal=self._events_listed.set,
            trim=brief,
            pages=bool(pod),
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._options: dict[str, Any] = {}
        self._queue_reflector: Reflector | None = None
        self._reasons: dict[str, str] = {}
        self._positions: dict[str, int] = {}
        self._positions_end = 0.0

    @property
    def refusal(self) -> str:
        """Why pods can't be listed; "" if they can."""
        return self._pod_reflector.refusal

    @property
    def is_listed(self) -> bool:
        """Whether the pods have been listed."""
        return self._pod_reflector.is_listed

    @property
    def events_refusal(self) -> str:
        """Why events can't be read; "" if they can."""
        return self._event_reflector.refusal

    def start(self, **options: Any) -> None:
        """Start the watches; `options` are those of a new asyncio task."""
        self._options = options
        self._run(self._pod_reflector)
        self._run(self._event_reflector)

    def _run(self, reflector: Reflector) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(reflector.run(), **self._options))

    def watch_queue(self, subscription: Subscription) -> None:
        """Begin to watch what Kueue says of pods that wait for quota, unless that has begun.

        It is in events of their Workloads. Only where pods have gates is there anything to watch.
        """
        if self._queue_reflector is not None:
            return
        events_of = "involvedObject.kind=Workload"
        if self._only:
            events_of += f",involvedObject.name={workload_name(subscription.name, subscription.uid)}"
        self._queue_reflector = Reflector(
            self._cluster,
            self._events_path,
            {"fieldSelector": events_of},
            self._take_reasons,
            self._take_reason,
            trim=reason_of,
        )
        self._run(self._queue_reflector)

    def position(self, subscription: Subscription) -> int | None:
        """Return how many of the team's pods are to be admitted before this one; None if that is not known."""
        if self._only:
            return None
        now = time.monotonic()
        if now >= self._positions_end:
            self._positions, self._positions_end = positions(self.pods.values()), now + POSITION_SECONDS
        return self._positions.get(subscription.name)

    async def stop(self) -> None:
        """Stop the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def is_followed(self, name: str) -> bool:
        """Return whether anyone follows the pod."""
        return bool(self._subscriptions.get(name))

    @contextmanager
    def follow(self, name: str, uid: str) -> Iterator[Subscription]:
        """Yield what is known of the pod, kept up to date."""
        subscription = Subscription(name, uid)
        self._subscriptions.setdefault(name, []).append(subscription)
        if name in self.pods:
            subscription.show(self.pods[name])
        _, events = self._events.pop(name, (0.0, deque()))
        subscription.events.extend(events)
        subscription.waits_for = self._reasons.get(name, "")
        try:
            yield subscription
        finally:
            self._subscriptions[name].remove(subscription)
            if not self._subscriptions[name]:
                del self._subscriptions[name]

    async def confirm(self, subscription: Subscription) -> None:
        """Ask for a pod that the watch has not shown yet; it may never have been there when the watch began."""
        end = time.monotonic() + CONFIRM_SECONDS
        # An event is a change too.
        while subscription.pod is None and not subscription.gone and (left := end - time.monotonic()) > 0:
            await subscription.change(left)
        if subscription.pod is None and not subscription.gone:
            await self.look(subscription)

    async def look(self, subscription: Subscription) -> dict[str, Any] | None:
        """Ask for the pod as it is now; return it, None if it was deleted or if the server can't be asked.

        Where asking for it is refused, it is as it was last seen.
        """
        try:
            pod = trimmed(await self._cluster.get(f"{self.pods_path}/{subscription.name}"))
        except RequestError as error:
            if error.status == 404:
                subscription.vanish()
            return subscription.pod if error.status in REFUSED else None
        except FAILURES:
            return None
        if pod["metadata"]["uid"] != subscription.uid:
            subscription.vanish()
            return None
        subscription.show(pod)
        return pod

    def _replace(self, items: list[dict[str, Any]]) -> None:
        before, self.pods = self.pods, {item["metadata"]["name"]: item for item in items}
        if before:
            # Some may have ended while nobody watched.
            self.room.set()
        for item in items:
            self._show(item)
        for name in before.keys() - self.pods.keys():
            self._vanish(name, before[name]["metadata"]["uid"])
        # One that was asked for by its name may have come after the list, or gone before it.
        for name in self._subscriptions.keys() - self.pods.keys():
            for subscription in self._subscriptions[name]:
                subscription.doubt()

    def _change(self, kind: str, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        self.pods[name] = pod
        self._show(pod)
        if kind == "DELETED":
            del self.pods[name]
            self._vanish(name, pod["metadata"]["uid"])

    def _show(self, pod: dict[str, Any]) -> None:
        if pod["status"].get("phase") in TERMINAL:
            self.room.set()
        for subscription in self._subscriptions.get(pod["metadata"]["name"], ()):
            subscription.show(pod)

    def _vanish(self, name: str, uid: str) -> None:
        self.room.set()
        self._reasons.pop(name, None)
        for subscription in self._subscriptions.get(name, ()):
            if subscription.uid == uid:
                subscription.vanish()

    async def events_listed(self) -> None:
        """Wait until the events of before are known, unless that takes long: they explain why a pod does not start."""
        await wait_for(self._events_listed, CONFIRM_SECONDS)

    def _take_reasons(self, items: list[dict[str, Any]]) -> None:
        """Take in all events of Workloads: those of one come in the order in which they happened."""
        self._reasons = {}
        for item in items:
            self._take_reason("ADDED", item)

    def _take_reason(self, kind: str, event: dict[str, Any]) -> None:
        name = self._only or event["pod"]
        # Of a pod that is no longer there, there are events for an hour.
        if kind == "DELETED" or not event["reason"] or not (name in self.pods or self.is_followed(name)):
            return
        self._reasons[name] = event["reason"]
        for subscription in self._subscriptions.get(name, ()):
            subscription.waits_for = event["reason"]
            subscription.notify()

    def _take_events(self, items: list[dict[str, Any]]) -> None:
        self._events_listed.set()
        for item in items:
            self._take_event("ADDED", item)

    def _take_event(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "DELETED":
            return
        name = self._only or event["pod"]
        followers = self._subscriptions.get(name, ())
        for subscription in followers:
            subscription.events.append(event)
            subscription.notify()
        if not followers:
            self._keep(name, event)

    def _keep(self, name: str, event: dict[str, Any]) -> None:
        now = time.monotonic()
        while self._events:
            # They are in the order in which they came.
            oldest = next(iter(self._events))
            if now - self._events[oldest][0] <= EVENT_SECONDS:
                break
            del self._events[oldest]
        _, events = self._events.setdefault(name, (now, deque(maxlen=EVENTS)))
        events.append(event)


def brief(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is needed of an event."""
    return {
        "pod": (event.get("involvedObject") or {}).get("name") or "",
        "uid": event["metadata"].get("uid"),
        "type": event.get("type"),
        "reason": event.get("reason"),
        "message": event.get("message") or "",
    }


def trimmed(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is needed of a pod: a thousand whole ones would take tens of megabytes."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    found = {
        "metadata": {name: metadata[name] for name in METADATA if name in metadata},
        "node": spec.get("nodeName") or "",
        "gated": bool(spec.get("schedulingGates")),
        "status": pod.get("status") or {},
    }
    if found["gated"]:
        found["priority"] = spec.get("priority") or 0
        found["machines"] = json.dumps(spec.get("nodeSelector") or {}, sort_keys=True)
    return found
