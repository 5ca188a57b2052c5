"""A plan: exactly what it says of a merge request, in each format, and what it says where something is missing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobyard_cli.chart.manifests import manifests
from jobyard_cli.plan import markdown, model, text
from jobyard_cli.plan.base import MissingBaseError, commit_base, environment_base
from jobyard_cli.plan.make import find_platform, make_plan, valid_repo
from jobyard_cli.plan.model import Plan
from jobyard_cli.plan.released import UnreadableReleaseError
from jobyard_cli.release.compile import InvalidJobsError, compile_release

from tests.support.git import commit_all, git
from tests.support.golden import assert_golden
from tests.support.paths import FIXTURES, ROOT
from tests.unit.plan_repo import NO_PLATFORM, NOW, planned, the_platform, with_chart
from tests.unit.usage_rows import Reader, advice, measured_platform, row

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddJob = Callable[..., Path]
FORMATS: dict[str, Callable[[Plan], str]] = {
    "txt": lambda plan: "\n".join(text.lines(plan)) + "\n",
    "md": markdown.markdown,
    "json": lambda plan: text.as_json(plan) + "\n",
}


@pytest.fixture
def changed_repo(team_repo: Path) -> tuple[Path, str]:
    """A repository with one commit, and changes of every kind in its work tree; the commit."""
    shutil.copytree(FIXTURES / "plan" / "before", team_repo / "dags", dirs_exist_ok=True)
    commit = commit_all(with_chart(team_repo))
    shutil.rmtree(team_repo / "dags")
    shutil.copytree(FIXTURES / "plan" / "after", team_repo / "dags")
    values = team_repo / "values" / "team.yaml"
    values.write_text(values.read_text().replace("high: 3000", "high: 3500"))
    (team_repo / "values" / "environments").mkdir()
    role = 'serviceAccounts: {jobs: {roleArn: "arn:aws:iam::444455556666:role/risk-jobs"}}\n'
    (team_repo / "values" / "environments" / "dev.yaml").write_text(role)
    return team_repo, commit


@pytest.mark.golden
@pytest.mark.parametrize("form", FORMATS)
def test_the_whole_plan_is_as_it_was_reviewed(changed_repo: tuple[Path, str], form: str, tmp_path: Path) -> None:
    repo, commit = changed_repo
    platform = find_platform(repo, measured_platform(tmp_path / "platform", "dev"))
    used = Reader(advice(row("score", "features")))
    told = FORMATS[form](planned(repo, platform, read=used)).replace(commit[:12], "<commit>")
    assert_golden(FIXTURES / "plan" / f"changes.{form}", told)


def test_a_plan_changes_nothing_in_the_repository(changed_repo: tuple[Path, str]) -> None:
    repo, commit = changed_repo
    before = git(repo, "status", "--porcelain", "--ignored")
    planned(repo)
    assert (git(repo, "status", "--porcelain", "--ignored"), git(repo, "rev-parse", "HEAD")) == (before, commit)


def test_the_same_files_have_no_changes(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    commit_all(with_chart(team_repo))
    plan = planned(team_repo, the_platform())
    assert (plan.jobs, plan.objects, plan.warnings, plan.notes, plan.unchanged) == ([], [], [], [], 1)
    assert list(text.lines(plan))[-1] == "nothing changes"


def kinds(plan: Plan) -> dict[str, str]:
    return {change.name: change.kind for change in plan.jobs}


def test_before_the_first_commit_everything_is_added(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    plan = planned(with_chart(team_repo))
    assert plan.base == "nothing, as there is no commit yet"
    assert kinds(plan) == {"score": "added"}
    assert {item.kind for item in plan.objects} == {"added"}


def test_a_branch_is_compared_with_where_it_left_the_default_branch(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    left = commit_all(team_repo)
    git(team_repo, "checkout", "--quiet", "-b", "feature")
    add_job("train")
    commit_all(team_repo)
    git(team_repo, "checkout", "--quiet", "main")
    add_job("report", (team_repo / "dags" / "score" / "job.yaml").read_text().replace("@daily", "@weekly"))
    commit_all(team_repo)
    git(team_repo, "checkout", "--quiet", "feature")
    plan = planned(team_repo)
    assert plan.base == f"main ({left[:12]})"
    assert kinds(plan) == {"train": "added"}
    assert kinds(planned(team_repo, ref="main")) == {"report": "removed", "train": "added"}


def test_a_repository_may_be_a_folder_of_another(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    commit_all(with_chart(team_repo).parent)
    shutil.rmtree(team_repo / "dags" / "score")
    plan = planned(team_repo)
    assert (kinds(plan), plan.objects) == ({"score": "removed"}, [])
    copied = shutil.copytree(team_repo, team_repo.parent / "more-jobs")
    assert planned(copied).notes[0] == "the base has none of this folder's files"


def test_a_chart_that_is_new_is_added(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    commit_all(team_repo)
    plan = planned(with_chart(team_repo))
    assert plan.jobs == []
    assert {item.kind for item in plan.objects} == {"added"}
    assert len(plan.objects) == 7


def test_a_chart_of_another_version_changes_no_object_by_that(add_job: AddJob, team_repo: Path) -> None:
    """Each object has the version in a label; an upgrade's plan shows what is different besides."""
    add_job("score")
    commit_all(with_chart(team_repo))
    chart = team_repo / "charts" / "team"
    described = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(re.sub("^version: .*$", "version: 9.9.9", described, flags=re.MULTILINE))
    rendered = manifests(team_repo)
    assert {one.content["metadata"]["labels"]["helm.sh/chart"] for one in rendered} == {"team-9.9.9"}
    assert planned(team_repo).objects == []
    binding = chart / "templates" / "rolebindings.yaml"
    binding.write_text(binding.read_text().replace("  name: launcher\n", "  name: launcher\n  annotations: {a: b}\n"))
    (changed,) = planned(team_repo).objects
    assert changed.name == "RoleBinding team-risk/launcher"
    assert changed.difference == ["  metadata:", "+   annotations:", "+     a: b"]


def test_an_unknown_base_is_refused(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    commit_all(team_repo)
    with pytest.raises(MissingBaseError, match="there is no commit '--output=x' here"):
        planned(team_repo, ref="--output=x")


def test_branches_that_share_nothing_are_pointed_out(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    commit_all(team_repo)
    git(team_repo, "checkout", "--quiet", "--orphan", "other")
    add_job("train")
    commit_all(team_repo)
    with pytest.raises(MissingBaseError, match="no commit that main and HEAD share: fetch more"):
        planned(team_repo)


def test_jobs_that_were_invalid_before_count_as_not_there(add_job: AddJob, team_repo: Path) -> None:
    broken, _ = add_job("score", "apiVersion: jobyard/v1\n"), add_job("train")
    commit_all(team_repo)
    broken.write_text((team_repo / "dags" / "train" / "job.yaml").read_text())
    plan = planned(team_repo)
    assert kinds(plan) == {"score": "added"}
    assert "these jobs of the base have problems, and count as missing: score" in plan.notes


def test_a_base_that_was_no_teams_repository_is_pointed_out(add_job: AddJob, team_repo: Path, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    shutil.move(team_repo / "schemas", schemas)
    add_job("score")
    commit_all(team_repo)
    shutil.move(schemas, team_repo / "schemas")
    plan = planned(team_repo)
    assert kinds(plan) == {"score": "added"}
    assert plan.notes[0] == "the base is not a team repository: it lacks schemas/job.schema.json"


def test_a_link_that_leads_out_of_the_base_is_not_followed(add_job: AddJob, team_repo: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    add_job("score")
    (team_repo / "values" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    commit_all(team_repo)
    with commit_base(team_repo) as base:
        assert base.tree
        assert not (base.tree / "values" / "link.yaml").is_symlink()
        assert (base.tree / "values" / "team.yaml").is_file()


def test_an_invalid_work_tree_has_findings_and_no_plan(add_job: AddJob, team_repo: Path) -> None:
    add_job("score", "apiVersion: jobyard/v1\n")
    with pytest.raises(InvalidJobsError) as caught:
        planned(team_repo)
    assert str(caught.value).splitlines() == [
        "dags/score/job.yaml:1:1: the file is missing the required key 'schedule'",
        "dags/score/job.yaml:1:1: the file is missing the required key 'tasks'",
        "2 problems in 1 file",
        "fix these to get a plan",
    ]


def test_a_chart_that_could_not_be_rendered_before_is_pointed_out(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    values = with_chart(team_repo) / "values" / "team.yaml"
    good = values.read_text()
    values.write_text(good.replace("viewerGroups", "viewersGroups"))
    commit_all(team_repo)
    values.write_text(good)
    plan = planned(team_repo)
    assert plan.objects == []
    (note,) = [note for note in plan.notes if "viewersGroups" in note]
    assert note.startswith("no objects are compared, as the base's chart can't be rendered: Error: values don't meet")


def release(repo: Path, s3: S3Client, commit: str) -> None:
    s3.put_object(Bucket="airflow", Key="dags/risk/jobs.json", Body=compile_release(repo, commit).body)


def against_dev(repo: Path, s3: S3Client) -> Plan:
    with environment_base(repo, s3, "airflow", "risk", "dev") as base:
        return make_plan(valid_repo(repo), base, the_platform(), NOW, "dev")


def test_an_environment_is_compared_by_what_is_released_in_it(add_job: AddJob, team_repo: Path, s3: S3Client) -> None:
    add_job("score")
    commit = commit_all(with_chart(team_repo))
    release(team_repo, s3, commit)
    add_job("score", (team_repo / "dags" / "score" / "job.yaml").read_text().replace("@daily", "@weekly"))
    add_job("train")
    plan = against_dev(team_repo, s3)
    assert plan.base == f"dev, which has commit {commit[:12]}"
    assert kinds(plan) == {"score": "changed", "train": "added"}
    assert (plan.objects, plan.notes) == ([], [])
    labels = [line for line in plan.jobs[1].tasks[0].pod if "environment" in line or "cost-center" in line]
    assert labels == ["+     jobyard.dev/environment: dev", "+     jobyard.dev/cost-center: risk-ml"]


def test_an_environment_without_a_release_has_everything_added(add_job: AddJob, team_repo: Path, s3: S3Client) -> None:
    add_job("score")
    commit_all(with_chart(team_repo))
    plan = against_dev(team_repo, s3)
    assert plan.base == "dev, where nothing is released yet"
    assert kinds(plan) == {"score": "added"}


def test_a_released_commit_that_is_not_here_leaves_the_chart_out(
    add_job: AddJob, team_repo: Path, s3: S3Client
) -> None:
    add_job("score")
    commit_all(with_chart(team_repo))
    release(team_repo, s3, "0" * 40)
    plan = against_dev(team_repo, s3)
    assert (plan.jobs, plan.objects) == ([], [])
    assert plan.notes == ["the released commit is not in this clone: the chart's changes are not shown"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "s3://airflow/dags/risk/jobs.json: not a release: JSONDecodeError"),
        (b"[]", "not a release: TypeError"),
        (b'{"team": "care", "jobs": {}}', "is a release of team 'care', not of 'risk'"),
    ],
)
def test_what_is_no_release_is_told(add_job: AddJob, team_repo: Path, s3: S3Client, body: bytes, message: str) -> None:
    add_job("score")
    commit_all(team_repo)
    s3.put_object(Bucket="airflow", Key="dags/risk/jobs.json", Body=body)
    with pytest.raises(UnreadableReleaseError, match=message):
        against_dev(team_repo, s3)


def test_a_bucket_that_is_not_there_is_told(add_job: AddJob, team_repo: Path, s3: S3Client) -> None:
    with (
        pytest.raises(UnreadableReleaseError, match="s3://nowhere/dags/risk/jobs.json: .*NoSuchBucket"),
        environment_base(team_repo, s3, "nowhere", "risk", "dev"),
    ):
        pass


def test_without_the_platform_the_quota_is_not_known(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    plan = planned(team_repo, NO_PLATFORM)
    assert plan.notes[0] == "the team's quota is not known: none was given"
    assert json.loads(text.as_json(plan))["notes"] == plan.notes


Run = Callable[..., tuple[int, str, str]]


def test_the_command_tells_a_plan_in_each_format_and_exits_with_0(
    add_job: AddJob, team_repo: Path, jobyard: Run
) -> None:
    add_job("score")
    commit_all(with_chart(team_repo))
    add_job("train", (team_repo / "dags" / "score" / "job.yaml").read_text().replace('"@daily"', "null"))
    command = ("plan", "--platform", str(ROOT))
    code, out, err = jobyard(*command)
    assert (code, err, out.splitlines()[-1]) == (0, "", "1 job added")
    assert jobyard(*command, "--format", "markdown")[1].startswith("### Plan for team `risk`\n")
    assert json.loads(jobyard(*command, "--format", "json")[1])["summary"] == "1 job added"


def test_the_command_reads_the_buckets_name_in_the_environments_file(
    add_job: AddJob, team_repo: Path, jobyard: Run, s3: S3Client
) -> None:
    add_job("score")
    commit_all(with_chart(team_repo))
    s3.create_bucket(Bucket="example-jobyard-dev")
    code, out, err = jobyard("plan", "--environment", "dev", "--platform", str(ROOT))
    assert (code, err) == (0, "")
    assert out.startswith("Plan for team risk, compared with dev, where nothing is released yet\n")


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        (("--base", "main", "--environment", "dev"), 2, "--base and --environment exclude each other"),
        (("--base", "nowhere"), 1, "there is no commit 'nowhere' here"),
        (("--environment", "dev"), 1, ".cruft.json is missing"),
        (("--environment", "prd", "--platform", str(ROOT)), 2, "unknown environment 'prd' (did you mean 'prod'?"),
    ],
)
def test_a_mistake_ends_with_its_message(
    add_job: AddJob, team_repo: Path, jobyard: Run, arguments: tuple[str, ...], expected: int, message: str
) -> None:
    add_job("score")
    commit_all(team_repo)
    code, out, err = jobyard("plan", *arguments)
    assert (code, out) == (expected, "")
    assert message in err
    assert "Traceback" not in err


def test_findings_end_the_command_with_1(add_job: AddJob, jobyard: Run) -> None:
    add_job("score", "apiVersion: jobyard/v1\n")
    code, out, err = jobyard("plan")
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == "dags/score/job.yaml:1:1: the file is missing the required key 'schedule'"


def test_a_platform_that_was_given_has_to_be_one(add_job: AddJob, team_repo: Path, jobyard: Run) -> None:
    add_job("score")
    commit_all(team_repo)
    code, _, err = jobyard("plan", "--platform", str(team_repo / "dags"))
    assert code == 2
    assert "dags/values/teams is missing: run this in the root directory of the platform repository" in err


def test_an_image_whose_folder_changed_is_built_and_the_tasks_that_run_it_are_named(
    team_repo: Path, add_job: AddJob
) -> None:
    add_job("score")
    (team_repo / ".gitignore").write_text("*.pyc\n")
    for name in ("gone", "feature-generation"):
        (team_repo / "images" / name).mkdir(exist_ok=True)
        (team_repo / "images" / name / "Dockerfile").write_text("FROM scratch\n")
    commit_all(team_repo)
    git(team_repo, "switch", "--quiet", "--create", "change")
    (team_repo / "images" / "inference" / "new.py").write_text("print()\n")
    (team_repo / "images" / "feature-generation" / "ignored.pyc").write_text("x")
    (team_repo / "images" / "unused").mkdir()
    (team_repo / "images" / "unused" / "Dockerfile").write_text("FROM scratch\n")
    shutil.rmtree(team_repo / "images" / "gone")
    found = planned(team_repo, ref="main")
    assert [(one.name, one.kind, one.tasks) for one in found.images] == [
        ("gone", "removed", []),
        ("inference", "changed", ["score.score"]),
        ("unused", "added", []),
    ]
    assert model.counts(found) == "1 image added, 1 changed, 1 removed"
    assert "~ image inference changed: it is built, and then run by score.score" in list(text.lines(found))
    assert "- `inference` changed: it is built, and then run by `score.score`\n" in markdown.markdown(found)
