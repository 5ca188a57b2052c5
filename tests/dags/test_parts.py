"""A team's release that several loaders read, each for a part of the jobs."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from jobyard.compat import AIRFLOW_3
from jobyard.contract import LOADERS_FILE
from support import Bucket, job

JOBS = {f"job-{number:02d}": job() for number in range(40)}
ALL = sorted(f"risk.{name}" for name in JOBS)
# A day away, as the tests of a file may start long after it was imported.
SOON, BEFORE = time.time() + 86_400, time.time() - 1


def say(bucket: Bucket, count: int, **earlier: float) -> None:
    """Say how many loaders the team has; `of_<number>` until when it had another number."""
    before = [{"count": int(name.removeprefix("of_")), "until": until} for name, until in earlier.items()]
    bucket.write(LOADERS_FILE, {"schema_version": 1, "teams": {"risk": {"count": count, "earlier": before}}})


def loaders(bucket: Bucket, count: int) -> list[Path]:
    """Put the release and that many loaders."""
    bucket.release(JOBS)
    return [bucket.loader(part=part) for part in range(1, count + 1)]


def dags(bucket: Bucket, files: Iterable[Path]) -> list[list[str]]:
    """Return what Airflow finds in each of the files, one by one, as its DAG processor reads them."""
    found: list[list[str]] = []
    for file in files:
        bag = bucket.parse(file)
        assert bag.import_errors == {}
        assert {Path(dag.fileloc) for dag in bag.dags.values()} <= {file}
        found.append(sorted(bag.dags))
    return found


def test_each_dag_is_in_one_of_the_files(bucket: Bucket) -> None:
    files = loaders(bucket, 4)
    say(bucket, 4)
    parts = dags(bucket, files)
    assert all(parts)
    assert sorted(sum(parts, [])) == ALL
    # A folder that has a DAG twice is an import error.
    bag = bucket.parse()
    assert (sorted(bag.dags), bag.import_errors) == (ALL, {})


def test_airflow_finds_the_files(bucket: Bucket) -> None:
    from airflow.utils.file import list_py_file_paths

    files = loaders(bucket, 3)
    arguments = {} if AIRFLOW_3 else {"include_examples": False}
    assert sorted(list_py_file_paths(bucket.folder, safe_mode=True, **arguments)) == sorted(map(str, files))


def test_files_that_are_there_before_they_count_have_no_dags(bucket: Bucket) -> None:
    assert dags(bucket, loaders(bucket, 3)) == [ALL, [], []]


def test_files_of_another_number_agree_with_it(bucket: Bucket) -> None:
    files = loaders(bucket, 4)
    say(bucket, 2)
    parts = dags(bucket, files)
    assert sorted(parts[0] + parts[1]) == ALL
    assert parts[2:] == [[], []]


def test_no_dag_is_missing_while_the_number_grows(bucket: Bucket) -> None:
    files = loaders(bucket, 3)
    say(bucket, 3)
    after = dags(bucket, files)
    say(bucket, 3, of_1=SOON)
    # The new files may not be known to Airflow yet.
    assert dags(bucket, files) == [ALL, *after[1:]]
    say(bucket, 3, of_1=BEFORE)
    assert dags(bucket, files) == after


def test_no_dag_is_missing_while_the_number_shrinks(bucket: Bucket) -> None:
    files = loaders(bucket, 3)
    say(bucket, 3)
    before = dags(bucket, files)
    say(bucket, 1, of_3=SOON)
    assert dags(bucket, files) == [ALL, *before[1:]]
    say(bucket, 1, of_3=BEFORE)
    assert dags(bucket, files) == [ALL, [], []]


def test_a_task_that_airflow_knows_from_another_file_is_built_there(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = loaders(bucket, 3)
    say(bucket, 2, of_3=BEFORE)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "risk.job-07")
    assert dags(bucket, files) == [["risk.job-07"]] * 3


def test_another_team_has_its_one_file(bucket: Bucket) -> None:
    loaders(bucket, 2)
    say(bucket, 2)
    assert dags(bucket, [bucket.release({"report": job()}, team="care")]) == [["care.report"]]


@pytest.mark.parametrize("teams", [[], {"risk": {}}, {"risk": {"count": "many", "earlier": []}}])
def test_a_malformed_number_is_an_import_error(bucket: Bucket, teams: object) -> None:
    loaders(bucket, 1)
    bucket.write(LOADERS_FILE, {"schema_version": 1, "teams": teams})
    assert "jobyard/loaders.json: is malformed" in str(bucket.parse().import_errors)
