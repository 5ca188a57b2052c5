"""Waiting for an event of the event loop."""

import asyncio
from contextlib import suppress


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, at most that long."""
    # Not asyncio's own `wait_for`, which in Python 3.11 may swallow that it is cancelled.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
