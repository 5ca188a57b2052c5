"""What a template of a job may name.

Airflow renders a task's templates in its worker, with the rights of the whole environment, and hands them far more
than a job needs: `conn` (every team's passwords), `ti` (other jobs' results), and through `macros.uuid.os` all of the
machine. A release is a team's own, so what its templates can reach is bounded here, whatever the check has let through.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from jinja2 import DictLoader
from jinja2.runtime import Context
from jinja2.utils import pass_context

from jobyard.compat import Variable
from jobyard.errors import TemplateError
from jobyard.outputs import pull_output
from jobyard.template_budget import Budget
from jobyard.template_environment import BoundEnvironment
from jobyard.template_guard import JINJA_GLOBALS, RENDER, CallsAlone
from jobyard.template_names import DATE_FILTERS, Sources, readable
from jobyard.template_names import bound as named
from jobyard.template_rules import TemplateRefusedError

# Which Variables the job may read, and its time zone: templates cannot use these names, which are not identifiers.
TEAM = "jobyard.team"
TIMEZONE = "jobyard.timezone"


def template_arguments(
    team: str, timezone: Any, macros: Mapping[str, Callable[..., object]], variables: Collection[str]
) -> dict[str, Any]:
    """Return the DAG's arguments that bound its templates.

    `macros` are what they may call besides, `variables` the Airflow Variables that every team may read.
    """
    return {
        # No loader: `{% include %}` would read the kubeconfig, and other teams' releases.
        "jinja_environment_kwargs": {"extensions": [CallsAlone], "loader": DictLoader({})},
        "user_defined_macros": {
            **macros,
            RENDER: _rendered,
            TEAM: partial(readable, team, variables),
            TIMEZONE: timezone,
        },
    }


class _Shared:
    """What the templates of one task share."""

    def __init__(self) -> None:
        self.environment = BoundEnvironment(Budget(), DATE_FILTERS)
        self.task: object = None
        self.names: dict[str, object] = {}


@pass_context
def _rendered(context: Context, text: str) -> str:
    """Render the template within the bounds of all templates of the task.

    Raises:
        TemplateError: it is beyond what a job's templates may be, make or use.
    """
    extension: Any = context.environment.extensions[CallsAlone.identifier]
    # Airflow makes a task of a `foreach` the task of one item after it has made the environment.
    task = context.parent.get("task")
    if extension.shared is None:
        extension.shared = _Shared()
    shared: _Shared = extension.shared
    if not shared.names or task is not shared.task:
        shared.names = bound(context.parent, context.environment.globals)
        shared.task = task
    try:
        rendered = shared.environment.render(text, shared.names)
    except TemplateRefusedError as error:
        raise TemplateError(f"{error}; the template begins {text[:80]!r}") from error
    return rendered


def bound(context: Mapping[str, Any], macros: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template sees of Airflow's context, and of the team's macros; some of it once it is used."""
    own = {name: value for name, value in macros.items() if _is_own(name, value)}
    may_read = macros[TEAM]
    sources = Sources(
        timezone=macros[TIMEZONE],
        functions=own,
        output=lambda name: pull_output(context, name),
        find_variable=lambda name: Variable.get(may_read(name), None),
        get_variable=lambda name: Variable.get(may_read(name)),
    )
    return named(context, sources)


def _is_own(name: str, value: object) -> bool:
    return callable(value) and name not in JINJA_GLOBALS and name not in (RENDER, TEAM, TIMEZONE)
