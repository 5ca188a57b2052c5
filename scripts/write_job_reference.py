"""Write docs/job.md, the reference of job.yaml, from its JSON Schema, which editors show too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jobyard import limits, template_rules
from jobyard_cli.check.templates import NAMES
from schema_tables import as_cell, fields, table

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "schemas" / "job.schema.json"
PAGE = ROOT / "docs" / "job.md"
TASK_TYPES = ROOT / "values" / "task-types.yaml"
EXAMPLES = ROOT / "tests" / "fixtures" / "valid"
SECTIONS = {
    "A job": "",
    "Schedule": "properties/schedule",
    "Wait for": "properties/wait_for/items",
    "Alerts": "$defs/alerts",
    "Alert": "$defs/targets/items",
    "Parameter": "$defs/param",
    "Defaults of its tasks": "properties/defaults",
    "A task": "$defs/task",
    "Retries": "$defs/retries",
    "Resources": "$defs/resources",
    "More memory after an OOM": "$defs/resources/properties/on_oom",
    "For each": "$defs/task/properties/foreach",
    "Gate": "$defs/task/properties/gate",
}
"""Titles of the tables, with the place in the schema of the object that each describes."""
WHOLE_JOBS = {
    "ensemble": "Several models in parallel, and a task that combines their results",
    "retrain-on-drift": "Retraining only when the data has drifted, with alerts, parameters and data checks",
    "after": "After other jobs",
    "on-assets": "After data has been updated",
}
"""Folders of tests/fixtures/valid, with what the job shows."""

INTRODUCTION = """\
# job.yaml

<!-- Written by `make docs` from schemas/job.schema.json, values/task-types.yaml and jobs of tests/fixtures/valid. -->

A job is one file, `dags/<job>/job.yaml`. The name of the folder is the name of the job, and `<team>.<job>` is the id of
its DAG in Airflow. A minimal job:

```yaml
apiVersion: jobyard/v1
schedule: "@daily"
tasks:
  score:
    image: inference
```
"""


def render(schema: Mapping[str, Any]) -> str:
    """Return the whole page."""
    tables = (f"\n## {title}\n\n{table(fields(schema, place))}" for title, place in SECTIONS.items())
    fixed = TIME_LIMITS + LIMITS + OUTPUTS
    return INTRODUCTION + "".join(tables) + fixed + _templates() + _task_types() + _whole_jobs()


TIME_LIMITS = """
## Time limits

| limit | counts from | until | when it is over |
|---|---|---|---|
| `queue_timeout` of a task | the pod is made | the team's quota has room for it | the pod is deleted, the try fails |
| `startup_timeout` of a task | the pod may be scheduled | its container runs | the try fails |
| `timeout` of a task | the pod's container runs | it ends | the pod is deleted, the try fails |
| `timeout` of a task with a `type` | Airflow starts the task; a wait: its first look | it ends | the try fails |
| `timeout` of a job | the run starts | all tasks have ended | the run fails |
| `deadline` of a job | the run starts | all tasks have ended | the alert is sent, the run continues |

A node group without a running node may take ten minutes for the first one. That is not part of the `timeout` of a task,
but of the `timeout` of a job. If a try has several pods, as with `on_oom`, each has the whole `queue_timeout`,
`startup_timeout` and `timeout`. `jobyard check` warns if a `startup_timeout` is shorter than the node group needs, if a
job's `timeout` or `deadline` is over before its pods can have started, and if a limit has no effect, as the job's
`timeout` is shorter, or as pods wait in no environment's queue.
"""
LIMITS = f"""
## Limits

All teams share Airflow's scheduler, so jobs have limits. `jobyard check` reports a job that exceeds one; in Airflow,
such a job becomes a DAG whose page shows the reason. The limits of single fields are in the schema, which editors show.

| what | per job | per team |
|---|---|---|
| jobs | | {limits.RELEASE_JOBS:,} |
| tasks, including one for each `wait_for` | {limits.TASKS:,} | {limits.RELEASE_TASKS:,} |
| entries of all `needs` | {limits.EDGES:,} | {limits.RELEASE_EDGES:,} |
| assets in `inputs`, `outputs` and `schedule` | {limits.ASSETS:,} | {limits.RELEASE_ASSETS:,} |
| task instances of a run | {limits.INSTANCES:,} | |
| task instances of a run, times `max_active_runs` | {limits.ACTIVE_INSTANCES:,} | {limits.RELEASE_INSTANCES:,} |
| bytes of the release | | {limits.RELEASE_BYTES:,} |
| any duration | {limits.SECONDS // 86_400} days | |
| years of `start_date` and `end_date` | {limits.FIRST_YEAR} to {limits.LAST_YEAR} | |
| depth of an item, or of an argument in `with` | {limits.DEPTH} | |

A task has one instance in a run; with a `foreach`, one for each item. The output of another task counts as
{limits.ITEMS:,} items.
"""
OUTPUTS = """
## Outputs

A container passes a result to other tasks by writing JSON to `/airflow/xcom/return.json`: less than 4 KiB (store larger
results in S3), neither null nor NaN, whole numbers of at most 64 bits, strings without NUL, and at most 32 levels. It
is always treated as plain data: Airflow never deserializes it to objects. Other tasks use it in a template
(`{{ outputs['train'].auc }}`), as the list of a `foreach`, or in a `gate`.
"""


def _templates() -> str:
    rows = [f"| `{name}` | {what} |" for name, what in NAMES.items()]
    head = (
        "Airflow renders `args`, `command`, `env` and `with` when the task runs. A template may use only these names,"
        " and no attributes that start with an underscore:"
    )
    table = ["| name | description |", "|---|---|", *rows]
    return "\n".join(["\n## Templates\n", head, "", *table, "", *_template_limits(), ""])


def _template_limits() -> list[str]:
    """Return the limits of templates, from the tables that the library enforces."""
    filters = ", ".join(f"`{name}`" for name in sorted(template_rules.FILTERS | template_rules.DATE_FILTERS))
    limits = [f"| {what} | {limit} |" for what, limit in template_rules.LIMITS.items()]
    return [
        "Templates support Jinja's expressions, and `if`, `for`, `set`, `with` and `raw`; the functions `dict`,"
        f" `namespace` and `range`; and these filters: {filters}. They do not support macros, blocks and other files."
        " Values are read-only: a list has no `append`. Strings are formatted with `'%s' % value`, not with `format`.",
        "",
        "Airflow renders a task's templates before the task's `timeout` starts. A template that exceeds one of these"
        " limits fails the task without a retry; `jobyard check` reports those that it can find without running it:",
        "",
        "| what | maximum |",
        "|---|---|",
        *limits,
        "",
        "A step is roughly one operation: a short template takes about 400 steps, and a loop at least one per item.",
    ]


def _task_types() -> str:
    rows = ["| type | description | with |", "|---|---|---|"]
    for name, entry in yaml.safe_load(TASK_TYPES.read_text())["taskTypes"].items():
        required = entry["with"].get("required", [])
        arguments = [
            f"`{argument}`{'' if argument in required else ' (optional)'}: {as_cell(field['description'])}"
            for argument, field in entry["with"]["properties"].items()
        ]
        rows.append(f"| `{name}` | {as_cell(entry['description'])} | {' '.join(arguments)} |")
    head = "A task with a `type` runs without a pod. The platform defines the types in `values/task-types.yaml`."
    return "\n".join(["\n## Task types\n", head, "", *rows, ""])


def _whole_jobs() -> str:
    parts = ["\n## Whole jobs\n"]
    for name, what in WHOLE_JOBS.items():
        parts += [f"{what}:\n", f"```yaml\n{(EXAMPLES / name / 'job.yaml').read_text().rstrip()}\n```\n"]
    return "\n".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(json.loads(SCHEMA.read_text())))


if __name__ == "__main__":
    main()
