"""What the values in a release may be: a rule for each kind of value that `entries` has fields of."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from jobyard import contract, limits
from jobyard.rules import (
    MisfitError,
    Rule,
    by_kind,
    choice,
    fields,
    flag,
    listed,
    mapping,
    nothing,
    nullable,
    number,
    shown,
    text,
    whole,
)

PARAM_KINDS = ("string", "number", "integer", "boolean")
_DATE = text(10, "[0-9]{4}-[0-9]{2}-[0-9]{2}", "a date, such as 2026-11-01")
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
# Without H and R, which are not fixed times, and with L only as all parsers read it: alone, for the last day.
_CRON_FIELD = f"(?:[0-9*/,#-]|(?<![0-9A-Z])L(?![0-9A-Z])|{_DAYS}|{_MONTHS})+"
_CRON = text(
    limits.SCHEDULE,
    rf"(?i:\s*{_CRON_FIELD}(?:\s+{_CRON_FIELD}){{4}}\s*)",
    "a cron expression of five fields with numbers, names and * , - / #, or L for the last day of the month",
)


def day(value: Any) -> None:
    """Require a date in years that Airflow and its database can store in any time zone."""
    _DATE(value)
    try:
        year = date.fromisoformat(value).year
    except ValueError:
        raise MisfitError(f"must be an existing date; got {shown(value)}") from None
    if not limits.FIRST_YEAR <= year <= limits.LAST_YEAR:
        raise MisfitError(f"must be in the years {limits.FIRST_YEAR} to {limits.LAST_YEAR}; got {value}")


def clock(value: Any) -> None:
    """Require a cron expression or a preset."""
    if value.startswith("@"):
        if value not in contract.PRESETS:
            raise MisfitError(f"must be one of the presets {', '.join(contract.PRESETS)}; got {shown(value)}")
    else:
        _CRON(value)


def too_deep(value: Any) -> None:
    """Refuse a list or an object at this depth."""
    raise MisfitError(f"must not be nested more than {limits.DEPTH} levels deep")


NAME = text(limits.NAME, contract.NAME.pattern, "a name of lower-case letters, digits and '-'", least=1)
ANY_NAME = text(limits.KUBERNETES_NAME, "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a name in Kubernetes", least=1)
KEY = text(limits.KUBERNETES_NAME, "[A-Za-z0-9._-]+", "a key of a Secret")
VARIABLE = text(limits.LABEL, "[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and '_'")
JOB_NAME = text(limits.JOB_NAME, "[!-~]+", "a job, <team>.<job>")
ASSET = text(limits.ASSET)
TIMEZONE = text(limits.TIMEZONE, "[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "the name of a time zone, such as Asia/Jakarta")
# Airflow renders the address: it must have no template, and no quotes, which would end the name in one.
IMAGE = text(limits.ADDRESS, r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*", "the name or address of an image")
QUANTITY = text(limits.QUANTITY, r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", "a quantity, such as 512Mi")
OWNER = text(limits.OWNER, r"[^\x00-\x1f\x7f,]*", "an owner without commas and line breaks")
TEXT = text(limits.TEXT)
LABEL = text(limits.LABEL, least=1)
# Airflow's deserialisation creates objects from mappings with such keys.
ENTRY_NAME = text(limits.LABEL, r"(?s:(?!__).*)", "a name without a leading '__', which is reserved for Airflow")
NUMBER = number(limits.NUMBER)
SCALARS: Mapping[type, Rule] = {str: TEXT, int: NUMBER, float: NUMBER, bool: flag}
SCALAR = by_kind(SCALARS)
NULLABLE_SCALAR = nullable(SCALAR)
SECONDS = whole(1, limits.SECONDS)
LIMIT = nullable(SECONDS)
ASSETS = listed(ASSET, limits.TASK_ASSETS)
ARGUMENTS = nullable(listed(TEXT, limits.ARGUMENTS))
AMOUNTS = mapping(choice("cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"), QUANTITY, 4)


def _containers(left: int) -> Mapping[type, Rule]:
    """Return the rules for lists and objects of plain values with this many levels."""
    if not left:
        return {list: too_deep, dict: too_deep}
    inner = by_kind({**SCALARS, type(None): nothing, **_containers(left - 1)})
    return {list: listed(inner, limits.ENTRIES), dict: mapping(ENTRY_NAME, inner, limits.ENTRIES)}


CONTAINERS = _containers(limits.DEPTH)
PLAIN = by_kind({**SCALARS, type(None): nothing, **CONTAINERS})
ITEM = by_kind({**SCALARS, dict: CONTAINERS[dict]})


SCHEDULE = by_kind(
    {
        str: clock,
        type(None): nothing,
        dict: fields({}, {"after": listed(JOB_NAME, limits.AFTER), "assets": ASSETS}),
    }
)
_TARGET = mapping(choice("slack", "email", "sns", "pagerduty", "webhook"), text(limits.ADDRESS, least=1), 1, 1)
TARGETS = listed(_TARGET, limits.TARGETS)
_KIND = choice(*PARAM_KINDS)
_KINDS = by_kind({str: _KIND, list: listed(choice(*PARAM_KINDS, "null"), 2, 1)})
# Only the keywords of job.schema.json: Airflow's API server supports all of JSON Schema, where a `pattern` can take
# hours to match, and a `$ref` makes it fetch an address.
_PARAM_OBJECT = fields(
    {"default": NULLABLE_SCALAR},
    {
        "type": _KINDS,
        "title": LABEL,
        "description": text(limits.DESCRIPTION, least=1),
        "enum": listed(NULLABLE_SCALAR, limits.CHOICES, 1),
        "minimum": NUMBER,
        "maximum": NUMBER,
    },
)
PARAM = by_kind({**SCALARS, type(None): nothing, dict: _PARAM_OBJECT})
