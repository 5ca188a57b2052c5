"""Plain data: JSON's values, copied into Python's own types and no others.

What a container leaves goes through Airflow's tables as a text that only this module reads. Of an object in them,
Airflow makes whatever the object says it is: a mapping with `__classname__` or `__type` becomes an instance of a class.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from jobyard.errors import PlainDataError

# The names by which Airflow's serialization knows an object: the first alone, or both others.
SERIALIZED = ("__classname__", "__type", "__var")
DEPTH = 32
ELEMENTS = 10_000
CHARACTERS = 262_144
NUMBER = 2**63 - 1


def encode(value: object) -> str:
    """Return the text that stands for plain data.

    Raises:
        PlainDataError: see `plain`.
    """
    return json.dumps(plain(value), allow_nan=False)


def decode(text: object) -> object:
    """Return the plain data that the text stands for.

    Raises:
        PlainDataError: it is not such a text.
    """
    if type(text) is not str or len(text) > CHARACTERS:
        raise PlainDataError(f"is not the text of a value: {_shown(text)}")
    try:
        return plain(json.loads(text, parse_constant=_refuse))
    except RecursionError as error:
        raise PlainDataError(f"is nested deeper than {DEPTH} levels") from error
    except ValueError as error:
        raise PlainDataError(f"is not JSON: {error}; it begins {text[:80]!r}") from error


def _refuse(constant: str) -> None:
    """Refuse NaN and infinity: no condition holds for them, and databases do not accept them."""
    raise ValueError(f"{constant} is not a number")


def plain(value: object) -> Any:
    """Return the value, made of nothing but None, bool, int, float, str, list and dict, each of just that type.

    Raises:
        PlainDataError: it has anything else in it, is nested too deep, or is too large.
    """
    return _Copy().of(value, 0)


def refuse_serialized(value: object) -> None:
    """Look through what a release says, which Airflow stores with a DAG and reads back in its scheduler.

    Raises:
        PlainDataError: an object in it is one of which Airflow would make an instance of a class.
    """
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            if SERIALIZED[0] in one or all(name in one for name in SERIALIZED[1:]):
                raise PlainDataError(f"an object has the names by which Airflow serializes: {', '.join(SERIALIZED)}")
            rest.extend(one.values())
        elif isinstance(one, list):
            rest.extend(one)


class _Copy:
    """One copy, which counts what it has copied."""

    def __init__(self) -> None:
        self.elements = self.characters = 0

    def of(self, value: object, depth: int) -> Any:
        self.elements += 1
        if self.elements > ELEMENTS:
            raise PlainDataError(f"has more than {ELEMENTS:,} elements")
        if depth > DEPTH:
            raise PlainDataError(f"is nested deeper than {DEPTH} levels")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float):
            return _number(value)
        if isinstance(value, Mapping):
            return {self.key(key): self.of(entry, depth + 1) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(entry, depth + 1) for entry in value]
        raise PlainDataError(f"contains a {type(value).__name__}, which is not plain data")

    def key(self, key: object) -> str:
        if not isinstance(key, str):
            raise PlainDataError(f"contains a key that is not a string: {_shown(key)}")
        return self.text(key)

    def text(self, value: str) -> str:
        # What inherits from a class is made one of that class; a method of its own is never asked.
        text = str.__str__(value)
        self.characters += len(text)
        if self.characters > CHARACTERS:
            raise PlainDataError(f"has more than {CHARACTERS:,} characters")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PlainDataError(f"contains a string that is not Unicode: {error.reason}") from error
        # Neither PostgreSQL nor an argument of a program can have it.
        if "\0" in text:
            raise PlainDataError("contains a string with a NUL character")
        return text


def _number(value: float) -> float:
    if isinstance(value, int):
        number = int.__int__(value)
        if abs(number) > NUMBER:
            raise PlainDataError("contains an integer of more than 64 bits")
        return number
    if not math.isfinite(value):
        raise PlainDataError("contains a number that is not finite")
    return float.__float__(value)


def _shown(value: object) -> str:
    """Return the beginning of a text; of anything else only its type, as its own `__repr__` is not asked."""
    return repr(str.__str__(value)[:80]) if isinstance(value, str) else type(value).__name__
