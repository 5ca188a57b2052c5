"""What the check warns of: time limits that do not fit each other, memory that some quotas do not allow."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobyard import limits
from jobyard_cli.check import report
from jobyard_cli.check.findings import Finding
from jobyard_cli.check.run import check_repo

from tests.support.paths import FIXTURES, ROOT

AddJob = Callable[..., Path]
HEAD = "apiVersion: jobyard/v1\nschedule: '0 3 * * *'\n"
TASK = "tasks: {t: {image: inference}}\n"
NODE = "the time that a node of group"
PODS = "the time that the pods of a run may take to start"
ENDS = "which ends the run before"
NO_QUEUE = "'queue_timeout' has no effect: in no environment do pods wait in a queue for their team's quota"
# default and high-cpu take 10 minutes to start. Each line and column is that of the value.
WARNED = {
    "a start that is shorter than the node's": (
        HEAD + "tasks: {t: {image: inference, startup_timeout: 9m59s}}\n",
        [f"3:48: 'startup_timeout' should be at least 10m, {NODE} 'default' may take to start; got 9m59s"],
    ),
    "a start that is as long as the node's": (
        HEAD + "tasks: {t: {image: inference, startup_timeout: 10m}}\n",
        [],
    ),
    "a start for all tasks, once for each node group": (
        HEAD + "defaults: {startup_timeout: 5m}\n"
        "tasks: {a: {image: inference}, b: {image: inference}, c: {image: inference, node_group: high-cpu},\n"
        "        d: {image: inference, startup_timeout: 20m}}\n",
        [
            f"3:29: 'startup_timeout' should be at least 10m, {NODE} 'default' may take to start; got 5m",
            f"3:29: 'startup_timeout' should be at least 10m, {NODE} 'high-cpu' may take to start; got 5m",
        ],
    ),
    "a run that ends when its pod has started": (
        HEAD + "timeout: 10m\n" + TASK,
        [f"3:10: 'timeout' should be more than 10m, {PODS} (node group default); got 10m"],
    ),
    "a run that ends later": (HEAD + "timeout: 10m1s\n" + TASK, []),
    "a run of tasks on two node groups, one after the other": (
        HEAD + "timeout: 15m\n"
        "tasks:\n"
        "  a: {image: inference}\n"
        "  b: {image: inference, needs: [a]}\n"
        "  c: {image: inference, node_group: high-cpu, needs: [b]}\n"
        "  d: {image: inference, node_group: high-cpu, needs: [a]}\n",
        [f"3:10: 'timeout' should be more than 20m, {PODS} (node groups default, high-cpu); got 15m"],
    ),
    "a run of tasks on two node groups, side by side": (
        HEAD + "timeout: 15m\ntasks: {a: {image: inference}, b: {image: inference, node_group: high-cpu}}\n",
        [],
    ),
    "a run whose pod may take long to start, as it says itself": (
        HEAD + "timeout: 1h\ntasks: {t: {image: inference, startup_timeout: 2h}}\n",
        [f"3:10: 'timeout' should be more than 2h, {PODS} (node group default); got 1h"],
    ),
    "a run without a pod": (
        HEAD + "timeout: 1m\ntasks: {t: {type: sql-check, with: {sql: SELECT 1}}}\n",
        [],
    ),
    "an alert before a pod can have started": (
        HEAD + "deadline: 5m\nalerts: {on_missed_deadline: [{slack: ml}]}\n" + TASK,
        [f"3:11: 'deadline' should be more than 10m, {PODS} (node group default); got 5m"],
    ),
    "an alert that never comes": (
        HEAD + "deadline: 2h\nalerts: {on_missed_deadline: [{slack: ml}]}\ntimeout: 2h\n" + TASK,
        [f"3:11: 'deadline' should be less than the timeout of a run, 2h, {ENDS}; got 2h"],
    ),
    "an alert before the run's end": (
        HEAD + "deadline: 1h\nalerts: {on_missed_deadline: [{slack: ml}]}\ntimeout: 2h\n" + TASK,
        [],
    ),
    "tasks that may take longer than the run": (
        HEAD + "timeout: 1h\ndefaults: {timeout: 1h}\n"
        "tasks:\n"
        "  a: {image: inference, timeout: 90m}\n"
        "  b: {image: inference}\n"
        "  c: {image: inference, timeout: 59m}\n"
        "  d: {type: sql-check, with: {sql: SELECT 1}, timeout: 2h}\n",
        [
            f"4:21: 'timeout' should be less than the timeout of a run, 1h, {ENDS}; got 1h",
            f"6:34: 'timeout' should be less than the timeout of a run, 1h, {ENDS}; got 1h30m",
            f"9:56: 'timeout' should be less than the timeout of a run, 1h, {ENDS}; got 2h",
        ],
    ),
    "a wait for quota, where there is no queue, that may take longer than the run": (
        HEAD + "timeout: 1h\ndefaults: {queue_timeout: 1h}\n"
        "tasks:\n"
        "  a: {image: inference, queue_timeout: 59m}\n"
        "  b: {image: inference}\n"
        "  c: {image: inference}\n"
        "  d: {type: sql-check, with: {sql: SELECT 1}}\n",
        [
            f"4:27: {NO_QUEUE}",
            f"4:27: 'queue_timeout' should be less than the timeout of a run, 1h, {ENDS}; got 1h",
            f"6:40: {NO_QUEUE}",
        ],
    ),
    "a wait for another job that may take longer than the run": (
        HEAD + "timeout: 2h\nwait_for: [risk.least, {job: care.ingest, timeout: 3h}]\n" + TASK,
        [f"4:52: 'timeout' should be less than the timeout of a run, 2h, {ENDS}; got 3h"],
    ),
}


def warned(repo: Path, platform: Path | None = None) -> list[str]:
    checked = check_repo(repo, platform=platform)
    assert checked.findings == []
    return [str(warning) for warning in checked.reported]


def queue_in(repo: Path) -> None:
    """Have pods wait in Kueue's queue in the repository's environment."""
    file = repo / "values" / "platform" / "prod.yaml"
    file.write_text(file.read_text().replace("{name: prod", "{queueing: kueue, name: prod"))
    assert "queueing" in file.read_text()


def quota_of(environments: dict[str, str]) -> Callable[[Path], Path]:
    """Make a platform whose team risk has these quotas of memory."""

    def make(folder: Path) -> Path:
        shutil.copytree(ROOT / "values", folder / "values")
        (folder / "charts").symlink_to(ROOT / "charts")
        team = folder / "values" / "teams" / "risk.yaml"
        team.write_text(re.sub("memory: [0-9]+Gi", f"memory: {environments['prod']}", team.read_text()))
        override = folder / "values" / "overrides" / "dev" / "risk.yaml"
        override.write_text(f"quota: {{memory: {environments['dev']}}}\n")
        return folder

    return make


@pytest.mark.parametrize("name", WARNED)
def test_what_is_warned_of(add_job: AddJob, team_repo: Path, name: str) -> None:
    text, expected = WARNED[name]
    add_job("least")
    add_job("score", text)
    assert warned(team_repo) == [
        f"dags/score/job.yaml:{place}: warning: {message}"
        for place, message in (line.split(": ", 1) for line in expected)
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in (FIXTURES / "valid").iterdir()))
def test_a_job_that_is_right_gets_no_warning(add_job: AddJob, team_repo: Path, name: str) -> None:
    add_job("least")
    (team_repo / "dags" / name).mkdir(exist_ok=True)
    shutil.copy(FIXTURES / "valid" / name / "job.yaml", team_repo / "dags" / name)
    queue_in(team_repo)
    assert warned(team_repo) == []


def test_a_job_with_findings_gets_them_alone(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", HEAD + "timeout: 1m\nowner: me\n" + TASK)
    add_job("other", HEAD + "timeout: 1m\n" + TASK)
    checked = check_repo(team_repo)
    assert [finding.path for finding in checked.findings] == ["dags/score/job.yaml"]
    assert [warning.path for warning in checked.warnings] == ["dags/other/job.yaml"]


def test_warnings_are_in_the_reports_and_do_not_fail_the_check(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", HEAD + "timeout: 1m\n" + TASK)
    checked = check_repo(team_repo)
    assert list(report.lines(checked, snippets=True))[1:] == [
        "     3 | timeout: 1m",
        "       |          ^",
        "1 job, no problems, 1 warning",
    ]
    (warning,) = json.loads(report.as_json(checked))["warnings"]
    assert (warning["rule"], warning["severity"]) == ("timeout", "warning")


GROWTH = (
    HEAD
    + "tasks: {t: {image: inference, node_group: high-memory, resources: {on_oom: {memory: x4, at_most: 100Gi}}}}\n"
)


def after_oom(repo: Path, folder: Path, add_job: AddJob, dev: str, prod: str) -> list[Finding]:
    """What the check says of a job whose memory grows to 100Gi, with these quotas."""
    add_job("score", GROWTH)
    return check_repo(repo, platform=quota_of({"dev": dev, "prod": prod})(folder)).reported


def test_memory_after_an_oom_fits_the_quota_of_each_environment(
    add_job: AddJob, team_repo: Path, tmp_path: Path
) -> None:
    assert after_oom(team_repo, tmp_path / "platform", add_job, "100Gi", "200Gi") == []


def test_memory_after_an_oom_that_one_environment_does_not_allow_is_warned_of(
    add_job: AddJob, team_repo: Path, tmp_path: Path
) -> None:
    (warning,) = after_oom(team_repo, tmp_path / "platform", add_job, "99Gi", "200Gi")
    assert str(warning) == (
        "dags/score/job.yaml:3:98: warning: 'at_most' should be at most the team's memory quota, 99Gi in dev; got 100Gi"
    )


def test_memory_after_an_oom_that_no_environment_allows_is_a_finding(
    add_job: AddJob, team_repo: Path, tmp_path: Path
) -> None:
    (finding,) = after_oom(team_repo, tmp_path / "platform", add_job, "10Gi", "99Gi")
    assert str(finding) == (
        "dags/score/job.yaml:3:98: "
        "'at_most' must be at most the team's memory quota, 10Gi in dev, 99Gi in prod; got 100Gi"
    )


def test_without_the_platform_no_quota_is_known(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", GROWTH)
    assert warned(team_repo) == []


@pytest.mark.parametrize("text", ["quota: {", "[]", "environments: 5\n", "quota: 5\n", "quota: {memory: [1Gi]}\n"])
def test_a_platform_whose_files_are_wrong_is_not_the_teams_fault(
    add_job: AddJob, team_repo: Path, tmp_path: Path, text: str
) -> None:
    platform = quota_of({"dev": "200Gi", "prod": "1Gi"})(tmp_path / "platform")
    (platform / "values" / "teams" / "risk.yaml").write_text(text)
    add_job("score", GROWTH)
    assert warned(team_repo, platform) == []


def test_ten_pods_may_be_needed_to_reach_the_most(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", HEAD + "tasks: {t: {image: inference, resources: {on_oom: {memory: +512Mi, at_most: 6Gi}}}}\n")
    assert warned(team_repo) == []


def of_loaders(folder: Path, count: int) -> Path:
    """Make a platform whose team risk has one loader, and in dev that many."""
    shutil.copytree(ROOT / "values", folder / "values")
    (folder / "charts").symlink_to(ROOT / "charts")
    (folder / "values" / "overrides" / "dev" / "risk.yaml").write_text(f"loaders: {count}\n")
    return folder


def test_a_release_that_is_large_for_its_loaders(add_job: AddJob, team_repo: Path, tmp_path: Path) -> None:
    tasks = {f"t{number}": {"image": "inference"} for number in range(limits.TASKS)}
    text = json.dumps({"apiVersion": "jobyard/v1", "schedule": "0 3 * * *", "tasks": tasks})
    few = limits.LOADER_TASKS // limits.TASKS
    for number in range(few):
        add_job(f"job-{number}", text)
    assert warned(team_repo, of_loaders(tmp_path / "few", 1)) == []
    for number in range(few, 2 * few):
        add_job(f"job-{number}", text)
    notice = "dags:1:1: warning: one of the files from which Airflow reads the release has 4,800 tasks to build in "
    advice = "more than 2,500: the platform should set `loaders: 3` in values/teams/risk.yaml"
    assert warned(team_repo, of_loaders(tmp_path / "several", 3)) == [f"{notice}environment prod, {advice}"]
    assert warned(team_repo, of_loaders(tmp_path / "one", 1)) == [
        f"{notice}environment dev, {advice}",
        f"{notice}environment prod, {advice}",
    ]
    # Of a few jobs alone nobody can say how many there are.
    assert check_repo(team_repo, [team_repo / "dags" / "job-1"]).warnings == []


def test_outputs_are_seen_however_a_notebook_is_written(team_repo: Path) -> None:
    folder = team_repo / "images" / "inference" / "notebooks"
    (folder / ".ipynb_checkpoints").mkdir(parents=True)
    full: dict[str, Any] = {"outputs": [{"text": "p1"}]}
    empty: dict[str, Any] = {"outputs": []}
    text = {"source": '"outputs": [1]'}
    for name, cells, indent in (
        ("compact", [empty, full, full], None),
        ("indented", [full, empty], 2),
        ("cleared", [empty, text], 1),
        (".ipynb_checkpoints/compact", [full], None),
    ):
        (folder / f"{name}.ipynb").write_text(json.dumps({"cells": cells}, indent=indent))
    (folder / "linked.ipynb").symlink_to("compact.ipynb")
    (folder / "broken.ipynb").write_bytes(b"\xff{")
    checked = check_repo(team_repo)
    assert checked.findings == []
    assert [str(warning).partition(", which")[0] for warning in checked.warnings] == [
        "images/inference/notebooks/compact.ipynb:1:30: warning: the notebook has outputs of 2 cells",
        "images/inference/notebooks/indented.ipynb:4:7: warning: the notebook has outputs of 1 cell",
    ]
