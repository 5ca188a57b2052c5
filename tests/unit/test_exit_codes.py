"""The exit code of each kind of mistake in a command, and the commands' names, versions and completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
import write_error_tree
from jobyard_cli.cli import lazy, main
from jobyard_cli.errors import JobyardError, UsageError
from typer.testing import CliRunner

from tests.support.paths import ROOT

Run = Callable[..., tuple[int, str, str]]
AddJob = Callable[..., Path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("check missing/path", "missing/path: no such file or folder"),
        ("check --repo /nowhere", "/nowhere is not a team's repository"),
        ("check /nowhere", "/nowhere: no such file or folder"),
        ("check --format pdf", "Invalid value for '--format'"),
        ("check --nope", "No such option: --nope"),
        ("chek", "No such command 'chek'. Did you mean 'check'?"),
        ("new Score", "a job must have a name of lower-case letters"),
        ("new mine --like nothing", "unknown example 'nothing'"),
        ("plan --base main --environment dev", "--base and --environment exclude each other"),
        ("usage", "give --environment, or a local copy of its metrics with --from"),
        ("usage --environment dev --from .", "--environment and --from exclude each other"),
        ("usage --from /nowhere", "--from must be a folder; got /nowhere"),
        (f"usage --from {__file__}", f"--from must be a folder; got {__file__}"),
        (f"usage --environment stage --platform {ROOT}", "unknown environment 'stage'"),
        ("sync", "give --environment or --bucket"),
        ("sync 3f2a91c", "commit '3f2a91c' needs --rollback"),
        ("sync --rollback --images images.json", "--images and --rollback exclude each other"),
        ("images --environment dev", "give --output or --missing"),
        ("images --environment dev --missing m.json --platforms amd64", "--platforms must be platforms"),
        ("dags", "Missing option '--environment'"),
        ("comment nowhere.md", "FILE must be a file; got nowhere.md"),
        ("comment .", "FILE must be a file; got ."),
        (f"publish-platform --environment dev --repo {ROOT} --kubeconfig .", "--kubeconfig must be a file; got ."),
        (f"dags --environment stage --platform {ROOT}", "unknown environment 'stage'"),
        (f"dags --environment dev --platform {ROOT} --airflow 1.10", "unknown Airflow version '1.10'"),
        ("kubeconfig --environment dev --repo /nowhere", "/nowhere/values/environments is missing"),
        (f"node-groups --environment stage --repo {ROOT}", "unknown environment 'stage'"),
        (f"iam --environment dev --repo {ROOT} --only nobody --platform-repo {{url}}", "unknown part 'nobody'"),
        (f"iam --environment dev --repo {ROOT} --permissions-boundary x", "--permissions-boundary must be the ARN"),
        ("published-jobs", "name the environment with --environment"),
        (
            "team new risk --owner a@example.com --repo-url {url} --repo /nowhere",
            "/nowhere/cookiecutter.json is missing",
        ),
        ("team list --repo /nowhere", "/nowhere/values/environments is missing"),
        ("local up --context kind", "--context and --address need --kubeconfig"),
    ],
)
def test_a_mistake_in_the_command_ends_with_2(add_job: AddJob, jobyard: Run, arguments: str, message: str) -> None:
    add_job("score")
    words = arguments.format(url="https://gitlab.example.com/ml/platform.git").split()
    code, out, err = jobyard(*words)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
    # A command with long steps has begun one.
    assert not out or words[0] == "dags"


def test_a_wrong_band_or_folder_for_a_new_team_ends_with_2(jobyard: Run) -> None:
    command = f"team new fraud --owner a@example.com --repo-url https://example.com/x.git --repo {ROOT}"
    for option, message in (
        ("--priority-band=high", "--priority-band must be a band of priorities, such as 1000-9999; got 'high'"),
        ("--output=/nowhere", "--output must be a folder; got /nowhere"),
    ):
        code, out, err = jobyard(*command.split(), option)
        assert (code, out, err) == (2, "", f"{message}\nnothing was written\n")


def test_the_tree_of_errors_is_the_one_that_the_docstring_shows() -> None:
    text = write_error_tree.FILE.read_text(encoding="utf-8")
    assert write_error_tree.written(text) == text, "run scripts/write_error_tree.py"
    for name in re.findall(r"^ *(\w+)(?: \(2\))?$", write_error_tree.tree(), re.M):
        assert name.endswith("Error")


def test_every_command_has_a_panel_a_summary_and_help_for_each_option() -> None:
    group = typer.main.get_command(main.app)
    context = typer.Context(group)
    assert isinstance(group, lazy.LazyGroup)
    todo = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    assert len(todo) > 20
    for name, command in todo:
        assert command is not None
        summary = str(command.help).split("\n\n")[0]
        assert summary.endswith("."), name
        assert len(summary) <= 110, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), (name, parameter.name)
        if isinstance(command, lazy.LazyGroup):
            inner = typer.Context(command)
            todo += [(f"{name} {sub}", command.get_command(inner, sub)) for sub in command.list_commands(inner)]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_shows_the_panels_and_not_the_old_names(jobyard: Run, option: str) -> None:
    code, out, err = jobyard(option)
    assert (code, err) == (0, "")
    panels = [line.strip("╭─╮ ") for line in out.splitlines() if line.startswith("╭")]
    assert panels == ["Options", "Team repository", "Team pipeline", "Platform repository", "This machine"]
    assert "catalogue" not in out


def test_the_version_is_the_packages(jobyard: Run) -> None:
    assert jobyard("--version") == (0, f"jobyard {version('jobyard')}\n", "")


def test_the_old_name_of_a_command_works_with_a_warning(jobyard: Run) -> None:
    code, out, err = jobyard("catalogue")
    assert (code, out) == (2, "")
    warning, error = err.splitlines()
    assert warning == (
        "DeprecationWarning: The command 'catalogue' is deprecated. "
        "Use `jobyard published-jobs`; the next release drops the old name."
    )
    assert error.startswith("name the environment with --environment")


def test_without_the_extra_the_help_still_works_and_the_command_says_what_to_install(
    jobyard: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_module: str) -> object:
        raise ModuleNotFoundError(name="cryptography")

    monkeypatch.setattr(lazy, "import_module", missing)
    assert "Needs packages that are not installed: pip install 'jobyard[local]'" in " ".join(
        jobyard("-h")[1].replace("│", " ").split()
    )
    code, out, err = jobyard("local", "up", "--name", "x")
    assert (code, out) == (1, "")
    assert err.startswith("this command needs the extra `local` (pip install 'jobyard[local]')")


def test_a_missing_module_of_our_own_is_no_missing_extra(jobyard: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_module: str) -> object:
        raise ModuleNotFoundError(name="jobyard_cli.nowhere")

    monkeypatch.setattr(lazy, "import_module", missing)
    monkeypatch.setattr(sys, "argv", ["jobyard", "local"])
    with pytest.raises(ModuleNotFoundError):
        main.run()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("jobyard publ", ["publish-platform", "published-jobs"]),
        ("jobyard team ", ["list", "new"]),
        ("jobyard sync --end", ["--endpoint-url"]),
        ("jobyard cat", []),
    ],
)
def test_the_shell_completes_commands_and_options(words: str, expected: list[str]) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "scripts"),
        "_JOBYARD_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    command = [sys.executable, "-c", "import sys; sys.argv = ['jobyard']; from jobyard_cli.cli import main; main.run()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == expected


def test_a_usage_error_is_a_jobyard_error_with_code_2() -> None:
    assert (JobyardError.exit_code, UsageError.exit_code) == (1, 2)
    assert CliRunner().invoke(main.app, ["--nope"]).exit_code == 2
