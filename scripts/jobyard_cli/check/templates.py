"""Reads an Airflow template: does it parse, and what does it use.

The names are those that `dags/jobyard/templates.py` lets a template see, whatever the version of Airflow. What a
template may be is asked of the library itself, and what is constant in it is rendered here as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from jobyard import template_budget, template_environment, template_operations, template_rules

from jobyard_cli.check.findings import did_you_mean, unknown

NAMES = {
    "dag_run": "the run: `dag_run.conf` (what a run by hand was given), `dag_run.run_id`, `dag_run.run_type`",
    "data_interval_end": "the moment at which the run's data ends",
    "data_interval_start": "the moment at which the run's data begins; after another job, that job's",
    "day": "the day, in the job's time zone, on which the run's data begins: `2026-11-02`",
    "ds": "the day, in UTC, of the run's logical date: `2026-11-02`",
    "ds_nodash": "the same without dashes: `20261102`",
    "item": "in a task with `foreach`, what this pod is for; of a mapping also `item.name`",
    "jobyard_image": "`jobyard_image('inference')`, the address of one of the team's images",
    "logical_date": "the run's logical date, which is when its data begins for a run of the clock",
    "macros": "`macros.ds_add(ds, 7)`, `macros.ds_format(ds, '%Y-%m-%d', '%Y/%m')`, `macros.datetime`,"
    " `macros.timedelta`, `macros.json`, `macros.uuid`",
    "outputs": "`outputs['train']`, what a task before this one left; of a task with `foreach` the list of all",
    "params": "`params.threshold`, one of the job's parameters",
    "prev_data_interval_end_success": "the end of the last successful run's data, or none",
    "prev_data_interval_start_success": "the begin of the last successful run's data, or none",
    "prev_end_date_success": "when the last successful run ended, or none",
    "prev_start_date_success": "when the last successful run started, or none",
    "run_id": "the run's name in Airflow",
    "task_instance_key_str": "job, task and day in one name",
    "ti": "this try: `ti.dag_id`, `ti.task_id`, `ti.run_id`, `ti.map_index`, `ti.try_number`",
    "ts": "the logical date as `2026-11-02T02:00:00+00:00`",
    "ts_nodash": "the same as `20261102T020000`",
    "ts_nodash_with_tz": "the same as `20261102T020000+0000`",
    "var": "Airflow Variables, the team's own (`risk_*`) and the platform's: `var.value.jobyard_data_bucket`,"
    " `var.json.risk_limits.high`, `var.value.get('risk_table', 'claims')`",
}
"""Name to what it is; docs/job.md shows both."""

# What is inside of those that have an inside.
MEMBERS = {
    "dag_run": frozenset(["conf", "run_id", "run_type"]),
    "macros": frozenset(["datetime", "ds_add", "ds_format", "json", "timedelta", "uuid"]),
    "macros.json": frozenset(["dumps", "loads"]),
    "macros.uuid": frozenset(["uuid4"]),
    "ti": frozenset(["dag_id", "map_index", "run_id", "task_id", "try_number"]),
    "var": frozenset(["json", "value"]),
}
# Airflow has these, and Jobyard keeps them from templates; with what there is instead.
KEPT_AWAY = {
    "conn": "passwords come from `secrets`",
    "dag": "the job's name is in ti.dag_id",
    "task": "the task's name is in ti.task_id",
    "task_instance": "use ti",
    "ti.xcom_pull": "another task's output is outputs['<task>']",
    "triggering_asset_events": "data_interval_start and data_interval_end are those of the run that wrote the asset",
}


@dataclass(frozen=True)
class Template:
    """What is wrong with a template by itself, and which things of the job it uses."""

    problems: tuple[str, ...] = ()
    outputs: frozenset[str] = field(default_factory=frozenset)
    params: frozenset[str] = field(default_factory=frozenset)
    variables: frozenset[str] = field(default_factory=frozenset)
    item: bool = False


NOTHING = Template()


def read_template(text: str) -> Template:
    """What a text uses that Airflow will render; nothing for a text without a template."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return NOTHING
    return _read(text)


@lru_cache(maxsize=4096)
def _read(text: str) -> Template:
    """The same few templates (`{{ ds }}` above all) come again and again."""
    from jinja2 import TemplateSyntaxError

    try:
        return _analysed(text)
    except template_rules.TemplateRefusedError as error:
        return Template(problems=(str(error),))
    except TemplateSyntaxError as error:
        return Template(problems=(f"the template does not parse: {error.message}",))
    except RecursionError:
        return Template(problems=("the template is nested too deep to be rendered",))


def _analysed(text: str) -> Template:
    from jinja2 import meta

    tree = _environment().parse(text)
    if unusable := tuple(dict.fromkeys(map(_with_hint, template_rules.problems(tree)))):
        # Jinja could not go on to look for names.
        return Template(problems=unusable)
    names = meta.find_undeclared_variables(tree) - template_rules.GLOBALS
    uses = list(_uses(tree))
    problems = (*_unknown_names(names), *_unknown_members(uses, names))
    return Template(
        problems=problems or (*_unknown_methods(tree), *dict.fromkeys(_too_much(text, names))),
        outputs=_inside(uses, "outputs"),
        params=_inside(uses, "params") - {"get", "items", "keys", "values"},
        variables=_variables(uses),
        item="item" in names,
    )


def _uses(tree: Any) -> Iterator[tuple[str, ...]]:
    """Each chain of names in the template, `var.value.x` as ("var", "value", "x"), and each beginning of it."""
    from jinja2 import nodes

    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        chain: list[str] = []
        while isinstance(node, nodes.Getattr | nodes.Getitem):
            step = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
            chain.append(str(step) if isinstance(step, str) else "")
            node = node.node
        if isinstance(node, nodes.Name):
            yield (node.name, *reversed(chain))
    for call in tree.find_all(nodes.Call):
        yield from _called_get(call)


def _called_get(call: Any) -> Iterator[tuple[str, ...]]:
    """`var.value.get('x')` uses x."""
    from jinja2 import nodes

    inner = call.node
    if not (isinstance(inner, nodes.Getattr) and inner.attr == "get" and call.args):
        return
    accessor, name = inner.node, getattr(call.args[0], "value", None)
    if isinstance(accessor, nodes.Getattr) and isinstance(accessor.node, nodes.Name) and isinstance(name, str):
        yield (accessor.node.name, accessor.attr, name)


def _inside(uses: list[tuple[str, ...]], name: str) -> frozenset[str]:
    return frozenset(chain[1] for chain in uses if chain[0] == name and chain[1])


def _variables(uses: list[tuple[str, ...]]) -> frozenset[str]:
    return frozenset(
        chain[2] for chain in uses if chain[0] == "var" and len(chain) > 2 and chain[2] and chain[2] != "get"
    )


def _unknown_names(names: set[str]) -> Iterator[str]:
    for name in sorted(names - NAMES.keys()):
        if name in KEPT_AWAY:
            yield f"templates of a job can't use '{name}': {KEPT_AWAY[name]}"
        else:
            hint = did_you_mean(name, NAMES) or "docs/job.md lists them; for example ds, params, var"
            yield f"unknown template variable '{name}' ({hint})"


def _unknown_members(uses: list[tuple[str, ...]], names: set[str]) -> Iterator[str]:
    parts = {
        (".".join(chain[:depth]), chain[depth])
        for chain in uses
        if chain[0] in names
        for depth in (1, 2)
        if depth < len(chain) and chain[depth]
    }
    for whole, part in sorted(parts):
        if part in MEMBERS.get(whole, (part,)):
            continue
        name = f"{whole}.{part}"
        if name in KEPT_AWAY:
            yield f"templates of a job can't use '{name}': {KEPT_AWAY[name]}"
        else:
            there = [f"{whole}.{one}" for one in MEMBERS[whole]]
            yield unknown("macro" if whole.startswith("macros") else "name", name, there, "there are")


def _unknown_methods(tree: Any) -> Iterator[str]:
    from jinja2 import nodes

    of_text = template_operations.ATTRIBUTES["builtins.str"]
    for call in tree.find_all(nodes.Call):
        method = call.node
        if not isinstance(method, nodes.Getattr):
            continue
        known = of_text if isinstance(getattr(method.node, "value", None), str) else _methods()
        if method.attr not in known:
            hint = did_you_mean(method.attr, known) or "values can't be changed, and a text is no format but for %"
            yield f"a template can't call '{method.attr}' ({hint})"


@cache
def _methods() -> frozenset[str]:
    """Every name after a dot that a template may call, of whatever value."""
    return frozenset().union(
        *template_operations.ATTRIBUTES.values(), *template_operations.CLASSES.values(), *MEMBERS.values()
    )


def _with_hint(problem: str) -> str:
    for what, known in (
        ("filter", template_rules.FILTERS | template_rules.DATE_FILTERS),
        ("test", template_rules.TESTS),
    ):
        if problem.startswith(f"unknown {what} "):
            name = problem.split("'")[1]
            return f"{problem} ({did_you_mean(name, known) or 'docs/job.md lists them'})"
    return problem


def _too_much(text: str, names: set[str]) -> Iterator[str]:
    """What is beyond the limits whatever the names stand for: all of a template without any, else its constants."""
    from jinja2 import nodes

    tree = _environment().parse(text)
    parts = [nodes.Template([nodes.Output([part])]) for part in _constants(tree)] if names else [tree]
    for part in parts:
        if reason := _refusal(part):
            yield reason


def _refusal(part: Any) -> str:
    """Why the limits refuse this part of a template; "" where they do not."""
    part.set_environment(environment := _environment())
    try:
        environment.compiled(part).render({})
    except template_rules.TemplateRefusedError as error:
        return str(error)
    # Whatever else it raises, it raises in Airflow too; the limits are what is asked here.
    except Exception:
        return ""
    return ""


def _constants(node: Any) -> Iterator[Any]:
    """The largest parts of the template that use no name."""
    from jinja2 import nodes

    if isinstance(node, nodes.Expr) and not isinstance(node, nodes.Const | nodes.TemplateData) and _is_constant(node):
        yield node
        return
    for child in node.iter_child_nodes():
        yield from _constants(child)


def _is_constant(node: Any) -> bool:
    from jinja2 import nodes

    names = {found.name for found in [node, *node.find_all(nodes.Name)] if isinstance(found, nodes.Name)}
    return bool(names <= template_rules.GLOBALS)


def _environment() -> Any:
    """An environment as the library's, with a budget of its own and no clock."""
    budget = template_budget.Budget(clock=lambda: 0.0)
    filters = dict.fromkeys(template_rules.DATE_FILTERS, str)
    return template_environment.BoundEnvironment(budget, filters)
