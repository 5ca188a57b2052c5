"""What a template may do with values: operators, methods and filters, each looked at before it computes anything.

What Python computes in one go can't be stopped on its way, so whatever could grow is refused by the size that it would
have. The tables are allow-lists: by a value's exact class, which of its attributes a template may name.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from types import BuiltinMethodType, MethodType
from typing import Any

from jobyard.template_budget import CHARACTERS_A_STEP, DATES, LISTS, Budget, fits, kind_of
from jobyard.template_rules import ELEMENTS, TEXT_CHARACTERS, TemplateRefusedError, words

_DAY = words(
    """
    add date day day_of_week day_of_year days_in_month end_of first_of format isoformat isoweekday
    last_of month next previous quarter replace start_of strftime subtract to_date_string week_of_month
    week_of_year weekday year
    """
)
_CLOCK = frozenset({"hour", "microsecond", "minute", "second", "isoformat", "strftime"})
_MOMENT = (
    _DAY
    | _CLOCK
    | words(
        """
    float_timestamp in_timezone in_tz int_timestamp naive offset_hours time timestamp timezone_name
    to_atom_string to_datetime_string to_iso8601_string to_time_string tzname utcoffset
    """
    )
)
_SPAN = frozenset({"days", "microseconds", "seconds", "total_seconds"})
_LONG_SPAN = _SPAN | {"hours", "in_days", "in_hours", "in_minutes", "in_seconds", "in_weeks", "minutes", "weeks"}
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "builtins.dict": frozenset({"get", "items", "keys", "values"}),
    "builtins.float": frozenset({"is_integer"}),
    "builtins.list": frozenset({"count", "index"}),
    "builtins.str": words(
        """
    capitalize casefold center count endswith find index isalnum isalpha isascii isdecimal isdigit
    isidentifier islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix
    removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip
    swapcase title upper zfill
    """
    ),
    "builtins.tuple": frozenset({"count", "index"}),
    "datetime.date": _DAY,
    "datetime.datetime": _MOMENT,
    "datetime.time": _CLOCK,
    "datetime.timedelta": _SPAN,
    "jinja2.filters._GroupTuple": frozenset({"grouper", "list"}),
    "jinja2.runtime.LoopContext": words(
        "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0"
    ),
    "pendulum.date.Date": _DAY,
    "pendulum.datetime.DateTime": _MOMENT,
    "pendulum.duration.Duration": _LONG_SPAN,
    "pendulum.interval.Interval": _LONG_SPAN,
    "pendulum.time.Time": _CLOCK,
    "uuid.UUID": frozenset({"hex"}),
}
# Of classes that a template has as they are.
CLASSES: Mapping[type, frozenset[str]] = {
    datetime.datetime: frozenset({"fromisoformat", "now", "strptime", "today", "utcnow"}),
    datetime.timedelta: frozenset(),
}
# Their time grows with the product of both texts.
_SLOW_METHODS = frozenset({"lstrip", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "strip"})
SHORT = 64
# Python's own loops count months one by one.
LARGEST_STEP = 100_000
_CONVERSION = re.compile(r"%(?:\([^()]*\))?[#0\- +]*(\d*)(?:\.(\d*))?[hlL]?[diouxXeEfFgGcrsa%]")
WIDEST = 256
MOST_CONVERSIONS = 1_000
_DATE_FORMAT = re.compile(r"(?:[^%]|%[-_0^#]?[A-Za-z%]){0,200}", re.DOTALL)
# The largest whole number that a filter may be given.
_LARGEST = {
    "batch": ELEMENTS,
    "center": TEXT_CHARACTERS,
    "indent": WIDEST,
    "round": WIDEST,
    "slice": ELEMENTS,
    "tojson": 16,
    "truncate": TEXT_CHARACTERS,
}
# Those that take names of attributes, after so many other arguments.
_ATTRIBUTE_FILTERS = {"join": 1, "map": 9} | dict.fromkeys(
    ("groupby", "max", "min", "reject", "rejectattr", "select", "selectattr", "sort", "sum", "unique"), 0
)
ATTRIBUTE_LEVELS = 10
# Those that take longer than others for as much; they pay so many times.
SLOW_FILTERS = frozenset(
    {"dictsort", "groupby", "indent", "sort", "title", "tojson", "unique", "urlencode", "wordcount"}
)
SLOWNESS = 4


def check_operator(budget: Budget, operator: str, left: Any, right: Any) -> None:
    """Raise TemplateRefusedError if the result would be too large."""
    weights = budget.weigh(left), budget.weigh(right)
    if operator == "*":
        _check_repeated(left, weights[0], right)
        _check_repeated(right, weights[1], left)
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        if (left.bit_length() - 1) * abs(right) > SHORT:
            raise TemplateRefusedError(f"{left} ** {right} has more than 64 bits")
    elif operator == "%" and isinstance(left, str):
        check_format(left, right)
    elif operator == "+" and isinstance(left, str) and isinstance(right, str):
        fits(len(left) + len(right))


def _check_repeated(value: Any, weight: int, times: Any) -> None:
    if not isinstance(times, int):
        return
    if isinstance(value, str):
        fits(len(value) * times)
    elif kind_of(value) in LISTS and (weight - 1) * times > ELEMENTS:
        elements = (weight - 1) * times
        raise TemplateRefusedError(f"a list in a template must have at most {ELEMENTS:,} elements; got {elements:,}")


def check_format(text: str, values: object) -> None:
    """Raise TemplateRefusedError if `text % values` would be too long, or its format is not allowed."""
    place = width = conversions = 0
    while (place := text.find("%", place)) >= 0:
        found = _CONVERSION.match(text, place)
        if not found:
            raise TemplateRefusedError(f"a template must not use the format {text[place : place + 20]!r}")
        widths = [int(digits[:9] or 0) for digits in found.groups(default="0")]
        if max(widths) > WIDEST:
            raise TemplateRefusedError(
                f"a format in a template may be at most {WIDEST} characters wide; got {max(widths):,}"
            )
        place, width, conversions = found.end(), width + sum(widths), conversions + 1
        if conversions > MOST_CONVERSIONS:
            raise TemplateRefusedError(f"a format in a template must have at most {MOST_CONVERSIONS:,} parts")
    fits(len(text) + width)
    if not isinstance(values, tuple):
        fits(conversions * _longest(values))


def _longest(values: object) -> int:
    """Return how long the longest text in the values is, which a format may repeat."""
    if isinstance(values, str):
        return len(values)
    if isinstance(values, dict):
        return max((_longest(value) for value in values.values()), default=0)
    return CHARACTERS_A_STEP * len(values) if isinstance(values, Sequence) else 1


def check_call(function: Any, functions: frozenset[type], arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raise TemplateRefusedError unless a template may call that with these arguments (`functions`: our classes)."""
    if type(function) in functions or (isinstance(function, type) and function in CLASSES):
        return
    owner = function.__self__ if type(function) in (BuiltinMethodType, MethodType) else None
    name = function.__name__ if owner is not None else ""
    if name not in allowed_attributes(owner):
        raise TemplateRefusedError(f"a template must not call {type(function).__name__}")
    given = [*arguments, *named.values()]
    if type(owner) is str:
        _check_text_method(owner, name, given)
    elif kind_of(owner) in DATES or isinstance(owner, type):
        _check_date_method(name, given)


def allowed_attributes(owner: object) -> frozenset[str]:
    """Return the names of the attributes that a template may read of it."""
    if isinstance(owner, type):
        return CLASSES.get(owner, frozenset())
    return ATTRIBUTES.get(kind_of(owner), frozenset())


def _check_text_method(text: str, name: str, given: list[Any]) -> None:
    if name == "join":
        _check_joined(text, given[0] if given else ())
        return
    if name == "replace":
        _check_replaced(text, given)
    for argument in given:
        if isinstance(argument, int):
            fits(abs(argument))
        elif name in _SLOW_METHODS and isinstance(argument, str) and len(argument) > SHORT:
            raise TemplateRefusedError(f"'{name}' in a template takes at most {SHORT} characters")


def _check_date_method(name: str, given: list[Any]) -> None:
    # Another is a locale, of which pendulum makes the name of a module.
    if name == "format" and len(given) != 1:
        raise TemplateRefusedError("'format' of a date in a template takes one argument")
    for argument in given:
        if isinstance(argument, int | float) and not abs(argument) <= LARGEST_STEP:
            raise TemplateRefusedError(f"'{name}' of a date in a template takes numbers up to {LARGEST_STEP:,}")
        if isinstance(argument, str) and len(argument) > 200:
            raise TemplateRefusedError(f"'{name}' of a date in a template takes at most 200 characters")
        if name == "strftime" and isinstance(argument, str) and not _DATE_FORMAT.fullmatch(argument):
            raise TemplateRefusedError(f"a template must not use the date format {argument!r}")


def _check_joined(glue: str, parts: Any) -> None:
    count = len(parts) if isinstance(parts, str | list | tuple | dict) else 0
    fits(count * len(glue))


def _check_replaced(text: str, given: Sequence[Any]) -> None:
    if len(given) >= 2 and isinstance(given[0], str) and isinstance(given[1], str):
        fits(len(text) + (text.count(given[0]) + 1) * len(given[1]))


def check_filter(name: str, value: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raise TemplateRefusedError if the filter's result would be too large, or its work too long."""
    given = [*arguments, *named.values()]
    largest = _LARGEST.get(name)
    for argument in given:
        if largest is not None and isinstance(argument, int) and abs(argument) > largest:
            raise TemplateRefusedError(f"'{name}' in a template takes numbers up to {largest:,}; got {argument:,}")
    _check_attributes(name, arguments, named)
    if look := _LOOKS.get(name):
        look(value if isinstance(value, str | list | tuple | dict) else str(value), arguments, named)


def _check_attributes(name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    if name not in _ATTRIBUTE_FILTERS:
        return
    for argument in [*arguments[_ATTRIBUTE_FILTERS[name] :], named.get("attribute")]:
        if isinstance(argument, str) and argument.count(".") + argument.count(",") > ATTRIBUTE_LEVELS:
            raise TemplateRefusedError(
                f"'{name}' in a template takes an attribute of at most {ATTRIBUTE_LEVELS} levels"
            )


def _look_at_replace(value: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    texts = [str(argument) for argument in (*arguments, *named.values())]
    _check_replaced(str(value), texts)


def _look_at_join(value: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    glue = arguments[0] if arguments else named.get("d", "")
    _check_joined(str(glue), value)


def _look_at_indent(value: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    width = arguments[0] if arguments else named.get("width", 4)
    per_line = len(width) if isinstance(width, str) else int(width)
    text = str(value)
    fits(len(text) + len(text.splitlines()) * per_line)


def _look_at_format(value: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    check_format(str(value), dict(named) if named else tuple(arguments))


def _look_at_trim(value: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    for characters in (*arguments, *named.values()):
        if isinstance(characters, str) and len(characters) > SHORT:
            raise TemplateRefusedError(f"'trim' in a template takes at most {SHORT} characters")


_LOOKS: Mapping[str, Callable[[Any, Sequence[Any], Mapping[str, Any]], None]] = {
    "format": _look_at_format,
    "indent": _look_at_indent,
    "join": _look_at_join,
    "replace": _look_at_replace,
    "trim": _look_at_trim,
}
