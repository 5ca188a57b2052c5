"""The kubeconfig's exec plugin: how often the command runs that makes a credential, and who sees what is kept."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jobyard import token_plugin
from jobyard_cli.platform.exec_entry import PLUGIN, exec_entry

from tests.support.paths import ROOT
from tests.support.waiting import wait_until

FILE = ROOT / "dags" / PLUGIN
PYTHON = [sys.executable, "-I", "-S", str(FILE), "--"]
NOW = int(time.time())
"""The files' times are the real ones."""
LIFE = 840
"""Seconds that `aws eks get-token` says a token is valid for."""
UNKEPT = "jobyard: credentials are not kept, so each call takes longer: "
SCRIPT = """
echo run >>"$1/runs"
if [ -e "$1/hangs" ]; then read -r line <"$1/hangs"; fi
if [ -e "$1/fails" ]; then echo 'expired SSO session' >&2; exit 3; fi
if [ -e "$1/dies" ]; then kill -9 $$; fi
cat "$1/answer"
"""
Run = tuple[int, str, str]
"""Exit code, standard output, standard error."""
Call = Callable[[list[str]], Run]


@dataclass(frozen=True)
class Stub:
    """A command that prints what its folder has as the answer, and notes each of its runs there."""

    folder: Path

    @property
    def command(self) -> list[str]:
        return ["sh", "-c", SCRIPT, "a-stub", str(self.folder)]

    @property
    def runs(self) -> int:
        file = self.folder / "runs"
        return len(file.read_text().splitlines()) if file.is_file() else 0

    def answers(self, text: str) -> str:
        """Let it print that text."""
        (self.folder / "answer").write_text(text)
        return text

    def gives(self, token: str, expires: float) -> str:
        """Let it print that token, valid until then; return what it prints."""
        return self.answers(credential(token, time_of(expires)))


def time_of(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def credential(token: str, expires: object, version: str = "v1beta1") -> str:
    status = {"expirationTimestamp": expires, "token": token}
    entry = {"kind": "ExecCredential", "apiVersion": f"client.authentication.k8s.io/{version}", "status": status}
    return json.dumps(entry) + "\n"


@dataclass
class Clock:
    now: float = NOW


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of day in this process, which stands still."""
    clock = Clock()
    monkeypatch.setattr(time, "time", lambda: clock.now)
    return clock


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where credentials are kept; not there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("JOBYARD_TOKEN_CACHE", str(folder))
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    return folder


@pytest.fixture
def stubs(tmp_path: Path) -> Callable[[str], Stub]:
    def new(name: str) -> Stub:
        (tmp_path / name).mkdir()
        return Stub(tmp_path / name)

    return new


@pytest.fixture
def stub(stubs: Callable[[str], Stub]) -> Stub:
    return stubs("stub")


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Call the plugin in this process."""

    def run(command: list[str]) -> Run:
        code = token_plugin.main(["--", *command])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def credentials(cache: Path) -> list[Path]:
    """Return the files of the cache, without locks."""
    return [file for file in sorted(cache.iterdir()) if file.suffix != ".lock"]


def started(command: list[str], **variables: str) -> subprocess.Popen[str]:
    """Start the plugin as a client does."""
    environment = {**os.environ, **variables}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> Run:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


# How often the command runs


def test_a_hundred_calls_within_an_hour_run_the_command_once(clock: Clock, stub: Stub, call: Call) -> None:
    answer = stub.gives("one", NOW + 3600)
    for number in range(100):
        clock.now = NOW + number * 32
        assert call(stub.command) == (0, answer, "")
    assert stub.runs == 1


@pytest.mark.parametrize(
    ("life", "last"),
    [
        # Kubernetes' clients for Python ask at every request in the last 300 seconds.
        (3600, 3269),
        (LIFE, 509),
        # Half of its life.
        (600, 299),
        # Never in the last minute.
        (100, 39),
    ],
)
def test_a_credential_is_renewed_before_its_end(clock: Clock, stub: Stub, call: Call, life: int, last: int) -> None:
    old = stub.gives("old", NOW + life)
    call(stub.command)
    new = stub.gives("new", NOW + life + LIFE)
    clock.now = NOW + last
    assert call(stub.command) == (0, old, "")
    clock.now = NOW + last + 1
    assert call(stub.command) == (0, new, "")
    assert stub.runs == 2


def test_a_credential_of_less_than_a_minute_is_used_once(clock: Clock, stub: Stub, call: Call) -> None:
    answer = stub.gives("short", NOW + 60)
    assert [call(stub.command), call(stub.command)] == [(0, answer, "")] * 2
    assert stub.runs == 2


def test_twenty_processes_at_once_run_the_command_once(stub: Stub) -> None:
    answer = stub.gives("one", time.time() + LIFE)
    processes = [started([*PYTHON, *stub.command]) for _ in range(20)]
    assert [ended(process) for process in processes] == [(0, answer, "")] * 20
    assert stub.runs == 1


def test_teams_that_call_at_once_get_their_own_credential_each(stubs: Callable[[str], Stub]) -> None:
    teams = [stubs(f"team-{number}") for number in range(4)]
    answers = [team.gives(team.folder.name, time.time() + LIFE) for team in teams]
    processes = [started([*PYTHON, *team.command]) for _ in range(5) for team in teams]
    found = [ended(process) for process in processes]
    assert found == [(0, answer, "") for answer in answers] * 5
    assert [team.runs for team in teams] == [1] * 4


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_ROLE_ARN", "AWS_CONFIG_FILE", "HOME", "PATH"])
def test_what_the_command_depends_on_gives_it_another_credential(
    stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    risk = stub.gives("risk", time.time() + LIFE)
    call(stub.command)
    care = stub.gives("care", time.time() + LIFE)
    before = os.environ.get(variable)
    monkeypatch.setenv(variable, f"{before or ''}:/another")
    assert call(stub.command) == (0, care, "")
    if before is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, before)
    assert call(stub.command) == (0, risk, "")
    assert stub.runs == 2


def test_arguments_are_not_joined(stubs: Callable[[str], Stub], call: Call) -> None:
    script = 'printf %s "$#" >>"$0/asked"; cat "$0/answer"'
    stub = stubs("x")
    stub.gives("one", time.time() + LIFE)
    for arguments in (["a b"], ["a", "b"], ["a", "b", ""]):
        call(["sh", "-c", script, str(stub.folder), *arguments])
    assert (stub.folder / "asked").read_text() == "123"


def test_the_rest_of_the_variables_and_the_folder_of_a_client_give_the_same(
    stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Airflow's variables differ from task to task, and Kubernetes' clients start the plugin in different folders."""
    stub.gives("one", time.time() + LIFE)
    for interactive in ("true", "false"):
        monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", interactive)
        monkeypatch.setenv("KUBERNETES_EXEC_INFO", asked_for("v1beta1", f'"interactive": {interactive}'))
        monkeypatch.chdir(tmp_path if interactive == "true" else "/")
        call(stub.command)
    assert stub.runs == 1


def asked_for(version: str, spec: str = "") -> str:
    return f'{{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/{version}", "spec": {{{spec}}}}}'


def test_the_command_runs_in_the_same_folder_for_every_client(stub: Stub, call: Call) -> None:
    assert call(["pwd"]) == (0, "/\n", "")


@pytest.mark.parametrize(
    "info", [asked_for("v1"), asked_for("v1beta1", '"cluster": {"server": "https://one"}'), "not JSON"]
)
def test_a_client_that_asks_for_another_answer_does_not_get_this_one(
    stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch, info: str
) -> None:
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", asked_for("v1beta1"))
    stub.gives("one", time.time() + LIFE)
    call(stub.command)
    other = stub.answers(credential("two", time_of(time.time() + LIFE), "v1"))
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", info)
    assert call(stub.command) == (0, other, "")


# What is not kept


@pytest.mark.parametrize(
    "answer",
    [
        "hello\n",
        "",
        "[]",
        "null",
        '{"kind": "ExecCredential"}',
        credential("x", None),
        credential("x", 12),
        credential("x", "tomorrow"),
        # A time without a zone.
        credential("x", "2100-01-01T00:00:00"),
        credential("x", "2001-01-01T00:00:00Z"),
        credential("x", "2100-01-01T00:00:00Z").replace("ExecCredential", "Secret"),
        credential("x", "2100-01-01T00:00:00Z").replace("client.authentication.k8s.io", "example.com"),
    ],
)
def test_an_answer_that_is_no_credential_with_an_end_is_passed_on_and_not_kept(
    cache: Path, stub: Stub, call: Call, answer: str
) -> None:
    stub.answers(answer)
    assert [call(stub.command), call(stub.command)] == [(0, answer, "")] * 2
    assert stub.runs == 2
    assert credentials(cache) == []


def test_bytes_that_are_no_text_are_passed_on(stub: Stub) -> None:
    (stub.folder / "answer").write_bytes(b"\xff\x00\r\n")
    done = subprocess.run([*PYTHON, *stub.command], capture_output=True, check=True)
    assert done.stdout == b"\xff\x00\r\n"


@pytest.mark.parametrize("form", ["2100-01-01T00:00:00+07:00", "2100-01-01T00:00:00.250000Z", "2100-01-01T00:00:00Z"])
def test_an_end_is_read_in_each_form_that_kubernetes_writes(stub: Stub, call: Call, form: str) -> None:
    answer = stub.answers(credential("one", form))
    assert [call(stub.command), call(stub.command)] == [(0, answer, "")] * 2
    assert stub.runs == 1


# A command that fails


def test_a_failure_is_passed_on(stub: Stub, call: Call, cache: Path) -> None:
    (stub.folder / "fails").touch()
    assert call(stub.command) == (3, "", "expired SSO session\n")
    assert credentials(cache) == []


@pytest.mark.parametrize("left", [300, 59, 1])
def test_a_failure_is_bridged_while_the_credential_from_before_is_valid(
    clock: Clock, stub: Stub, call: Call, left: int
) -> None:
    answer = stub.gives("old", NOW + LIFE)
    call(stub.command)
    (stub.folder / "fails").touch()
    clock.now = NOW + LIFE - left
    note = "jobyard: the command failed with 3; the credential from before is still valid\n"
    assert call(stub.command) == (0, answer, f"expired SSO session\n{note}")
    (stub.folder / "fails").unlink()
    new = stub.gives("new", NOW + 2 * LIFE)
    assert call(stub.command) == (0, new, "")


def test_an_expired_credential_is_never_used(clock: Clock, stub: Stub, call: Call) -> None:
    stub.gives("old", NOW + LIFE)
    call(stub.command)
    (stub.folder / "fails").touch()
    clock.now = NOW + LIFE
    assert call(stub.command) == (3, "", "expired SSO session\n")


def test_a_command_that_dies_or_does_not_exist_has_a_shells_exit_code(stub: Stub, call: Call) -> None:
    (stub.folder / "dies").touch()
    assert call(stub.command) == (137, "", "")
    assert call(["no-such-program"]) == (127, "", "jobyard: no-such-program: No such file or directory\n")
    assert call([str(stub.folder)]) == (126, "", f"jobyard: {stub.folder}: Permission denied\n")


@pytest.mark.parametrize("arguments", [[], ["--"], ["aws", "eks"]])
def test_without_a_command_it_says_how_it_is_called(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert token_plugin.main(arguments) == 2
    assert capfd.readouterr().err == "jobyard: usage: python3 -I -S token_plugin.py -- COMMAND [ARGUMENT ...]\n"


# Who has access to what is kept


@pytest.fixture
def no_mask() -> Iterator[None]:
    mask = os.umask(0)
    yield
    os.umask(mask)


@pytest.mark.usefixtures("no_mask")
def test_only_the_user_has_access_to_what_is_kept(cache: Path, stub: Stub, call: Call) -> None:
    stub.gives("one", time.time() + LIFE)
    call(stub.command)
    modes = {file.stat().st_mode & 0o777 for file in cache.iterdir()}
    assert (cache.stat().st_mode & 0o777, modes) == (0o700, {0o600})
    assert len(list(cache.iterdir())) == 2


def test_each_user_has_a_folder_among_the_temporary_files(
    tmp_path: Path, stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.gives("one", time.time() + LIFE)
    monkeypatch.setenv("JOBYARD_TOKEN_CACHE", "")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    call(stub.command)
    assert len(credentials(tmp_path / f"jobyard-tokens-{os.geteuid()}")) == 1
    monkeypatch.delenv("TMPDIR")
    assert token_plugin.default_folder() == f"/tmp/jobyard-tokens-{os.geteuid()}"


def open_to(mode: int) -> Callable[[Path, pytest.MonkeyPatch], str]:
    def prepare(cache: Path, _: pytest.MonkeyPatch) -> str:
        cache.mkdir()
        cache.chmod(mode)
        return f"{cache} is open to other users: its mode is {mode:04o}, not 0700"

    return prepare


def belonging_to_another(cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    cache.mkdir(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    return f"{cache} belongs to user {os.getuid()}, not to {os.getuid() + 1}"


def a_link(cache: Path, _: pytest.MonkeyPatch) -> str:
    cache.with_name("theirs").mkdir(0o700)
    cache.symlink_to("theirs")
    return f"[Errno 20] Not a directory: '{cache}'"


def a_link_with_a_slash(cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    expected = a_link(cache, monkeypatch)
    monkeypatch.setenv("JOBYARD_TOKEN_CACHE", f"{cache}/")
    return expected


def a_file(cache: Path, _: pytest.MonkeyPatch) -> str:
    cache.touch(0o700)
    return f"[Errno 20] Not a directory: '{cache}'"


@pytest.mark.parametrize(
    "prepare",
    [open_to(0o755), open_to(0o770), open_to(0o701), belonging_to_another, a_link, a_link_with_a_slash, a_file],
)
def test_nothing_is_kept_in_a_folder_that_is_not_the_users_alone(
    cache: Path,
    stub: Stub,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Path, pytest.MonkeyPatch], str],
) -> None:
    problem = prepare(cache, monkeypatch)
    answer = stub.gives("one", time.time() + LIFE)
    assert [call(stub.command), call(stub.command)] == [(0, answer, f"{UNKEPT}{problem}\n")] * 2
    assert stub.runs == 2
    assert not cache.is_dir() or list(cache.iterdir()) == []


def test_without_a_folder_a_failure_is_passed_on_too(cache: Path, stub: Stub, call: Call) -> None:
    cache.touch()
    (stub.folder / "fails").touch()
    code, out, _ = call(stub.command)
    assert (code, out) == (3, "")


def linked(file: Path) -> None:
    file.rename(file.parent.with_name("elsewhere"))
    file.symlink_to(file.parent.with_name("elsewhere"))


def readable(file: Path) -> None:
    file.chmod(0o644)


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize("change", [linked, readable, a_pipe])
def test_a_file_that_others_could_have_written_is_not_used_but_replaced(
    cache: Path, stub: Stub, call: Call, change: Callable[[Path], None]
) -> None:
    stub.gives("planted", time.time() + LIFE)
    call(stub.command)
    [file] = credentials(cache)
    change(file)
    own = stub.gives("own", time.time() + LIFE)
    assert [call(stub.command), call(stub.command)] == [(0, own, "")] * 2
    assert stub.runs == 2
    assert not file.is_symlink()


# Files that can't be used


def kept_as(made: float, renew: float, expires: float, answer: bytes = b"{}", size: int = 2) -> bytes:
    return b"jobyard-token-1 %d %d %d %d\n" % (made, renew, expires, size) + answer


BROKEN = {
    "empty": b"",
    "an empty line": b"\n",
    "an answer alone": b"{}",
    "bytes": b"\xff" * 100,
    "cut off": kept_as(NOW, NOW + 500, NOW + 900, b"{"),
    "longer": kept_as(NOW, NOW + 500, NOW + 900, b"{}}"),
    "before the clock was set back": kept_as(NOW + 1, NOW + 500, NOW + 900),
    "another form": kept_as(NOW, NOW + 500, NOW + 900).replace(b"token-1", b"token-2"),
    "too many spaces": kept_as(NOW, NOW + 500, NOW + 900).replace(b" ", b"  "),
    "too few numbers": b"jobyard-token-1 1 2 3\n{}",
    "a number of 5,000 digits": b"jobyard-token-1 " + b"9" * 5000 + b" 2 3 2\n{}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_ignored_and_replaced(
    clock: Clock, cache: Path, stub: Stub, call: Call, content: bytes
) -> None:
    stub.gives("old", NOW + LIFE)
    call(stub.command)
    [file] = credentials(cache)
    file.write_bytes(content)
    new = stub.gives("new", NOW + LIFE)
    assert [call(stub.command), call(stub.command)] == [(0, new, "")] * 2
    assert stub.runs == 2


def test_a_file_as_it_is_written_is_used(clock: Clock, cache: Path, stub: Stub, call: Call) -> None:
    """Shows that the broken ones are ignored for what is wrong with them."""
    stub.gives("old", NOW + LIFE)
    call(stub.command)
    [file] = credentials(cache)
    file.write_bytes(kept_as(NOW, NOW + 500, NOW + 900))
    assert call(stub.command) == (0, "{}", "")
    assert stub.runs == 1


@pytest.mark.parametrize("problem", ["Read-only file system", "No space left on device"])
def test_where_nothing_can_be_written_nothing_is_kept(
    cache: Path, stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    cache.mkdir(0o700)
    opened = os.open

    def refused(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            raise OSError(30, problem)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refused)
    answer = stub.gives("one", time.time() + LIFE)
    assert [call(stub.command), call(stub.command)] == [(0, answer, f"{UNKEPT}[Errno 30] {problem}\n")] * 2
    assert list(cache.iterdir()) == []


def test_a_disk_that_is_full_leaves_no_file_behind(cache: Path, stub: Stub) -> None:
    """A real one, of the size of a quota: no file may become larger than 0 bytes."""
    answer = stub.gives("one", time.time() + LIFE)
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *PYTHON, "cat", str(stub.folder / "answer")]
    code, out, err = ended(started(limited))
    assert (code, out) == (0, answer)
    assert err == f"{UNKEPT}[Errno 27] File too large\n"
    assert credentials(cache) == []


def test_files_that_nothing_has_written_for_a_day_are_removed(cache: Path, stub: Stub, call: Call) -> None:
    cache.mkdir(0o700)
    old, recent = cache / "old", cache / "recent"
    for file, age in ((old, 86_500), (recent, 86_300)):
        file.touch()
        os.utime(file, (time.time() - age,) * 2)
    stub.gives("one", time.time() + LIFE)
    call(stub.command)
    assert (old.exists(), recent.exists()) == (False, True)
    assert len(list(cache.iterdir())) == 3


# A process that holds the lock


@pytest.fixture
def held(cache: Path, stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process holds the lock of the stub's command, and does nothing."""
    stub.gives("held", NOW)
    call(stub.command)
    [file] = cache.glob("*.lock")
    monkeypatch.setattr(token_plugin, "WAIT", 0.2)
    with file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("held")
def test_a_process_that_hangs_holds_up_the_others_for_a_while_only(stub: Stub, call: Call) -> None:
    answer = stub.gives("own", time.time() + LIFE)
    before = stub.runs
    assert call(stub.command) == (0, answer, "")
    assert call(stub.command) == (0, answer, "")
    assert stub.runs == before + 1


@pytest.mark.usefixtures("held")
def test_nobody_waits_for_a_renewal_while_the_old_credential_is_good(
    clock: Clock, stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = stub.gives("old", NOW + LIFE)
    call(stub.command)
    before = stub.runs
    monkeypatch.setattr(token_plugin, "WAIT", 3600)
    clock.now = NOW + LIFE - 61
    assert call(stub.command) == (0, answer, "")
    assert stub.runs == before


def test_the_lock_of_a_process_that_was_killed_is_free_though_its_command_goes_on(
    stub: Stub, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_plugin, "WAIT", 3600)
    answer = stub.gives("one", time.time() + LIFE)
    pipe = stub.folder / "hangs"
    os.mkfifo(pipe)
    holder = started([*PYTHON, *stub.command])
    wait_until(lambda: stub.runs == 1)
    holder.kill()
    ended_of_pipe = os.open(pipe, os.O_RDWR)
    try:
        pipe.rename(pipe.with_name("hung"))
        assert call(stub.command) == (0, answer, "")
    finally:
        os.write(ended_of_pipe, b"\n")
        os.close(ended_of_pipe)
        ended(holder)
    assert stub.runs == 2


# What starts it


def test_a_kept_credential_is_printed_without_the_slow_imports(stub: Stub, call: Call) -> None:
    stub.gives("one", time.time() + LIFE)
    call(stub.command)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *PYTHON[1:], *stub.command], capture_output=True, text=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert stub.runs == 1
    assert "io" in imported
    assert imported.isdisjoint({"json", "subprocess", "datetime", "hashlib", "fcntl", "re", "typing", "jobyard"})


def test_it_is_no_file_that_airflow_would_read_for_dags() -> None:
    text = FILE.read_text().lower()
    assert not ("dag" in text and "airflow" in text)


def from_kubeconfig(folder: Path, command: list[str]) -> list[str]:
    entry = exec_entry(command, str(folder))
    arguments = entry["args"]
    assert isinstance(arguments, list)
    return [str(entry["command"]), *arguments]


def test_the_kubeconfig_starts_it_in_any_folder_though_it_is_not_executable(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a path, and an argument, that a shell would take apart."""
    answer = stub.gives("one", time.time() + LIFE)
    copy = tmp_path / "a $(folder)" / PLUGIN
    copy.parent.mkdir(parents=True)
    copy.write_bytes(FILE.read_bytes())
    command = from_kubeconfig(copy.parents[1], [*stub.command, '"; exit 9; `"$@"'])
    for cwd in ("/", str(tmp_path)):
        monkeypatch.chdir(cwd)
        assert ended(started(command)) == (0, answer, "")
    assert stub.runs == 1


def test_a_python_that_changes_the_path_does_not_change_the_command(tmp_path: Path) -> None:
    """As pyenv's does."""
    for name, text in {
        "first/aws": "#!/bin/sh\necho first\n",
        "other/aws": "#!/bin/sh\necho other\n",
        "first/python3": f'#!/bin/sh\nPATH="{tmp_path}/other:$PATH" exec {sys.executable} "$@"\n',
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    command = from_kubeconfig(FILE.parents[1], ["aws", "eks", "get-token"])
    assert ended(started(command, PATH=f"{tmp_path}/first:{os.environ['PATH']}")) == (0, "first\n", "")


def test_where_it_has_not_been_copied_yet_the_command_runs_and_why_is_said(stub: Stub, tmp_path: Path) -> None:
    answer = stub.gives("one", time.time() + LIFE)
    note = f"jobyard: {tmp_path / PLUGIN} or python3 is missing, so every call makes a credential\n"
    command = from_kubeconfig(tmp_path, stub.command)
    assert [ended(started(command)) for _ in range(2)] == [(0, answer, note)] * 2
    (stub.folder / "fails").touch()
    assert ended(started(command)) == (3, "", f"{note}expired SSO session\n")
    assert stub.runs == 3


def test_without_python_the_command_runs_too(stub: Stub, tmp_path: Path) -> None:
    answer = stub.gives("one", time.time() + LIFE)
    for name in ("sh", "cat"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    code, out, err = ended(started(from_kubeconfig(FILE.parents[1], stub.command), PATH=str(tmp_path / "bin")))
    assert (code, out) == (0, answer)
    assert err.endswith("python3 is missing, so every call makes a credential\n")
