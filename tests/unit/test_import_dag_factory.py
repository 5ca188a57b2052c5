"""`jobyard import dag-factory`: DAGs of dag-factory as jobs, and what became of each key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command import Jobyard
from tests.support.paths import ROOT

POD = "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator"
FILE = f"""\
default:
  default_args:
    owner: ml@example.com
    retries: 2
    retry_delay_sec: 300
    retry_exponential_backoff: true
    max_retry_delay: {{__type__: datetime.timedelta, hours: 1}}
    start_date: 2026-11-01
    email: [ops@example.com]
    namespace: ml
  catchup: false
  schedule: "0 2 * * *"
score_dag:
  description: Scores consultations.
  timezone: Asia/Jakarta
  concurrency: 4
  dagrun_timeout_sec: 7200
  tags: [ml, "team:ml"]
  default_view: grid
  params: {{threshold: 0.5}}
  task_groups:
    prep: {{tooltip: Before, dependencies: [start]}}
  tasks:
    start: {{operator: airflow.operators.empty.EmptyOperator}}
    load_data:
      operator: {POD}
      task_group_name: prep
      image: feature-generation
      cmds: [python, load.py]
      arguments: ["--date", "{{{{ ds }}}}"]
      env_vars: {{LEVEL: info}}
      node_selector: {{jobyard.dev/node-group: high-memory}}
      tolerations: [{{key: jobyard.dev/node-group, operator: Exists}}]
      container_resources:
        requests: {{cpu: "2", memory: 8192Mi}}
        limits: {{memory: 8Gi}}
      execution_timeout: {{__type__: datetime.timedelta, minutes: 90}}
    end: {{operator: airflow.operators.empty.EmptyOperator, dependencies: [prep]}}
    predict:
      operator: {POD}
      image: inference
      dependencies: [end]
      trigger_rule: none_failed
"""
WANTED: Mapping[str, Any] = {
    "apiVersion": "jobyard/v1",
    "description": "Scores consultations.",
    "schedule": "0 2 * * *",
    "timezone": "Asia/Jakarta",
    "start_date": "2026-11-01",
    "catchup": False,
    "max_active_tasks": 4,
    "timeout": "2h",
    "tags": ["ml"],
    "params": {"threshold": {"default": 0.5}},
    "owner": "ml@example.com",
    "alerts": {"on_failure": [{"email": "ops@example.com"}]},
    "defaults": {"retries": {"attempts": 2, "delay": "5m", "max_delay": "1h", "backoff": "exponential"}},
    "tasks": {
        "load-data": {
            "image": "feature-generation",
            "command": ["python", "load.py"],
            "args": ["--date", "{{ ds }}"],
            "env": {"LEVEL": "info"},
            "resources": {"cpu": "2", "memory": "8Gi"},
            "timeout": "1h30m",
            "node_group": "high-memory",
            "group": "prep",
        },
        "predict": {"needs": ["load-data"], "image": "inference", "trigger_rule": "none_failed"},
    },
}
Import = Callable[..., tuple[int, dict[str, Any], dict[str, Any]]]


@pytest.fixture
def imported(jobyard: Jobyard, team_repo: Path, tmp_path: Path) -> Import:
    """The exit code, the jobs by name, and the report, of a file with this text."""

    def run(text: str, *options: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
        file = tmp_path / "dags.yml"
        file.write_text(text)
        code, out, err = jobyard("import", "dag-factory", str(file), "--format=json", *options)
        assert not err
        report = json.loads(out)
        texts = {one["name"]: team_repo / "dags" / one["name"] / "job.yaml" for one in report["jobs"]}
        jobs = {name: yaml.load(path.read_text(), yaml.BaseLoader) for name, path in texts.items() if path.exists()}
        return code, jobs, report

    return run


def as_texts(value: Any) -> Any:
    """The value as YAML's most basic loader has it."""
    return yaml.load(yaml.safe_dump(value), yaml.BaseLoader)


def pod(fields: str) -> str:
    """A file with one DAG of one task."""
    return (
        f"d:\n  schedule: '@daily'\n  tasks:\n    t:\n      operator: {POD}\n      image: inference\n      {fields}\n"
    )


def keys(report: Mapping[str, Any], job: int = 0) -> dict[str, tuple[str, str]]:
    return {one["key"]: (one["fate"], one["words"]) for one in report["jobs"][job]["keys"]}


def written_keys(dag: Mapping[str, Any]) -> Iterator[str]:
    """The names of all keys that a report must have."""
    for key, value in dag.items():
        if key == "default_args":
            yield from (f"{key}.{name}" for name in value)
        elif key in ("tasks", "task_groups"):
            for name, fields in value.items():
                yield from (f"{key}.{name}.{field}" for field in fields)
        else:
            yield key


def test_pods_become_tasks_and_the_check_finds_nothing(imported: Import) -> None:
    code, jobs, report = imported(FILE)
    assert (code, report["findings"]) == (0, [])
    assert jobs == {"score-dag": as_texts(WANTED)}
    assert not [one for one in report["jobs"][0]["keys"] if one["fate"] == "to do"]


def test_every_key_is_accounted_for_once_with_its_line(imported: Import) -> None:
    _, _, report = imported(FILE)
    written = yaml.safe_load(FILE)
    dag = {**written["default"], **written["score_dag"]}
    found = [one["key"] for one in report["jobs"][0]["keys"]]
    # `load_data` has a name of its own as a task, and the file has no such key.
    assert Counter(found) == Counter(written_keys(dag))
    lines = FILE.splitlines()
    for one in report["jobs"][0]["keys"]:
        assert f"{one['key'].rpartition('.')[2]}:" in lines[one["line"] - 1]


def test_what_is_no_pod_becomes_a_task_to_fill_in(imported: Import) -> None:
    text = """\
d:
  schedule: none
  tasks:
    fit: {operator: airflow.operators.python.PythonOperator, python_callable_name: fit, python_callable_file: /fit.py}
    say: {operator: x.BashOperator, bash_command: "echo {{ ds }}", env: {A: b}, dependencies: [fit]}
"""
    code, jobs, report = imported(text)
    assert code == 0
    assert jobs["d"]["schedule"] in ("", "null")
    assert jobs["d"]["tasks"] == {
        "fit": {"image": "TODO"},
        "say": {
            "needs": ["fit"],
            "image": "TODO",
            "command": ["bash", "-c"],
            "args": ["echo {{ ds }}"],
            "env": {"A": "b"},
        },
    }
    assert keys(report)["tasks.fit.operator"][0] == "to do"
    assert keys(report)["tasks.fit.python_callable_name"] == ("left out", "it is of the PythonOperator")
    assert [finding.partition(": ")[2].partition(" (")[0] for finding in report["findings"]] == [
        "unknown image 'TODO'"
    ] * 2


def test_a_sensor_of_another_dag_makes_the_job_wait_for_it(imported: Import) -> None:
    text = f"""\
first:
  schedule: "0 1 * * *"
  tasks: {{t: {{operator: {POD}, image: inference}}}}
second:
  schedule: "0 2 * * *"
  tasks:
  - {{task_id: wait, operator: airflow.sensors.external_task.ExternalTaskSensor, external_dag_id: first}}
  - {{task_id: t, operator: {POD}, image: inference, dependencies: [wait]}}
"""
    code, jobs, report = imported(text)
    assert (code, report["findings"]) == (0, [])
    assert jobs["second"]["wait_for"] == ["risk.first"]
    assert jobs["second"]["tasks"] == {"t": {"image": "inference"}}


def test_secrets_are_not_copied(imported: Import, team_repo: Path) -> None:
    fields = (
        "arguments: [--token, abcdefgh1, '--url', 'https://me:pass99word@example.com/'], env_vars: {PASSWORD: hunter22}"
    )
    _, jobs, report = imported(
        pod("").replace("image: inference", "image: inference\n      " + fields.replace(", env", "\n      env"))
    )
    task = jobs["d"]["tasks"]["t"]
    assert task["args"] == ["--token", "$(TOKEN)", "--url", "https://me:$(URL_PASSWORD)@example.com/"]
    assert task["secrets"] == {"PASSWORD": "TODO", "TOKEN": "TODO", "URL_PASSWORD": "TODO"}
    everything = json.dumps(report) + (team_repo / "dags/d/job.yaml").read_text()
    assert not [secret for secret in ("hunter22", "abcdefgh1", "pass99word") if secret in everything]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("arguments: '{{ ds }}'", {"args": ["{{ ds }}"]}),
        ("startup_timeout_seconds: 900", {"startup_timeout": "15m"}),
        ("active_deadline_seconds: 60", {"timeout": "1m"}),
        ("env_vars: [{name: A, value: b}]", {"env": {"A": "b"}}),
        (
            "env_vars: [{name: A, value_from: {secret_key_ref: {name: database, key: password}}}]",
            {"secrets": {"A": "database/password"}},
        ),
        (
            "secrets: [{__type__: x.Secret, deploy_type: env, deploy_target: A, secret: s, key: k}]",
            {"secrets": {"A": "s/k"}},
        ),
        (
            "container_resources: {__type__: x.V1Resources, requests: {cpu: 500m}, limits: {cpu: 1, memory: 512M}}",
            {"resources": {"cpu": "500m", "cpu_limit": "1", "memory": "489Mi"}},
        ),
        ("container_resources: {limits: {nvidia.com/gpu: 1}}", {"resources": {"gpu": 1}}),
        ("expand: {arguments: [[a], [b]]}", {"foreach": ["a", "b"], "args": ["{{ item }}"]}),
        ("service_account_name: jobs", {"service_account": "jobs"}),
        (
            "node_selector: {node.kubernetes.io/instance-type: c7i.4xlarge, kubernetes.io/arch: amd64}",
            {"node_group": "high-cpu"},
        ),
        ("outlets: ['s3://data/x']", {"outputs": ["s3://data/x"]}),
        ("pool: default_pool", {}),
        ("retries: 0", {"retries": {"attempts": 0}}),
    ],
)
def test_fields_of_a_pod(imported: Import, fields: str, expected: Mapping[str, Any]) -> None:
    _, jobs, report = imported(pod(fields))
    assert jobs["d"]["tasks"]["t"] == as_texts({"image": "inference", **expected})
    assert "to do" not in {fate for fate, _ in keys(report).values()}


@pytest.mark.parametrize(
    ("fields", "key", "words"),
    [
        ("volumes: [{name: x}]", "volumes", "a pod has /scratch"),
        ("depends_on_past: true", "depends_on_past", "`max_active_runs: 1` runs one at a time"),
        ("node_selector: {disk: fast}", "node_selector", "name the `node_group` for {'disk': 'fast'}"),
        ("service_account_name: admin", "service_account_name", "the team has no service account 'admin'"),
        ("pool: gpu", "pool", "the team has no pool 'gpu' (values/team.yaml has: warehouse)"),
        ("expand: {arguments: t.output}", "expand", "write a `foreach`"),
        ("container_resources: {requests: {cpu: lots}}", "container_resources", "requests.cpu"),
        ("execution_timeout: soon", "execution_timeout", "set `timeout`, such as 2h"),
        ("on_failure_callback: my.alerts.page", "on_failure_callback", "`alerts`"),
        ("dependencies: [other]", "dependencies", "nothing in the DAG is named 'other'"),
        ("arguments: ['$HOME']", "arguments.0", "the value that $HOME has where Airflow runs"),
    ],
)
def test_what_a_person_has_to_do_is_said_and_stands_in_the_job(
    imported: Import, team_repo: Path, fields: str, key: str, words: str
) -> None:
    _, _, report = imported(pod(fields))
    found = {**keys(report), **{one["key"].removeprefix("d."): (one["fate"], one["words"]) for one in report["others"]}}
    fate, said = found[f"tasks.t.{key}"]
    assert fate == "to do"
    assert words in said
    if key != "arguments.0":
        assert f"    # TODO: {key}: {said}.\n" in (team_repo / "dags/d/job.yaml").read_text()


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("'@daily'", "@daily"),
        ("'*/5 * * * *'", "*/5 * * * *"),
        ("['s3://a/b']", {"assets": ["s3://a/b"]}),
        ("{datasets: ['s3://a/b']}", {"assets": ["s3://a/b"]}),
        ("{__type__: datetime.timedelta, hours: 6}", "TODO 6:00:00"),
        ("{datasets: {__or__: ['s3://a/b', 's3://a/c']}}", "TODO {'datasets': {'__or__': ['s3://a/b', 's3://a/c']}}"),
    ],
)
def test_schedules(imported: Import, schedule: str, expected: Any) -> None:
    _, jobs, _ = imported(pod("").replace("'@daily'", schedule))
    assert jobs["d"]["schedule"] == expected


def test_defaults_beside_the_file_and_anchors_count_too(imported: Import, tmp_path: Path) -> None:
    (tmp_path / "defaults.yml").write_text("default_args: {retries: 5, owner: x}\ncatchup: true\n")
    first = f"    a: &a {{operator: {POD}, image: inference, retries: 1}}\n"
    text = f"d:\n  tasks:\n{first}    b:\n      <<: *a\n      retries: 2\n"
    _, jobs, report = imported(text)
    assert jobs["d"]["defaults"] == {"retries": {"attempts": "5"}}
    assert {name: task["retries"]["attempts"] for name, task in jobs["d"]["tasks"].items()} == {"a": "1", "b": "2"}
    assert jobs["d"]["catchup"] == "true"
    [beside] = report["others"]
    assert beside["file"].endswith("defaults.yml")
    assert keys(report)["default_args.owner"] == ("left out", "the owner of a job is an e-mail address, and not 'x'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "dags.yml:1:5: expected the node content, but found '<stream end>'"),
        ("- a", "dags.yml:1:1: a file of dag-factory must be a mapping of DAGs"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: &a [*a]", "dags.yml:1:4: aliases make too much of this file, or refer to themselves"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(6)),
            "aliases make too much",
        ),
    ],
)
def test_a_file_that_cannot_be_read(jobyard: Jobyard, team_repo: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "dags.yml").write_text(text)
    code, out, err = jobyard("import", "dag-factory", str(tmp_path / "dags.yml"))
    assert (code, out) == (1, "")
    assert message in err


def test_what_exists_is_kept_unless_it_is_to_be_replaced(imported: Import, team_repo: Path) -> None:
    imported(FILE)
    job = team_repo / "dags/score-dag/job.yaml"
    job.write_text("mine")
    code, _, report = imported(FILE)
    assert (code, report["files"]) == (1, [{"path": "dags/score-dag/job.yaml", "state": "kept"}])
    assert imported(FILE, "--dry-run")[0] == 1
    code, _, report = imported(FILE, "--overwrite")
    assert (code, report["files"][0]["state"]) == (0, "replaced")
    assert job.read_text() != "mine"


def test_a_dry_run_writes_nothing(jobyard: Jobyard, team_repo: Path, tmp_path: Path) -> None:
    (tmp_path / "dags.yml").write_text(FILE)
    code, out, err = jobyard("import", "dag-factory", str(tmp_path / "dags.yml"), "--dry-run")
    assert (code, err) == (0, "")
    assert "1 job with 2 tasks; of " in out
    assert "Files (nothing was written: --dry-run):\n  dags/score-dag/job.yaml: new\n" in out
    assert not list((team_repo / "dags").glob("score-dag"))


def test_the_benchmarks_file_of_the_peer_is_imported_whole(imported: Import) -> None:
    """All but the images, whose addresses are in templates there."""
    text = (
        (ROOT / "benchmarks/in_airflow/dag_factory.yaml").read_text().replace("NUMBER", "7").replace("BACKOFF", "2.0")
    )
    code, jobs, report = imported(text)
    assert code == 0
    [job] = jobs.values()
    assert list(job["tasks"]) == ["ingest", "features", "inference", "report"]
    assert job["tasks"]["features"]["node_group"] == "high-cpu"
    assert {key for key, (fate, _) in keys(report).items() if fate == "to do"} == {
        f"tasks.{name}.image" for name in job["tasks"]
    }
