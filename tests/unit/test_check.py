"""The check: what it finds in the files of tests/fixtures, and what it does with files that are not jobs at all."""

from __future__ import annotations

import json
import random
import shutil
import string
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobyard_cli.check import report
from jobyard_cli.check.run import check_repo
from jobyard_cli.check.schema import is_valid, validator
from jobyard_cli.parsing.documents import load
from jobyard_cli.team.repo import NotATeamRepoError

AddJob = Callable[..., Path]
SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "job.schema.json"
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
VALID = sorted(path.name for path in (FIXTURES / "valid").iterdir())
INVALID = sorted(path.name for path in (FIXTURES / "invalid").iterdir())


def found(repo: Path) -> list[str]:
    return [str(finding) for finding in check_repo(repo).findings]


def add_fixture(repo: Path, kind: str, name: str) -> None:
    """Add a job, and beside it the least that a job can be, for those that name another."""
    for each_kind, each in ((kind, name), ("valid", "least")):
        (repo / "dags" / each).mkdir(exist_ok=True)
        shutil.copy(FIXTURES / each_kind / each / "job.yaml", repo / "dags" / each)


@pytest.mark.parametrize("name", VALID)
def test_a_valid_job_has_no_finding(team_repo: Path, name: str) -> None:
    add_fixture(team_repo, "valid", name)
    assert found(team_repo) == []


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_job_has_exactly_the_expected_findings(team_repo: Path, name: str) -> None:
    add_fixture(team_repo, "invalid", name)
    expected = (FIXTURES / "invalid" / name / "expected.txt").read_text().splitlines()
    assert expected
    assert found(team_repo) == expected


@pytest.mark.parametrize(("kind", "name"), [*product(["valid"], VALID), *product(["invalid"], INVALID)])
def test_the_quick_answer_of_the_schema_is_the_thorough_ones(kind: str, name: str) -> None:
    document = load(FIXTURES / kind / name / "job.yaml", name)
    quick, thorough = is_valid(SCHEMA, document.data), not list(validator(SCHEMA).iter_errors(document.data))
    # A number that is none is not valid for the quick one, and left to the check of surprises by the other.
    assert quick == thorough or name == "number-that-is-none"


def test_all_invalid_jobs_together_are_reported_at_once(team_repo: Path) -> None:
    for name in INVALID:
        add_fixture(team_repo, "invalid", name)
    expected = [(FIXTURES / "invalid" / name / "expected.txt").read_text().splitlines() for name in INVALID]
    assert sorted(found(team_repo)) == sorted(line for lines in expected for line in lines)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_no_damage_to_a_file_makes_the_check_fail_otherwise(add_job: AddJob, team_repo: Path, seed: int) -> None:
    chance = random.Random(seed)
    text = list((FIXTURES / "valid" / "all" / "job.yaml").read_text())
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text))
        written = chance.choices(string.printable + "äß\u2028", k=chance.randint(0, 3))
        text[start : start + chance.randint(0, 5)] = written
    add_job("damaged", "".join(text))
    checked = check_repo(team_repo)
    data = load(team_repo / checked.jobs["damaged"], checked.jobs["damaged"]).data
    assert not is_valid(SCHEMA, data) or not list(validator(SCHEMA).iter_errors(data))
    for finding in checked.findings:
        lines = "".join(text).splitlines() or [""]
        assert finding.path == "dags/damaged/job.yaml"
        assert 1 <= finding.line <= len(lines) + 1
        assert finding.column >= 1


def test_a_folder_that_cannot_be_a_jobs_name_is_pointed_out(add_job: AddJob, team_repo: Path) -> None:
    add_job("Score_Rows")
    (finding,) = found(team_repo)
    assert finding.startswith(
        "dags/Score_Rows/job.yaml:1:1: the folder of a job must have a name of lower-case letters"
    )


@pytest.mark.parametrize("name", ["score.yaml", "score/job.yml", "score/more/job.yaml", "score/other.yaml"])
def test_a_file_that_would_be_passed_over_is_pointed_out(team_repo: Path, name: str) -> None:
    file = team_repo / "dags" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("apiVersion: jobyard/v1\n")
    assert found(team_repo) == [
        f"dags/{name}:1:1: the file is ignored: a job must be in dags/<job>/job.yaml (here: dags/score/job.yaml)"
    ]


LEAVING = "symbolic links must not leave the repository; put the file itself here"


@pytest.mark.parametrize("target", ["{}", "../../../../../../../../../../../..{}"])
def test_a_job_that_is_a_link_out_of_the_repository_is_not_read(
    add_job: AddJob, team_repo: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "token").write_text("the-token\n")
    file = add_job("score")
    file.unlink()
    file.symlink_to(target.format(tmp_path / "token"))
    assert found(team_repo) == [f"dags/score/job.yaml:1:1: {LEAVING}"]


def test_links_out_of_the_repository_are_pointed_out_wherever_something_reads_them(team_repo: Path) -> None:
    (team_repo / "charts").symlink_to("/etc")
    (team_repo / "images" / "passwords").symlink_to("/etc")
    (team_repo / "images" / "inference" / "within").symlink_to("../feature-generation/Dockerfile")
    (team_repo / "dags" / "x").mkdir()
    (team_repo / "dags" / "x" / "broken").symlink_to("../../../nothing")
    assert found(team_repo) == [f"{name}:1:1: {LEAVING}" for name in ("charts", "dags/x/broken", "images/passwords")]


def test_values_that_are_a_link_out_of_the_repository_are_not_read(team_repo: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the-token\n")
    (team_repo / "values" / "team.yaml").unlink()
    (team_repo / "values" / "team.yaml").symlink_to(tmp_path / "token")
    assert f"values/team.yaml:1:1: {LEAVING}" in found(team_repo)
    assert "the-token" not in "".join(found(team_repo))


def test_broken_values_are_found_and_no_name_in_a_job_is_blamed_for_them(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    (team_repo / "values" / "team.yaml").write_text("team: risk\nallowedNodeGroups: [default\n")
    (finding,) = found(team_repo)
    assert finding.startswith("values/team.yaml:3:1: invalid YAML:")


@pytest.mark.parametrize("name", ["allowedNodeGroups", "priorities", "serviceAccounts", "team"])
def test_values_that_lack_something_are_pointed_out(team_repo: Path, name: str) -> None:
    values = team_repo / "values" / "team.yaml"
    values.write_text("".join(line for line in values.read_text().splitlines(True) if not line.startswith(f"{name}:")))
    assert found(team_repo) == [f"values/team.yaml:1:1: '{name}' must be set and not empty"]


def test_a_folder_that_is_no_teams_repository_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotATeamRepoError, match="it has no dags, schemas/job.schema.json, values/node-groups.yaml"):
        check_repo(tmp_path)


HEAD = "apiVersion: jobyard/v1\nschedule: '@daily'\n"
ARGUMENT = HEAD + "tasks: {s: {image: inference, args: ['%s']}}\n"
MEMORY = HEAD + "tasks: {s: {image: inference, resources: {memory: %sGi}}}\n"
TASKS = HEAD + "tasks:\n" + "".join(f"  t{number}: {{image: inference}}\n" for number in range(301))
HOSTILE = {
    "huge": ("a" * (1 << 20), "1:1: the file must have at most 262,144 bytes; got 1,048,576"),
    "deep list": ("a: " + "[" * 10_000, "1:53: the file must not be nested more than 50 levels deep"),
    "deep mapping": (
        "".join(f"{' ' * depth}a:\n" for depth in range(60)),
        "51:51: the file must not be nested more than 50 levels",
    ),
    "deep template": (ARGUMENT % ("{{ " + "(" * 5_000), "3:38: the template is nested too deep to be rendered"),
    "long sum": (ARGUMENT % ("{{ " + "-" * 9_000 + "1 }}"), "3:38: the template is nested too deep to be rendered"),
    "long chain": (ARGUMENT % ("{{ " + "a." * 9_000 + "b }}"), "3:38: a template must have at most 5,000 Jinja tokens"),
    "base sixty": (HEAD + f"max_active_runs: {'1:' * 9_000}1\n", "3:18: 'max_active_runs' must be a whole number, not"),
    "long number": (HEAD + f"max_active_runs: {'9' * 9_000}\n", "3:18: 'max_active_runs' must be a whole number, not"),
    "tasks": (TASKS, "4:3: 'tasks' must have at most 300 entries; got 301"),
    "long quantity": (MEMORY % ("9" * 9_000), "3:51: no node of group 'default' can hold memory 9999"),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_one_short_line(
    add_job: AddJob, team_repo: Path, text: str, expected: str
) -> None:
    add_job("hostile", text)
    findings = found(team_repo)
    assert [finding for finding in findings if finding.startswith(f"dags/hostile/job.yaml:{expected}")]
    assert max(map(len, findings)) < 700


def test_a_value_whose_key_comes_again_is_not_looked_for(add_job: AddJob, team_repo: Path) -> None:
    again = "params: {a: [1e3, {b: 1e3}]}\nparams: {a: [true]}\nparams: 5\n"
    add_job("score", f"apiVersion: jobyard/v1\nschedule: null\n{again}tasks: {{score: {{image: inference}}}}\n")
    assert [one.rule for one in check_repo(team_repo).findings] == ["duplicate-key", "duplicate-key", "type"]


def test_a_text_report_shows_the_line_and_marks_the_place(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", 'apiVersion: jobyard/v1\nschedule: "@dayly"\ntasks: {score: {image: inference}}\n')
    lines = list(report.lines(check_repo(team_repo), snippets=True))
    assert lines[1:] == ['     2 | schedule: "@dayly"', "       |           ^", "1 problem in 1 file"]


def test_a_json_report_has_the_same_findings(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", "apiVersion: jobyard/v1\n")
    add_job("train")
    parsed = json.loads(report.as_json(check_repo(team_repo)))
    assert parsed["team"] == "risk"
    assert parsed["jobs"] == ["score", "train"]
    assert [(one["path"], one["line"], one["column"], one["rule"]) for one in parsed["findings"]] == [
        ("dags/score/job.yaml", 1, 1, "required"),
        ("dags/score/job.yaml", 1, 1, "required"),
    ]


def test_jobs_that_follow_each_other_in_a_circle_are_pointed_out_in_each(add_job: AddJob, team_repo: Path) -> None:
    text = "apiVersion: jobyard/v1\nschedule: {{after: [risk.{}]}}\ntasks: {{score: {{image: inference}}}}\n"
    for name, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        add_job(name, text.format(other))
    words = "jobs follow each other in a cycle, so none of them would start: "
    assert found(team_repo) == [
        f"dags/a/job.yaml:2:20: {words}risk.a -> risk.b -> risk.c -> risk.a",
        f"dags/b/job.yaml:2:20: {words}risk.b -> risk.c -> risk.a -> risk.b",
        f"dags/c/job.yaml:2:20: {words}risk.c -> risk.a -> risk.b -> risk.c",
    ]


def test_waiting_for_a_job_of_ones_own_that_has_no_clock_is_pointed_out(add_job: AddJob, team_repo: Path) -> None:
    add_job("by-hand", "apiVersion: jobyard/v1\nschedule: null\ntasks: {score: {image: inference}}\n")
    waiting = 'schedule: "@daily"\nwait_for: [risk.by-hand]\n'
    add_job("score", f"apiVersion: jobyard/v1\n{waiting}tasks: {{score: {{image: inference}}}}\n")
    assert found(team_repo) == [
        "dags/score/job.yaml:3:12: job 'risk.by-hand' has no cron schedule, so its runs cannot be matched; "
        "use schedule: {after: [risk.by-hand]}"
    ]


def test_without_a_list_of_published_jobs_those_of_others_are_taken_on_trust(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", "apiVersion: jobyard/v1\nschedule: {after: [care.nothing]}\ntasks: {score: {image: inference}}\n")
    assert len(found(team_repo)) == 1
    (team_repo / "values" / "published-jobs.yaml").unlink()
    assert found(team_repo) == []


def test_a_broken_list_of_published_jobs_is_pointed_out(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    (team_repo / "values" / "published-jobs.yaml").write_text("jobs: [\n")
    (finding,) = found(team_repo)
    assert finding.startswith("values/published-jobs.yaml:2:1: invalid YAML:")
