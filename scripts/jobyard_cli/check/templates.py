"""Airflow's templates in a job: do they parse, and do they name what Airflow has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from jobyard_cli.check.findings import did_you_mean

if TYPE_CHECKING:
    from jinja2 import Environment

# https://airflow.apache.org/docs/apache-airflow/stable/templates-ref.html: what is there on 2.10, 2.11 and 3 alike.
VARIABLES = frozenset(
    [
        "conn",
        "dag",
        "dag_run",
        "data_interval_end",
        "data_interval_start",
        "ds",
        "ds_nodash",
        "expanded_ti_count",
        "inlets",
        "logical_date",
        "macros",
        "map_index_template",
        "outlets",
        "params",
        "prev_data_interval_end_success",
        "prev_data_interval_start_success",
        "prev_end_date_success",
        "prev_start_date_success",
        "run_id",
        "task",
        "task_instance",
        "task_instance_key_str",
        "templates_dict",
        "ti",
        "triggering_asset_events",
        "ts",
        "ts_nodash",
        "ts_nodash_with_tz",
        "var",
    ]
)


def template_problems(text: str) -> tuple[str, ...]:
    """What is wrong with a text that Airflow will render as a template; nothing for a text without one."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return ()
    return _problems(text)


@lru_cache(maxsize=4096)
def _problems(text: str) -> tuple[str, ...]:
    """The same few templates (`{{ ds }}` above all) come again and again."""
    return tuple(_find_problems(text))


def _find_problems(text: str) -> Iterator[str]:
    from jinja2 import TemplateSyntaxError, meta

    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        yield f"the template does not parse: {error.message}"
        return
    for name in sorted(meta.find_undeclared_variables(tree)):
        if name not in VARIABLES:
            yield f"unknown template variable '{name}' ({_hint(name, VARIABLES)})"


def _hint(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, known) or "Airflow's are listed in its templates reference; for example ds, params, var"


@cache
def _environment() -> Environment:
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(extensions=["jinja2.ext.do"])
