"""Making a pod that the team's quota did not admit at once.

Those that wait take turns, in the order in which they came, so that a thousand pods that wait cost as few requests as
one. Each pod of the namespace that ends is a reason to ask again.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .cluster import FAILURES, Cluster, RequestError
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
    said = ""
    while time.monotonic() < end:
        async with watch.turn:
            for _ in range(TURN_LOOKS):
                watch.room.clear()
                try:
                    return await _post(cluster, watch, manifest)
                except (RequestError, *FAILURES) as error:
                    if isinstance(error, RequestError) and QUOTA in str(error):
                        if not said:
                            log.info(f"The pod waits for the team's quota: {error}")
                        said = str(error)
                    elif isinstance(error, RequestError) and error.status not in BUSY:
                        raise NotAdmittedError(str(error)) from error
                    else:
                        log.warning(f"The API server can't be asked: {type(error).__name__}: {error}")
                await _change(watch.room)
        # Else this one would have the next turn too.
        await asyncio.sleep(0)
    raise NotAdmittedError(f"the team's quota had no room for {QUOTA_SECONDS // 3600} hours: {said}")


async def _post(cluster: Cluster, watch: PodWatch, manifest: Mapping[str, Any]) -> str:
    try:
        made = await cluster.post(watch.pods_path, manifest)
    except RequestError as error:
        # An earlier request arrived: its answer was lost, or the triggerer was.
        if error.status != 409 or EXISTS not in str(error):
            raise
        made = await cluster.get(f"{watch.pods_path}/{manifest['metadata']['name']}")
    return str(made["metadata"]["uid"])


async def _change(room: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            await room.wait()
