"""What processes use, and what is asked of the API server."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def members(session: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the processes of a session: the id, and the fields of proc(5)'s stat from the state on."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield int(file.parent.name), fields


def cpu(session: int, *, alone: bool = False) -> float:
    """Return the processor seconds of a session so far, those of its processes that have ended included.

    `alone` is for the session's first process without the others.
    """
    ticks = 0
    for pid, fields in members(session):
        if pid == session or not alone:
            ticks += sum(map(int, fields[11:13] if alone else fields[11:15]))
    return ticks / TICKS


def memory(session: int) -> tuple[float, float]:
    """Return MB: what the session's processes hold, shared pages by their share (PSS), and resident ones (RSS)."""
    pss = rss = 0
    for pid, _ in members(session):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                pss += int(rest.split()[0]) if name == "Pss" else 0
                rss += int(rest.split()[0]) if name == "Rss" else 0
    return pss / 1000, rss / 1000


def requests(log: Path, begin: float, end: float) -> Counter[str]:
    """Return how many requests of the teams ended in that time (seconds of the epoch), by verb and resource.

    A watch, and a log that is followed, is one request.
    """
    time.sleep(1)
    found: Counter[str] = Counter()
    for file in log.parent.glob(f"{log.stem}*"):
        for line in file.read_text().splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                of = entry["objectRef"]
                if begin <= datetime.fromisoformat(entry["stageTimestamp"]).timestamp() < end:
                    parts = [of["resource"], of.get("subresource")]
                    found[f"{entry['verb']} {'/'.join(filter(None, parts))}"] += 1
    return found
