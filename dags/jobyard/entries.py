"""The fields of a release: each with its type, for any code that writes or reads it, and the rule for its value.

A new field is one line here, and a new `SCHEMA_VERSION`; docs/adding-a-field.md says what else there is to do. A field
that not every release has is NotRequired: the library reads what earlier versions of the compiler wrote.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict, get_args, get_origin

from jobyard import contract, limits
from jobyard.job_rules import (
    AMOUNTS,
    ANY_NAME,
    ARGUMENTS,
    ASSETS,
    IMAGE,
    ITEM,
    JOB_NAME,
    KEY,
    LABEL,
    LIMIT,
    NAME,
    OWNER,
    PARAM,
    PLAIN,
    QUANTITY,
    SCALAR,
    SCHEDULE,
    SECONDS,
    TARGETS,
    TEXT,
    TIMEZONE,
    VARIABLE,
    day,
)
from jobyard.rules import MisfitError, Rule, choice, fields, flag, listed, mapping, nullable, text, whole


def rules_of(entry: Any) -> dict[str, Rule]:
    """Return the rule of each field of an entry, which is one of the classes here."""
    return {name: _rule(annotation) for name, annotation in entry.__annotations__.items()}


def _rule(annotation: Any) -> Rule:
    if get_origin(annotation) is NotRequired:
        annotation = get_args(annotation)[0]
    rule: Rule = annotation.__metadata__[0]
    return rule


def _entry(kind: Any) -> Rule:
    """Return the rule of an object that is such an entry."""
    required: dict[str, Rule] = {}
    optional: dict[str, Rule] = {}
    for name, rule in rules_of(kind).items():
        group = required if name in kind.__required_keys__ else optional
        group[name] = rule
    return fields(required, optional)


class Retries(TypedDict):
    """How often and when a failed task is tried again."""

    attempts: Annotated[int, whole(0, limits.ATTEMPTS)]  # tries after the first
    delay: Annotated[int, whole(0, limits.SECONDS)]  # seconds
    backoff: Annotated[str, choice("none", "exponential")]
    max_delay: Annotated[int | None, LIMIT]  # seconds


class Resources(TypedDict):
    """Kubernetes' resource requirements: canonical quantities."""

    requests: Annotated[dict[str, str], AMOUNTS]
    limits: Annotated[dict[str, str], AMOUNTS]


class OnOom(TypedDict):
    """How much more memory the next pod gets after one that was killed for lack of it; `memory` computes it.

    The memory grows either by a factor or by an amount.
    """

    percent: Annotated[int | None, nullable(whole(*limits.MEMORY_PERCENT))]  # of the memory before; 200 doubles it
    add: Annotated[str | None, nullable(QUANTITY)]
    at_most: Annotated[str, QUANTITY]


_ON_OOM = _entry(OnOom)


def memory_growth(value: Any) -> None:
    """Check an `on_oom`: of factor and amount it has one."""
    _ON_OOM(value)
    if (value["percent"] is None) == (value["add"] is None):
        raise MisfitError("must have a number in either 'percent' or 'add', and null in the other")


class SecretKey(TypedDict):
    """A key of a Kubernetes Secret in the team's namespace."""

    secret: Annotated[str, ANY_NAME]
    key: Annotated[str, KEY]


class AfterJobs(TypedDict, total=False):
    """A schedule by what others write: jobs that have succeeded, assets."""

    after: list[str]
    assets: list[str]


Schedule = str | None | AfterJobs
"""A cron expression or preset; None for "by hand"; or after others."""


class WaitFor(TypedDict):
    """A job of any team whose run over the same data interval has to succeed first."""

    job: Annotated[str, JOB_NAME]
    timeout: Annotated[int, SECONDS]  # seconds


class Foreach(TypedDict):
    """One instance of the task for each item: of a list, or of the list that another task left."""

    items: Annotated[list[Any] | None, nullable(listed(ITEM, limits.ITEMS, 1))]
    output_of: Annotated[str | None, nullable(NAME)]
    concurrency: Annotated[int | None, nullable(whole(1, limits.ACTIVE_TASKS))]  # instances of one run at once


class GateTest(TypedDict):
    """A condition on another task's output."""

    output_of: Annotated[str, NAME]
    value: Annotated[str | None, nullable(LABEL)]
    test: Annotated[str, choice(*contract.GATE_TESTS)]
    bound: Annotated[object, SCALAR]


class EveryTask(TypedDict):
    """What a task has, whether it is a pod or has a type."""

    needs: Annotated[list[str], listed(NAME, limits.NEEDS)]
    retries: Annotated[Retries, _entry(Retries)]
    timeout: Annotated[int | None, LIMIT]  # seconds of one try; of a pod from the start of its container
    trigger_rule: Annotated[str, choice(*contract.TRIGGER_RULES)]
    group: NotRequired[Annotated[str | None, nullable(NAME)]]
    pool: NotRequired[Annotated[str | None, nullable(ANY_NAME)]]
    inputs: NotRequired[Annotated[list[str], ASSETS]]
    outputs: NotRequired[Annotated[list[str], ASSETS]]
    # Of a task with a type: one of the operators that the platform allows besides pods.
    type: NotRequired[Annotated[str | None, nullable(ANY_NAME)]]
    arguments: NotRequired[Annotated[dict[str, Any], mapping(VARIABLE, PLAIN, limits.VARIABLES)]]


class PodFields(TypedDict):
    """What a task's pod shows as it is written here; `pod_parts` says where."""

    image: Annotated[str, IMAGE]
    command: Annotated[list[str] | None, ARGUMENTS]
    args: Annotated[list[str] | None, ARGUMENTS]
    env: Annotated[dict[str, str], mapping(VARIABLE, TEXT, limits.VARIABLES)]
    # By the environment variable that gets it.
    secrets: Annotated[dict[str, SecretKey], mapping(VARIABLE, _entry(SecretKey), limits.VARIABLES)]
    resources: Annotated[Resources, _entry(Resources)]
    scratch: Annotated[str | None, nullable(QUANTITY)]
    read_only_root_filesystem: NotRequired[Annotated[bool, flag]]
    service_account: Annotated[str, ANY_NAME]
    priority_class: Annotated[str, ANY_NAME]


class Task(EveryTask, PodFields):
    """A task: one pod. A task with a `type` has no pod, and only the fields of EveryTask."""

    node_group: Annotated[str, ANY_NAME]
    # Seconds from when the pod may be scheduled until its container runs; None = the node group's.
    startup_timeout: Annotated[int | None, LIMIT]
    # Seconds from when the pod was made until its team's quota has room for it.
    queue_timeout: NotRequired[Annotated[int | None, LIMIT]]
    on_oom: NotRequired[Annotated[OnOom, memory_growth]]
    foreach: NotRequired[Annotated[Foreach | None, nullable(_entry(Foreach))]]
    gate: NotRequired[Annotated[GateTest | None, nullable(_entry(GateTest))]]
    output: NotRequired[Annotated[bool, flag]]  # another task uses what this one leaves


def _typed_task() -> Rule:
    """Return the rule of a task with a type: the fields of a pod may be there, and mean nothing."""
    required = rules_of(EveryTask)
    for name in EveryTask.__optional_keys__:
        del required[name]
    return fields(required, rules_of(Task))


_POD_TASK = _entry(Task)
_TYPED_TASK = _typed_task()


def task(value: Any) -> None:
    """Check a task: a pod, unless it has a type."""
    if type(value) is dict and value.get("type") is not None:
        _TYPED_TASK(value)
    else:
        _POD_TASK(value)


class Alerts(TypedDict, total=False):
    """Who is alerted, by occasion (`contract.OCCASIONS`); each is one kind of target and its address."""

    on_failure: list[dict[str, str]]
    on_retry: list[dict[str, str]]
    on_queue_timeout: list[dict[str, str]]
    on_success: list[dict[str, str]]
    on_missed_deadline: list[dict[str, str]]


class Timing(TypedDict):
    """When a job runs."""

    schedule: Annotated[Schedule, SCHEDULE]
    timezone: Annotated[str, TIMEZONE]
    start_date: Annotated[str, day]
    end_date: Annotated[str | None, nullable(day)]


class Job(Timing):
    """One `job.yaml`, one DAG."""

    source: Annotated[str, text(limits.SOURCE)]
    digest: NotRequired[Annotated[str, text(64, "[0-9a-f]+", "a digest")]]  # of all else that is here
    description: Annotated[str, text(limits.DESCRIPTION)]
    owner: Annotated[str, OWNER]
    catchup: Annotated[bool, flag]
    max_active_runs: Annotated[int, whole(1, limits.ACTIVE_RUNS)]
    max_active_tasks: NotRequired[Annotated[int | None, nullable(whole(1, limits.ACTIVE_TASKS))]]
    timeout: Annotated[int | None, LIMIT]  # seconds, of a whole run
    deadline: NotRequired[Annotated[int | None, nullable(SECONDS)]]  # seconds from a run's start to on_missed_deadline
    tags: Annotated[list[str], listed(text(limits.TAG, least=1), limits.TAGS)]
    # Name to the arguments of Airflow's Param; in version 1 to a plain default.
    params: Annotated[dict[str, Any], mapping(VARIABLE, PARAM, limits.PARAMS)]
    wait_for: NotRequired[Annotated[list[WaitFor], listed(_entry(WaitFor), limits.WAITS)]]
    alerts: NotRequired[Annotated[Alerts, mapping(choice(*contract.OCCASIONS), TARGETS, len(contract.OCCASIONS))]]
    tasks: Annotated[dict[str, Task], mapping(NAME, task, limits.TASKS, 1)]


class Release(TypedDict):
    """A team's release, `jobs.json`."""

    schema_version: int
    team: str
    commit: str
    digest: str  # of the jobs and images
    jobs: dict[str, Job]
    images: dict[str, str]  # addresses by name


JOB = _entry(Job)
JOB_RULES: Mapping[str, Rule] = rules_of(Job)
