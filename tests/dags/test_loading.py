"""What Airflow finds in the bucket."""

import gc
import json
from pathlib import Path

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from jobyard.compat import AIRFLOW_3
from jobyard.contract import SCHEMA_VERSION
from support import PLATFORM, Bucket, job, loader_source, task

RELEASES = Path(__file__).resolve().parents[1] / "fixtures" / "releases"
TWO_JOBS = {"score": job(), "train": job(schedule=None)}


def test_airflow_finds_the_jobs_of_every_team_and_nothing_else(bucket: Bucket) -> None:
    bucket.release(TWO_JOBS)
    bucket.release({"report": job()}, team="care")
    bag = bucket.parse()
    assert bag.import_errors == {}
    assert sorted(bag.dags) == ["care.report", "risk.score", "risk.train"]


@pytest.mark.parametrize("syntax", ["regexp", "glob"])
def test_only_loaders_are_read_whatever_the_syntax_of_airflowignore(
    bucket: Bucket, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils.file import list_py_file_paths

    monkeypatch.setenv("AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX", syntax)
    loaders = {str(bucket.release(TWO_JOBS)), str(bucket.loader("yard")), str(bucket.loader("jobyard-users"))}
    arguments = {} if AIRFLOW_3 else {"include_examples": False}
    assert set(list_py_file_paths(bucket.folder, safe_mode=True, **arguments)) == loaders


def test_without_airflowignore_the_library_would_be_read(bucket: Bucket) -> None:
    from airflow.utils.file import list_py_file_paths

    (bucket.folder / ".airflowignore").unlink()
    arguments = {} if AIRFLOW_3 else {"include_examples": False}
    assert list_py_file_paths(bucket.folder, safe_mode=True, **arguments) != []


def test_the_dag_processor_imports_what_takes_long_before_it_starts_a_process_for_each_reading(
    bucket: Bucket,
) -> None:
    from airflow.utils.file import iter_airflow_imports

    loader = bucket.loader("risk")
    assert list(iter_airflow_imports(str(loader))) == [KubernetesPodOperator.__module__]


def test_the_loader_is_three_lines() -> None:
    assert len(loader_source("risk").splitlines()) == 3


def test_a_dag_comes_from_its_loader_which_a_task_reads_again(bucket: Bucket) -> None:
    loader = bucket.release(TWO_JOBS)
    assert {Path(dag.fileloc) for dag in bucket.parse().dags.values()} == {loader}
    again = bucket.parse(loader)
    assert sorted(again.dags) == ["risk.score", "risk.train"]


def test_a_running_task_builds_its_own_dag_only(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = bucket.release(TWO_JOBS)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "risk.train")
    assert sorted(bucket.parse(loader).dags) == ["risk.train"]


def test_python_looks_for_garbage_again_after_a_reading(bucket: Bucket) -> None:
    bucket.parse(bucket.release(TWO_JOBS))
    assert gc.isenabled()
    gc.disable()
    try:
        bucket.parse(bucket.release(TWO_JOBS))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_team_without_a_release_has_no_dags(bucket: Bucket) -> None:
    bucket.loader()
    bag = bucket.parse()
    assert (bag.dags, bag.import_errors) == ({}, {})


def test_a_new_release_replaces_the_old_one_in_the_same_process(bucket: Bucket) -> None:
    bucket.release(TWO_JOBS)
    assert sorted(bucket.parse().dags) == ["risk.score", "risk.train"]
    bucket.release({"other": job()})
    assert sorted(bucket.parse().dags) == ["risk.other"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        (
            "risk/jobs.json",
            {"schema_version": SCHEMA_VERSION + 1},
            f"risk/jobs.json: schema_version {SCHEMA_VERSION + 1} is newer than {SCHEMA_VERSION}",
        ),
        ("risk/jobs.json", {"jobs": {}}, "risk/jobs.json: has no schema_version"),
        ("risk/jobs.json", [], "risk/jobs.json: has no schema_version"),
        ("risk/jobs.json", {"schema_version": 1, "team": "risk"}, "risk/jobs.json: has no object 'jobs'"),
        (
            "risk/jobs.json",
            {"schema_version": 1, "team": "care", "jobs": {}},
            "risk/jobs.json: is a release of team 'care', not of 'risk'",
        ),
        ("jobyard/platform.json", {"schema_version": 9}, "jobyard/platform.json: schema_version 9 is newer"),
        (
            "jobyard/platform.json",
            {"schema_version": 1, "environment": "local", "kubeconfig": "kubeconfig.yaml"},
            "jobyard/platform.json: is malformed: KeyError: 'node_groups'",
        ),
        (
            "jobyard/platform.json",
            {**PLATFORM, "environment": "not a label"},
            "environment 'not a label' cannot be the value of a label",
        ),
        (
            "jobyard/platform.json",
            {**PLATFORM, "cost_centers": {"risk": "4711 / 12"}},
            "cost center of team risk '4711 / 12' cannot be the value of a label",
        ),
        (
            "jobyard/platform.json",
            {**PLATFORM, "task_types": {"x": {"operator": "a.B"}}},
            "jobyard/platform.json: is malformed: KeyError: 'arguments'",
        ),
        (
            "jobyard/platform.json",
            {
                **PLATFORM,
                "node_groups": {"gpu": {**PLATFORM["node_groups"]["graviton"], "tolerations": [{}]}},
            },
            "toleration {} lacks key, operator, value, effect",
        ),
        (
            "jobyard/platform.json",
            {**PLATFORM, "queueing": "lottery"},
            "jobyard/platform.json: is malformed: ValueError: queueing 'lottery' is none of none, kueue",
        ),
    ],
)
def test_an_unusable_file_is_an_import_error_of_that_team_alone(
    bucket: Bucket, path: str, content: object, message: str
) -> None:
    bucket.release(TWO_JOBS)
    bucket.write(path, content)
    bucket.release({"report": job()}, team="care")
    bag = bucket.parse()
    errors = {Path(file).name: text for file, text in bag.import_errors.items()}
    assert message in errors["risk.py"]
    if path.startswith("risk/"):
        assert sorted(bag.dags) == ["care.report"]


def test_half_a_file_is_an_import_error(bucket: Bucket) -> None:
    bucket.release(TWO_JOBS)
    (bucket.folder / "risk" / "jobs.json").write_text('{"schema_version": 1, "jo')
    assert "risk/jobs.json: cannot be read" in str(bucket.parse().import_errors)


def test_a_release_cannot_choose_another_teams_namespace(bucket: Bucket) -> None:
    bucket.release({"score": job(tasks={"score": task()})}, namespace="team-care")
    [operator] = bucket.parse().dags["risk.score"].tasks
    assert (operator.namespace, operator.cluster_context) == ("team-risk", "risk")


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_releases_that_earlier_versions_compiled_are_read(bucket: Bucket, version: int) -> None:
    """Each was written by the compiler of its time; a new version of the schema needs one here too."""
    stored = json.loads((RELEASES / f"{version}.json").read_bytes())
    assert stored["schema_version"] == version
    bucket.write("risk/jobs.json", stored)
    bucket.write("jobyard/platform.json", json.loads((RELEASES / "platform.json").read_bytes()))
    bucket.loader()
    bag = bucket.parse()
    assert bag.import_errors == {}
    assert sorted(bag.dags) == [f"risk.{name}" for name in sorted(stored["jobs"])]
    assert [dag.description for dag in bag.dags.values() if "broken" in dag.tags] == []
    shown = {name: f"Digest of the job: `{job['digest']}`" for name, job in stored["jobs"].items() if "digest" in job}
    assert all(mark in bag.dags[f"risk.{name}"].doc_md for name, mark in shown.items())
    assert bool(shown) == (version > 2)
