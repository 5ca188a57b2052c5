"""What the Vertical Pod Autoscaler would set as its target, by its published rule, from the same data.

Source: kubernetes/autoscaler, `vertical-pod-autoscaler/pkg/recommender`:

- `model/aggregations_config.go`: histograms with buckets that grow by 5 %, from 1 millicore and from 10 MB; half-life
  of 24 hours; 8 intervals are kept; after an out-of-memory kill the larger of 1.2 times the memory and 100 MiB more.
- `model/container.go`: a container adds its highest working set once for each interval of 24 hours, so that each pod of
  a batch job adds one.
- `model/aggregate_container_state.go`: a CPU sample weighs as much as the request, at least 0.1.
- `util/histogram.go`: a percentile is the end of its bucket.
- `logic/recommender.go`: the 90th percentile, 15 % more, at least 25 millicores and 250 MiB.

VPA reads every sample of CPU. `Run` has a run's 95th percentile, which stands for all of its samples here: VPA's own
figure is lower by what lies between a run's 90th and 95th percentile.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from jobyard_metrics.advice.history import Run

WINDOW = 8.0
"""Days."""

HALF_LIFE = 1.0
"""Days."""

GROWTH = 1.05
FIRST_CPU = 0.001
FIRST_MEMORY = 1e7
PERCENTILE = 0.9
MARGIN = 0.15
LEAST_CPU = 0.025
LEAST_MEMORY = 250 * 2**20
LEAST_WEIGHT = 0.1
OOM_RATIO = 1.2
OOM_LEAST = 100 * 2**20

Sample = tuple[float, float, float]
"""Value, weight and time in days."""


def cpu(runs: Sequence[Run], now: float, margin: float = MARGIN) -> float | None:
    """Return the CPU target in cores, or None without a sample; `now` is in days since 1970."""
    samples = []
    for run in _recent(runs, now):
        if run.cpu_p95 is not None:
            weight = max(run.requested_cpu or 0.0, LEAST_WEIGHT) * run.samples
            samples.append((run.cpu_p95, weight, run.ended))
    usage = percentile(samples, now, FIRST_CPU)
    return None if usage is None else max(LEAST_CPU, usage * (1 + margin))


def memory(runs: Sequence[Run], now: float, margin: float = MARGIN) -> int | None:
    """Return the memory target in bytes, or None without a sample."""
    samples = []
    for run in _recent(runs, now):
        used = run.working_set or 0
        if run.killed_at is not None:
            killed_at = max(run.killed_at, used)
            used = round(max(killed_at * OOM_RATIO, killed_at + OOM_LEAST))
        if used:
            samples.append((float(used), 1.0, run.ended))
    usage = percentile(samples, now, FIRST_MEMORY)
    return None if usage is None else max(LEAST_MEMORY, math.ceil(usage * (1 + margin)))


def percentile(samples: Iterable[Sample], now: float, first: float) -> float | None:
    """Return the 90th percentile of a decaying histogram whose first bucket is as wide as `first`."""
    weights: dict[int, float] = defaultdict(float)
    for value, weight, time in samples:
        weights[_bucket(value, first)] += weight * 2 ** ((time - now) / HALF_LIFE)
    threshold = PERCENTILE * sum(weights.values())
    so_far = 0.0
    for bucket in sorted(weights):
        so_far += weights[bucket]
        if so_far >= threshold:
            return _start(bucket + 1, first)
    return _start(max(weights) + 1, first) if weights else None


def _recent(runs: Sequence[Run], now: float) -> list[Run]:
    return [run for run in runs if now - run.ended <= WINDOW and (run.sampled or run.killed_at is not None)]


def _bucket(value: float, first: float) -> int:
    if value < first:
        return 0
    return int(math.log(value * (GROWTH - 1) / first + 1, GROWTH))


def _start(bucket: int, first: float) -> float:
    return first * (GROWTH**bucket - 1) / (GROWTH - 1)
