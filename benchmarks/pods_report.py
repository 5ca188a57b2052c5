"""What was measured of many pods, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from measure import Target

Result = Mapping[str, Any]
JOBYARD = "Jobyard"
CORES, MEMORY = Target("at most", 0.3), Target("at most", 1, " MB")
REQUESTS, LATENCY = Target("at most", 10), Target("at most", 15, " s")
CHAIN = {
    "held": "Jobyard, held by a worker",
    "deferred": "Jobyard, deferred",
    "provider-held": "provider, held by a worker",
    "provider-deferred": "provider, deferred",
}


def steady(results: Sequence[Result]) -> str:
    """The tables of many pods at once."""
    windows = [result for result in results if result["part"] == "window"]
    ends = {result["side"]: result for result in results if result["part"] == "ends"}
    return "\n".join([*_windows(windows), "", *_ends(results), "", *_targets(windows, ends)])


def _windows(windows: Sequence[Result]) -> Iterator[str]:
    yield "| | pods | triggerer, cores | its runner's | MB | MB a pod | all of Airflow, cores | requests a second |"
    yield "|---|---|---|---|---|---|---|---|"
    first: dict[str, Result] = {}
    for window in windows:
        cores = window["cores"]
        whole = sum(used for name, used in cores.items() if name != "trigger runner")
        name = ", ".join(filter(None, (window["side"], window["what"])))
        cells = [name, f"{window['pods']:,}", f"{cores['triggerer']:.3f}", f"{cores['trigger runner']:.3f}"]
        base = first.setdefault(window["side"], window) if window["pods"] else window
        each = f"{_each(base, window):.2f}" if window["pods"] > base["pods"] else ""
        cells += [f"{_held(window):.0f}", each, f"{whole:.2f}", f"{sum(window['requests'].values()):.2f}"]
        yield f"| {' | '.join(cells)} |"


def _held(window: Result) -> float:
    return float(window["memory"]["end"]["triggerer"][0])


def _each(base: Result, window: Result) -> float:
    """Return the MB of a pod: what more of them take, as the first one makes Airflow load much that stays."""
    return (_held(window) - _held(base)) / int(window["pods"] - base["pods"])


def _ends(results: Sequence[Result]) -> Iterator[str]:
    yield "| from a pod's end | pods | p50, s | p99, s | most, s |"
    yield "|---|---|---|---|---|"
    words = {"trickle": "until its task has succeeded", "ends": "until Airflow knows"}
    for result in results:
        if what := words.get(result["part"]):
            took = result["seconds"]
            cells = [f"{result['side']}: {what}", f"{result['pods']:,}", f"{statistics.median(took):.1f}"]
            cells += [f"{_p99(took):.1f}", f"{took[-1]:.1f}"]
            yield f"| {' | '.join(cells)} |"


def _targets(windows: Sequence[Result], ends: Mapping[str, Result]) -> Iterator[str]:
    ours = [window for window in windows if window["side"] == JOBYARD]
    if len(ours) < 3 or JOBYARD not in ends:
        return
    few, most = ours[1], ours[2]
    yield f"Worker slots held: {most['slots']}."
    yield f"Cores: {CORES.verdict(most['cores']['triggerer'])}"
    yield f"Memory of a pod: {MEMORY.verdict(_each(few, most))}"
    yield f"Requests a second: {REQUESTS.verdict(sum(most['requests'].values()))}"
    yield f"From end to event, p99: {LATENCY.verdict(_p99(ends[JOBYARD]['seconds']))}"


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[max(0, round(0.99 * len(values)) - 1)]


def chain(results: Sequence[Result]) -> str:
    """The table of one task from its schedule to its success."""
    rows = ["| | CPU s a task | from pod end to success, median s | most | slot s | MB | requests |", "|---" * 7 + "|"]
    for result in results:
        if result["part"] == "chain":
            memory = result["memory"]
            held, _ = memory["triggerer"] if "deferred" in result["name"] else memory["scheduler"]
            slots = [_sum(first, second) for first, second in zip(result["first"], result["second"], strict=True)]
            known = [slot for slot in slots if slot is not None]
            cells = [CHAIN[result["name"]], f"{result['cpu']:.2f}", f"{statistics.median(result['latency']):.1f}"]
            cells += [f"{max(result['latency']):.1f}", f"{statistics.median(known):.1f}" if known else "all"]
            cells += [f"{held / len(result['latency']):.0f}", f"{result['requests']:.1f}"]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, "", *_worth(results)])


def _worth(results: Sequence[Result]) -> Iterator[str]:
    """From which length of a task its deferral pays."""
    chains = {result["name"]: result for result in results if result["part"] == "chain"}
    if not {"held", "deferred"} <= chains.keys():
        return
    deferred = chains["deferred"]
    more = deferred["cpu"] - chains["held"]["cpu"]
    slot = statistics.median(first for first in deferred["first"] if first is not None)
    seconds = [second for second in deferred["second"] if second is not None]
    slot += statistics.median(seconds) if seconds else 0
    yield (
        f"A deferred task costs {more:.2f} s of a processor more, and holds a slot for {slot:.0f} s: deferral saves"
        f" slots for every pod that runs longer. A task whose `timeout` is at most 60 s is not deferred."
    )


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second
