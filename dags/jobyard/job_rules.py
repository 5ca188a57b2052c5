"""The rules for a job's entry in a release: a table with a line for each field.

A new field is a line here, and a new `schema_version`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from jobyard import limits
from jobyard.rules import (
    Misfit,
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

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@once", "@continuous")
CONTINUOUS = "@continuous"
OCCASIONS = ("on_failure", "on_retry", "on_success", "on_missed_deadline")
TRIGGER_RULES = (
    "all_success",
    "all_failed",
    "all_done",
    "all_skipped",
    "one_success",
    "one_failed",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "always",
)
TESTS = ("above", "at_least", "below", "at_most", "equals")
_PARAM_KINDS = ("string", "number", "integer", "boolean")
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
        raise Misfit(f"must be an existing date; got {shown(value)}") from None
    if not limits.FIRST_YEAR <= year <= limits.LAST_YEAR:
        raise Misfit(f"must be in the years {limits.FIRST_YEAR} to {limits.LAST_YEAR}; got {value}")


def clock(value: Any) -> None:
    """Require a cron expression or a preset."""
    if value.startswith("@"):
        if value not in PRESETS:
            raise Misfit(f"must be one of the presets {', '.join(PRESETS)}; got {shown(value)}")
    else:
        _CRON(value)


def too_deep(value: Any) -> None:
    """Refuse a list or an object at this depth."""
    raise Misfit(f"must not be nested more than {limits.DEPTH} levels deep")


NAME = text(limits.NAME, "[a-z]([a-z0-9-]*[a-z0-9])?", "a name of lower-case letters, digits and '-'", least=1)
_ANY_NAME = text(limits.KUBERNETES_NAME, "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a name in Kubernetes", least=1)
_KEY = text(limits.KUBERNETES_NAME, "[A-Za-z0-9._-]+", "a key of a Secret")
_VARIABLE = text(limits.LABEL, "[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and '_'")
_JOB_NAME = text(limits.JOB_NAME, "[!-~]+", "a job, <team>.<job>")
_ASSET = text(limits.ASSET)
_TIMEZONE = text(limits.TIMEZONE, "[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "the name of a time zone, such as Asia/Jakarta")
# Airflow renders the address: it must have no template, and no quotes, which would end the name in one.
_IMAGE = text(limits.ADDRESS, r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*", "the name or address of an image")
_QUANTITY = text(limits.QUANTITY, r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", "a quantity, such as 512Mi")
_OWNER = text(limits.OWNER, r"[^\x00-\x1f\x7f,]*", "an owner without commas and line breaks")
_TEXT = text(limits.TEXT)
_LABEL = text(limits.LABEL, least=1)
# Airflow's deserialisation creates objects from mappings with such keys.
_ENTRY_NAME = text(limits.LABEL, r"(?s:(?!__).*)", "a name without a leading '__', which is reserved for Airflow")
_NUMBER = number(limits.NUMBER)
_SCALARS: Mapping[type, Rule] = {str: _TEXT, int: _NUMBER, float: _NUMBER, bool: flag}
_SCALAR = by_kind(_SCALARS)
_NULLABLE_SCALAR = nullable(_SCALAR)
_SECONDS = whole(1, limits.SECONDS)
_LIMIT = nullable(_SECONDS)
_ASSETS = listed(_ASSET, limits.TASK_ASSETS)
_ARGUMENTS = nullable(listed(_TEXT, limits.ARGUMENTS))
_AMOUNTS = mapping(choice("cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"), _QUANTITY, 4)


def _containers(left: int) -> Mapping[type, Rule]:
    """Return the rules for lists and objects of plain values with this many levels."""
    if not left:
        return {list: too_deep, dict: too_deep}
    inner = by_kind({**_SCALARS, type(None): nothing, **_containers(left - 1)})
    return {list: listed(inner, limits.ENTRIES), dict: mapping(_ENTRY_NAME, inner, limits.ENTRIES)}


_CONTAINERS = _containers(limits.DEPTH)
_PLAIN = by_kind({**_SCALARS, type(None): nothing, **_CONTAINERS})
_ITEM = by_kind({**_SCALARS, dict: _CONTAINERS[dict]})

SCHEDULE = by_kind(
    {
        str: clock,
        type(None): nothing,
        dict: fields({}, {"after": listed(_JOB_NAME, limits.AFTER), "assets": listed(_ASSET, limits.TASK_ASSETS)}),
    }
)
TIMING: Mapping[str, Rule] = {
    "schedule": SCHEDULE,
    "timezone": _TIMEZONE,
    "start_date": day,
    "end_date": nullable(day),
}
ALERTS = mapping(
    choice(*OCCASIONS),
    listed(
        mapping(choice("slack", "email", "sns", "pagerduty", "webhook"), text(limits.ADDRESS, least=1), 1, 1),
        limits.TARGETS,
    ),
    len(OCCASIONS),
)
# Only the keywords of job.schema.json: Airflow's API server supports all of JSON Schema, where a `pattern` can take
# hours to match, and a `$ref` makes it fetch an address.
PARAM = by_kind(
    {
        **_SCALARS,
        type(None): nothing,
        dict: fields(
            {"default": _NULLABLE_SCALAR},
            {
                "type": by_kind({str: choice(*_PARAM_KINDS), list: listed(choice(*_PARAM_KINDS, "null"), 2, 1)}),
                "title": _LABEL,
                "description": text(limits.DESCRIPTION, least=1),
                "enum": listed(_NULLABLE_SCALAR, limits.CHOICES, 1),
                "minimum": _NUMBER,
                "maximum": _NUMBER,
            },
        ),
    }
)
RETRIES = fields(
    {
        "attempts": whole(0, limits.ATTEMPTS),
        "delay": whole(0, limits.SECONDS),
        "backoff": choice("none", "exponential"),
        "max_delay": _LIMIT,
    },
    {},
)
FOREACH = fields(
    {
        "items": nullable(listed(_ITEM, limits.ITEMS, 1)),
        "output_of": nullable(NAME),
        "concurrency": nullable(whole(1, limits.ACTIVE_TASKS)),
    },
    {},
)
GATE = fields(
    {"output_of": NAME, "value": nullable(_LABEL), "test": choice(*TESTS), "bound": _SCALAR},
    {},
)
EVERY_TASK: Mapping[str, Rule] = {
    "needs": listed(NAME, limits.NEEDS),
    "retries": RETRIES,
    "timeout": _LIMIT,
    "trigger_rule": choice(*TRIGGER_RULES),
}
EVERY_TASK_OPTIONAL: Mapping[str, Rule] = {
    "group": nullable(NAME),
    "pool": nullable(_ANY_NAME),
    "inputs": _ASSETS,
    "outputs": _ASSETS,
}
POD: Mapping[str, Rule] = {
    "image": _IMAGE,
    "command": _ARGUMENTS,
    "args": _ARGUMENTS,
    "env": mapping(_VARIABLE, _TEXT, limits.VARIABLES),
    "secrets": mapping(_VARIABLE, fields({"secret": _ANY_NAME, "key": _KEY}, {}), limits.VARIABLES),
    "scratch": nullable(_QUANTITY),
    "node_group": _ANY_NAME,
    "resources": fields({"requests": _AMOUNTS, "limits": _AMOUNTS}, {}),
    "service_account": _ANY_NAME,
    "priority_class": _ANY_NAME,
    "startup_timeout": _LIMIT,
}
POD_OPTIONAL: Mapping[str, Rule] = {"foreach": nullable(FOREACH), "gate": nullable(GATE), "output": flag}
TYPED: Mapping[str, Rule] = {
    "type": nullable(_ANY_NAME),
    "arguments": mapping(_VARIABLE, _PLAIN, limits.VARIABLES),
}
_POD_TASK = fields({**EVERY_TASK, **POD}, {**EVERY_TASK_OPTIONAL, **POD_OPTIONAL, **TYPED})
_TYPED_TASK = fields(EVERY_TASK, {**EVERY_TASK_OPTIONAL, **POD, **POD_OPTIONAL, **TYPED})


def task(value: Any) -> None:
    """Require a task: a pod, unless it has a type."""
    has_type = type(value) is dict and value.get("type") is not None
    (_TYPED_TASK if has_type else _POD_TASK)(value)


JOB: Mapping[str, Rule] = {
    **TIMING,
    "source": text(limits.SOURCE),
    "description": text(limits.DESCRIPTION),
    "owner": _OWNER,
    "catchup": flag,
    "max_active_runs": whole(1, limits.ACTIVE_RUNS),
    "timeout": _LIMIT,
    "tags": listed(text(limits.TAG, least=1), limits.TAGS),
    "params": mapping(_VARIABLE, PARAM, limits.PARAMS),
    "tasks": mapping(NAME, task, limits.TASKS, 1),
}
JOB_OPTIONAL: Mapping[str, Rule] = {
    "digest": text(64, "[0-9a-f]+", "a digest in hexadecimal"),
    "max_active_tasks": nullable(whole(1, limits.ACTIVE_TASKS)),
    "deadline": nullable(_SECONDS),
    "wait_for": listed(fields({"job": _JOB_NAME, "timeout": _SECONDS}, {}), limits.WAITS),
    "alerts": ALERTS,
}
