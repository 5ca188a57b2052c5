"""What those who write a release, plan it, put it and read it agree on: names, paths, limits, marks.

The compiler, the plan and `jobyard sync` (`scripts/jobyard_cli`) and the builder, which is here, take all of it from
this module; `entries` has the fields of a release, `pod_parts` those of a pod. None of the three imports anything of
Airflow's: the command line has no Airflow.
"""

import re
from collections.abc import Mapping

SCHEMA_VERSION = 7
"""Of a release. Version 1 lacks the fields that are NotRequired in `entries`, version 2 the digests of the jobs,
version 3 `read_only_root_filesystem`, version 4 `on_oom`, version 5 `queue_timeout` and its
alert, version 6 `jobyard_commit` in templates."""

# The bucket. Paths are below `dags/`.
RELEASE_FILE = "jobs.json"


LOADERS_FILE = "jobyard/loaders.json"
"""How many loaders teams have, where that is more than one."""
_LOADER = re.compile(r"([a-z0-9-]+)(?:_([2-9]|[1-9][0-9]))?")


def release_path(team: str) -> str:
    """Return the path of the team's release."""
    return f"{team}/{RELEASE_FILE}"


def loader_path(team: str, part: int = 1) -> str:
    """Return the path of one of the team's loaders. No team's name has a `_`."""
    return f"{team}.py" if part == 1 else f"{team}_{part}.py"


def loader_of(path: str) -> tuple[str, int]:
    """Return the team that a loader at such a path is of, and which one it is; of any other file, its stem and 1."""
    stem = path.rpartition("/")[2].removesuffix(".py")
    match = _LOADER.fullmatch(stem)
    if not match:
        return stem, 1
    team, part = match.groups(default="1")
    return team, int(part)


# Names. Those of jobs, tasks and groups become labels, DAG ids and task ids.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")
NAME_RULE = "a name of lower-case letters, digits and '-' that starts with a letter and has at most 50 characters"
JOB_ID = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*")
"""`<team>.<job>`: the id of the job's DAG."""


def namespace(team: str) -> str:
    """Return the namespace of the team's pods."""
    return f"team-{team}"


def images_variable(team: str) -> str:
    """Return the name of the Airflow Variable with the addresses of the team's images."""
    return f"jobyard_images_{team}"


# What templates may call.
IMAGE_MACRO = "jobyard_image"
COMMIT_MACRO = "jobyard_commit"


def is_image_address(image: str) -> bool:
    """Return whether `image` is an address as it is; otherwise it is a name, looked up in the team's Variable."""
    return any(character in image for character in "/@:")


# Words of a job.
CONTINUOUS = "@continuous"
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@once", CONTINUOUS)
NO_CLOCK = frozenset({"@once", CONTINUOUS})
"""The presets whose runs do not follow each other by the clock, each with a data interval of its own."""
DURATIONS = ("timeout", "deadline", "startup_timeout", "queue_timeout", "delay", "max_delay")
"""The fields that are durations, wherever they are in a job: text in job.yaml, seconds in a release."""
OCCASIONS = ("on_failure", "on_retry", "on_queue_timeout", "on_success", "on_missed_deadline")
DEFAULT_TRIGGER_RULE = "all_success"
TRIGGER_RULES = (
    DEFAULT_TRIGGER_RULE,
    "all_failed",
    "all_done",
    "all_skipped",
    "one_success",
    "one_failed",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "always",
)
GATE_TESTS: Mapping[str, str] = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤", "equals": "="}
"""The tests of a gate, with their signs."""

# A task's pod.
OUTPUT_PATH = "/airflow/xcom/return.json"
"""Where the container writes the task's output: Airflow's own convention."""
OUTPUT_BYTES = 4096
"""What an output stays below: the kubelet cuts longer ones (kubernetes: pkg/kubelet/container/runtime.go,
MaxContainerTerminationMessageLength)."""
SCRATCH_PATH = "/scratch"
DISK = "2Gi"
"""Room for logs and for what a task writes beside its scratch space."""
LONGEST_TASK = 7 * 24 * 60 * 60
"""Seconds that a pod may run where the environment does not say, as in charts/platform."""
POD_REPLACEMENTS = 5
"""Pods that one try makes for those that it lost, where the environment does not say."""
NO_QUEUEING = "none"
KUEUE = "kueue"
QUEUEING = (NO_QUEUEING, KUEUE)
"""What a pod waits in for its team's quota: nothing, so that one over the quota is refused, or Kueue's queue."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUEUE = "jobs"
"""The LocalQueue in each team's namespace."""

# The page that Airflow shows of a DAG, by which `jobyard sync` recognises the job.
DIGEST_MARK = "Digest of the job: "
BROKEN_MARK = "**This job is broken, and does not run:**"
BROKEN_TAG = "broken"


def digest_line(digest: str) -> str:
    """Return the line of the page that says which version of the job Airflow has."""
    return f"{DIGEST_MARK}`{digest}`"
