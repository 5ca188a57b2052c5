"""What a template of a job can name, and what each name stands for.

Nothing of Airflow's is imported but its exceptions, where it is installed: `jobyard run` renders with this module too,
and hands it the values that in Airflow come from the run's context, its Variables and its outputs.
"""

import datetime
import json
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pendulum

from jobyard.errors import VariableError
from jobyard.interval import data_interval
from jobyard.plain import plain
from jobyard.template_budget import fits
from jobyard.template_environment import Accessor, Function, Lazy
from jobyard.template_rules import TemplateRefusedError

# Plain values of Airflow's own, https://airflow.apache.org/docs/apache-airflow/stable/templates-ref.html
PLAIN = frozenset(
    {
        "prev_data_interval_end_success",
        "prev_data_interval_start_success",
        "prev_end_date_success",
        "prev_start_date_success",
        "run_id",
        "task_instance_key_str",
    }
)
# Airflow 2 gives such a run the moment it was started as its logical date, and Airflow 3 none.
BY_ASSETS = ("asset_triggered", "dataset_triggered")


@dataclass(frozen=True)
class Sources:
    """Where the values come from that are not in the run's context."""

    timezone: Any
    """The job's."""
    functions: Mapping[str, Callable[..., object]]
    """What a template may call by these names."""
    output: Callable[[str], object]
    """The output of another task of the run, by its name."""
    find_variable: Callable[[str], str | None]
    """The text of an Airflow Variable that the team may read, or none."""
    get_variable: Callable[[str], str]
    """The same of one that has to exist."""


def bound(context: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """Return what a template sees of a run's context and of these sources; some of it once it is used."""
    functions = {name: Function(function) for name, function in sources.functions.items()}
    moments = {name: Lazy(lambda name=name: _plain_name(context, name)) for name in PLAIN}  # type: ignore[misc]
    when = Lazy(lambda: times(context, sources.timezone))
    when_names = {name: Lazy(lambda name=name: when()[name]) for name in TIMES}  # type: ignore[misc, index]
    return {
        **functions,
        **moments,
        **when_names,
        "dag_run": _dag_run(context),
        "item": Lazy(lambda: plain(getattr(context.get("task"), "item", None))),
        "macros": MACROS,
        "outputs": _outputs(sources.output),
        "params": Lazy(lambda: plain(dict(context.get("params") or {}))),
        "ti": _task_instance(context.get("ti")),
        "var": SimpleNamespace(value=_variables(sources, _text), json=_variables(sources, _parsed)),
    }


def _plain_name(context: Mapping[str, Any], name: str) -> object:
    value = context.get(name)
    # Airflow 3 looks some up once they are used; until then, what stands for them is never none.
    value = getattr(value, "__wrapped__", value)
    return pendulum.instance(value) if isinstance(value, datetime.datetime) else plain(value)


# The names that `times` returns.
TIMES = (
    "data_interval_start",
    "data_interval_end",
    "logical_date",
    "day",
    "ds",
    "ds_nodash",
    "ts",
    "ts_nodash",
    "ts_nodash_with_tz",
)


def times(context: Mapping[str, Any], timezone: Any) -> dict[str, Any]:
    """Return the moments and days of the run, the same in every version.

    Airflow's own are in UTC; `day` is the day in the job's time zone on which the data interval begins.
    """
    start, end = map(pendulum.instance, data_interval(context))
    at = start if _run_type(context) in BY_ASSETS else pendulum.instance(context.get("logical_date") or start)
    ds = at.strftime("%Y-%m-%d")
    ts = at.isoformat()
    return {
        "data_interval_start": start,
        "data_interval_end": end,
        "logical_date": at,
        "day": start.astimezone(timezone).strftime("%Y-%m-%d"),
        "ds": ds,
        "ds_nodash": ds.replace("-", ""),
        "ts": ts,
        "ts_nodash": at.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": ts.replace("-", "").replace(":", ""),
    }


def _ds_add(ds: str, days: int) -> str:
    return (datetime.date.fromisoformat(ds) + datetime.timedelta(days=days)).isoformat()


def _ds_format(ds: str, input_format: str, output_format: str) -> str:
    return datetime.datetime.strptime(ds, input_format).strftime(output_format)


# Without the hooks of Python's own, which would call whatever they are given.
def _dumps(value: object, indent: int | None = None, sort_keys: bool = False) -> str:
    if indent is not None and (not isinstance(indent, int) or not 0 <= indent <= 16):
        raise TemplateRefusedError("json.dumps in a template takes an indent from 0 to 16")
    return json.dumps(value, indent=indent, sort_keys=bool(sort_keys))


def _loads(text: str) -> object:
    if isinstance(text, str):
        fits(len(text))
    return plain(json.loads(text))


def _short(function: Callable[..., object]) -> Function:
    """Return the function of days, which takes short texts and small numbers."""

    def call(*arguments: object) -> object:
        for argument in arguments:
            if isinstance(argument, str) and len(argument) > 64 or isinstance(argument, int) and abs(argument) > 10**7:
                raise TemplateRefusedError("macros in a template take days, formats and numbers of days")
        return function(*arguments)

    return Function(call)


# Airflow's macros by their names, without the modules among them: `uuid` alone has `os` in it.
MACROS = SimpleNamespace(
    datetime=datetime.datetime,
    ds_add=_short(_ds_add),
    ds_format=_short(_ds_format),
    json=SimpleNamespace(dumps=Function(_dumps), loads=Function(_loads)),
    timedelta=datetime.timedelta,
    uuid=SimpleNamespace(uuid4=Function(uuid.uuid4)),
)


def _date_filter(of: Callable[[Any], str]) -> Callable[[Any], str | None]:
    def convert(value: Any) -> str | None:
        return None if value is None else of(value)

    return convert


DATE_FILTERS = {
    "ds": _date_filter(lambda value: value.strftime("%Y-%m-%d")),
    "ds_nodash": _date_filter(lambda value: value.strftime("%Y%m%d")),
    "ts": _date_filter(lambda value: value.isoformat()),
    "ts_nodash": _date_filter(lambda value: value.strftime("%Y%m%dT%H%M%S")),
    "ts_nodash_with_tz": _date_filter(lambda value: value.isoformat().replace("-", "").replace(":", "")),
}


def _run_type(context: Mapping[str, Any]) -> str:
    run_type = getattr(context.get("dag_run"), "run_type", "")
    return str(getattr(run_type, "value", run_type))


def _dag_run(context: Mapping[str, Any]) -> Lazy:
    def ask() -> object:
        conf = plain(getattr(context.get("dag_run"), "conf", None) or {})
        return SimpleNamespace(conf=conf, run_id=plain(context.get("run_id")), run_type=_run_type(context))

    return Lazy(ask)


def _task_instance(instance: Any) -> SimpleNamespace:
    names = ("dag_id", "task_id", "run_id", "map_index", "try_number")
    return SimpleNamespace(**{name: plain(getattr(instance, name, None)) for name in names})


# Both keep what they read from in a closure: no attribute leads there, whatever a template may read.
def _outputs(output: Callable[[str], object]) -> Accessor:
    known: dict[str, object] = {}

    class Outputs(Accessor):
        def read(self, name: str) -> object:
            if name not in known:
                known[name] = output(name)
            return known[name]

    return Outputs()


def _variables(sources: Sources, read: Callable[[str], object]) -> Any:
    known: dict[str, str | None] = {}

    def text_of(name: str) -> str | None:
        if name not in known:
            known[name] = sources.find_variable(name)
        return known[name]

    class Variables(Accessor):
        def read(self, name: str) -> object:
            if name == "get":
                return Function(self.get)
            text = text_of(name)
            return read(sources.get_variable(name) if text is None else text)

        def __getattr__(self, name: str) -> object:
            return self.read(name)

        def get(self, name: str, default: object = None) -> object:
            text = text_of(name)
            return default if text is None else read(text)

    return Variables()


def _text(value: str) -> object:
    fits(len(value))
    return plain(value)


def _parsed(value: str) -> object:
    fits(len(value))
    return plain(json.loads(value))


def readable(team: str, shared: Collection[str], name: str) -> str:
    """Return the Variable's name.

    Raises:
        VariableError: it is neither the team's own nor one that the platform shares.
    """
    # No team's name has a "_", so none of them begins another's Variables. Airflow 3 asks for a Variable at an address
    # that ends with its name, as it is: "risk_/../care_key" would be another team's.
    if name in shared or re.fullmatch(rf"{re.escape(team)}_[A-Za-z0-9_.-]+", name):
        return name
    rest = ", ".join([f"{team}_*", *sorted(shared)])
    raise VariableError(f"Airflow Variable {name!r:.200} is not one that team {team!r} may read: {rest}")
