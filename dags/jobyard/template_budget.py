"""What one rendering may still use, and what a value in it weighs."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jinja2.runtime import Undefined

from jobyard.template_rules import (
    ELEMENTS,
    NUMBER,
    OUTPUT_CHARACTERS,
    SECONDS,
    STEPS,
    TEXT_CHARACTERS,
    VALUE_DEPTH,
    TemplateRefusedError,
)

# So many characters cost as much as one step.
CHARACTERS_A_STEP = 64
DATES = frozenset(
    {
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "pendulum.date.Date",
        "pendulum.datetime.DateTime",
        "pendulum.duration.Duration",
        "pendulum.interval.Interval",
        "pendulum.time.Time",
    }
)
ATOMS = DATES | {"builtins.NoneType", "builtins.bool", "builtins.float", "uuid.UUID"}
LISTS = frozenset({"builtins.list", "builtins.tuple", "jinja2.filters._GroupTuple"})


def kind_of(value: object) -> str:
    """Return the full name of the value's exact class; what inherits from a class is another."""
    found = type(value)
    return f"{found.__module__}.{found.__qualname__}"


class Budget:
    """Of all renderings of a task: steps, characters of output, and processor time."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        """`clock` counts the processor's seconds: a slow answer of Airflow's API ends no rendering."""
        self._clock = clock
        self._used, self._begin = 0.0, clock()
        self.steps = STEPS
        self._output = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the time within the block alone: of a mapped task, the pod runs between two renderings."""
        self._begin = self._clock()
        try:
            yield
        finally:
            self._used += self._clock() - self._begin

    def spend(self, steps: int) -> None:
        """Take the steps.

        Raises:
            TemplateRefusedError: there are not so many left, or the time is over.
        """
        self.steps -= steps
        if self.steps < 0:
            raise TemplateRefusedError(f"the templates of a task may take {STEPS:,} steps together")
        if self._used + self._clock() - self._begin > SECONDS:
            raise TemplateRefusedError(
                f"the templates of a task may take {SECONDS:.0f} seconds of a processor together"
            )

    def write(self, text: str) -> str:
        """Take the text as output.

        Raises:
            TemplateRefusedError: it is too long, by itself or with what was written before.
        """
        self.weigh(text)
        self._output += len(text)
        if self._output > OUTPUT_CHARACTERS:
            raise TemplateRefusedError(f"the templates of a task may make {OUTPUT_CHARACTERS:,} characters together")
        return text

    def weigh(self, value: object) -> int:
        """Take as many steps as the value weighs, and return them.

        Raises:
            TemplateRefusedError: it is too large, too deep, or nothing that a template may have as a value.
        """
        total = 0
        rest = [(value, 0)]
        while rest:
            one, depth = rest.pop()
            total += weight(one)
            if total > ELEMENTS + 1 or depth > VALUE_DEPTH:
                raise TemplateRefusedError(
                    f"a value in a template may have {ELEMENTS:,} elements and {VALUE_DEPTH} levels at most"
                )
            rest.extend((part, depth + 1) for part in _parts(one))
        self.spend(total)
        return total


def weight(value: object) -> int:
    """Return what the value weighs without its parts.

    Raises:
        TemplateRefusedError: it is too large, or nothing that a template may have as a value.
    """
    kind = kind_of(value)
    if kind == "builtins.str":
        fits(len(value))  # type: ignore[arg-type]
        return 1 + len(value) // CHARACTERS_A_STEP  # type: ignore[arg-type]
    if kind == "builtins.int":
        if not -NUMBER <= value <= NUMBER:  # type: ignore[operator]
            raise TemplateRefusedError("a whole number in a template may have 64 bits at most")
        return 1
    if kind in LISTS or kind == "builtins.dict":
        # What its parts weigh at least: no long list is walked to find out that it is too long.
        if len(value) > ELEMENTS:  # type: ignore[arg-type]
            raise TemplateRefusedError(f"a value in a template may have {ELEMENTS:,} elements at most")
        return 1
    if kind in ATOMS or isinstance(value, Undefined):
        return 1
    raise TemplateRefusedError(f"{type(value).__name__} is not a value that a template can use")


def fits(characters: int) -> None:
    """Raise TemplateRefusedError unless a text may have so many characters."""
    if characters > TEXT_CHARACTERS:
        raise TemplateRefusedError(f"a text in a template may have {TEXT_CHARACTERS:,} characters, not {characters:,}")


def _parts(value: Any) -> Iterator[object]:
    if kind_of(value) in LISTS:
        yield from value
    elif type(value) is dict:
        yield from value
        yield from value.values()


def is_date(value: object) -> bool:
    """Return whether the value is a moment, a day, a time or a span of time."""
    return isinstance(value, datetime.date | datetime.time | datetime.timedelta) and kind_of(value) in DATES
