"""What a person meets who types `jobyard`: answers, exit codes, and never a traceback for a mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import jobyard_in
from tests.support.paths import ROOT

AddJob = Callable[..., Path]


def test_a_check_without_findings_exits_with_0(add_job: AddJob, jobyard: Callable[..., tuple[int, str, str]]) -> None:
    add_job("score")
    assert jobyard("check") == (0, "1 job, no problems\n", "")


def test_a_check_with_findings_prints_all_of_them_and_exits_with_1(
    add_job: AddJob, jobyard: Callable[..., tuple[int, str, str]]
) -> None:
    add_job("score", "apiVersion: jobyard/v1\n")
    code, out, err = jobyard("check")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "dags/score/job.yaml:1:1: the file is missing the required key 'schedule'",
        "dags/score/job.yaml:1:1: the file is missing the required key 'tasks'",
        "2 problems in 1 file",
    ]


def test_a_check_in_json_has_the_findings_and_exits_with_1(
    add_job: AddJob, jobyard: Callable[..., tuple[int, str, str]]
) -> None:
    add_job("score", "apiVersion: jobyard/v1\n")
    code, out, _ = jobyard("check", "--format", "json")
    assert code == 1
    assert len(json.loads(out)["findings"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["check", "--repo", "/nowhere"],
            "/nowhere is not a team's repository: it has no dags, schemas/job.schema.json",
        ),
        (["new", "Score"], "a job must have a name of lower-case letters"),
        (
            ["publish-platform", "--bucket=b", "--environment=e", "--kubeconfig=values/team.yaml"],
            "values/environments is missing",
        ),
    ],
)
def test_a_mistake_in_the_command_ends_with_one_line_and_exit_code_2(
    jobyard: Callable[..., tuple[int, str, str]], arguments: list[str], message: str
) -> None:
    code, out, err = jobyard(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_a_broken_job_is_not_published_and_the_bucket_is_not_even_asked(
    add_job: AddJob, jobyard: Callable[..., tuple[int, str, str]]
) -> None:
    add_job("score", "apiVersion: jobyard/v1\n")
    code, _, err = jobyard("sync", "--no-wait", "--bucket", "b", "--endpoint-url", "http://127.0.0.1:1")
    assert code == 1
    assert err.splitlines()[-1] == "nothing was released"


def test_a_server_that_does_not_answer_is_named(
    add_job: AddJob, jobyard: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job("score")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, _, err = jobyard("sync", "--no-wait", "--bucket", "b", "--endpoint-url", "http://127.0.0.1:1")
    assert code == 1
    assert err.startswith('s3://b/dags/risk/jobs.json: Could not connect to the endpoint URL: "http://127.0.0.1:1/')


def test_new_release_and_check_work_as_a_program(team_repo: Path) -> None:
    def jobyard(*arguments: str) -> str:
        path = os.pathsep.join([str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "jobyard_cli", *arguments]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(
            command, cwd=team_repo, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert jobyard("new", "mine") == "wrote dags/mine/job.yaml; change it, then run `jobyard check`\n"
    assert jobyard("check") == "1 job, no problems\n"
    jobyard("release", "--output", "release.json")
    assert list(json.loads((team_repo / "release.json").read_text())["jobs"]) == ["mine"]


def test_commands_work_from_any_folder_of_the_repository(
    add_job: AddJob, team_repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job("score", "apiVersion: jobyard/v1\n")
    jobyard = jobyard_in(team_repo / "dags" / "score", capsys, monkeypatch)
    assert jobyard("check", "job.yaml")[1].startswith("dags/score/job.yaml:1:1: ")
    assert jobyard("new", "train")[1].startswith("wrote dags/train/job.yaml;")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "--format=xml"], "xml"),
        (["sync", "--timeout=soon"], "--timeout"),
        (["sync", "--timeout=-1"], "greater than or equal to 0"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(
    jobyard: Callable[..., tuple[int, str, str]], arguments: list[str], message: str
) -> None:
    code, out, err = jobyard(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_the_check_does_not_load_what_only_the_local_platform_needs(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    program = (
        "import sys; sys.argv = ['jobyard', 'check']\n"
        "from jobyard_cli.cli import main\n"
        "try: main.run()\n"
        "except SystemExit: pass\n"
        "heavy = {'boto3', 'pandas', 'cryptography', 'pydantic', 'sklearn'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=team_repo, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "1 job, no problems\n[]\n"
