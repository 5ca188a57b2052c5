"""What a template of a job may name.

Airflow renders a task's templates in its worker, with the rights of the whole environment, and hands them far more
than a job needs: `conn` (every team's passwords), `ti` (other jobs' results), and through `macros.uuid.os` all of the
machine. A release is a team's own, so what its templates can reach is bounded here, whatever the check has let through.
"""

import datetime
import json
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

from jinja2 import DictLoader, Environment
from jinja2.ext import Extension
from jinja2.runtime import Context
from jinja2.sandbox import is_internal_attribute

from jobyard.compat import Variable
from jobyard.errors import VariableError
from jobyard.interval import data_interval
from jobyard.outputs import pull_output

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
# Which Variables the job may read, and its time zone: not names that a template can use, as they are no identifiers.
TEAM, TIMEZONE = "jobyard.team", "jobyard.timezone"
# A macro that says nothing, and only exists where templates are bounded.
BOUNDS = "jobyard_bounds"


def template_arguments(
    team: str, timezone: Any, macros: Mapping[str, Callable[..., object]], variables: Collection[str]
) -> dict[str, Any]:
    """Return the DAG's arguments that bound its templates.

    `macros` are what they may call besides, `variables` the Airflow Variables that every team may read.
    """
    return {
        # No loader: `{% include %}` would read the kubeconfig, and other teams' releases.
        "jinja_environment_kwargs": {"extensions": [_Bound], "loader": DictLoader({})},
        "user_defined_macros": {
            **macros,
            BOUNDS: lambda: "",
            TEAM: partial(_readable, team, variables),
            TIMEZONE: timezone,
        },
    }


def guarded(value: Any) -> Any:
    """Return the value, in which every template first calls the macro that only exists where it is bounded.

    Airflow 2's webserver renders the templates of a task that has not run yet, from the DAG as it is stored: without
    its extensions and macros, but with its own rights.
    """
    if isinstance(value, dict):
        return {guarded(key): guarded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [guarded(entry) for entry in value]
    return f"{{{{{BOUNDS}()}}}}{value}" if isinstance(value, str) and "{" in value else value


class _Bound(Extension):
    """Makes an environment render within bounds; an extension is what Airflow lets a DAG bring."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        environment.context_class = _BoundContext
        environment.is_safe_attribute = _is_safe_attribute


def _is_safe_attribute(owner: object, name: str, value: object) -> bool:
    """Return whether a template may read the attribute.

    None with an underscore, which Airflow's sandbox allows: `_environment` of a Jinja macro is the environment itself.
    Nor may a text be a format for others' attributes: Jinja before 3.1.6 lets such a method pass as an argument.
    """
    if isinstance(owner, str) and name in ("format", "format_map"):
        return False
    return not name.startswith("_") and not is_internal_attribute(owner, name)


class _BoundContext(Context):
    """Jinja's context, with those of Airflow's names that a job may use."""

    def __init__(self, environment: Environment, parent: dict[str, Any], *others: Any, **options: Any) -> None:
        super().__init__(environment, bound(parent, environment.globals), *others, **options)

    def resolve_or_missing(self, key: str) -> Any:
        found = super().resolve_or_missing(key)
        # Airflow 3 looks some up once they are used; until then, what stands for them is never none.
        return getattr(found, "__wrapped__", found) if key in PLAIN else found


def bound(context: Mapping[str, Any], macros: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template sees of Airflow's context, and of what the environment defines itself."""
    own = {name: value for name, value in macros.items() if name not in (TEAM, TIMEZONE)}
    plain = {name: context.get(name) for name in PLAIN}
    item = getattr(context.get("task"), "item", None)
    return {
        **own,
        **plain,
        **times(context, macros[TIMEZONE]),
        "dag_run": _dag_run(context),
        "item": item,
        "macros": MACROS,
        "outputs": _outputs(context),
        "params": dict(context.get("params") or {}),
        "ti": _task_instance(context.get("ti")),
        "var": SimpleNamespace(value=_variables(macros[TEAM], str), json=_variables(macros[TEAM], json.loads)),
    }


def times(context: Mapping[str, Any], timezone: Any) -> dict[str, Any]:
    """Return the moments and days of the run, the same in every version.

    Airflow's own are in UTC; `day` is the day in the job's time zone on which the data interval begins.
    """
    start, end = data_interval(context)
    at = start if _run_type(context) in BY_ASSETS else context.get("logical_date") or start
    ds, ts = at.strftime("%Y-%m-%d"), at.isoformat()
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
    return json.dumps(value, indent=indent, sort_keys=sort_keys)


def _loads(text: str) -> object:
    return json.loads(text)


# Airflow's macros by their names, without the modules among them: `uuid` alone has `os` in it.
MACROS = SimpleNamespace(
    datetime=datetime.datetime,
    ds_add=_ds_add,
    ds_format=_ds_format,
    json=SimpleNamespace(dumps=_dumps, loads=_loads),
    timedelta=datetime.timedelta,
    uuid=SimpleNamespace(uuid4=uuid.uuid4),
)


def _run_type(context: Mapping[str, Any]) -> str:
    run_type = getattr(context.get("dag_run"), "run_type", "")
    return str(getattr(run_type, "value", run_type))


def _dag_run(context: Mapping[str, Any]) -> SimpleNamespace:
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    return SimpleNamespace(conf=conf, run_id=context.get("run_id"), run_type=_run_type(context))


def _task_instance(instance: Any) -> SimpleNamespace:
    names = ("dag_id", "task_id", "run_id", "map_index", "try_number")
    return SimpleNamespace(**{name: getattr(instance, name, None) for name in names})


# Both keep what they read from in a closure: no attribute leads there, whatever `_is_safe_attribute` allows.
def _outputs(context: Mapping[str, Any]) -> object:
    class Outputs:
        def __getitem__(self, task: str) -> object:
            return pull_output(context, task)

        __getattr__ = __getitem__

    return Outputs()


def _variables(readable: Callable[[str], str], read: Callable[[str], object]) -> object:
    class Variables:
        def __getattr__(self, name: str) -> object:
            return read(Variable.get(readable(name)))

        def get(self, name: str, default: object = None) -> object:
            text = Variable.get(readable(name), None)
            return default if text is None else read(text)

    return Variables()


def _readable(team: str, shared: Collection[str], name: str) -> str:
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
