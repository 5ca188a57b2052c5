"""Which of a team's loaders builds a job, and what the loaders are called."""

from __future__ import annotations

import pytest
from jobyard.contract import loader_of, loader_path
from jobyard.parts import LoadersFile, counts_at, own_jobs, part_of

JOBS = [f"job-{number:04d}" for number in range(200)]


def test_a_job_has_the_same_loader_in_every_version() -> None:
    """Another one would move every job at once, without the time that a change of the number takes."""
    assert [part_of(name, 4) for name in ("score", "train", "ingest", "report")] == [2, 3, 3, 1]


@pytest.mark.parametrize("count", [1, 2, 4, 16])
def test_each_job_has_one_loader(count: int) -> None:
    parts = [own_jobs(JOBS, part, {count}) for part in range(1, count + 1)]
    assert sorted(sum(parts, [])) == JOBS
    assert max(map(len, parts)) < 2 * len(JOBS) / count
    assert own_jobs(JOBS, count + 1, {count}) == []


def test_one_loader_more_takes_jobs_from_the_others_and_moves_none_between_them() -> None:
    moved = [name for name in JOBS if part_of(name, 4) != part_of(name, 5)]
    assert {part_of(name, 5) for name in moved} == {5}


def test_by_two_numbers_a_loader_has_what_either_gives_it() -> None:
    both = own_jobs(JOBS, 2, {2, 4})
    assert set(both) == {*own_jobs(JOBS, 2, {2}), *own_jobs(JOBS, 2, {4})}


def test_the_numbers_at_a_time() -> None:
    earlier = [{"count": 1, "until": 1000.0}, {"count": 2, "until": 2000.0}]
    file: LoadersFile = {"schema_version": 1, "teams": {"risk": {"count": 4, "earlier": earlier}}}  # type: ignore[typeddict-item]
    assert [counts_at(file, "risk", now) for now in (999, 1000, 2000)] == [{1, 2, 4}, {2, 4}, {4}]
    assert counts_at(file, "care", 0) == {1}


@pytest.mark.parametrize(
    ("path", "team", "part"),
    [
        ("risk.py", "risk", 1),
        ("risk_2.py", "risk", 2),
        ("risk-ml_16.py", "risk-ml", 16),
        ("risk-2.py", "risk-2", 1),
    ],
)
def test_the_name_of_a_loader(path: str, team: str, part: int) -> None:
    assert loader_path(team, part) == path
    assert loader_of(f"/usr/local/airflow/dags/{path}") == (team, part)


@pytest.mark.parametrize("path", ["risk_1.py", "risk_0.py", "risk_02.py", "risk_2_3.py", "risk_x.py", "Risk.py"])
def test_another_file_is_of_no_team(path: str) -> None:
    assert loader_of(path) == (path.removesuffix(".py"), 1)
