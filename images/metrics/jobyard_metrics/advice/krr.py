"""What KRR's strategy `simple` would request, by its published rule, from the same data.

Source: robusta-dev/krr at d6baa74, `robusta_krr/strategies/simple.py` (SimpleStrategySettings: cpu_percentile 95,
memory_buffer_percentage 15, oom_memory_buffer_percentage 25, points_required 100), `core/abstract/strategies.py`
(history_duration 336 hours, timeframe_duration 1.25 minutes) and `core/models/config.py` (cpu_min_value 10 millicores,
memory_min_value 100 MiB). KRR takes the highest of the pods' percentiles for CPU, and the highest working set of all
pods for memory; with `--use-oomkill-data`, which is assumed here, a killed pod's limit counts for 1.25 times of it.

KRR takes a value of every pod at each step of 1.25 minutes, and answers nothing below 100 of them. `Run` has no series,
so that a run counts for its seconds by this step, rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jobyard_metrics.advice.history import Run

WINDOW = 14.0
"""Days."""

STEP = 75.0
"""Seconds."""

POINTS = 100
MARGIN = 0.15
OOM_MARGIN = 0.25
LEAST_CPU = 0.01
LEAST_MEMORY = 100 * 2**20


def cpu(runs: Sequence[Run], now: float, points: int = POINTS) -> float | None:
    """Return the CPU request in cores, or None where KRR has not enough data; `now` is in days since 1970."""
    seen = _seen(runs, now, points)
    peaks = [run.cpu_p95 for run in seen if run.cpu_p95 is not None]
    return max(LEAST_CPU, math.ceil(max(peaks) * 1000) / 1000) if peaks else None


def memory(
    runs: Sequence[Run], now: float, margin: float = MARGIN, points: int = POINTS, window: float = WINDOW
) -> int | None:
    """Return the memory request in bytes, or None where KRR has not enough data."""
    seen = _seen(runs, now, points, window)
    peaks = [run.working_set for run in seen if run.working_set is not None]
    if not peaks:
        return None
    killed = [run.killed_at for run in runs if run.killed_at is not None and now - run.ended <= window]
    needed = max(max(peaks) * (1 + margin), max(killed, default=0) * (1 + OOM_MARGIN))
    return max(LEAST_MEMORY, math.ceil(needed))


def _seen(runs: Sequence[Run], now: float, points: int, window: float = WINDOW) -> list[Run]:
    """Return the sampled runs of the window, or none if they have too few points."""
    seen = [run for run in runs if run.sampled and now - run.ended <= window]
    return seen if sum(math.ceil(run.seconds / STEP) for run in seen) >= points else []
