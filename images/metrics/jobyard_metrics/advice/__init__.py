"""The requests that would fit each task, from what its last runs used; beside them what KRR and VPA would say.

`rule` is Jobyard's own; `krr` and `vpa` are the published rules of two advisers for services.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import Any

import polars as pl

from jobyard_metrics import cost
from jobyard_metrics.advice import krr, need, rule, vpa
from jobyard_metrics.advice.history import Key, Run, histories
from jobyard_metrics.prices import Prices
from jobyard_metrics.tables import ADVICE

WINDOW = 60
"""Days of history that the advice looks at: what a caller should read of `tries` and `pods`."""

MONTH = 30.0
"""Days."""

Requests = Mapping[str, float | None]
"""`cpu` in cores, `memory` in bytes, `gpu`."""

Asked = tuple[str | None, float | None, int | None, int]
"""Of a run: the instance type, and the requested CPU, memory and GPUs."""


def advise(tries: pl.DataFrame, pods: pl.DataFrame, jobs: pl.DataFrame, prices: Prices, day: date) -> pl.DataFrame:
    """Return a row of `tables.ADVICE` for each task and map index with a pod in the last 60 days, in order.

    `tries` and `pods` are the rows of those days up to `day`, with the pods' cost; `jobs` is the newest list. A task
    that its team's release no longer has gets no row.
    """
    now = float(day.toordinal() - date(1970, 1, 1).toordinal() + 1)
    begin = datetime.combine(day, time(), UTC) - timedelta(days=WINDOW - 1)
    listed = _listed(jobs)
    teams = {team for team, _, _ in listed}
    rows = []
    for key, runs in histories(tries, pods.filter(pl.col("ended") >= begin)):
        team, job, task, _ = key
        if team not in teams or (team, job, task) in listed:
            rows.append(_row(key, runs, listed.get((team, job, task), {}), prices, now))
    return pl.DataFrame(rows, ADVICE, orient="row").sort("team", "job", "task", "map_index")


def _listed(jobs: pl.DataFrame) -> dict[tuple[str, str, str], Requests]:
    """Return what each task of the releases asks for."""
    listed: dict[tuple[str, str, str], Requests] = {}
    for team, job, tasks in jobs.select("team", "job", "tasks").iter_rows():
        for task in tasks or ():
            requests = {"cpu": task["requested_cpu"], "memory": task["requested_memory"]}
            listed[team, job, task["name"]] = requests
    return listed


def _row(key: Key, runs: Sequence[Run], listed: Requests, prices: Prices, now: float) -> dict[str, Any]:
    last = runs[-1]
    asked = {"cpu": last.requested_cpu, "memory": last.requested_memory, "gpu": float(last.requested_gpu)}
    asked |= {name: value for name, value in listed.items() if value is not None}
    fits = {"cpu": rule.cpu(runs, now), "memory": rule.memory(runs, now)}
    team, job, task, map_index = key
    return {
        "team": team,
        "job": job,
        "task": task,
        "map_index": map_index,
        "requested_cpu": asked["cpu"],
        "requested_memory": asked["memory"],
        **_used([run for run in runs if run.succeeded]),
        "fits_cpu": fits["cpu"],
        "fits_memory": fits["memory"],
        "saves": saves(runs, asked, fits, prices, now),
        "krr_cpu": krr.cpu(runs, now),
        "krr_memory": krr.memory(runs, now),
        "vpa_cpu": vpa.cpu(runs, now),
        "vpa_memory": vpa.memory(runs, now),
    }


def _used(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what successful runs used: counts, their time, and the 95th percentile and the peak over the runs."""
    cores = sorted(run.cpu_p95 for run in runs if run.cpu_p95 is not None)
    peaks = [run.cpu_peak for run in runs if run.cpu_peak is not None]
    lengths = [run.seconds for run in runs if run.seconds]
    sizes = sorted(round(size) for run in runs if (size := need.used(run)))
    return {
        "runs": len(runs),
        "sampled": sum(run.sampled for run in runs),
        "seconds": median(lengths) if lengths else None,
        "cpu_p95": _percentile(cores),
        "cpu_peak": max(peaks, default=None),
        "memory_p95": _percentile(sizes),
        "memory_peak": sizes[-1] if sizes else None,
    }


def _percentile(ordered: Sequence[float]) -> float | None:
    """Return the 95th percentile: the least value that 95 % of the values do not exceed."""
    return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else None


def saves(runs: Sequence[Run], asked: Requests, fits: Requests, prices: Prices, now: float) -> int | None:
    """Return the nanodollars a month that the fitting requests save; negative where they cost more.

    What a run cost, divided by its share of a machine, is the price of a whole machine for its time; the saving is that
    price times the difference of the shares, at the frequency of the runs. None where nothing fits, or no run has a
    known cost on a machine that `prices` has.
    """
    if fits["cpu"] is None and fits["memory"] is None:
        return None
    after = {**asked, **{name: value for name, value in fits.items() if value is not None}}
    parts = {asked_then: _saved_part(asked_then, asked, after, prices) for asked_then in set(map(_asked, runs))}
    amounts = []
    for run in runs:
        part = parts[_asked(run)]
        if part is not None and run.cost is not None:
            amounts.append(run.cost * part)
    days = max(now - runs[0].ended, 1.0)
    # Runs without a known cost are taken to save what the others do.
    return round(sum(amounts) / len(amounts) * len(runs) * MONTH / days) if amounts else None


def _asked(run: Run) -> Asked:
    return run.instance_type, run.requested_cpu, run.requested_memory, run.requested_gpu


def _saved_part(then: Asked, asked: Requests, after: Requests, prices: Prices) -> float | None:
    """Return the part of its cost that a run would have saved, or None where its share of the machine is not known."""
    instance_type, cores, memory, gpu = then
    machine = prices.get(instance_type or "")
    if machine is None or (gpu and not machine.gpu):
        return None
    whole = {"cpu": machine.cpu, "memory": float(machine.memory), "gpu": float(machine.gpu)}
    paid = cost.share({"cpu": cores, "memory": memory, "gpu": float(gpu)}, whole)
    return (cost.share(asked, whole) - cost.share(after, whole)) / paid if paid else None
