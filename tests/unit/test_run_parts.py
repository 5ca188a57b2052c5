"""The parts of `jobyard run`: which run it is, trigger rules, Dockerfiles, and what engines are called with."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from jobyard.contract import TRIGGER_RULES
from jobyard.entries import Job
from jobyard_cli.running import engines
from jobyard_cli.running.dockerfile import Copy, read_dockerfile
from jobyard_cli.running.errors import EngineError, NoSuchRunError
from jobyard_cli.running.moments import Moments, find_moments
from jobyard_cli.running.process import ProcessImage
from jobyard_cli.running.trigger_rules import RULES, State, decide

from tests.support.command import Jobyard

AddJob = Callable[..., Path]
NOW = datetime(2026, 11, 27, 17, 30, tzinfo=UTC)
DAY = date(2026, 11, 20)


def moments(
    schedule: Any, zone: str = "UTC", day: date | None = DAY, at: str = "", others: Mapping[str, Any] | None = None
) -> Moments:
    job = cast(Job, {"schedule": schedule, "timezone": zone})
    chosen = datetime.strptime(at, "%H:%M").time() if at else None
    return find_moments(job, day, chosen, NOW, (others or {}).get)


def span(found: Moments) -> str:
    return f"{found.start:%Y-%m-%dT%H:%M%z} {found.end:%Y-%m-%dT%H:%M%z}"


@pytest.mark.parametrize(
    ("schedule", "zone", "at", "expected"),
    [
        ("0 2 * * *", "UTC", "", "2026-11-20T02:00+0000 2026-11-21T02:00+0000"),
        ("0 2 * * *", "Asia/Jakarta", "", "2026-11-20T02:00+0700 2026-11-21T02:00+0700"),
        ("@daily", "America/New_York", "", "2026-11-20T00:00-0500 2026-11-21T00:00-0500"),
        ("0 5 * * 5", "UTC", "", "2026-11-20T05:00+0000 2026-11-27T05:00+0000"),
        ("0 */6 * * *", "UTC", "06:00", "2026-11-20T06:00+0000 2026-11-20T12:00+0000"),
        (None, "Asia/Jakarta", "", "2026-11-20T00:00+0700 2026-11-20T00:00+0700"),
        (None, "UTC", "09:30", "2026-11-20T09:30+0000 2026-11-20T09:30+0000"),
        ("@continuous", "UTC", "", "2026-11-20T00:00+0000 2026-11-20T00:00+0000"),
        ({"assets": ["s3://x/y"]}, "UTC", "", "2026-11-20T00:00+0000 2026-11-21T00:00+0000"),
    ],
)
def test_the_run_of_a_day(schedule: Any, zone: str, at: str, expected: str) -> None:
    assert span(moments(schedule, zone, at=at)) == expected


def test_without_a_day_it_is_the_last_interval_that_is_over() -> None:
    assert span(moments("0 2 * * *", day=None)) == "2026-11-26T02:00+0000 2026-11-27T02:00+0000"
    assert span(moments("0 18 * * *", day=None)) == "2026-11-25T18:00+0000 2026-11-26T18:00+0000"
    assert span(moments(None, day=None)) == "2026-11-27T00:00+0000 2026-11-27T00:00+0000"


def test_after_other_jobs_it_spans_their_intervals() -> None:
    others = {"a.x": {"schedule": "0 1 * * *"}, "a.y": {"schedule": "0 3 * * *", "timezone": "Asia/Jakarta"}}
    found = moments({"after": ["a.x", "a.y"]}, others=others)
    assert span(found) == "2026-11-20T01:00+0000 2026-11-21T20:00+0000"
    assert found.assumed == ""
    # On that day in UTC, the interval of the other time zone starts at 20:00.
    assert span(moments({"after": ["a.y"]}, others=others)) == "2026-11-20T20:00+0000 2026-11-21T20:00+0000"
    unknown = moments({"after": ["a.x", "a.z"]}, others=others)
    assert span(unknown) == "2026-11-20T00:00+0000 2026-11-21T00:00+0000"
    assert "taken to be one day" in unknown.assumed


@pytest.mark.parametrize(
    ("schedule", "at", "message"),
    [
        (
            "0 5 * * 1",
            "",
            "no run has a data interval that starts on 2026-11-20 (At 05:00 on Monday); the nearest are "
            "--day 2026-11-16 and --day 2026-11-23",
        ),
        (
            "0 */6 * * *",
            "",
            "2026-11-20 has 4 runs; choose one by the start of its data interval: --at 00:00, 06:00, 12:00, 18:00",
        ),
        ("0 */6 * * *", "05:00", "no data interval of 2026-11-20 starts at 05:00; there is --at 00:00, 06:00, 12:00"),
        ("*/5 * * * *", "", "--at 00:00, 00:05, 00:10, 00:15, 00:20, 00:25, … 23:55"),
    ],
)
def test_a_day_without_a_run_or_with_several(schedule: str, at: str, message: str) -> None:
    with pytest.raises(NoSuchRunError) as raised:
        moments(schedule, at=at)
    assert message in str(raised.value)


def test_each_run_has_a_folder_of_its_own() -> None:
    assert moments("0 2 * * *").folder == "2026-11-20"
    assert moments("0 */6 * * *", at="06:00").folder == "2026-11-20T0600+0000"
    hours = [moments("0 * * * *", "Europe/Berlin", date(2026, 3, 29), f"{hour:02}:00") for hour in (0, 1, 3, 4)]
    assert len({found.folder for found in hours}) == 4
    assert moments(None, at="09:30").folder == "2026-11-20T0930+0000"


S, F, K, U = State.SUCCESS, State.FAILED, State.SKIPPED, State.UPSTREAM_FAILED


@pytest.mark.parametrize(
    ("rule", "ran", "skipped", "failed"),
    [
        ("all_success", [[S], [S, S]], [[K], [S, K]], [[F], [U], [S, F], [K, F]]),
        ("all_failed", [[F], [U, F]], [[S], [K], [S, F]], []),
        ("all_done", [[S], [F], [K], [U], [S, F, K, U]], [], []),
        ("all_skipped", [[K], [K, K]], [[S], [F, K], [U]], []),
        ("one_success", [[S], [S, F], [S, K]], [[K], [K, K]], [[F], [U], [F, K]]),
        ("one_failed", [[F], [U], [S, F]], [[S], [K]], []),
        ("one_done", [[S], [F], [S, K]], [[K], [U]], []),
        ("none_failed", [[S], [K], [S, K]], [], [[F], [U], [S, U]]),
        ("none_failed_min_one_success", [[S], [S, K]], [[K], [K, K]], [[F], [S, U]]),
        ("none_skipped", [[S], [F], [U, S]], [[K], [S, K]], []),
        ("always", [[S], [F], [K], [U]], [], []),
    ],
)
def test_trigger_rules(
    rule: str, ran: list[list[State]], skipped: list[list[State]], failed: list[list[State]]
) -> None:
    for states, expected in ((ran, State.RUN), (skipped, K), (failed, U)):
        for one in states:
            assert {decide(rule, order) for order in itertools.permutations(one)} == {expected}, one


def test_every_trigger_rule_is_known() -> None:
    assert set(RULES) == set(TRIGGER_RULES)
    assert {decide(rule, []) for rule in RULES} == {State.RUN}


DOCKERFILE = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.12
FROM python:${VERSION}-slim AS build
RUN make everything
ENV LEFT=behind
FROM --platform=$BUILDPLATFORM docker.io/library/python:$VERSION-slim
ENV ONE=1 TWO="two words" \\
    # A comment inside.
    NONE=$ONE/x
ENV THREE=$ONE/3 FOUR=${NOTHING:-four}
ENV OLD style of value
WORKDIR /app
WORKDIR src
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache \\
    pip install --no-cache-dir -r requirements.txt
RUN apt-get install gcc
COPY --chown=1:1 a b /opt/
COPY --from=build /x /y
ADD https://example.com/z /z
ENTRYPOINT ["python", "-m", "a"]
CMD echo $HOME
USER 10001
"""


OLD = {"OLD": "style of value"}


def test_what_a_dockerfile_says(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(DOCKERFILE)
    image = read_dockerfile(file)
    assert image.python == "3.12"
    assert image.env == {"ONE": "1", "TWO": "two words", "NONE": "/x", "THREE": "1/3", "FOUR": "four", **OLD}
    assert image.workdir == "/app/src"
    assert image.requirements == ["/app/src/requirements.txt"]
    assert image.copies == [
        Copy("requirements.txt", "/app/src", True),
        Copy("a", "/opt", True),
        Copy("b", "/opt", True),
    ]
    assert image.entrypoint == ["python", "-m", "a"]
    assert image.command == ["/bin/sh", "-c", "echo $HOME"]
    assert image.not_done == [
        "RUN apt-get install gcc",
        "COPY --from=build /x /y",
        "ADD https://example.com/z /z",
    ]


def test_files_of_the_image_are_linked_and_never_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "code.py").write_text("original")
    (folder / "other.py").write_text("other")
    (folder / "Dockerfile").write_text(
        "FROM python:3\nCOPY . /app\nCOPY package /app/package\nCOPY other.py /app/package/\nCOPY *.py /flat/\n"
    )
    made = ProcessImage(folder, tmp_path / "stage")
    made.link()
    stage = tmp_path / "stage"
    assert (stage / "app/package/code.py").read_text() == "original"
    assert (stage / "app/package/other.py").read_text() == "other"
    assert (stage / "flat/other.py").read_text() == "other"
    assert sorted(path.name for path in (folder / "package").iterdir()) == ["code.py"]


FAKE = """\
#!{python}
import json, os, sys
words = sys.argv[1:]
if words[0] == "info":
    sys.exit({works})
with open({log!r}, "a") as log:
    print(json.dumps({{"words": words, "password": os.environ.get("PASSWORD")}}), file=log)
if words[:2] == ["image", "inspect"]:
    sys.exit(1)
if words[0] == "run":
    mount = next(word for word in words if ":/airflow/xcom/return.json" in word)
    with open(mount.split(":")[0], "w") as output:
        output.write("[1]")
    sys.exit({code})
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a stand-in for an engine on the path, which writes down how it is called; where it does."""

    def make(name: str = "docker", works: int = 0, code: int = 0) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        log = tmp_path / f"{name}.log"
        program = folder / name
        program.write_text(FAKE.format(python=sys.executable, log=str(log), works=works, code=code))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return log

    return make


def calls(log: Path, command: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return [call for call in found if call["words"][0] == command]


TASK = """\
apiVersion: jobyard/v1
schedule: "0 2 * * *"
tasks:
  one:
    image: inference
    command: [run, "{{ ds }}"]
    args: [a]
    env: {DAY: "{{ day }}", HOME: /scratch}
    secrets: {PASSWORD: db/password}
    scratch: 1Gi
    read_only_root_filesystem: true
    resources: {cpu: 1, cpu_limit: 2, memory: 512Mi}
"""


@pytest.mark.parametrize(("name", "mount"), [("docker", "rw"), ("podman", "rw,Z")])
def test_what_an_engine_is_called_with(
    jobyard: Jobyard,
    add_job: AddJob,
    team_repo: Path,
    docker: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    mount: str,
) -> None:
    log = docker(name)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PASSWORD", "hunter2")
    for variable in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "own-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    add_job("score", TASK)
    code, out, err = jobyard("run", "score", "--day", "2026-11-20")
    assert (code, err) == (0, ""), out
    assert "  - tasks have your own AWS credentials, not their role's\n" in out
    folder = team_repo / ".jobyard/runs/score/2026-11-20/one"
    (ran,) = calls(log, "run")
    words = ran["words"]
    own = words[words.index("--name") + 1]
    image = f"localhost/jobyard-run/inference:{engines.content_of(team_repo / 'images/inference')}"
    assert words == [
        *("run", "--rm", "--name", own, "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"),
        *("--memory", str(512 * 2**20), "--cpus", "2", "--network", "host"),
        *("--volume", f"{folder}/files/xcom/return.json:/airflow/xcom/return.json:{mount}"),
        *("--volume", f"{folder}/files/scratch:/scratch:{mount}"),
        *("--env", "DAY=2026-11-20", "--env", "HOME=/scratch"),
        *("--env", "AWS_ACCESS_KEY_ID", "--env", "AWS_SECRET_ACCESS_KEY"),
        *("--env", "AWS_REGION", "--env", "AWS_DEFAULT_REGION", "--env", "PASSWORD"),
        *("--entrypoint", "run", image, "2026-11-20", "a"),
    ]
    assert ran["password"] == "hunter2"
    assert "hunter2" not in out + json.dumps([call["words"] for call in calls(log, "run")])
    assert [call["words"] for call in calls(log, "build")] == [
        ["build", "--tag", image, str(team_repo / "images/inference")]
    ]
    assert calls(log, "rm") == [{"words": ["rm", "--force", own], "password": "hunter2"}]
    assert json.loads((folder / "output.json").read_text()) == [1]


def test_a_container_that_was_killed(jobyard: Jobyard, add_job: AddJob, docker: Callable[..., Path]) -> None:
    docker(code=137)
    add_job("score", TASK.replace("    secrets: {PASSWORD: db/password}\n", ""))
    code, _, err = jobyard("run", "score", "--day", "2026-11-20")
    assert code == 1
    assert err == (
        "one: its program ended with exit code 137: it was killed, most likely as it used more memory than its limit "
        "of 512Mi; it printed nothing\n"
    )


def test_an_engine_that_does_not_work(
    jobyard: Jobyard, add_job: AddJob, docker: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(works=1)
    monkeypatch.setattr("sys.platform", "linux")
    assert engines.find_engine("") == (None, "docker does not work (it does not say why); no podman; no buildah")
    monkeypatch.setattr("sys.platform", "darwin")
    assert engines.find_engine("")[1].endswith("buildah runs on Linux alone")
    with pytest.raises(EngineError) as raised:
        engines.find_engine("docker")
    assert str(raised.value).endswith("--engine process runs tasks without containers")


def test_on_a_mac_this_machine_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert (engines.Docker().host, engines.Podman().host) == ("host.docker.internal", "host.containers.internal")
    monkeypatch.setattr("sys.platform", "linux")
    assert (engines.Docker().host, engines.Podman().host) == ("127.0.0.1", "127.0.0.1")


def test_an_image_is_built_again_when_a_file_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "a" / "code.py"
    file.parent.mkdir()
    file.write_text("1")
    first = engines.content_of(tmp_path)
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "code.pyc").write_text("x")
    assert engines.content_of(tmp_path) == first
    file.chmod(0o755)
    second = engines.content_of(tmp_path)
    file.write_text("2")
    assert len({first, second, engines.content_of(tmp_path)}) == 3
