"""How other programs are run: deadlines, children, what is not installed; and where things are kept and locked."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jobyard_cli.aws.errors import BUCKET_HINTS, explain, may_pass, refused
from jobyard_cli.errors import JobyardError, UnavailableError
from jobyard_cli.system.errors import ProgramError, ProgramNotFoundError, ProgramTimeoutError
from jobyard_cli.system.folders import cache_dir, state_dir
from jobyard_cli.system.git import GitError, git
from jobyard_cli.system.locks import no_waiting
from jobyard_cli.system.programs import attach, finish, run, stream

WITH_A_CHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "open(sys.argv[1], 'w').write(str(child.pid))\n"
    "time.sleep(600)"
)


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def test_a_program_that_hangs_is_killed_with_its_children_at_the_deadline(tmp_path: Path) -> None:
    note, started = tmp_path / "child", time.monotonic()
    with pytest.raises(ProgramTimeoutError, match="^baking: no answer within 2 s$"):
        run(python(WITH_A_CHILD, str(note)), what="baking", deadline=2)
    assert time.monotonic() - started < 60
    child = int(note.read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    for call in (
        lambda: run(["jobyard-oven"]),
        lambda: finish(["jobyard-oven"]),
        lambda: stream(["jobyard-oven"], print, what="baking", environment={}, cwd=tmp_path),
        lambda: attach(["jobyard-oven"], cwd=tmp_path),
    ):
        with pytest.raises(ProgramNotFoundError, match="^`jobyard-oven` is not installed on this machine$"):
            call()


def test_a_directory_that_is_missing_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(python("pass"), cwd=tmp_path / "nowhere")


def test_finish_returns_any_exit_code_with_what_was_written() -> None:
    done = finish(python("import sys; print(sys.stdin.read()); sys.exit('no flour')"), stdin="flour\r\n")
    assert (done.code, done.text, done.complaint) == (1, "flour\n\n", "no flour")


def test_a_program_gets_our_environment_with_what_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVEN", "old")
    program = python("import os; print(os.environ['OVEN'], os.environ['FLOUR'], 'PATH' in os.environ)")
    assert run(program, environment={"OVEN": "hot", "FLOUR": "rye"}) == "hot rye True\n"


def test_git_says_what_is_wrong_in_one_kind_of_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GitError, match=f"^git rev-parse in {tmp_path}: fatal: not a git repository"):
        git(tmp_path, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="^`git` is not installed on this machine$"):
        git(tmp_path, "rev-parse", "HEAD")


def test_the_error_of_a_program_ends_with_its_output() -> None:
    with pytest.raises(ProgramError, match=r"^baking failed:\n  no flour$"):
        run(python("import sys; sys.exit('no flour')"), what="baking")


def test_directories_are_the_ones_of_xdg_unless_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JOBYARD_CACHE", "JOBYARD_STATE", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "jobyard"
    assert state_dir("demo") == tmp_path / ".local" / "state" / "jobyard" / "demo"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    assert (cache_dir(), state_dir()) == (tmp_path / "c" / "jobyard", tmp_path / "s" / "jobyard" / "local")
    monkeypatch.setenv("JOBYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JOBYARD_STATE", str(tmp_path / "state"))
    assert (cache_dir(), state_dir()) == (tmp_path / "cache", tmp_path / "state" / "local")


def test_a_lock_that_another_holds_is_not_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "x.lock"
    holding = python(
        "import fcntl, sys\nfile = open(sys.argv[1], 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    with no_waiting(lock) as ours:
        assert ours
    with subprocess.Popen([*holding, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with no_waiting(lock) as ours:
            assert not ours
        other.kill()
    with no_waiting(lock) as ours:
        assert ours


class BusyError(UnavailableError):
    """What a caller makes of a refusal that may pass."""


@pytest.mark.parametrize(
    ("name", "reason", "text", "passes"),
    [
        ("ExpiredTokenException", "old", "ExpiredTokenException: old (get new credentials", False),
        ("UnrecognizedClientException", "who", "UnrecognizedClientException: who (these credentials belong", False),
        ("NoSuchBucket", "none", "NoSuchBucket: none (check `bucket` in the environment's file", False),
        ("ThrottlingException", "", "ThrottlingException: no reason given", True),
        ("Teapot", "short", "Teapot: short", False),
    ],
)
def test_every_service_refuses_in_one_wording(name: str, reason: str, text: str, passes: bool) -> None:
    from botocore.exceptions import ClientError

    refusal = ClientError({"Error": {"Code": name, "Message": reason}}, "PutObject")
    assert explain(refusal, BUCKET_HINTS).startswith(text)
    assert may_pass(refusal) is passes
    with pytest.raises(JobyardError, match="^the oven: ") as caught, refused("the oven", JobyardError, BusyError):
        raise refusal
    assert isinstance(caught.value, UnavailableError) is passes


def test_a_connection_that_broke_may_be_tried_again() -> None:
    from botocore.exceptions import NoCredentialsError, ReadTimeoutError

    late = ReadTimeoutError(endpoint_url="https://s3.example.com")
    assert (may_pass(late), may_pass(NoCredentialsError())) == (True, False)
    assert explain(late).endswith("the current content is intact: run this again")
    assert explain(NoCredentialsError()).startswith("there are no AWS credentials: set AWS_ACCESS_KEY_ID")
