"""What `jobyard run` renders without Airflow is what every supported Airflow hands to the pod."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from jobyard.entries import Job
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups, task_types
from jobyard_cli.release.compile import compile_release
from jobyard_cli.running.moments import find_moments
from jobyard_cli.running.rendering import Instance, Renderer
from jobyard_cli.running.values import all_params

from tests.support.airflow_workers import SOURCE, VERSIONS, AskAll, StartWorkers

COMMIT = "c0ffee" + "0" * 34
"""That of the releases of tests/dags."""
VARIABLES = {
    "jobyard_data_bucket": "s3-data",
    "risk_table": "claims",
    "risk_limits": '{"high": 5}',
    "risk_mlflow": "http://a",
}
TEAMS = {"risk": {"costCenter": "4711", "assets": [], "pools": {}}}
PLATFORM = platform_data(
    node_groups(SOURCE.values),
    "dev",
    task_types=task_types(SOURCE.values),
    teams=TEAMS,
    variables=["jobyard_data_bucket"],
)
OUTPUTS = {"split": {"rows": 7, "days": ["a", "b"]}, "train": [{"auc": 0.5}, {"auc": 0.75}]}
JOB = """\
apiVersion: jobyard/v1
schedule: "%s"
timezone: %s
params: {limit: 5, table: claims, exact: false}
tasks:
  split:
    image: inference
    command: [sh, -c, "echo '{{ ds }}'\\n", "{ plain }", "{%% raw %%}{{ not }}{%% endraw %%}"]
    env: {DAY: "{{ day }}", EMPTY: "", NUMBER: "{{ params.limit * 2 }}", TABLE: "{{ params.table }}"}
    args:
      - "{{ ds }} {{ ds_nodash }} {{ ts }} {{ ts_nodash }} {{ ts_nodash_with_tz }} {{ day }}"
      - "{{ data_interval_start }} {{ data_interval_end.isoformat() }} {{ logical_date }}"
      - "{{ data_interval_start.timezone_name }} {{ data_interval_end.in_timezone('Asia/Tokyo') }}"
      - "{{ (data_interval_end - data_interval_start).in_hours() }} {{ logical_date.add(months=1) | ds_nodash }}"
      - "{{ data_interval_end | ts }} {{ data_interval_start.format('YYYY/MM/DD HH') }} {{ logical_date.weekday() }}"
      - "{{ params.exact }} {{ params | tojson }} {{ dag_run.conf }} {{ dag_run.run_type }}"
      - "{{ var.value.jobyard_data_bucket }} {{ var.value.get('risk_none', 'x') }} {{ var.json.risk_limits.high + 1 }}"
      - "{{ macros.ds_add(ds, 7) }} {{ macros.ds_format(ds, '%%Y-%%m-%%d', '%%d.%%m.%%y') }}"
      - "{{ macros.datetime(2026, 1, 31) + macros.timedelta(days=1) }} {{ macros.json.dumps({'a': [1.5]}) }}"
      - "{{ ti.dag_id }} {{ ti.task_id }} {{ ti.map_index }} {{ ti.try_number }} {{ task_instance_key_str }}"
      - "{{ prev_start_date_success is none }} {%% if params.limit > 4 %%}many{%% endif %%}"
      - "{%% for n in range(3) %%}{{ n }}{%% if not loop.last %%},{%% endif %%}{%% endfor %%}"
      - "{{ [3, 1] | sort | join('-') }} {{ 'ä' | upper }} {{ '%%05.1f' %% 2.25 }} {{ none | default('d', true) }}"
  train:
    needs: [split]
    image: inference
    foreach: [{name: small, depth: 3}, {name: deep, depth: 9}]
    args: ["{{ item.name }}-{{ item['depth'] }}", "{{ outputs.split.rows }}", "{{ ti.map_index }}", "{{ item }}"]
    env: {ROWS: "{{ outputs['split'] | tojson }}"}
  score:
    needs: [train, split]
    image: inference
    args:
      - "{{ outputs['train'] | tojson }}"
      - "{{ outputs.train | map(attribute='auc') | max }}"
      - "{{ outputs['split'].days[1] }}"
"""
RUNS = [
    ("0 2 * * *", "UTC", date(2026, 11, 20), None),
    ("30 1 * * *", "Asia/Jakarta", date(2026, 11, 20), None),
    ("@daily", "America/New_York", date(2026, 3, 8), None),
    ("30 2 * * *", "Europe/Berlin", date(2026, 3, 29), None),
    ("@monthly", "Europe/Berlin", date(2026, 10, 1), None),
    ("@weekly", "Australia/Lord_Howe", date(2026, 10, 4), None),
    ("0 */6 * * *", "Asia/Kathmandu", date(2026, 11, 20), "06:00"),
    ("15 4 1 1 *", "UTC", date(2027, 1, 1), None),
]

AddJob = Callable[..., Path]


@pytest.fixture(scope="module")
def workers(start_workers: StartWorkers) -> AskAll:
    """Ask what a job's templates become there."""
    return start_workers("render_worker.py", "templates beside each Airflow", PLATFORM)


def renderer(job: Job, day: date, at: str | None) -> Renderer:
    """What renders the run of that day here."""
    time = datetime.strptime(at, "%H:%M").time() if at else None
    return Renderer(
        team="risk",
        name="score",
        job=job,
        moments=find_moments(job, day, time, datetime(2026, 11, 27, tzinfo=UTC), lambda name: None),
        params=all_params(job, {}),
        conf={},
        shared_variables=frozenset(["jobyard_data_bucket"]),
        variables=VARIABLES,
        images=lambda name: f"registry.example.com/risk/{name}:1",
        commit=lambda: COMMIT,
    )


def rendered_here(made: Renderer) -> dict[str, Any]:
    """Each task's command, arguments and environment, by the task's name and the item's index."""
    found: dict[str, Any] = {}
    for name, task in made.job["tasks"].items():
        foreach = task.get("foreach")
        for index, item in enumerate((foreach and foreach["items"]) or [None]):
            one = made.render(Instance(name, item, index if foreach else -1), OUTPUTS)
            found[f"{name} {index}"] = {"command": one.command, "args": one.args, "env": one.env}
    return found


def renamed(answer: dict[str, Any], made: Renderer) -> Any:
    """What is rendered, with the run's id as Airflow 3 has it."""
    return json.loads(json.dumps(answer["tasks"]).replace(answer["run_id"], made.moments.run_id))


@pytest.mark.parametrize(("schedule", "zone", "day", "at"), RUNS)
def test_a_task_gets_what_airflow_gives_it(
    workers: AskAll, team_repo: Path, add_job: AddJob, schedule: str, zone: str, day: date, at: str | None
) -> None:
    add_job("score", JOB % (schedule, zone))
    values = team_repo / "values" / "team.yaml"
    values.write_text(f"{values.read_text()}mlflow: {{trackingUri: '{{{{ var.value.risk_mlflow }}}}'}}\n")
    entry: Job = json.loads(compile_release(team_repo, "").body)["jobs"]["score"]
    made = renderer(entry, day, at)
    here = rendered_here(made)
    assert set(here) == {"split 0", "train 0", "train 1", "score 0"}
    after = made.moments.start.astimezone(UTC).isoformat()
    variables = {**VARIABLES, "jobyard_images_risk": '{"inference": "registry.example.com/risk/inference:1"}'}
    question = {"entry": entry, "after": after, "outputs": OUTPUTS, "variables": variables}
    answers = workers(question)
    assert {version: renamed(answer, made) for version, answer in answers.items()} == dict.fromkeys(VERSIONS, here)
    tags = json.loads(here["train 1"]["env"]["MLFLOW_RUN_CONTEXT"])
    assert (tags["jobyard.commit"], tags["jobyard.image"]) == (COMMIT, "registry.example.com/risk/inference:1")
    newest = {version: answer["run_id"] for version, answer in answers.items() if version.startswith("3.")}
    assert newest == dict.fromkeys(newest, made.moments.run_id)
    assert newest
