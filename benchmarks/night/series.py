"""A night over time, minute by minute: machines and pods of each node group, and pods that wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from night.driver import Record

MINUTE = 60
Span = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A number for each minute, by node group."""

    minutes: list[int]
    machines: dict[str, list[int]]
    pods: dict[str, list[int]]
    waiting: dict[str, list[int]]


def series(record: Record) -> Series:
    """Return what there was at the beginning of each minute; an unknown end counts as the night's."""
    end = max(machine.gone or 0 for machine in record.machines.values())
    minutes = [*range(int(end) // MINUTE + 2)]
    groups = {machine.group for machine in record.machines.values()}
    parts = [_of_group(record, name, end) for name in record.scenario.groups if name in groups]
    names = [part.name for part in parts]
    counted = [[_count(spans, minutes) for spans in (part.alive, part.running, part.waiting)] for part in parts]
    machines, running, waiting = (dict(zip(names, kind, strict=True)) for kind in zip(*counted, strict=True))
    return Series(minutes, machines, running, waiting)


@dataclass(frozen=True)
class Part:
    """When each machine of a node group was there, and each of its pods ran and waited."""

    name: str
    alive: list[Span]
    running: list[Span]
    waiting: list[Span]


def _of_group(record: Record, name: str, end: float) -> Part:
    pods = [pod for pod in record.pods.values() if pod.task.group == name]
    machines = [machine for machine in record.machines.values() if machine.group == name]
    return Part(
        name,
        [_span(one.launched, one.gone, end) for one in machines],
        [_span(one.running, one.ended, end) for one in pods],
        [_span(one.created, one.running, end) for one in pods],
    )


def _span(begin: float | None, end: float | None, last: float) -> Span:
    return (last, last) if begin is None else (begin, last if end is None else end)


def _count(spans: Iterable[Span], minutes: Iterable[int]) -> list[int]:
    kept = [*spans]
    return [_at(minute * MINUTE, kept) for minute in minutes]


def _at(second: int, spans: Iterable[Span]) -> int:
    return sum(begin <= second < end for begin, end in spans)
