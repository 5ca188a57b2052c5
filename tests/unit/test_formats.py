"""The check's answers for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jobyard_cli.check import formats
from jobyard_cli.check.findings import Finding
from jobyard_cli.check.run import NothingToCheckError, check_repo
from jobyard_cli.team.repo import TeamRepo

AddJob = Callable[..., Path]
ONE = Finding("dags/a,b/job.yaml", 2, 11, "100 % of it: is\nwrong", "schedule")
TWO = Finding("dags/score/job.yaml", 3, 1, "unknown key 'x'", "unknown-key")


def test_github_gets_one_command_for_each_finding_with_what_would_end_it_escaped() -> None:
    assert list(formats.github([ONE, TWO])) == [
        "::error file=dags/a%2Cb/job.yaml,line=2,col=11,title=schedule::100 %25 of it: is%0Awrong",
        "::error file=dags/score/job.yaml,line=3,col=1,title=unknown-key::unknown key 'x'",
    ]


def test_gitlab_gets_a_code_quality_report() -> None:
    (one,) = json.loads(formats.gitlab([TWO]))
    fingerprint = one.pop("fingerprint")
    assert len(fingerprint) == 32
    assert one == {
        "description": "unknown key 'x'",
        "check_name": "unknown-key",
        "severity": "major",
        "location": {
            "path": "dags/score/job.yaml",
            "positions": {"begin": {"line": 3, "column": 1}, "end": {"line": 3, "column": 1}},
        },
    }
    assert json.loads(formats.gitlab([])) == []


def test_a_fingerprint_outlives_a_move_of_its_line_and_tells_equal_findings_apart() -> None:
    moved = Finding(TWO.path, 30, TWO.column, TWO.message, TWO.rule)
    before = [one["fingerprint"] for one in json.loads(formats.gitlab([TWO]))]
    after = [one["fingerprint"] for one in json.loads(formats.gitlab([moved, TWO]))]
    assert after[0] == before[0]
    assert after[1] != before[0]


def test_sarif_names_rule_place_and_message() -> None:
    log = json.loads(formats.sarif([ONE, TWO]))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["schedule", "unknown-key"]
    assert [result["ruleId"] for result in run["results"]] == ["schedule", "unknown-key"]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "dags/score/job.yaml"}
    assert place["region"] == {"startLine": 3, "startColumn": 1}


def test_only_what_is_asked_for_is_checked(add_job: AddJob, team_repo: Path) -> None:
    wrong = "apiVersion: jobyard/v1\nschedule: null\ntasks: {}\n"
    for name in ("one", "two", "three"):
        add_job(name, wrong)
    dags = team_repo / "dags"
    assert [one.path for one in check_repo(team_repo, [dags / "one" / "job.yaml"]).findings] == ["dags/one/job.yaml"]
    chosen = check_repo(team_repo, [dags / "one", dags / "two"])
    assert sorted(chosen.jobs) == ["one", "two"]
    assert len(check_repo(team_repo, [dags]).findings) == 3
    (dags / "one" / "more.yaml").write_text("")
    (finding,) = check_repo(team_repo, [dags / "one" / "more.yaml"]).findings
    assert finding.rule == "misplaced"


def test_a_path_without_a_job_is_a_mistake(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    with pytest.raises(NothingToCheckError, match="there is no such file or folder"):
        check_repo(team_repo, [team_repo / "dags" / "scores"])
    with pytest.raises(NothingToCheckError, match="no dags/<job>/job.yaml is in it"):
        check_repo(team_repo, [team_repo / "images"])


def test_the_repository_is_found_from_inside(add_job: AddJob, team_repo: Path, tmp_path: Path) -> None:
    file = add_job("score")
    assert TeamRepo.find(file) == TeamRepo.find(file.parent) == TeamRepo.find(team_repo) == team_repo
    assert TeamRepo.find(tmp_path) == tmp_path
