"""Rules for values that were read from JSON, combined to the fields of `entries`.

A rule is a function that raises Misfit, in a time that is at most linear in the size of the value. Airflow 2.10 has
neither msgspec nor pydantic.
"""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

Rule = Callable[[Any], None]
KINDS = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
QUOTED = 60
"""How many characters of a value a message quotes."""


class MisfitError(ValueError):
    """A value that violates its rule. `path` leads to it; `problem` follows the value's name: "must be …; got …"."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        steps: list[str] = []
        for step in map(str, self.path):
            steps.append(step if step.isprintable() else ascii(step))
        path = ".".join(steps)
        if not path:
            return self.problem
        return f"{path[:200]}: {self.problem}"


def shown(value: object) -> str:
    """Return the value as messages quote it: short and printable; of a list or an object, only its kind."""
    if isinstance(value, str):
        beginning = value[:QUOTED]
        quoted = repr(beginning) if beginning.isprintable() else ascii(beginning)
        if len(value) > QUOTED:
            return f"{quoted}… ({len(value):,} characters)"
        return quoted
    if isinstance(value, bool):
        return str(value).lower()
    # Python refuses to convert very long numbers to text.
    if isinstance(value, int) and value.bit_length() >= 256:
        return "a number of many digits"
    if isinstance(value, int | float):
        return str(value)
    return KINDS.get(type(value), "something else")


def wrong_kind(wanted: str, value: object) -> MisfitError:
    """Return the error for a value of another kind."""
    return MisfitError(f"must be {wanted}, not {KINDS.get(type(value), 'something else')}")


def is_storable(text: str) -> bool:
    """Return whether a database can store the text: PostgreSQL refuses NUL, and UTF-8 half a surrogate pair."""
    if text.isascii():
        return "\0" not in text
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def storable(text: str, most: int) -> str:
    """Return the text, truncated, with an escape for each character that Airflow's database cannot store."""
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    if is_storable(text):
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def text(most: int, pattern: str = "", words: str = "", least: int = 0) -> Rule:
    """Return the rule for a string of `least` to `most` characters that matches a pattern; `words` describe it."""
    matches = re.compile(pattern, re.ASCII).fullmatch if pattern else None

    def check(value: Any) -> None:
        if type(value) is not str:
            raise wrong_kind("a string", value)
        if len(value) > most:
            raise MisfitError(f"must have at most {most:,} characters; got {len(value):,}")
        if len(value) < least:
            raise MisfitError("must not be empty")
        if not is_storable(value):
            raise MisfitError(
                f"must not have a NUL or half a surrogate pair, for Airflow's database; got {shown(value)}"
            )
        if matches and not matches(value):
            raise MisfitError(f"must be {words}; got {shown(value)}")

    return check


def whole(least: int, most: int) -> Rule:
    """Return the rule for a whole number."""

    def check(value: Any) -> None:
        if type(value) is not int:
            raise wrong_kind("a whole number", value)
        if value < least:
            raise MisfitError(f"must be at least {least:,}; got {shown(value)}")
        if value > most:
            raise MisfitError(f"must be at most {most:,}; got {shown(value)}")

    return check


def number(most: int) -> Rule:
    """Return the rule for a finite number; the absolute value of a whole one is at most `most`."""

    def check(value: Any) -> None:
        if type(value) is float:
            if not isfinite(value):
                raise MisfitError(f"must be finite; got {value}")
        elif type(value) is not int:
            raise wrong_kind("a number", value)
        elif not -most <= value <= most:
            raise MisfitError(f"must be between {-most:,} and {most:,}; got {shown(value)}")

    return check


def flag(value: Any) -> None:
    """Require true or false."""
    if type(value) is not bool:
        raise wrong_kind("true or false", value)


def nothing(value: Any) -> None:
    """Require null."""
    if value is not None:
        raise wrong_kind("null", value)


def choice(*words: str) -> Rule:
    """Return the rule for one of these strings."""
    known = frozenset(words)

    def check(value: Any) -> None:
        if type(value) is not str:
            raise wrong_kind("a string", value)
        if value not in known:
            raise MisfitError(f"must be one of {', '.join(words)}; got {shown(value)}")

    return check


def nullable(rule: Rule) -> Rule:
    """Return the rule for null, or a value that satisfies another rule."""

    def check(value: Any) -> None:
        if value is not None:
            rule(value)

    return check


def by_kind(rules: Mapping[type, Rule]) -> Rule:
    """Return the rule for a value of one of several kinds, each with a rule."""
    known = dict(rules)
    wanted = " or ".join(KINDS[kind] for kind in known)

    def check(value: Any) -> None:
        rule = known.get(type(value))
        if rule is None:
            raise wrong_kind(wanted, value)
        rule(value)

    return check


def listed(rule: Rule, most: int, least: int = 0) -> Rule:
    """Return the rule for a list, whose entries satisfy another rule."""

    def check(value: Any) -> None:
        if type(value) is not list:
            raise wrong_kind("a list", value)
        _check_size(value, least, most)
        for index, entry in enumerate(value):
            try:
                rule(entry)
            except MisfitError as misfit:
                misfit.path = (index, *misfit.path)
                raise

    return check


def mapping(name: Rule, rule: Rule, most: int, least: int = 0) -> Rule:
    """Return the rule for an object with any names and values that satisfy these rules."""

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
    """Return the rule for an object with these fields, and no others."""
    known = {**required, **optional}
    needed = required.keys()

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise wrong_kind("an object", value)
        for key, entry in value.items():
            rule = known.get(key)
            if rule is None:
                raise MisfitError(f"must not have the unknown field {shown(key)}")
            try:
                rule(entry)
            except MisfitError as misfit:
                misfit.path = (key, *misfit.path)
                raise
        if not needed <= value.keys():
            raise MisfitError(f"must have {', '.join(sorted(needed - value.keys()))}")

    return check


def _check_size(value: list[Any] | dict[str, Any], least: int, most: int) -> None:
    if len(value) > most:
        raise MisfitError(f"must have at most {most:,} entries; got {len(value):,}")
    if len(value) < least:
        raise MisfitError("must not be empty")
