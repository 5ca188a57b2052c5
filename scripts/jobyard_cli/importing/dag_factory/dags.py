"""One DAG of dag-factory as a job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobyard import limits

from jobyard_cli.importing.dag_factory import values
from jobyard_cli.importing.dag_factory.account import Account, Section
from jobyard_cli.importing.dag_factory.graph import Graph, Node
from jobyard_cli.importing.dag_factory.pods import (
    Known,
    common_fields,
    duration_of,
    explain_callbacks,
    explain_rest,
    pod_fields,
)
from jobyard_cli.importing.dag_factory.reading import Keyed, plain
from jobyard_cli.importing.model import TODO
from jobyard_cli.importing.names import numbered, slug

PODS = ("KubernetesPodOperator", "EksPodOperator", "GKEStartPodOperator")
EMPTY = ("EmptyOperator", "DummyOperator")
WAITS = ("ExternalTaskSensor",)
BASH = ("BashOperator",)
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@once", "@continuous")
NEXT_TO_TASKS = ("image", "command", "args", "env", "secrets", "resources", "trigger_rule")
"""Fields that each task has for itself: what a task says replaces the DAG's whole."""
_PAGE = "it is how Airflow's page shows the DAG"
_LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(("default_view", "orientation", "dag_display_name", "doc_md", "doc_md_file_path"), _PAGE),
    "is_paused_upon_creation": "a job runs once it is released; to pause it, use Airflow's page",
    "access_control": "the platform's roles say who sees a team's jobs",
    "render_template_as_native_obj": "a pod's arguments are texts",
    "template_searchpath": "a job has no template files",
    "concurrency": "set `max_active_tasks`",
    "dag_id": "the job is named after the DAG",
    "task_groups": "each task names its group",
    "email_on_retry": "alerts have `on_retry`",
    "email_on_failure": "alerts have `on_failure`",
    "schedule_interval": "the DAG has `schedule`",
}
_TODO: Mapping[str, str] = {
    "user_defined_macros": "templates know only what docs/job.md lists: pass the values as arguments",
    "user_defined_filters": "templates know only Jinja's own filters: have the program do it",
    "timetable": "write the `schedule` as a cron expression",
    "sla_miss_callback": "set `deadline`, with `alerts.on_missed_deadline`",
}


@dataclass(frozen=True)
class FactoryJob:
    """A DAG as a job: its fields and those of its tasks, what is to do for each task, and what became of each key."""

    dag: str
    name: str
    line: int
    fields: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    todos: Mapping[str, list[str]]
    """By the task's name; "" has those of the job."""
    account: Account


def convert(dag: str, name: str, source: Keyed, known: Known, jobs: Mapping[str, str]) -> FactoryJob:
    """Return the DAG as a job of this name; `jobs` has the names of all DAGs as jobs, with their team's."""
    account = Account()
    section = Section(account, source, (), source.data, "")
    arguments = source.data.get("default_args")
    defaults = section.below("default_args", arguments if isinstance(arguments, Mapping) else {})
    fields = _timing(section)
    _dates(section, defaults, fields)
    _limits(section, fields)
    _owner(section, defaults, fields)
    common = common_fields(defaults, known)
    if common:
        fields["defaults"] = common
    shared = pod_fields(defaults)
    tasks = _Tasks(section, known, shared, jobs)
    made = tasks.made()
    if tasks.waits:
        fields["wait_for"] = tasks.waits
    for key, advice in _TODO.items():
        if key in section:
            section.todo(key, advice)
    explain_rest(defaults)
    explain_callbacks(section, ("on_success_callback", "on_failure_callback"))
    section.rest(_LEFT_OUT, "a job has no such field")
    todos = {task: account.todos(f"tasks.{written}") for written, task in tasks.names.items()}
    own = [one for one in account.outcomes if one.fate == "to do" and not one.key.startswith("tasks.")]
    todos[""] = [f"{one.key}: {one.words}" for one in own]
    return FactoryJob(dag, name, source.place((dag,))[1], fields, made, todos, account)


def _timing(section: Section) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if section.get("description"):
        fields["description"] = " ".join(str(section.get("description")).split())[: limits.DESCRIPTION]
        section.imported("description", "description")
    fields["schedule"] = _schedule(section)
    if "timezone" in section:
        fields["timezone"] = str(section.get("timezone"))
        section.imported("timezone", "timezone")
    return fields


def _dates(section: Section, defaults: Section, fields: dict[str, Any]) -> None:
    """What the DAG says of its first and its last day; else what is in `default_args`."""
    for key in ("start_date", "end_date"):
        places = [place for place in (section, defaults) if key in place]
        if not places:
            continue
        if date := values.day(places[0].get(key)):
            fields[key] = date
        for place in places:
            if date:
                place.imported(key, f"{key}: {date}")
            else:
                place.todo(key, f"write the day itself; '{place.get(key)}' is counted from now")


def _schedule(section: Section) -> Any:
    key = section.first("schedule", "schedule_interval")
    if not key:
        return None
    written = plain(section.get(key))
    addresses = written.get("datasets") if isinstance(written, Mapping) and len(written) == 1 else written
    if isinstance(written, str) and written.strip().lower() == "none":
        section.imported(key, "schedule: null, by hand")
        return None
    if isinstance(written, str) and (written in PRESETS or len(written.split()) == 5):
        section.imported(key, "schedule")
        return written
    if isinstance(addresses, list) and addresses and all("://" in str(one) for one in addresses):
        section.imported(key, "schedule.assets")
        return {"assets": [str(one) for one in addresses]}
    section.todo(
        key, f"write the `schedule` as a cron expression, or as `assets` that must all be new; it is {written}"
    )
    return f"{TODO} {written}"


def _limits(section: Section, fields: dict[str, Any]) -> None:
    names = {"catchup": "catchup", "max_active_runs": "max_active_runs", "max_active_tasks": "max_active_tasks"}
    for key, name in names.items():
        if isinstance(section.get(key), bool | int):
            fields[name] = section.get(key)
            section.imported(key, name)
    if "concurrency" in section and "max_active_tasks" not in fields:
        fields["max_active_tasks"] = section.get("concurrency")
        section.imported("concurrency", "max_active_tasks")
    if time := duration_of(section, ("dagrun_timeout", "dagrun_timeout_sec", "dagrun_timeout_secs"), "timeout", "6h"):
        fields["timeout"] = time
    if tags := values.strings(section.get("tags") or []):
        kept = [tag for tag in tags if not tag.lower().startswith(("team:", "owner:"))]
        if kept:
            fields["tags"] = kept
        section.imported("tags", "tags, without those that the platform sets")
    _params(section, fields)


def _params(section: Section, fields: dict[str, Any]) -> None:
    params = plain(section.get("params"))
    if not isinstance(params, Mapping) or not params:
        return
    simple = {str(name): value for name, value in params.items() if isinstance(value, str | int | float | bool)}
    if simple:
        fields["params"] = {name: {"default": value} for name, value in simple.items()}
    if len(simple) == len(params):
        section.imported("params", "params")
    else:
        section.todo("params", "write each as name: {default: …}; a parameter is a text, a number or true or false")


def _owner(section: Section, defaults: Section, fields: dict[str, Any]) -> None:
    owner = str(defaults.get("owner") or "")
    if "@" in owner:
        fields["owner"] = owner
        defaults.imported("owner", "owner")
    elif owner:
        defaults.left_out("owner", f"the owner of a job is an e-mail address, and not '{owner}'")
    addresses = values.strings(plain(defaults.get("email")))
    if not addresses:
        return
    occasions = [("on_failure", defaults.get("email_on_failure") is not False)]
    occasions.append(("on_retry", defaults.get("email_on_retry") is True))
    alerts = {name: [{"email": address} for address in addresses] for name, wanted in occasions if wanted}
    if alerts:
        fields["alerts"] = alerts
        defaults.imported("email", f"alerts.{' and alerts.'.join(alerts)}")
    else:
        defaults.left_out("email", "nothing is mailed")
    for key in ("email_on_failure", "email_on_retry"):
        if key in defaults:
            defaults.imported(key, "alerts")


class _Tasks:
    """The tasks of a DAG: pods as they are, others with an image to fill in, and some that a job has no need of."""

    def __init__(self, section: Section, known: Known, shared: Mapping[str, Any], jobs: Mapping[str, str]) -> None:
        self._known, self._shared, self._jobs = known, shared, jobs
        self.waits: list[str] = []
        self._sections = dict(_named_sections(section, "tasks", "task_id"))
        self._groups = dict(_named_sections(section, "task_groups", "group_name"))
        tasks = {name: _node(one, "task_group_name") for name, one in self._sections.items()}
        groups = {name: _node(one, "parent_group_name") for name, one in self._groups.items()}
        self._graph = Graph(tasks, groups)
        self.names = unique_names(self._sections, "task")

    def made(self) -> dict[str, dict[str, Any]]:
        """Return the fields of each task."""
        dropped = {name for name, one in self._sections.items() if self._is_dropped(one)}
        for name, other in self._graph.unknown():
            (self._sections | self._groups)[name].todo("dependencies", f"nothing in the DAG is named '{other}'")
        made = {}
        for name, section in self._sections.items():
            needs = self._graph.needs(name, dropped)
            section.imported("dependencies", "needs")
            if name in dropped:
                self._drop(section)
                continue
            fields: dict[str, Any] = {"needs": [self.names[one] for one in needs]} if needs else {}
            made[self.names[name]] = {**fields, **self._fields(section, name)}
        for group in self._groups.values():
            group.imported("dependencies", "needs of its first tasks")
            group.rest({}, "each task names its group")
        for name in dropped:
            del self.names[name]
        return made

    def _is_dropped(self, section: Section) -> bool:
        if _operator(section) in WAITS:
            return str(section.get("external_dag_id")) in self._jobs
        return _operator(section) in EMPTY

    def _drop(self, section: Section) -> None:
        if _operator(section) in WAITS:
            job = self._jobs[str(section.get("external_dag_id"))]
            if job not in self.waits:
                self.waits.append(job)
            section.imported("external_dag_id", f"wait_for of the job: {job}")
            section.rest({}, "a job waits for a whole run over the same data interval")
        else:
            section.left_out("operator", "it does nothing: the tasks after it need those before it")
            section.rest({}, "the task is left out")

    def _fields(self, section: Section, name: str) -> dict[str, Any]:
        fields = pod_fields(section)
        for key in NEXT_TO_TASKS:
            if key in self._shared:
                fields.setdefault(key, self._shared[key])
        operator = _operator(section)
        if operator in BASH:
            self._bash(section, fields)
        elif operator not in PODS:
            section.todo("operator", f"it does not run a pod ({operator or 'none'}): put what it does into an image")
        if "image" not in fields:
            fields = {"image": TODO, **fields}
        self._foreach(section, fields)
        fields |= common_fields(section, self._known)
        if group := section.get("task_group_name"):
            fields["group"] = slug(str(group)) or "group"
            section.imported("task_group_name", f"group: {fields['group']}")
        if self.names[name] != name:
            section.imported("task_id", f"the task's name, {self.names[name]}")
        explain_rest(section, "a task has no such field" if operator in PODS else f"it is of the {operator}")
        return fields

    def _bash(self, section: Section, fields: dict[str, Any]) -> None:
        section.todo("operator", "name the image with what the command needs")
        if isinstance(section.get("bash_command"), str):
            fields["command"], fields["args"] = ["bash", "-c"], [section.get("bash_command")]
            section.imported("bash_command", "command and args")
        variables = section.get("env")
        if isinstance(variables, Mapping):
            fields["env"] = {str(key): str(value) for key, value in variables.items()}
            section.imported("env", "env")

    def _foreach(self, section: Section, fields: dict[str, Any]) -> None:
        if "expand" not in section:
            return
        expand = plain(section.get("expand"))
        lists = expand.get("arguments") if isinstance(expand, Mapping) and len(expand) == 1 else None
        single = isinstance(lists, list) and all(isinstance(one, list) and len(one) == 1 for one in lists)
        if single and lists:
            fields["foreach"] = [one[0] for one in lists]
            fields["args"] = ["{{ item }}"]
            section.imported("expand", "foreach, with {{ item }} in args")
        else:
            section.todo("expand", "write a `foreach` over the items, with {{ item }} in args or env")
        partial = section.get("partial")
        if isinstance(partial, Mapping):
            inner = section.below("partial", partial)
            fields |= {**pod_fields(inner), **common_fields(inner, self._known)}
            explain_rest(inner)


def _operator(section: Section) -> str:
    return str(section.get("operator") or "").rpartition(".")[2]


def _named_sections(section: Section, key: str, name: str) -> Iterator[tuple[str, Section]]:
    """Yield the mappings below a key, which are a mapping by name or a list in which each has its name."""
    written = section.get(key)
    if isinstance(written, Mapping):
        inner = section.below(key, written)
        for own, data in written.items():
            yield str(own), inner.below(own, data if isinstance(data, Mapping) else {})
    elif isinstance(written, list):
        inner = section.below(key, {})
        for number, data in enumerate(written):
            if isinstance(data, Mapping):
                own = str(data.get(name) or number)
                yield own, inner.below(number, data, own)


def _node(section: Section, group: str) -> Node:
    return Node(values.strings(section.get("dependencies") or []) or [], str(section.get(group) or ""))


def unique_names(names: Collection[str], otherwise: str) -> dict[str, str]:
    """Return for each name one that a job allows, or `otherwise` where it has no letter; all differ."""
    return dict(zip(names, numbered([slug(name) or otherwise for name in names]), strict=True))
