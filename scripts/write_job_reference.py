"""Writes docs/job.md, the reference of job.yaml, from its JSON Schema: what an editor shows is what the page says."""

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
    "For each": "$defs/task/properties/foreach",
    "Gate": "$defs/task/properties/gate",
}
"""Title of each table, and where in the schema the object with its fields is."""
WHOLE_JOBS = {
    "ensemble": "Several models side by side, and one task that gets all their results",
    "retrain-on-drift": "Training anew only when the data has drifted, with alerts, parameters and checks before",
    "after": "After other jobs",
    "on-assets": "When data has been written",
}
"""Folder of tests/fixtures/valid, and what the job in it shows."""

INTRODUCTION = """\
# job.yaml

<!-- Written by `make docs` from schemas/job.schema.json, values/task-types.yaml and jobs of tests/fixtures/valid. -->

A job is one file, `dags/<job>/job.yaml`. The folder's name is the job's, and with the team's name before it the DAG's
in Airflow: `<team>.<job>`. The least that a job can say:

```yaml
apiVersion: jobyard/v1
schedule: "@daily"
tasks:
  score:
    image: inference
```
"""


def render(schema: Mapping[str, Any]) -> str:
    """The whole page."""
    tables = (f"\n## {title}\n\n{table(fields(schema, place))}" for title, place in SECTIONS.items())
    return INTRODUCTION + "".join(tables) + LIMITS + OUTPUTS + _templates() + _task_types() + _whole_jobs()


LIMITS = f"""
## Limits

All teams share Airflow's scheduler, so jobs are bounded. `jobyard check` says where one does not fit; in Airflow it
becomes a DAG that says why. Numbers and lengths of single fields are in the schema, which an editor shows.

| what | a job | all of a team's jobs |
|---|---|---|
| jobs | | {limits.RELEASE_JOBS:,} |
| tasks, each `wait_for` being one | {limits.TASKS:,} | {limits.RELEASE_TASKS:,} |
| entries of all `needs` together | {limits.EDGES:,} | {limits.RELEASE_EDGES:,} |
| assets in `inputs`, `outputs` and `schedule` | {limits.ASSETS:,} | {limits.RELEASE_ASSETS:,} |
| task instances of one run | {limits.INSTANCES:,} | |
| task instances of one run, times `max_active_runs` | {limits.ACTIVE_INSTANCES:,} | {limits.RELEASE_INSTANCES:,} |
| bytes of the release | | {limits.RELEASE_BYTES:,} |
| any duration | {limits.SECONDS // 86_400} days | |
| years of `start_date` and `end_date` | {limits.FIRST_YEAR} to {limits.LAST_YEAR} | |
| depth of an item, or of an argument in `with` | {limits.DEPTH} | |

A task is one instance in a run, with a `foreach` one for each item. A list that another task leaves counts as
{limits.ITEMS:,} items.
"""
OUTPUTS = """
## Outputs

A container leaves a result for other tasks by writing JSON to `/airflow/xcom/return.json`: less than 4 KiB (what is
larger belongs into S3), and neither null nor NaN; whole numbers of at most 64 bits, texts without NUL, at most 32
levels. It stays plain data whatever it says: Airflow makes no object of it. Others use it in a template
(`{{ outputs['train'].auc }}`), as the list of a `foreach`, or in a `gate`.
"""


def _templates() -> str:
    rows = [f"| `{name}` | {what} |" for name, what in NAMES.items()]
    head = (
        "Airflow renders `args`, `command`, `env` and `with` when the task runs. A template may name these alone, and"
        " nothing in them that begins with an underscore:"
    )
    table = ["| name | what |", "|---|---|", *rows]
    return "\n".join(["\n## Templates\n", head, "", *table, "", *_template_limits(), ""])


def _template_limits() -> list[str]:
    """What a template may be and make, from the tables that the library goes by."""
    filters = ", ".join(f"`{name}`" for name in sorted(template_rules.FILTERS | template_rules.DATE_FILTERS))
    limits = [f"| {what} | {limit} |" for what, limit in template_rules.LIMITS.items()]
    return [
        "Templates have Jinja's expressions and `if`, `for`, `set`, `with` and `raw`; the functions `dict`, `namespace`"
        f" and `range`; and these filters: {filters}. Macros, blocks and other files they can't have. What they see are"
        " plain values, whose methods look and change nothing: a list has no `append`, a text no `format` (use"
        " `'%s' % value`).",
        "",
        "Airflow renders a task's templates before the task's `timeout` begins. A template that is beyond the following"
        " fails the task for good, and where that can be seen without running it, `jobyard check` says so:",
        "",
        "| at most | |",
        "|---|---|",
        *limits,
        "",
        "A step is about what one operation takes; a template of a few words takes about 400 of them, a loop at least"
        " as many as its items.",
    ]


def _task_types() -> str:
    rows = ["| type | what | with |", "|---|---|---|"]
    for name, entry in yaml.safe_load(TASK_TYPES.read_text())["taskTypes"].items():
        required = entry["with"].get("required", [])
        arguments = [
            f"`{argument}`{'' if argument in required else ' (optional)'}: {as_cell(field['description'])}"
            for argument, field in entry["with"]["properties"].items()
        ]
        rows.append(f"| `{name}` | {as_cell(entry['description'])} | {' '.join(arguments)} |")
    head = "A task with a `type` is no pod. The platform says which there are, in `values/task-types.yaml`."
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
