"""What a played night came to: dollars, machine hours, what was wasted, and how long pods waited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from night.cost import HOUR, Machines, Offer, billed, requests, share
from night.driver import Machine, Pod, Record


@dataclass(frozen=True)
class Waits:
    """Of pods, in seconds, sorted."""

    seconds: Sequence[float]

    @classmethod
    def of(cls, found: Iterable[float]) -> Waits:
        """Sort them."""
        return cls(sorted(found))

    def at(self, percent: int) -> float:
        """Return the wait that so many of a hundred pods have at most."""
        return self.seconds[max(0, -(-len(self.seconds) * percent // 100) - 1)]


@dataclass(frozen=True)
class Waste:
    """Where the price of the machines went, in nanodollars."""

    starting: Fraction  # before a machine takes pods
    empty: Fraction  # without a pod
    unused: Fraction  # with pods that do not fill it
    lost: Fraction  # of pods that ended with their machine, and began again


class Outcome:
    """Of one night."""

    def __init__(self, record: Record, machines: Machines) -> None:
        self.record = record
        self._machines = machines

    @property
    def pods(self) -> list[Pod]:
        """Those that ran."""
        return [pod for pod in self.record.pods.values() if pod.running is not None]

    @property
    def lost(self) -> int:
        """Pods that ended with their machine, and were made again."""
        return sum(not pod.succeeded for pod in self.record.pods.values())

    @cached_property
    def cost(self) -> Fraction:
        """Nanodollars."""
        return sum((self._price(one) for one in self.record.machines.values()), start=Fraction(0))

    @property
    def machine_hours(self) -> float:
        """Of all machines, from their launch until they are gone."""
        return sum(_life(one) for one in self.record.machines.values()) / HOUR

    @property
    def end(self) -> float:
        """Second of the night at which the last pod ended."""
        return max(pod.ended or 0 for pod in self.pods)

    def waits(self, group: str | None = None) -> Waits:
        """From a pod's creation until it runs."""
        return Waits.of(one.running - one.created for one in self._started(group))

    def queued(self) -> Waits:
        """From a pod's creation until its queue lets it go."""
        return Waits.of(one.admitted - one.created for one in self._started(None))

    def for_machines(self) -> Waits:
        """From when the queue has let a pod go until it runs."""
        return Waits.of(one.running - one.admitted for one in self._started(None))

    def lag(self) -> Waits:
        """From when a pod was due until it was made: what the measurement itself adds."""
        return Waits.of(one.created - one.due for one in self._started(None))

    def overtime(self) -> Waits:
        """How much longer pods ran than their tasks take: what the measurement itself adds to the machines."""
        return Waits.of(_time(pod) - pod.task.seconds for pod in self.pods if pod.succeeded)

    def _started(self, group: str | None) -> Iterator[Started]:
        for pod in self.pods:
            if group in (None, pod.task.group):
                assert pod.created is not None and pod.admitted is not None and pod.running is not None
                yield Started(pod.due, max(pod.created, pod.due), max(pod.admitted, pod.created), pod.running)

    def waste(self) -> Waste:
        """Return where the price went, beyond what the pods that succeeded took of their machines."""
        starting = empty = unused = lost = Fraction(0)
        for machine in self.record.machines.values():
            offer, on_it = self._offer(machine), [pod for pod in self.pods if pod.node == machine.node and machine.node]
            hourly = Fraction(offer.price, HOUR)
            ready = machine.launched if machine.ready is None else machine.ready
            starting += hourly * _exact(ready - machine.launched)
            busy = _union([(_begin(pod, ready), pod.ended or 0) for pod in on_it])
            alone = _exact(_life(machine)) - _exact(ready - machine.launched) - busy
            empty += hourly * max(alone, Fraction(0))
            taken = sum((share(requests(pod.task), offer) * _exact(_time(pod)) for pod in on_it), start=Fraction(0))
            unused += hourly * (busy - taken)
            ended = [pod for pod in on_it if not pod.succeeded]
            lost += hourly * sum((share(requests(pod.task), offer) * _exact(_time(pod)) for pod in ended), Fraction(0))
        return Waste(starting, empty, unused, lost)

    def _offer(self, machine: Machine) -> Offer:
        [offer] = self._machines.offers(machine.capacity_type, [machine.instance_type])
        return offer

    def _price(self, machine: Machine) -> Fraction:
        return billed(_life(machine), self._offer(machine).price)


@dataclass(frozen=True)
class Started:
    """A pod that ran: seconds of the night."""

    due: float
    created: float
    admitted: float
    running: float


def _life(machine: Machine) -> float:
    assert machine.gone is not None
    return machine.gone - machine.launched


def _time(pod: Pod) -> float:
    return (pod.ended or 0) - (pod.running or 0)


def _begin(pod: Pod, ready: float) -> float:
    return max(pod.bound or 0, ready)


def _exact(seconds: float) -> Fraction:
    """Return measured seconds to the thousandth."""
    return Fraction(round(seconds * 1000), 1000)


def _union(spans: Iterable[tuple[float, float]]) -> Fraction:
    """Return the seconds in which there is at least one."""
    total, until = Fraction(0), 0.0
    for begin, end in sorted(spans):
        total += max(_exact(end - max(begin, until)), Fraction(0))
        until = max(until, end)
    return total
