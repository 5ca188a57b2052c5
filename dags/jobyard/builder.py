"""A job of the release becomes a DAG. The same release makes the same DAG, to the byte, in any process."""

from functools import partial
from graphlib import TopologicalSorter
from typing import Any, cast

from jobyard import deferral
from jobyard.alerts import dag_alerts, set_deadline, task_alerts
from jobyard.assets import refuse_others
from jobyard.broken import broken_dag
from jobyard.compat import DAG, Param, TaskGroup
from jobyard.contract import COMMIT_MACRO, IMAGE_MACRO, NAME
from jobyard.docs import job_page
from jobyard.edges import put_before
from jobyard.entries import Foreach, Job, Task
from jobyard.errors import JobError, JobyardError, UnfitJobError, UnknownNameError
from jobyard.finish import announce_success
from jobyard.images import ImageLookup
from jobyard.operator import JobPodOperator
from jobyard.outputs import Items
from jobyard.plain import refuse_serialized
from jobyard.platform import Platform
from jobyard.pod import pod_arguments, seconds, task_arguments
from jobyard.queueing import default_arguments, pool, weight
from jobyard.schedule import schedule_arguments
from jobyard.task_types import typed_operator
from jobyard.template_guard import guarded
from jobyard.templates import template_arguments
from jobyard.waiting import wait_operator

# What Airflow's page calls an instance of a task with `foreach`.
MAP_INDEX = guarded("{{ item | string | truncate(100, true) }}")


def build(platform: Platform, team: str, name: str, job: Job | UnfitJobError, commit: str = "") -> DAG:
    """Return the job's DAG; of a job that does not fit or cannot be built, a DAG that says why.

    `commit` is that of the release.
    """
    access = access_arguments(platform, team)
    if isinstance(job, UnfitJobError):
        return broken_dag(team, name, job.entry, str(job), access)
    try:
        return job_dag(platform, team, name, job, commit)
    except JobyardError as error:
        return broken_dag(team, name, job, str(error), access)
    # What Airflow itself refuses, in whatever way, must not take the team's other jobs with it.
    except Exception as error:
        reason = f"malformed entry: {type(error).__name__}: {error}"
        return broken_dag(team, name, job, reason, access)


def job_dag(platform: Platform, team: str, name: str, job: Job, commit: str = "") -> DAG:
    """Return the job's DAG.

    Raises:
        JobError: a name is unknown or unfit, or the tasks need each other in a circle.
        Exception: whatever a malformed entry leads to.
    """
    refuse_serialized(job)
    check_name("job", name)
    order = task_order(job["tasks"])
    dag = DAG(**dag_arguments(platform, team, name, job, commit))
    tasks = _Tasks(platform, team, name, job, dag)
    for task_name in order:
        check_name("task", task_name)
        tasks.add(task_name)
    waits = [wait_operator(platform, dag, wait) for wait in job.get("wait_for", [])]
    for task_name in order:
        if not job["tasks"][task_name]["needs"]:
            put_before(tasks.operators[task_name], waits)
    set_deadline(job, announce_success(dag))
    return dag


class _Tasks:
    """The operators of one DAG, as they are made."""

    def __init__(self, platform: Platform, team: str, name: str, job: Job, dag: DAG) -> None:
        self.platform = platform
        self.team = team
        self.name = name
        self.job = job
        self.dag = dag
        self.operators: dict[str, Any] = {}
        self.groups: dict[str, TaskGroup] = {}
        self.alerts = task_alerts(job, team, name)
        self.lists = _used_as_lists(job["tasks"])

    def add(self, name: str) -> None:
        """Make the task's operator, after those of what it needs."""
        entry = self.job["tasks"][name]
        # Neither items nor what a gate compares are rendered: they are values, whatever is in them.
        task = cast(Task, {**guarded(entry), "foreach": entry.get("foreach"), "gate": entry.get("gate")})
        common = {"dag": self.dag, **task_arguments(name, task), **self._placement(name, task)}
        if task.get("type"):
            operator = typed_operator(self.platform, self.team, task, common)
        else:
            pod = pod_arguments(self.platform, self.team, self.name, name, task)
            foreach = task.get("foreach")
            if gate := task.get("gate"):
                self._made("gate", gate["output_of"])
            # Of a task that has several instances itself, the list is that of their outputs.
            pod["output_is_list"] = name in self.lists and not foreach
            pod["deferred"] = deferral.is_deferred(self.platform, self.job, task)
            if deferral.is_deferred_in_queue(self.platform, self.job, task):
                pod["deferred_in_queue"] = True
            pod["replacements"] = self.platform.pod_replacements
            operator = self._pod_operator(foreach, {**common, **pod})
        put_before(operator, [self.operators[need] for need in task["needs"]])
        self.operators[name] = operator

    def _placement(self, name: str, task: Task) -> dict[str, Any]:
        """Return the arguments that follow from the job around the task."""
        arguments: dict[str, Any] = dict(self.alerts)
        team = self.platform.team(self.team)
        refuse_others(task.get("outputs") or [], team.assets)
        if named := task.get("pool"):
            arguments["pool"] = pool(team, named)
        if not task.get("type"):
            arguments["priority_weight"] = weight(team, task["priority_class"])
        if group := task.get("group"):
            check_name("group", group)
            if group in self.job["tasks"]:
                raise JobError(f"a group must not have the name of a task; got {group!r}")
            if group not in self.groups:
                self.groups[group] = TaskGroup(group, dag=self.dag, prefix_group_id=False)
            arguments["task_group"] = self.groups[group]
        return arguments

    def _made(self, use: str, name: str) -> Any:
        """Return the operator of a task whose output is used, which has to be one of those before.

        Raises:
            UnknownNameError: it is not.
        """
        if name not in self.operators:
            raise UnknownNameError(f"task in {use}:", name, self.operators)
        return self.operators[name]

    def _pod_operator(self, foreach: Foreach | None, arguments: dict[str, Any]) -> Any:
        if not foreach:
            return JobPodOperator(**arguments)
        source = foreach["output_of"]
        items: Any = foreach["items"] if source is None else Items(self._made("foreach", source))
        if items is None:
            raise JobError("a foreach must have 'items' or 'output_of'")
        several = JobPodOperator.partial(
            **arguments, map_index_template=MAP_INDEX, max_active_tis_per_dagrun=foreach["concurrency"]
        )
        return several.expand(item=items)


def _used_as_lists(tasks: dict[str, Task]) -> set[str | None]:
    """Return the tasks whose output is the list of a `foreach`."""
    used: set[str | None] = set()
    for task in tasks.values():
        if foreach := task.get("foreach"):
            used.add(foreach["output_of"])
    return used


def dag_arguments(platform: Platform, team: str, name: str, job: Job, commit: str) -> dict[str, Any]:
    """Return the keyword arguments of the DAG."""
    owner = job["owner"] or team
    schedule = schedule_arguments(job)
    arguments = {
        "dag_id": f"{team}.{name}",
        "description": job["description"],
        "doc_md": job_page(job["description"], job["source"], job.get("digest"), notes=deferral.note(platform, job)),
        "default_args": {"owner": owner, **default_arguments(platform.team(team), job)},
        **access_arguments(platform, team),
        "tags": sorted({f"team:{team}", f"owner:{owner}", *_own_tags(job["tags"])}),
        "params": {param: parameter(entry) for param, entry in job["params"].items()},
        # A merged job runs; Airflow's default is to wait, paused, for somebody's click.
        "is_paused_upon_creation": False,
        "catchup": job["catchup"],
        "max_active_runs": job["max_active_runs"],
        "dagrun_timeout": seconds(job["timeout"]),
        **schedule,
        **template_arguments(
            team,
            schedule["start_date"].tzinfo,
            {IMAGE_MACRO: ImageLookup(team, platform.image_registries), COMMIT_MACRO: partial(str, commit)},
            platform.variables,
        ),
        **dag_alerts(job, team, name),
    }
    if most := job.get("max_active_tasks"):
        arguments["max_active_tasks"] = most
    return arguments


def access_arguments(platform: Platform, team: str) -> dict[str, Any]:
    """Return the argument by which Airflow shows the DAG to the team's people, where it knows roles."""
    if team not in platform.teams or not (role := platform.teams[team].role):
        return {}
    return {"access_control": {role: {"DAGs": {"can_read", "can_edit"}}}}


def _own_tags(tags: list[str]) -> list[str]:
    """Return the job's tags.

    Raises:
        JobError: one would put the job among another team's or owner's.
    """
    for tag in tags:
        if tag.casefold().startswith(("team:", "owner:")):
            raise JobError(f"a tag must not start with 'team:' or 'owner:', which the platform sets; got {tag!r}")
    return tags


def parameter(entry: Any) -> Any:
    """Return what Airflow's form shows: a Param of the arguments given, or (release version 1) a plain default."""
    if isinstance(entry, dict):
        return Param(**entry)
    return entry


def task_order(tasks: dict[str, Task]) -> list[str]:
    """Return the tasks' names, each after what it needs; the same order every time.

    Raises:
        JobError: there is no task, a need does not exist, or the needs go round in a circle.
    """
    if not tasks:
        raise JobError("the job has no tasks")
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(tasks):
        for need in tasks[name]["needs"]:
            if need not in tasks:
                raise UnknownNameError(f"task in needs of {name!r}:", need, tasks)
        sorter.add(name, *sorted(tasks[name]["needs"]))
    return list(sorter.static_order())


def check_name(what: str, name: str) -> None:
    """Raise JobError unless the name can be a label, a DAG id and a task id."""
    if not NAME.fullmatch(name):
        raise JobError(f"{what} name {name!r} is not lower-case letters, digits and '-', at most 50 of them")
