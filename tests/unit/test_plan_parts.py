"""The parts of a plan: differences of YAML, schedules in words, graphs, warnings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobyard.contract import KUEUE
from jobyard.entries import Job, Task
from jobyard.platform_entries import PodLimits
from jobyard_cli.check.run import check_repo
from jobyard_cli.parsing.durations import duration_text, parse_duration
from jobyard_cli.plan.compare import Comparison
from jobyard_cli.plan.differences import difference
from jobyard_cli.plan.graph import flowchart
from jobyard_cli.plan.make import Platform
from jobyard_cli.plan.model import Setting
from jobyard_cli.plan.runs import missed, timing
from jobyard_cli.platform.data import platform_data
from jobyard_cli.release.compile import compile_jobs

from tests.support.git import commit_all
from tests.support.paths import ROOT
from tests.unit.plan_repo import NOW, planned, the_platform

AddJob = Callable[..., Path]


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_in_words_is_read_as_the_same(seconds: int) -> None:
    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (90, "1m30s"), (7200, "2h"), (90_000, "1d1h")])
def test_a_duration_in_words(seconds: int, words: str) -> None:
    assert duration_text(seconds) == words


def test_a_changed_line_has_above_it_what_it_is_in_and_nothing_else() -> None:
    before = {"a": {"b": 1, "c": [{"name": "x", "size": 1}, {"name": "y", "size": 1}]}, "z": {"s": 1}}
    after = {"a": {"b": 1, "c": [{"name": "x", "size": 1}, {"name": "y", "size": 2}]}, "z": {"t": {"u": 1}}}
    assert difference(before, after) == [
        "  a:",
        "    c:",
        "      - name: y",
        "-       size: 1",
        "+       size: 2",
        "  z:",
        "-   s: 1",
        "+   t:",
        "+     u: 1",
    ]


def test_a_script_is_compared_line_by_line() -> None:
    assert difference({"args": ["one\ntwo\n"]}, {"args": ["one\n\nthree\n"]}) == [
        "  args:",
        "    - |",
        "-     two",
        "+ ",
        "+     three",
    ]


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_texts_have_a_difference_on_lines_of_their_own(one: str, other: str) -> None:
    lines = difference({"a": one}, {"a": other})
    assert bool(lines) == (one != other)
    assert all(line.isprintable() and line[:2] in ("  ", "- ", "+ ") for line in lines)


def job(**changes: Any) -> Job:
    """What a compiled job says of its schedule."""
    fields = {"schedule": "@daily", "timezone": "UTC", "start_date": "2026-01-01", "end_date": None, "catchup": False}
    return cast(Job, {**fields, **changes})


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (None, "by hand"),
        ("@once", "once"),
        ("@continuous", "again as soon as the previous run has ended"),
        ({"after": ["risk.a", "care.b"]}, "after a success of risk.a and care.b"),
        ({"assets": ["s3://x/y"]}, "when there is new data in s3://x/y"),
        ({"after": ["risk.a"], "assets": ["s3://x"]}, "after a success of risk.a and when there is new data in s3://x"),
    ],
)
def test_a_schedule_without_a_clock_has_words_and_no_next_run(schedule: Any, words: str) -> None:
    timed = timing(job(schedule=schedule), NOW, is_new=True)
    assert (timed.words, timed.next_runs, timed.at_once) == (words, [], None)


def test_next_runs_are_on_the_clock_of_the_jobs_time_zone_before_and_after_it_is_changed() -> None:
    before = datetime(2026, 10, 23, 12, tzinfo=UTC)
    timed = timing(job(schedule="30 2 * * *", timezone="Europe/Berlin"), before)
    assert timed.words == "At 02:30 every day, Europe/Berlin"
    assert timed.next_runs == ["Sat 2026-10-24 02:30 CEST", "Sun 2026-10-25 02:30 CET", "Mon 2026-10-26 02:30 CET"]


def test_a_new_job_runs_at_once_for_the_interval_that_is_over() -> None:
    assert timing(job(), NOW, is_new=True).at_once == (
        "for the data of Tue 2026-11-24 00:00 UTC to Wed 2026-11-25 00:00 UTC"
    )
    assert timing(job(), NOW).at_once is None
    assert timing(job(catchup=True), NOW, is_new=True).at_once is None
    assert timing(job(start_date="2026-11-25"), NOW, is_new=True).at_once is None


def test_the_first_run_is_at_the_end_of_the_first_interval_and_the_last_that_of_the_end_date() -> None:
    timed = timing(job(start_date="2026-12-01", end_date="2026-12-02"), NOW)
    assert timed.next_runs == ["Wed 2026-12-02 00:00 UTC", "Thu 2026-12-03 00:00 UTC"]
    assert timing(job(end_date="2026-11-01"), NOW).next_runs == []


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"start_date": "2026-11-20"}, 5),
        ({"start_date": "2026-11-20", "end_date": "2026-11-21"}, 2),
        ({"start_date": "2026-12-01"}, 0),
        ({"schedule": "* * * * *"}, 10_000),
    ],
)
def test_missed_runs_are_counted(changes: dict[str, Any], number: int) -> None:
    assert missed(job(**changes), NOW) == number


def compiled(repo: Path, name: str) -> Job:
    return compile_jobs(check_repo(repo))[name]


def growth_settings(repo: Path, add_job: AddJob, *on_oom: str) -> list[Setting]:
    """What a plan says of a job whose on_oom changes; "" stands for none."""
    jobs: list[dict[str, Job]] = []
    for name, stated in zip(("before", "after"), on_oom, strict=True):
        written = f", on_oom: {stated}" if stated else ""
        add_job(
            name,
            "apiVersion: jobyard/v1\nschedule: null\n"
            f"tasks: {{score: {{image: inference, resources: {{memory: 1Gi{written}}}}}}}\n",
        )
        jobs.append({"score": compiled(repo, name)})
    data = platform_data({}, "", task_types={}, teams={})
    (change,) = Comparison("risk", jobs[0], jobs[1], data, data).changes(NOW)
    (task,) = change.tasks
    # The first pod is the same.
    assert task.pod == []
    return task.settings


def test_a_growth_of_memory_after_an_oom_is_shown_as_the_job_has_it(add_job: AddJob, team_repo: Path) -> None:
    factor, amount = "{memory: x1.50, at_most: 4096Mi}", "{memory: +1024Mi, at_most: 4Gi}"
    words = ("memory x1.5, at most 4Gi", "memory +1Gi, at most 4Gi")
    assert growth_settings(team_repo, add_job, "", factor) == [Setting("on_oom", None, words[0])]
    assert growth_settings(team_repo, add_job, factor, amount) == [Setting("on_oom", *words)]
    assert growth_settings(team_repo, add_job, amount, "") == [Setting("on_oom", words[1], None)]


def test_how_long_a_pod_may_wait_for_quota_is_shown(add_job: AddJob, team_repo: Path) -> None:
    text = "apiVersion: jobyard/v1\nschedule: null\ntasks: {score: {image: inference%s}}\n"
    add_job("before", text % "")
    add_job("after", text % ", queue_timeout: 90m")
    jobs = {name: {"score": compiled(team_repo, name)} for name in ("before", "after")}
    data = platform_data({}, "prod", task_types={}, teams={})
    queue = platform_data({}, "prod", task_types={}, teams={}, limits=PodLimits(queueing=KUEUE))
    (change,) = Comparison("risk", jobs["before"], jobs["after"], data, queue).changes(NOW)
    (task,) = change.tasks
    assert task.settings == [Setting("queue_timeout", None, "1h30m")]
    assert task.pod == ["  metadata:", "    labels:", "+     kueue.x-k8s.io/queue-name: jobs"]


def test_a_pod_shows_that_its_root_file_system_is_read_only(add_job: AddJob, team_repo: Path) -> None:
    text = "apiVersion: jobyard/v1\nschedule: null\ntasks: {score: {image: inference%s}}\n"
    add_job("before", text % "")
    add_job("after", text % ", read_only_root_filesystem: true")
    data = platform_data({}, "", task_types={}, teams={})
    jobs = {name: {"score": compiled(team_repo, name)} for name in ("before", "after")}
    (change,) = Comparison("risk", jobs["before"], jobs["after"], data, data).changes(NOW)
    (task,) = change.tasks
    assert task.settings == []
    assert task.pod == [
        "  spec:",
        "    containers:",
        "      - name: base",
        "        securityContext:",
        "+         readOnlyRootFilesystem: true",
    ]


def test_every_word_of_a_graph_is_text_in_quotes(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    one = compiled(team_repo, "score")
    (task,) = one["tasks"].values()
    hostile = 'end"] --> x; click t0 "javascript:alert(1)" <img> `#quot;` %%{init}%% \u202e\n subgraph'
    named: dict[str, Task] = {hostile: {**task, "node_group": hostile, "group": hostile, "outputs": [hostile]}}
    chart = flowchart({**one, "tasks": named, "schedule": {"after": [hostile], "assets": [hostile]}})
    assert chart
    unquoted = re.sub(r'"[A-Za-z0-9 .,:_=#;<>/-]*"', '""', chart)
    group = re.findall(r"subgraph (g_[a-z0-9A-Z_]*) ", unquoted)[0]
    assert unquoted.replace(group, "g").splitlines() == [
        "flowchart LR",
        '  subgraph g [""]',
        '    t0[""]',
        "  end",
        '  b0([""])',
        "  b0 -. after .-> t0",
        '  a0[("")]',
        "  a0 -. new data .-> t0",
        '  d0[("")]',
        "  t0 -.-> d0",
    ]
    assert re.findall("<[^>]*>", chart.replace("<br/>", "")) == []


def test_a_job_with_more_lines_than_mermaid_draws_has_no_graph(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    one = compiled(team_repo, "score")
    (task,) = one["tasks"].values()
    tasks = {f"t{number}": task for number in range(30)}
    last: dict[str, Task] = {f"u{number}": {**task, "needs": list(tasks)} for number in range(17)}
    assert flowchart({**one, "tasks": {**tasks, **last}}) is None
    del last["u16"]
    assert flowchart({**one, "tasks": {**tasks, **last}}) is not None


HEAD = "apiVersion: jobyard/v1\n"
DAILY = HEAD + "schedule: '0 3 * * *'\nstart_date: 2026-11-25\n"
LARGE = "{image: inference, node_group: high-memory, resources: {cpu: 1, memory: %s}}"
WARNED = {
    "a pod that is over the quota": (
        DAILY + f"tasks: {{t: {LARGE % '70Gi'}}}",
        ["in 'dev' no pod of task 't' can start: it asks for memory 70Gi (quota: 64Gi)"],
    ),
    "instances that are over the quota together": (
        DAILY + "tasks: {t: {image: inference, foreach: [1, 2, 3], node_group: high-cpu, resources: {cpu: 6}}}",
        [
            "in 'dev' 3 instances of task 't' may run at once and ask for cpu 18 (quota: 16); "
            "those over the quota wait for others to end"
        ],
    ),
    "a pod that is over the quota after an OOM": (
        DAILY + f"tasks: {{t: {LARGE % '40Gi, on_oom: {memory: x2, at_most: 70Gi}'}}}",
        ["in 'dev' a pod of task 't' can't start again after an OOM: it may ask for memory 70Gi (quota: 64Gi)"],
    ),
    "instances that are over the quota together after an OOM": (
        DAILY + "tasks: {t: {image: inference, foreach: [1, 2, 3], node_group: high-cpu, "
        "resources: {memory: 20Gi, on_oom: {memory: +4Gi, at_most: 24Gi}}}}",
        [
            "in 'dev' 3 instances of task 't' may run at once and ask for memory 72Gi (quota: 64Gi) after an OOM of "
            "each; those over the quota wait for others to end"
        ],
    ),
    "instances that fit the quota also after an OOM": (
        DAILY + "tasks: {t: {image: inference, foreach: [1, 2, 3], concurrency: 2, node_group: high-cpu, "
        "resources: {memory: 20Gi, on_oom: {memory: x2, at_most: 24Gi}}}}",
        [],
    ),
    "instances that are kept apart": (
        DAILY + "defaults: {node_group: high-cpu, resources: {cpu: 6}}\n"
        "tasks: {t: {image: inference, foreach: [1, 2, 3], concurrency: 2}}",
        [],
    ),
    "many missed runs": (
        HEAD + "schedule: '@daily'\nstart_date: 2026-10-01\ncatchup: true\ntasks: {t: {image: inference}}",
        ["catchup makes 55 runs since 2026-10-01 as soon as Airflow has the job, 1 at a time"],
    ),
    "few missed runs": (
        HEAD + "schedule: '@daily'\nstart_date: 2026-11-22\ncatchup: true\ntasks: {t: {image: inference}}",
        [],
    ),
    "runs that last longer than the interval, side by side": (
        HEAD + "schedule: '@hourly'\ntimeout: 90m\nmax_active_runs: 2\ntasks: {t: {image: inference}}",
        ["a run may take 1h30m and the next starts 1h after it: up to 2 runs at once (max_active_runs)"],
    ),
    "runs that last longer than the interval, one by one": (
        HEAD + "schedule: '@hourly'\ntimeout: 90m\ntasks: {t: {image: inference}}",
        [],
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_is_warned_of(add_job: AddJob, team_repo: Path, name: str) -> None:
    written, expected = WARNED[name]
    add_job("score", written)
    assert [one.message for one in planned(team_repo, the_platform()).warnings] == expected


BIG = (
    "{image: inference, node_group: high-cpu, foreach: [1, 2, 3], resources: {cpu: %s, memory: %s, memory_limit: 20Gi}}"
)
QUEUED = {
    "instances that wait for each other": (
        BIG % (6, "10Gi"),
        "queue: {}",
        "3 instances of task 't' may run at once and ask for cpu 18 of high-cpu (quota: 16); "
        "those over the quota wait in the queue or borrow, and lose no try",
    ),
    "instances whose limits alone are over the quota": (BIG % (4, "20Gi"), "queue: {}", ""),
    "a pod that has to borrow": (
        BIG % (6, "10Gi"),
        "queue: {nodeGroups: {high-cpu: {cpu: '4'}}}",
        "a pod of task 't' waits until other teams lend it quota: it asks for cpu 6 of high-cpu (quota: 4)",
    ),
    "a pod that can't borrow": (
        BIG % (6, "10Gi"),
        "queue: {nodeGroups: {high-cpu: {cpu: '4', borrow: {cpu: '1'}}}}",
        "no pod of task 't' can start, nor borrow what it lacks: it asks for cpu 6 of high-cpu (quota: 5)",
    ),
    "a pod that has to borrow after an OOM": (
        LARGE % "40Gi, on_oom: {memory: x2, at_most: 70Gi}",
        "queue: {}",
        "a pod of task 't' that starts again after an OOM waits until other teams lend it quota: "
        "it may ask for memory 70Gi of high-memory (quota: 64Gi)",
    ),
    "a pod that can't borrow after an OOM": (
        LARGE % "40Gi, on_oom: {memory: x2, at_most: 70Gi}",
        "queue: {nodeGroups: {high-memory: {borrow: {memory: 1Gi}}}}",
        "a pod of task 't' that starts again after an OOM waits for ever, as it can't borrow what it lacks: "
        "it may ask for memory 70Gi of high-memory (quota: 65Gi)",
    ),
}
"""A task, what the team's file says of its queue in dev, and the warning there."""


@pytest.fixture
def with_queues(tmp_path: Path) -> Platform:
    """This repository's values, with queues in environment dev."""
    repo = tmp_path / "platform"
    for folder in ("values", "charts/platform", "charts/bounds"):
        shutil.copytree(ROOT / folder, repo / folder)
    file = repo / "values" / "environments" / "dev.yaml"
    file.write_text(f"{file.read_text()}  queueing: kueue\n")
    return Platform(repo)


def override(platform: Platform, text: str) -> None:
    """Add to what team risk has in dev."""
    assert platform.repo is not None
    file = platform.repo / "values" / "overrides" / "dev" / "risk.yaml"
    file.write_text(f"{file.read_text()}{text}\n")


@pytest.mark.parametrize("name", QUEUED)
def test_where_pods_wait_in_queues_they_are_said_to_wait(
    add_job: AddJob, team_repo: Path, with_queues: Platform, name: str
) -> None:
    task, queue, expected = QUEUED[name]
    override(with_queues, queue)
    add_job("score", DAILY + f"tasks: {{t: {task}}}")
    said = [one.message for one in planned(team_repo, with_queues).warnings]
    assert said == ([f"in 'dev' {expected}"] if expected else [])


def test_of_jobs_that_start_together_each_node_group_is_counted(
    add_job: AddJob, team_repo: Path, with_queues: Platform
) -> None:
    add_job("nightly", DAILY + f"tasks: {{t: {LARGE % '40Gi'}}}")
    commit_all(team_repo)
    add_job("score", DAILY + f"tasks: {{t: {LARGE % '40Gi'}}}")
    (warning,) = planned(team_repo, with_queues).warnings
    assert warning.message.endswith("they ask for memory 80Gi of high-memory (quota: 64Gi)")
    add_job("score", DAILY + "tasks: {t: {image: inference, node_group: high-cpu, resources: {cpu: 1, memory: 26Gi}}}")
    assert planned(team_repo, with_queues).warnings == []


def test_jobs_that_start_together_and_ask_for_too_much_are_told_once(add_job: AddJob, team_repo: Path) -> None:
    add_job("nightly", DAILY + f"tasks: {{t: {LARGE % '40Gi'}}}")
    commit_all(team_repo)
    add_job("score", DAILY + f"tasks: {{t: {LARGE % '40Gi'}, u: {{image: inference, needs: [t]}}}}")
    (warning,) = planned(team_repo, the_platform()).warnings
    assert (warning.job, warning.message) == (
        "score",
        "in 'dev' it starts together with 'nightly' at 2026-11-26 03:00 UTC; they ask for memory 80Gi (quota: 64Gi)",
    )


@pytest.mark.parametrize("change", ["minute", "only a description", "waits"])
def test_jobs_that_start_apart_or_did_so_before_are_no_collision(add_job: AddJob, team_repo: Path, change: str) -> None:
    written = DAILY + f"tasks: {{t: {LARGE % '40Gi'}}}"
    add_job("nightly", written)
    score = add_job("score", written)
    if change == "minute":
        score.unlink()
    commit_all(team_repo)
    later = written.replace("'0 3", "'1 3")
    waits = f"{written}\nwait_for: [risk.nightly]"
    add_job("score", {"minute": later, "waits": waits}.get(change, f"{written}\ndescription: The same."))
    assert planned(team_repo, the_platform()).warnings == []


def test_a_job_that_another_teams_starts_after_is_told_when_it_goes(add_job: AddJob, team_repo: Path) -> None:
    file = add_job("score")
    published = team_repo / "values" / "published-jobs.yaml"
    published.write_text(published.read_text() + "  care.report: {schedule: {after: [risk.score]}}\n")
    commit_all(team_repo)
    moved = file.parent.rename(file.parent.with_name("scores"))
    expected = "job 'care.report' starts after 'risk.score', which no longer runs under this name"
    assert [one.message for one in planned(team_repo).warnings] == [expected]
    (moved / "job.yaml").unlink()
    assert [one.message for one in planned(team_repo).warnings] == [expected]
    published.write_text(published.read_text().replace("{schedule: {after: [risk.score]}}", "{wait_for: [risk.score]}"))
    expected = "job 'care.report' waits for 'risk.score', which no longer runs under this name"
    assert [one.message for one in planned(team_repo).warnings] == [expected]


@pytest.mark.parametrize(("catchup", "number"), [("true", 1), ("false", 0)])
def test_another_schedule_with_catchup_is_told(add_job: AddJob, team_repo: Path, catchup: str, number: int) -> None:
    written = f"{DAILY}catchup: {catchup}\ntasks: {{t: {{image: inference}}}}"
    add_job("score", written)
    commit_all(team_repo)
    add_job("score", written.replace("0 3", "0 4"))
    found = planned(team_repo, the_platform()).warnings
    assert len(found) == number
    assert all(one.message.startswith("schedule changed while catchup is on: Airflow continues from") for one in found)


def test_a_platform_without_the_team_leaves_the_quota_unknown(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    values = team_repo / "values" / "team.yaml"
    values.write_text(values.read_text().replace("team: risk", "team: care"))
    plan = planned(team_repo, replace(the_platform()))
    assert plan.notes[0] == "the team's quota is not known: the platform has no team care"
