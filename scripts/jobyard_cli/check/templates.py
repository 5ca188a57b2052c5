"""Analyse an Airflow template: does it parse, is it within the limits, and what does it use.

The names are those that `dags/jobyard/template_names.py` provides on every version of Airflow. The library's own
modules decide what a template may contain, and constant parts are rendered here as the library does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from jobyard import template_budget, template_environment, template_operations, template_rules

from jobyard_cli.check.findings import did_you_mean, unknown

NAMES = {
    "dag_run": "the run: `dag_run.conf` (the input of a manual run), `dag_run.run_id`, `dag_run.run_type`",
    "data_interval_end": "the end of the run's data interval",
    "data_interval_start": "the start of the run's data interval; after another job, that of the other job's run",
    "day": "the date, in the job's time zone, of the start of the data interval: `2026-11-02`",
    "ds": "the date, in UTC, of the run's logical date: `2026-11-02`",
    "ds_nodash": "the same without dashes: `20261102`",
    "item": "in a task with `foreach`, the item of the pod; if it is a mapping, also `item.name`",
    "jobyard_commit": "`jobyard_commit()`, the git commit of the release that the task is of",
    "jobyard_image": "`jobyard_image('inference')`, the address of one of the team's images",
    "logical_date": "the run's logical date; with a cron schedule, the start of its data interval",
    "macros": "`macros.ds_add(ds, 7)`, `macros.ds_format(ds, '%Y-%m-%d', '%Y/%m')`, `macros.datetime`,"
    " `macros.timedelta`, `macros.json`, `macros.uuid`",
    "outputs": "`outputs['train']`, the output of an earlier task; of a task with `foreach`, the list of all outputs",
    "params": "`params.threshold`, one of the job's parameters",
    "prev_data_interval_end_success": "the end of the data interval of the last successful run, or none",
    "prev_data_interval_start_success": "the start of the data interval of the last successful run, or none",
    "prev_end_date_success": "when the last successful run ended, or none",
    "prev_start_date_success": "when the last successful run started, or none",
    "run_id": "the id of the run in Airflow",
    "task_instance_key_str": "job, task and date in one name",
    "ti": "the task instance: `ti.dag_id`, `ti.task_id`, `ti.run_id`, `ti.map_index`, `ti.try_number`",
    "ts": "the logical date as `2026-11-02T02:00:00+00:00`",
    "ts_nodash": "the same as `20261102T020000`",
    "ts_nodash_with_tz": "the same as `20261102T020000+0000`",
    "var": "Airflow Variables, the team's own (`risk_*`) and the platform's: `var.value.jobyard_data_bucket`,"
    " `var.json.risk_limits.high`, `var.value.get('risk_table', 'claims')`",
}
"""The names that a template may use, with a description; docs/job.md lists them."""

MEMBERS = {
    "dag_run": frozenset(["conf", "run_id", "run_type"]),
    "macros": frozenset(["datetime", "ds_add", "ds_format", "json", "timedelta", "uuid"]),
    "macros.json": frozenset(["dumps", "loads"]),
    "macros.uuid": frozenset(["uuid4"]),
    "ti": frozenset(["dag_id", "map_index", "run_id", "task_id", "try_number"]),
    "var": frozenset(["json", "value"]),
}
"""The members of names that have a fixed set of them."""
WITHHELD = {
    "conn": "passwords come from `secrets`",
    "dag": "the job's name is in ti.dag_id",
    "task": "the task's name is in ti.task_id",
    "task_instance": "use ti",
    "ti.xcom_pull": "another task's output is outputs['<task>']",
    "triggering_asset_events": "data_interval_start and data_interval_end are those of the run that wrote the asset",
}
"""Names that Airflow has and Jobyard withholds from templates, with an alternative."""
Chain = tuple[str, ...]
"""`var.value.x` as ("var", "value", "x")."""


@dataclass(frozen=True)
class Template:
    """The problems of a template by itself, and what it uses of its job."""

    problems: tuple[str, ...] = ()
    outputs: frozenset[str] = field(default_factory=frozenset)
    params: frozenset[str] = field(default_factory=frozenset)
    variables: frozenset[str] = field(default_factory=frozenset)
    item: bool = False


NOTHING = Template()


def read_template(text: str) -> Template:
    """Return what a string uses that Airflow renders; nothing if it has no template."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return NOTHING
    return _read(text)


# The same few templates (`{{ ds }}` above all) are in most jobs.
@lru_cache(maxsize=4096)
def _read(text: str) -> Template:
    from jinja2 import TemplateSyntaxError

    try:
        return _analysed(text)
    except template_rules.TemplateRefusedError as error:
        return Template(problems=(str(error),))
    except TemplateSyntaxError as error:
        return Template(problems=(f"cannot parse the template: {error.message}",))
    except RecursionError:
        return Template(problems=("the template is nested too deep to be rendered",))


def _analysed(text: str) -> Template:
    from jinja2 import meta

    tree = _environment().parse(text)
    if refused := tuple(dict.fromkeys(map(_with_hint, template_rules.problems(tree)))):
        # Jinja cannot look for names in what it does not know.
        return Template(problems=refused)
    names = meta.find_undeclared_variables(tree) - template_rules.GLOBALS
    chains = list(_chains(tree))
    problems = (*_unknown_names(names), *_unknown_members(chains, names))
    return Template(
        problems=problems or (*_unknown_methods(tree), *dict.fromkeys(_beyond_limits(text, names))),
        outputs=_members_of(chains, "outputs"),
        params=_members_of(chains, "params") - {"get", "items", "keys", "values"},
        variables=_variables(chains),
        item="item" in names,
    )


def _chains(tree: Any) -> Iterator[Chain]:
    """Yield each chain of names in the template, and each beginning of it."""
    from jinja2 import nodes

    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        steps: list[str] = []
        while isinstance(node, nodes.Getattr | nodes.Getitem):
            steps.append(_step(node))
            node = node.node
        if isinstance(node, nodes.Name):
            yield (node.name, *reversed(steps))
    for call in tree.find_all(nodes.Call):
        yield from _get_call(call)


def _step(node: Any) -> str:
    """Return the name that a node adds to a chain; "" if it is computed."""
    from jinja2 import nodes

    name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
    return str(name) if isinstance(name, str) else ""


def _get_call(call: Any) -> Iterator[Chain]:
    """Yield the chain of `var.value.get('x')`, which is that of `var.value.x`."""
    from jinja2 import nodes

    method = call.node
    if not (isinstance(method, nodes.Getattr) and method.attr == "get" and call.args):
        return
    accessor = method.node
    name = getattr(call.args[0], "value", None)
    if isinstance(accessor, nodes.Getattr) and isinstance(accessor.node, nodes.Name) and isinstance(name, str):
        yield (accessor.node.name, accessor.attr, name)


def _members_of(chains: list[Chain], name: str) -> frozenset[str]:
    return frozenset(chain[1] for chain in chains if chain[0] == name and chain[1])


def _variables(chains: list[Chain]) -> frozenset[str]:
    names = {chain[2] for chain in chains if chain[0] == "var" and len(chain) > 2}
    return frozenset(names - {"", "get"})


def _unknown_names(names: set[str]) -> Iterator[str]:
    for name in sorted(names - NAMES.keys()):
        if name in WITHHELD:
            yield _withheld(name)
        else:
            hint = did_you_mean(name, NAMES) or "docs/job.md lists them; for example ds, params, var"
            yield f"unknown template variable '{name}' ({hint})"


def _withheld(name: str) -> str:
    return f"a template must not use '{name}': {WITHHELD[name]}"


def _unknown_members(chains: list[Chain], names: set[str]) -> Iterator[str]:
    members: set[tuple[str, str]] = set()
    for chain in chains:
        if chain[0] in names:
            members.update(_parents_and_members(chain))
    for parent, member in sorted(members):
        if member in MEMBERS.get(parent, (member,)):
            continue
        name = f"{parent}.{member}"
        if name in WITHHELD:
            yield _withheld(name)
        else:
            available = [f"{parent}.{known}" for known in MEMBERS[parent]]
            yield unknown("macro" if parent.startswith("macros") else "name", name, available, "available")


def _parents_and_members(chain: Chain) -> Iterator[tuple[str, str]]:
    """Yield ("var", "value") and ("var.value", "x") of `var.value.x`."""
    for depth, member in enumerate(chain[1:3], 1):
        if member:
            yield ".".join(chain[:depth]), member


def _unknown_methods(tree: Any) -> Iterator[str]:
    from jinja2 import nodes

    of_strings = template_operations.ATTRIBUTES["builtins.str"]
    for call in tree.find_all(nodes.Call):
        method = call.node
        if not isinstance(method, nodes.Getattr):
            continue
        known = of_strings if isinstance(getattr(method.node, "value", None), str) else _methods()
        if method.attr not in known:
            hint = did_you_mean(method.attr, known) or "values are read-only, and strings are formatted with %"
            yield f"a template must not call '{method.attr}' ({hint})"


@cache
def _methods() -> frozenset[str]:
    """Return every name after a dot that a template may call, on any value."""
    return frozenset().union(
        *template_operations.ATTRIBUTES.values(), *template_operations.CLASSES.values(), *MEMBERS.values()
    )


def _with_hint(problem: str) -> str:
    known: Iterable[str]
    if problem.startswith("unknown filter "):
        known = template_rules.FILTERS | template_rules.DATE_FILTERS
    elif problem.startswith("unknown test "):
        known = template_rules.TESTS
    else:
        return problem
    name = problem.split("'")[1]
    return f"{problem} ({did_you_mean(name, known) or 'docs/job.md lists them'})"


def _beyond_limits(text: str, names: set[str]) -> Iterator[str]:
    """Yield which limits a template exceeds for any values of its names: all of it without names, else constants."""
    from jinja2 import nodes

    tree = _environment().parse(text)
    templates = [tree]
    if names:
        templates = [nodes.Template([nodes.Output([constant])]) for constant in _constants(tree)]
    for template in templates:
        if refusal := _refusal(template):
            yield refusal


def _refusal(template: Any) -> str:
    """Return which limit a template without names exceeds; "" if none."""
    environment = _environment()
    template.set_environment(environment)
    try:
        environment.compiled(template).render({})
    except template_rules.TemplateRefusedError as error:
        return str(error)
    # Other errors occur in Airflow too; only the limits matter here.
    except Exception:
        return ""
    return ""


def _constants(node: Any) -> Iterator[Any]:
    """Yield the largest parts of the template that use no names."""
    from jinja2 import nodes

    if isinstance(node, nodes.Expr) and not isinstance(node, nodes.Const | nodes.TemplateData) and _is_constant(node):
        yield node
        return
    for child in node.iter_child_nodes():
        yield from _constants(child)


def _is_constant(node: Any) -> bool:
    from jinja2 import nodes

    descendants = (node, *node.find_all(nodes.Name))
    return all(part.name in template_rules.GLOBALS for part in descendants if isinstance(part, nodes.Name))


def _environment() -> Any:
    """Return an environment like the library's, with a budget of its own and no limit on time."""
    budget = template_budget.Budget(clock=lambda: 0.0)
    filters = dict.fromkeys(template_rules.DATE_FILTERS, str)
    return template_environment.BoundEnvironment(budget, filters)
