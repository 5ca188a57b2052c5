"""From a push to a pod: the jobs of the team's own `.gitlab-ci.yml`, on the platform that the demo left."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.team import template
from jobyard_local.demo import team_repo
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.platform import LocalPlatform
from jobyard_local.services import GitRepository, git

from tests.end_to_end import github, pipelines
from tests.end_to_end.following import run_to_its_end

JOB = "greet"
DAG = f"{team_repo.TEAM}.{JOB}"
TEXT = """\
apiVersion: jobyard/v1
schedule: null
tasks:
  greet:
    image: greeting
    resources: {cpu: 100m, memory: 64Mi}
"""
DOCKERFILE = """\
FROM docker.io/library/python:3.11-slim-bookworm
COPY greet.py /app/
USER 10001:10001
ENTRYPOINT ["python", "/app/greet.py"]
"""


@pytest.fixture(scope="module")
def runner(demo: FinishedDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pipelines.Runner]:
    """A runner for the team's repository, which now comes from a template that knows this platform."""
    platform, folder = demo.story.platform, tmp_path_factory.mktemp("pipeline")
    made_from = pipelines.platform_repository(platform, folder / "platform")
    answers = {"team": team_repo.TEAM, "environments": pipelines.ENVIRONMENT}
    head = git(made_from, "rev-parse", "HEAD").strip()
    (folder / "made").mkdir()
    template.create(str(made_from), head, answers, folder / "made", folder)
    for name in (".cruft.json", ".gitlab-ci.yml", ".gitignore"):
        shutil.copy(folder / "made" / team_repo.NAME / name, demo.tree / name)
    (folder / "github").mkdir()
    template.create(str(made_from), head, {**answers, "ci": "github"}, folder / "github", folder)
    github.copy_workflow(folder / "github" / team_repo.NAME, demo.tree)
    team_repo.commit(demo.tree, "The pipeline of this platform")
    yield pipelines.Runner(demo.tree, pipelines.variables(platform, folder))


def add_greeting(tree: Path, words: str) -> None:
    """An image that says something, and a job of it."""
    for name, text in {
        f"dags/{JOB}/job.yaml": TEXT,
        "images/greeting/Dockerfile": DOCKERFILE,
        # The registry outlives the platform: what an earlier run of the tests has built is there already.
        "images/greeting/greet.py": f"print({words!r})  # {uuid.uuid4()}\n",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def greeting_of_a_run(platform: LocalPlatform, run: str) -> str:
    """The log of the job's only task, in a new run."""
    platform.airflow.trigger(DAG, run, None)
    tasks = run_to_its_end(platform, DAG, run)
    assert {task["task_id"]: task["state"] for task in tasks} == {"greet": "success"}
    return platform.airflow.log(DAG, run, "greet")


def images_of(tree: Path) -> dict[str, str]:
    urls: dict[str, str] = json.loads((tree / "images.json").read_text())
    return urls


def merge(demo: FinishedDemo, branch: str) -> None:
    git(demo.tree, "switch", "--quiet", "main")
    git(demo.tree, "merge", "--quiet", "--no-ff", "--message", f"Merge branch {branch}", branch)
    GitRepository(demo.story.platform.layout, team_repo.NAME).push(demo.tree)


def test_a_merge_request_is_checked_built_and_planned_without_any_release(
    demo: FinishedDemo, runner: pipelines.Runner
) -> None:
    tree = demo.tree
    base = git(tree, "rev-parse", "HEAD").strip()
    git(tree, "switch", "--quiet", "--create", "greet")
    add_greeting(tree, "good morning")
    team_repo.commit(tree, f"Add the job {JOB}")
    said = runner.merge_request(base)
    assert json.loads((tree / "gl-code-quality-report.json").read_text()) == []
    assert "Airflow 3.3.1 has all" in said
    plan = (tree / "plan.md").read_text()
    assert JOB in plan
    # Without a token that lets it comment, the job shows the plan itself.
    assert plan.splitlines()[0] in said
    assert DAG not in demo.story.platform.airflow.dag_ids()
    assert not (tree / "images.json").exists()


def test_a_job_that_the_check_refuses_stops_its_merge_request(demo: FinishedDemo, runner: pipelines.Runner) -> None:
    tree = demo.tree
    base = git(tree, "rev-parse", "main").strip()
    git(tree, "switch", "--quiet", "--create", "wrong")
    file = tree / "dags" / JOB / "job.yaml"
    file.write_text(TEXT.replace("image: greeting", "image: greetings"))
    team_repo.commit(tree, "A name that is wrong")
    with pytest.raises(ProgramError, match="unknown image 'greetings'"):
        runner.merge_request(base)
    (finding,) = json.loads((tree / "gl-code-quality-report.json").read_text())
    assert finding["location"]["path"] == f"dags/{JOB}/job.yaml"
    git(tree, "switch", "--quiet", "greet")
    git(tree, "branch", "--quiet", "-D", "wrong")


def test_after_the_merge_the_pod_runs_the_image_that_was_just_built(
    demo: FinishedDemo, platform: LocalPlatform, runner: pipelines.Runner
) -> None:
    merge(demo, "greet")
    said = runner.default_branch()
    urls = images_of(demo.tree)
    assert set(urls) == {"feature-generation", "greeting", "inference"}
    assert f"built: {urls['greeting']}" in said
    log = greeting_of_a_run(platform, "from-the-pipeline")
    assert "good morning" in log
    assert urls["greeting"] in log


def test_a_second_change_builds_the_image_whose_folder_changed_and_no_other(
    demo: FinishedDemo, platform: LocalPlatform, runner: pipelines.Runner
) -> None:
    before = images_of(demo.tree)
    git(demo.tree, "switch", "--quiet", "--create", "evening")
    add_greeting(demo.tree, "good evening")
    team_repo.commit(demo.tree, "It is late")
    merge(demo, "evening")
    said = runner.default_branch()
    urls = images_of(demo.tree)
    assert f"built: {urls['greeting']}" in said
    assert {name for name in urls if f"there already: {urls[name]}" in said} == {"feature-generation", "inference"}
    assert {name for name in urls if urls[name] != before[name]} == {"greeting"}
    assert "good evening" in greeting_of_a_run(platform, "in-the-evening")


def test_another_environment_gets_the_very_images_that_this_one_has(
    demo: FinishedDemo, platform: LocalPlatform, runner: pipelines.Runner, tmp_path: Path
) -> None:
    other = f"{platform.layout.registry}/elsewhere"
    output = tmp_path / "images.json"
    options = ["--environment=local", "--from=local", f"--registry={other}", f"--output={output}"]
    said = team_repo.jobyard(demo.tree, "images", *options, environment=runner.variables)
    urls = json.loads(output.read_text())
    assert f"copied: {urls['greeting']}" in said
    assert {name: url.rpartition("@")[2] for name, url in urls.items()} == {
        name: url.rpartition("@")[2] for name, url in images_of(demo.tree).items()
    }


def test_githubs_workflow_checks_plans_builds_and_releases_just_so(
    demo: FinishedDemo, platform: LocalPlatform, runner: pipelines.Runner
) -> None:
    tree, workflow = demo.tree, github.Runner(demo.tree, runner.variables)
    base = git(tree, "rev-parse", "HEAD").strip()
    git(tree, "switch", "--quiet", "--create", "night")
    add_greeting(tree, "good night")
    team_repo.commit(tree, "It is later still")
    said = workflow.pull_request(base)
    assert jobs_of(said) == {"check", "plan"}
    assert "Airflow 3.3.1 has all" in said
    # A fork's token may not comment, so the plan is in the log.
    assert "greeting" in said.partition("Main jobyard comment plan.md")[2]

    merge(demo, "night")
    said = workflow.push()
    assert jobs_of(said) == {"check", "missing-images", "build-images", "local"}
    assert "assumes arn:aws:iam::000000000000:role/jobyard-risk-ci in us-east-1" in said
    (url,) = re.findall(rf"built: ({re.escape(platform.layout.registry)}/\S+/greeting@\S+)", said)
    log = greeting_of_a_run(platform, "from-the-workflow")
    assert "good night" in log
    assert url in log


def jobs_of(said: str) -> set[str]:
    """The jobs that act says have succeeded."""
    return set(re.findall(r"^\[jobyard/([\w-]+) *\].*Job succeeded", said, re.M))
