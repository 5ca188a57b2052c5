"""Writing what a pod has written in one go leaves others in the event loop their turns."""

import asyncio
import time

from jobyard.following.logs import Allowance

LINES, SECONDS_A_LINE = 200, 0.002


def test_a_burst_within_the_allowance_leaves_others_their_turns() -> None:
    assert asyncio.run(_longest_wait()) < LINES * SECONDS_A_LINE / 2


async def _longest_wait() -> float:
    """Seconds that another task had to wait for its turn, at most, while lines were written."""
    waits: list[float] = []
    other = asyncio.create_task(_look(waits))
    await asyncio.sleep(0)
    allowance = Allowance(1.0, LINES * 10)
    for _ in range(LINES):
        await allowance.take(10)
        time.sleep(SECONDS_A_LINE)  # as writing a line does, which can't be waited for
    await asyncio.sleep(0)
    other.cancel()
    return max(waits)


async def _look(waits: list[float]) -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(0)
        waits.append(time.monotonic() - before)
