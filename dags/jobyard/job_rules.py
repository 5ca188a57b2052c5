"""What each field of a job's entry in a release may be: one table, a line for each field.

A new field is one line here, and a new `schema_version`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from jobyard import limits
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
_DATE = text(10, "[0-9]{4}-[0-9]{2}-[0-9]{2}", "a day such as 2026-11-01")
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
# Without what stands for no fixed time (H, R), and with L only where all that read it agree: alone, for the last day.
_CRON_FIELD = f"(?:[0-9*/,#-]|(?<![0-9A-Z])L(?![0-9A-Z])|{_DAYS}|{_MONTHS})+"
_CRON = text(
    limits.SCHEDULE,
    rf"(?i:\s*{_CRON_FIELD}(?:\s+{_CRON_FIELD}){{4}}\s*)",
    "a cron expression: five fields of numbers, names, * , - / and #, or L for a month's last day",
)


def day(value: Any) -> None:
    """Check for a date of years that every part of Airflow, and its database, can hold in any time zone."""
    _DATE(value)
    try:
        year = date.fromisoformat(value).year
    except ValueError:
        raise MisfitError(f"{shown(value)} is not a day of the calendar") from None
    if not limits.FIRST_YEAR <= year <= limits.LAST_YEAR:
        raise MisfitError(f"{value} is not in the years {limits.FIRST_YEAR} to {limits.LAST_YEAR}")


def clock(value: Any) -> None:
    """Check for a cron expression or one of the presets."""
    if value.startswith("@"):
        if value not in PRESETS:
            raise MisfitError(f"{shown(value)} is not one of the presets {', '.join(PRESETS)}")
    else:
        _CRON(value)


def too_deep(value: Any) -> None:
    """Refuse a list or an object where there have been enough around it."""
    raise MisfitError(f"is nested more than {limits.DEPTH} deep")


NAME = text(limits.NAME, "[a-z]([a-z0-9-]*[a-z0-9])?", "lower-case letters, digits and '-'", least=1)
_ANY_NAME = text(limits.KUBERNETES_NAME, "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a name of Kubernetes'", least=1)
_KEY = text(limits.KUBERNETES_NAME, "[A-Za-z0-9._-]+", "a key of a Secret")
_VARIABLE = text(limits.LABEL, "[A-Za-z_][A-Za-z0-9_]*", "a variable's name: letters, digits and '_'")
_JOB_NAME = text(limits.JOB_NAME, "[!-~]+", "<team>.<job>")
_ASSET = text(limits.ASSET)
_TIMEZONE = text(limits.TIMEZONE, "[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "a time zone's name, such as Asia/Jakarta")
# Airflow renders an image's address: it holds no template, and no quotes that would end the name in one.
_IMAGE = text(limits.ADDRESS, r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*", "an image's name or address")
_QUANTITY = text(limits.QUANTITY, r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", "a quantity such as 512Mi")
_OWNER = text(limits.OWNER, r"[^\x00-\x1f\x7f,]*", "one owner in one line")
_TEXT = text(limits.TEXT)
_LABEL = text(limits.LABEL, least=1)
# Airflow's serialisation makes objects of what has such keys.
_ENTRY_NAME = text(limits.LABEL, r"(?s:(?!__).*)", "a name: those that begin with '__' are Airflow's own")
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
    """Lists and objects of plain values that may be nested so deep."""
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
# The keywords of job.schema.json and no others: Airflow's API server obeys any of JSON Schema's, and a `pattern` can
# keep it busy for hours, or a `$ref` make it fetch an address.
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
    """Check a task: a pod, unless it has a type."""
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
    "digest": text(64, "[0-9a-f]+", "a digest"),
    "max_active_tasks": nullable(whole(1, limits.ACTIVE_TASKS)),
    "deadline": nullable(_SECONDS),
    "wait_for": listed(fields({"job": _JOB_NAME, "timeout": _SECONDS}, {}), limits.WAITS),
    "alerts": ALERTS,
}
