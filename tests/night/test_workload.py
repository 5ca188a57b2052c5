"""The night that is drawn is the same each time, and as docs/night.md describes it."""

from __future__ import annotations

from collections import Counter

import pytest
from night.workload import ARM_GROUP, HOURS, JOB_TASKS, JOBS, SHAPES, TIMEOUTS, Job, Task, draw


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    return draw(200)


def test_a_seed_gives_exactly_this_night() -> None:
    first, *others = draw(2)
    features = Task("t001-0-features", "t001", "high-cpu", 8000, 16384, 0, 386, 1800)
    assert first == Job(0, (features, Task("t001-0-inference", "t001", "default", 250, 512, 0, 369, 1800)))
    assert first.end == 386 + 369
    assert len(others) == 2 * JOBS - 1


def test_teams_are_the_same_however_many_there_are(jobs: list[Job]) -> None:
    few = {job.tasks[0].name: job for job in draw(10)}
    assert len(few) == 10 * JOBS
    many = {job.tasks[0].name: job for job in jobs}
    assert few.items() <= many.items()
    assert draw(10, seed=1) != draw(10)


def test_jobs_start_as_crontabs_have_them(jobs: list[Job]) -> None:
    starts = [job.start for job in jobs]
    assert starts == sorted(starts)
    assert {start // 3600 for start in starts} == set(HOURS)
    minutes = Counter(start // 60 % 60 for start in starts)
    assert 0.45 < minutes[0] / len(jobs) < 0.6
    assert sum(minute % 5 == 0 for minute in minutes.elements()) / len(jobs) > 0.85
    assert not any(start % 60 for start in starts)


def test_tasks_are_within_their_shapes(jobs: list[Job]) -> None:
    for task in (task for job in jobs for task in job.tasks):
        shape = SHAPES[task.name.rpartition("-")[2]]
        assert task.group in {shape.group, ARM_GROUP}
        assert task.cpu in shape.cpu
        assert task.memory * 1000 in {task.cpu * each for each in shape.memory}
        assert shape.least <= task.seconds <= shape.most
        assert task.gpu == shape.gpu
        assert task.timeout in TIMEOUTS
        assert task.timeout >= 2 * task.seconds


def test_there_is_some_of_everything(jobs: list[Job]) -> None:
    kinds = Counter(tuple(task.name.rpartition("-")[2] for task in job.tasks) for job in jobs)
    assert set(kinds) == set(JOB_TASKS.values())
    assert 0.55 < kinds["features", "inference"] / len(jobs) < 0.65
    groups = Counter(task.group for job in jobs for task in job.tasks)
    assert set(groups) == {shape.group for shape in SHAPES.values()} | {ARM_GROUP}
