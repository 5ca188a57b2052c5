"""How long a plan says that tasks will wait for their team's quota, and at what hour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jobyard_cli.plan.make import Platform, find_platform

from tests.support.git import commit_all
from tests.unit.plan_repo import planned
from tests.unit.usage_rows import Reader, Row, advice, measured_platform, row

AddJob = Callable[..., Path]
HOUR = 3600.0
SUFFIX = "tasks are taken to last as long as usual, and quota that other teams lend shortens it"


def job(hour: str, **tasks: str) -> str:
    """A job that runs each day at `HH:MM` UTC."""
    hours, minutes = map(int, hour.split(":"))
    lines = [f"  {name}: {{image: inference, node_group: high-memory, {task}}}\n" for name, task in tasks.items()]
    return f"apiVersion: jobyard/v1\nschedule: '{minutes} {hours} * * *'\ntasks:\n{''.join(lines)}"


def cores(number: int, more: str = "") -> str:
    return f"resources: {{cpu: {number}, memory: 1Gi}}, {more}".rstrip(", ")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A platform whose dev environment has queues and collects metrics; team risk has 16 cores of each group there."""
    folder = measured_platform(tmp_path / "platform", "dev")
    file = folder / "values" / "environments" / "dev.yaml"
    file.write_text(file.read_text() + "  queueing: kueue\n")
    return find_platform(tmp_path, folder)


@pytest.fixture
def waits(add_job: AddJob, team_repo: Path, platform: Platform) -> Callable[..., list[str]]:
    """What the plan says of waits in dev where job `score` comes beside `train`, with this known of their tasks."""

    def plan(train: str, score: str, *rows: Row) -> list[str]:
        add_job("train", train)
        commit_all(team_repo)
        add_job("score", score)
        made = planned(team_repo, platform, read=Reader(advice(*rows)))
        texts = [one.message for one in made.warnings if one.message.startswith("in 'dev'")]
        return [text for text in texts if "waits for quota" in text or "starts together" in text]

    return plan


TRAIN = job("02:00", fit=cores(12))
FIT = row("train", "fit", seconds=2 * HOUR)


@pytest.mark.parametrize(
    ("hour", "time"), [("01:58", ""), ("02:00", "2h"), ("03:10", "50m"), ("03:56", ""), ("04:00", "")]
)
def test_a_task_waits_for_the_quota_that_another_job_has_at_that_hour(
    waits: Callable[..., list[str]], hour: str, time: str
) -> None:
    """At 01:58 it is first, and ends in a minute; a wait of four minutes is no longer than a machine's start."""
    found = waits(TRAIN, job(hour, predict=cores(8)), FIT, row("score", "predict", seconds=60.0))
    when = f"for about {time} at 2026-11-26 {hour} UTC, on 7 of the next 7 days"
    message = f"in 'dev' task 'predict' waits for quota {when}, as 'train.fit' have it; {SUFFIX}"
    assert found == ([message] if time else [])


def test_a_task_that_needs_another_waits_from_the_others_end(waits: Callable[..., list[str]]) -> None:
    chain = job("02:00", features=cores(1), predict=cores(8, "needs: [features]"))
    rows = [FIT, row("score", "features", seconds=HOUR / 2), row("score", "predict", seconds=60.0)]
    [message] = waits(TRAIN, chain, *rows)
    assert message.startswith("in 'dev' task 'predict' waits for quota for about 1h30m at 2026-11-26 02:30 UTC")


@pytest.mark.parametrize(("priority", "time"), [("high", "1h30m"), ("low", "3h30m")])
def test_the_higher_priority_is_first(waits: Callable[..., list[str]], priority: str, time: str) -> None:
    """Of two pods of 12 cores the second waits from 02:00, and yet one of 02:30 may go before it."""
    train = job("02:00", fit=cores(12, "foreach: [1, 2]"))
    score = job("02:30", predict=cores(8, f"priority: {priority}"))
    [message] = waits(train, score, FIT, row("score", "predict", seconds=HOUR))
    assert f"for about {time} at 2026-11-26 02:30 UTC" in message


def test_instances_of_a_foreach_wait_for_each_other(waits: Callable[..., list[str]]) -> None:
    """Each lasts as long as the longest of them did."""
    rows = [row("score", "predict", number, seconds=HOUR * (number + 1)) for number in range(2)]
    [message] = waits(job("12:00", fit=cores(1)), job("02:00", predict=cores(8, "foreach: [1, 2, 3]")), *rows)
    assert "for about 2h at 2026-11-26 02:00 UTC, on 7 of the next 7 days, as 'score.predict' have it" in message
    one_by_one = cores(8, "foreach: [1, 2, 3], concurrency: 2")
    assert waits(job("12:00", fit=cores(1)), job("02:00", predict=one_by_one), *rows) == []


def test_the_longest_wait_of_a_job_is_named_and_those_who_have_the_quota(waits: Callable[..., list[str]]) -> None:
    train = job("02:00", **{name: cores(4) for name in ("a", "b", "c", "d")})
    rows = [row("train", name, seconds=HOUR) for name in ("a", "b", "c", "d")]
    score = job("02:10", small=cores(1), large=cores(2, "needs: [small]"))
    [message] = waits(train, score, *rows, row("score", "small", seconds=60.0))
    assert message.startswith("in 'dev' task 'small' waits for quota for about 50m at 2026-11-26 02:10 UTC")
    assert "as 'train.a', 'train.b', 'train.c' and 1 more have it" in message


def test_a_pod_that_never_fits_holds_up_nothing(waits: Callable[..., list[str]]) -> None:
    train = job("02:00", fit="resources: {cpu: 12, memory: 65Gi}")
    assert waits(train, job("02:00", predict=cores(8)), FIT, row("score", "predict", seconds=60.0)) == []


def test_where_nobody_knows_how_long_tasks_last_the_plan_says_what_starts_together(
    waits: Callable[..., list[str]],
) -> None:
    [message] = waits(TRAIN, job("02:00", predict=cores(8)), row("train", "fit", seconds=None))
    assert message.startswith("in 'dev' it starts together with 'train' at 2026-11-26 02:00 UTC")


def test_a_job_that_starts_as_before_gets_no_warning(add_job: AddJob, team_repo: Path, platform: Platform) -> None:
    add_job("train", TRAIN)
    add_job("score", job("03:00", predict=cores(8)))
    commit_all(team_repo)
    add_job("score", job("03:00", predict=cores(8, "args: [--fast]")))
    plan = planned(team_repo, platform, read=Reader(advice(FIT)))
    assert not [one for one in plan.warnings if "waits for quota" in one.message]
