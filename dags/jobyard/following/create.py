"""Making a pod that the team's quota did not admit at once.

Those that wait take turns, in the order in which they came, so that a thousand pods that wait cost as few requests as
one. Each pod of the namespace that ends is a reason to ask again.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from .cluster import FAILURES, Cluster, RequestError
from .waiting import wait_for
from .watch import PodWatch

QUOTA = "exceeded quota"
"""What the API server says of a pod for which a ResourceQuota has no room
(kubernetes: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go)."""
TURN_LOOKS = 3
"""So often in a row one asks; then the next one may, whose pod may be smaller."""
LOOK_SECONDS = 20.0
QUOTA_SECONDS = 24 * 60 * 60
"""Longer a pod does not wait: its quota will not do."""
EXISTS = "already exists"
"""What the API server says of a name that is taken (kubernetes: staging/src/k8s.io/apimachinery/pkg/api/errors)."""
BUSY = (401, 408, 409, 429, 500, 502, 503, 504)
"""What passes: 409 is also what a quota says that two requests want to change at once."""


class NotAdmittedError(Exception):
    """The pod can't be made."""


async def create(cluster: Cluster, watch: PodWatch, manifest: Mapping[str, Any], log: Any) -> str:
    """Make the pod as soon as the quota admits it; return its uid.

    Raises:
        NotAdmittedError: the API server refused it for another reason, or for too long.
    """
    end = time.monotonic() + QUOTA_SECONDS
    request = _Request(cluster, watch, manifest, log)
    while time.monotonic() < end:
        async with watch.turn:
            uid = await request.take_turn()
        if uid:
            return uid
        # Else this one would have the next turn too.
        await asyncio.sleep(0)
    raise NotAdmittedError(f"the team's quota had no room for {QUOTA_SECONDS // 3600} hours: {request.refusal}")


class _Request:
    """One pod to make."""

    def __init__(self, cluster: Cluster, watch: PodWatch, manifest: Mapping[str, Any], log: Any) -> None:
        self._cluster = cluster
        self._watch = watch
        self._manifest = manifest
        self._log = log
        self.refusal = ""
        """What the quota said last."""

    async def take_turn(self) -> str | None:
        """Ask until the turn of another one has come; return the pod's uid, None if it could not be made yet.

        Raises:
            NotAdmittedError: the API server refused it for another reason than a quota.
        """
        for _ in range(TURN_LOOKS):
            self._watch.room.clear()
            try:
                return await self._post()
            except RequestError as error:
                self._take(error)
            except FAILURES as error:
                self._warn(error)
            await wait_for(self._watch.room, LOOK_SECONDS)
        return None

    async def _post(self) -> str:
        try:
            made = await self._cluster.post(self._watch.pods_path, self._manifest)
        except RequestError as error:
            # An earlier request arrived: its answer was lost, or the triggerer was.
            if error.status != 409 or EXISTS not in str(error):
                raise
            made = await self._cluster.get(f"{self._watch.pods_path}/{self._manifest['metadata']['name']}")
        return str(made["metadata"]["uid"])

    def _take(self, error: RequestError) -> None:
        """Take in a refusal; raise it if asking again is of no use."""
        if QUOTA in str(error):
            if not self.refusal:
                self._log.info(f"The pod waits for the team's quota: {error}")
            self.refusal = str(error)
        elif error.status in BUSY:
            self._warn(error)
        else:
            raise NotAdmittedError(str(error)) from error

    def _warn(self, error: BaseException) -> None:
        self._log.warning(f"The API server can't be asked: {type(error).__name__}: {error}")
