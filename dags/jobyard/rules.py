"""Rules for values that were read from JSON, to be put together to the table in `job_rules`.

A rule is a function that raises Misfit, in a time that grows with the value's size at most. No library does it, as
Airflow 2.10 has neither msgspec nor pydantic.
"""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

Rule = Callable[[Any], None]
KINDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
QUOTED = 60
"""Characters of a value that a message has."""


class MisfitError(ValueError):
    """A value that its rule refuses; `path` leads to it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        steps = (str(step) for step in self.path)
        where = ".".join(step if step.isprintable() else ascii(step) for step in steps)
        return f"{where[:200]}: {self.problem}" if where else self.problem


def shown(value: object) -> str:
    """Return the value as a message has it: short, printable, and of a list or object its kind alone."""
    if isinstance(value, str):
        quoted = ascii(value[:QUOTED]) if not value[:QUOTED].isprintable() else repr(value[:QUOTED])
        return quoted if len(value) <= QUOTED else f"{quoted}… ({len(value):,} characters)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        # Python refuses to write very long numbers out.
        return str(value) if not isinstance(value, int) or value.bit_length() < 256 else "a number of many digits"
    return KINDS.get(type(value), "something else")


def wrong_kind(wanted: str, value: object) -> MisfitError:
    """Return what to raise where the value is of another kind."""
    return MisfitError(f"must be {wanted}, not {KINDS.get(type(value), 'something else')}")


def is_storable(text: str) -> bool:
    """Return whether a database takes the text: PostgreSQL holds no NUL, and UTF-8 no half of a surrogate pair."""
    if text.isascii():
        return "\0" not in text
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def storable(text: str, most: int) -> str:
    """Return the text, cut, with an escape for each character that Airflow's database could not hold."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    if is_storable(cut):
        return cut
    return cut.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def text(most: int, pattern: str = "", words: str = "", least: int = 0) -> Rule:
    """A text of at most so many characters, all of which the pattern matches; `words` say what that is."""
    matches = re.compile(pattern, re.ASCII).fullmatch if pattern else None

    def check(value: Any) -> None:
        if type(value) is not str:
            raise wrong_kind("text", value)
        if len(value) > most:
            raise MisfitError(f"has {len(value):,} characters, more than {most:,}")
        if len(value) < least:
            raise MisfitError("is empty")
        if not is_storable(value):
            raise MisfitError(
                f"{shown(value)} has a NUL or half a character in it, which Airflow's database can't hold"
            )
        if matches and not matches(value):
            raise MisfitError(f"{shown(value)} is not {words}")

    return check


def whole(least: int, most: int) -> Rule:
    """A whole number."""

    def check(value: Any) -> None:
        if type(value) is not int:
            raise wrong_kind("a whole number", value)
        if value < least:
            raise MisfitError(f"{shown(value)} is less than {least:,}")
        if value > most:
            raise MisfitError(f"{shown(value)} is more than {most:,}")

    return check


def number(most: int) -> Rule:
    """A number that JSON has: finite; a whole one at most so large."""

    def check(value: Any) -> None:
        if type(value) is float:
            if not isfinite(value):
                raise MisfitError(f"{value} is not a number of JSON's")
        elif type(value) is not int:
            raise wrong_kind("a number", value)
        elif not -most <= value <= most:
            raise MisfitError(f"{shown(value)} is not between {-most:,} and {most:,}")

    return check


def flag(value: Any) -> None:
    """Check for true or false."""
    if type(value) is not bool:
        raise wrong_kind("true or false", value)


def nothing(value: Any) -> None:
    """Check for null."""
    if value is not None:
        raise wrong_kind("null", value)


def choice(*words: str) -> Rule:
    """One of those texts."""
    known = frozenset(words)

    def check(value: Any) -> None:
        if type(value) is not str:
            raise wrong_kind("text", value)
        if value not in known:
            raise MisfitError(f"{shown(value)} is not one of {', '.join(words)}")

    return check


def nullable(rule: Rule) -> Rule:
    """Null, or what fits the rule."""

    def check(value: Any) -> None:
        if value is not None:
            rule(value)

    return check


def by_kind(rules: Mapping[type, Rule]) -> Rule:
    """One of several kinds, each with its rule."""
    known = dict(rules)
    wanted = " or ".join(KINDS[kind] for kind in known)

    def check(value: Any) -> None:
        rule = known.get(type(value))
        if rule is None:
            raise wrong_kind(wanted, value)
        rule(value)

    return check


def listed(rule: Rule, most: int, least: int = 0) -> Rule:
    """A list."""

    def check(value: Any) -> None:
        if type(value) is not list:
            raise wrong_kind("a list", value)
        _check_size(value, least, most)
        for place, entry in enumerate(value):
            try:
                rule(entry)
            except MisfitError as misfit:
                misfit.path = (place, *misfit.path)
                raise

    return check


def mapping(name: Rule, rule: Rule, most: int, least: int = 0) -> Rule:
    """An object of any names that fit a rule, each with a value that fits another."""

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise wrong_kind("an object", value)
        _check_size(value, least, most)
        for key, entry in value.items():
            try:
                name(key)
                rule(entry)
            except MisfitError as misfit:
                misfit.path = (key, *misfit.path)
                raise

    return check


def fields(required: Mapping[str, Rule], optional: Mapping[str, Rule]) -> Rule:
    """An object with these fields, and no others."""
    known = {**required, **optional}
    needed = required.keys()

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise wrong_kind("an object", value)
        for key, entry in value.items():
            rule = known.get(key)
            if rule is None:
                raise MisfitError(f"has the unknown field {shown(key)}")
            try:
                rule(entry)
            except MisfitError as misfit:
                misfit.path = (key, *misfit.path)
                raise
        if not needed <= value.keys():
            raise MisfitError(f"lacks {', '.join(sorted(needed - value.keys()))}")

    return check


def _check_size(value: list[Any] | dict[str, Any], least: int, most: int) -> None:
    if len(value) > most:
        raise MisfitError(f"has {len(value):,} entries, more than {most:,}")
    if len(value) < least:
        raise MisfitError("is empty")
