"""Tasks that run without a pod: operators that the platform allows by name, in `values/task-types.yaml`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from jobyard.compat import BaseOperator, Context
from jobyard.connections import ARGUMENT, OwnConnections, refuse_shared_connections
from jobyard.entries import Task
from jobyard.errors import JobError, UnknownNameError
from jobyard.interval import send_data_interval
from jobyard.platform import Platform, TaskType

# How long a sensor waits that does not say.
SENSOR_SECONDS = 86_400


def typed_operator(platform: Platform, team: str, task: Task, common: Mapping[str, Any]) -> BaseOperator:
    """Return the operator of a task with a type; `common` are the arguments that every task has.

    Raises:
        UnknownNameError: the platform has no such type, or the type no such argument.
        JobError: the provider's package is not installed in this environment, or the type would leave a task a
            connection that is not the team's.
    """
    chosen = platform.task_type(str(task["type"]))
    operator = _operator_class(chosen)
    given = task.get("arguments", {})
    for name in given:
        if name not in chosen.arguments:
            raise UnknownNameError(f"argument of task type {task['type']!r}:", name, chosen.arguments)
    try:
        refuse_shared_connections(operator, chosen.arguments, chosen.fixed)
    except JobError as error:
        raise JobError(f"task type {task['type']!r} can't be used: {error}") from error
    fixed = _fixed(chosen, team)
    connections = {argument: name for argument, name in fixed.items() if ARGUMENT.fullmatch(argument)}
    hooks = {"pre_execute": OwnConnections(connections), "post_execute": _announce}
    arguments = {**common, **fixed, **given, **hooks}
    if hasattr(operator, "poke"):
        # Airflow counts a sensor's own timeout from its first poke, and `execution_timeout` from each poke.
        arguments["timeout"] = task["timeout"] or SENSOR_SECONDS
        arguments["execution_timeout"] = None
    made: BaseOperator = operator(**arguments)
    # An argument that ends in ".sql" is not the name of a file to read.
    made.template_ext = ()
    return made


def _announce(context: Context, result: object) -> None:
    """Let what the task has written say which data it is of."""
    send_data_interval(context, context["task"].outlets)


def _operator_class(chosen: TaskType) -> type[Any]:
    module, _, name = chosen.operator.rpartition(".")
    try:
        return getattr(import_module(module), name)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise JobError(f"operator {chosen.operator} is not installed in this environment: {error}") from error


def _fixed(chosen: TaskType, team: str) -> dict[str, Any]:
    """Return the platform's arguments; `<team>` in them is the loader's, which no release can change."""
    fixed = dict(chosen.fixed)
    for name, value in chosen.fixed.items():
        if isinstance(value, str):
            fixed[name] = value.replace("<team>", team)
    return fixed
