"""What each run needed: one number a run, from what was seen of it."""

from __future__ import annotations

from collections.abc import Sequence

from jobyard_metrics.advice.history import Run

OOM_FACTOR = 1.25
"""A run that was killed needed more than its limit: KRR's factor, the larger of the two published ones."""

Point = tuple[float, float]
"""When the run ended, in days since 1970, and what it needed."""


def memory(run: Run) -> float | None:
    """Return the bytes that a run needed, or None if it is not known.

    The need lies between the highest sampled working set, which misses what happened between two samples, and the
    kernel's high-water mark, which includes page cache that the kernel would have dropped. A run with n samples counts
    for 1 + 1/n times of its working set, never more than the high-water mark: memory that grows until the end of a run
    is at most that much above the last sample. So a run of 100 samples counts for its working set, and one of a single
    sample for the high-water mark.

    Of the pods of one try the last one alone counts: after pods that were killed it says what more memory was needed,
    unless nothing is known of it that is above the highest of their limits.
    """
    if run.replaced:
        return None
    limit = max((limit for limit in (run.killed_at, run.outgrown) if limit is not None), default=None)
    known = used(run)
    if limit is not None and (known is None or known <= limit):
        return limit * OOM_FACTOR
    return known


def used(run: Run) -> float | None:
    """Return the bytes that a successful run used, as `memory` says; None if it is not known."""
    if run.killed_at is not None or not run.succeeded:
        return None
    if run.working_set is None or run.memory_peak is None:
        return run.working_set if run.memory_peak is None else run.memory_peak
    return max(run.working_set, min(run.memory_peak, run.working_set * (1 + 1 / max(run.samples, 1))))


def memory_points(runs: Sequence[Run]) -> list[Point]:
    """Return the runs whose need is known, in order; one that failed for another reason says nothing about the need."""
    needs = [(run.ended, memory(run)) for run in runs]
    return [(ended, need) for ended, need in needs if need]


def cpu_points(runs: Sequence[Run]) -> list[Point]:
    """Return the 95th percentile of CPU usage of each successful run that was sampled, in cores."""
    return [(run.ended, run.cpu_p95) for run in runs if run.succeeded and run.cpu_p95 is not None]
