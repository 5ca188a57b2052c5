"""`jobyard run` with processes: real programs, in environments that uv makes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from tests.support.command import Jobyard
from tests.support.waiting import wait_until

AddJob = Callable[..., Path]

PROGRAM = '''\
"""Does what its arguments say, with nothing but Python's own library."""

import json
import os
import pathlib
import sys
import time

OUTPUT = pathlib.Path("/airflow/xcom/return.json")

print("started with", sys.argv[1:], flush=True)
for argument in sys.argv[1:]:
    name, _, value = argument.partition("=")
    if name == "leave":
        OUTPUT.write_text(value)
    elif name == "show":
        print(f"{value} is {os.environ.get(value)}", flush=True)
    elif name == "fail":
        print("it went wrong", file=sys.stderr, flush=True)
        sys.exit(3)
    elif name == "sleep":
        time.sleep(float(value))
    elif name == "scratch":
        with open("/scratch/file", "w") as file:
            file.write(value)
        print(sorted(os.listdir("/scratch")), os.path.exists("/scratch/file"), flush=True)
    elif name == "read":
        print(pathlib.Path("/app/data/words.txt").read_text(), flush=True)
'''
DOCKERFILE = """\
FROM docker.io/library/debian:12
# The code alone.
ENV PYTHONPATH=/app WORDS="/app/data/words.txt" \\
    PLAIN=/usr/share
WORKDIR /app
COPY program.py data ./
COPY data /app/data
COPY ["data/words.txt", "/app/more/"]
RUN apt-get update
ENTRYPOINT ["python", "-m", "program"]
CMD ["leave=1"]
"""


@pytest.fixture(autouse=True)
def image(team_repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image of the team's, which needs no library; environments are made in the test's own cache."""
    monkeypatch.setenv("JOBYARD_CACHE", str(tmp_path / "cache"))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = team_repo / "images" / "program"
    (folder / "data").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "program.py").write_text(PROGRAM)
    (folder / "data" / "words.txt").write_text("some words")
    return folder


def job(tasks: str, schedule: str = '"0 2 * * *"', more: str = "") -> str:
    return f"apiVersion: jobyard/v1\nschedule: {schedule}\n{more}tasks:\n{tasks}"


def log_of(team_repo: Path, task: str, name: str = "score", day: str = "2026-11-20") -> str:
    return (team_repo / ".jobyard" / "runs" / name / day / task / "log.txt").read_text()


ONE = "  one:\n    image: program\n    args: {args}\n"


def run(jobyard: Jobyard, *arguments: str) -> tuple[int, str, str]:
    return jobyard("run", "score", *arguments, "--day", "2026-11-20", "--engine", "process")


def test_a_task_gets_what_the_job_and_the_image_say(
    jobyard: Jobyard, add_job: AddJob, team_repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "not for tasks")
    add_job(
        "score",
        job(
            "  one:\n    image: program\n    scratch: 1Gi\n"
            '    args: ["{{ ds }}", show=DAY, show=TMPDIR, show=WORDS, show=PLAIN, show=MINE, read, scratch=x]\n'
            '    env: {DAY: "{{ day }}", TMPDIR: /scratch}\n',
            more="timezone: Asia/Jakarta\n",
        ),
    )
    code, out, err = run(jobyard)
    assert (code, err) == (0, "")
    log = log_of(team_repo, "one")
    assert "started with ['2026-11-19'" in log  # In UTC it is still the day before.
    assert "DAY is 2026-11-20" in log
    assert "MINE is None" in log
    assert f"WORDS is {team_repo}/.jobyard/images/program/app/data/words.txt" in log
    assert "PLAIN is /usr/share" in log
    assert "some words" in log
    assert "['file'] True" in log
    assert f"TMPDIR is {team_repo}/.jobyard/runs/score/2026-11-20/one/files/scratch" in log
    assert "risk.score: data interval 2026-11-20 02:00 to 2026-11-21 02:00 WIB" in out
    assert "1 succeeded; logs and outputs: .jobyard/runs/score/2026-11-20" in out


def test_only_what_differs_is_said(jobyard: Jobyard, add_job: AddJob) -> None:
    add_job("score", job(ONE.format(args="[]"), more="defaults: {retries: {attempts: 0}}\n"))
    _, out, _ = run(jobyard)
    lines = [line.strip(" -") for line in out.splitlines() if line.startswith("  - ")]
    assert lines == [
        "the job and the images are those of this folder, not of a release",
        "tasks are processes of this machine, not containers (as --engine says): memory and processors are not limited",
        "/airflow/xcom and /scratch are folders of the run for Python's functions of files, and in arguments",
        "program: not carried out of its Dockerfile: RUN apt-get update",
        "program: no file of requirements, so none of its image's libraries are there",
        "tasks have no AWS credentials: none of yours were found",
    ]


def test_everything_that_can_differ(jobyard: Jobyard, add_job: AddJob) -> None:
    add_job("least")
    add_job(
        "score",
        job(
            "  check: {type: sql-check, with: {sql: SELECT 1}}\n"
            "  a: {image: program, scratch: 1Gi, outputs: ['s3://predictions/x']}\n"
            '  b: {image: program, args: ["{{ run_id }}", "{{ prev_start_date_success }}"]}\n',
            more="start_date: 2026-11-25\nwait_for: [risk.least]\nalerts: {on_failure: [{slack: '#a'}]}\n",
        ),
    )
    code, out, _ = run(jobyard)
    assert code == 0
    for line in (
        "Airflow has no run for this day: the job's start_date is 2026-11-25",
        "other jobs are not waited for: risk.least",
        "no alerts are sent",
        "taken as passed, without being run: check (sql-check)",
        "a task that fails is not tried again",
        "no other job is started by the assets that tasks update",
        "the scratch space is not limited",
        "tasks run one after the other, also those that do not need each other",
        "run_id is scheduled__2026-11-21T02:00:00+00:00, as Airflow 3 would call it; Airflow 2 calls it otherwise",
        "there is no earlier run: prev_… are none",
    ):
        assert f"  - {line}\n" in out, (line, out)


FLOW = """\
  split: {image: program, args: ['leave=["a", "b", "c"]']}
  train:
    needs: [split]
    image: program
    foreach: {output_of: split}
    args: ['leave={"name": "{{ item }}", "index": {{ ti.map_index }}}']
  judge:
    needs: [train]
    image: program
    args: ['leave={"all": {{ outputs["train"] | tojson }}, "psi": 0.1}']
  retrain: {needs: [judge], image: program, gate: {output_of: judge, value: psi, above: 0.2}}
  after: {needs: [retrain], image: program}
  report: {needs: [retrain], image: program, trigger_rule: none_failed, args: ["{{ outputs.judge.all | length }}"]}
"""


def test_outputs_items_gates_and_trigger_rules(jobyard: Jobyard, add_job: AddJob, team_repo: Path) -> None:
    add_job("score", job(FLOW))
    code, out, err = run(jobyard)
    assert (code, err) == (0, "")
    assert "– retrain skipped: the gate is closed: judge.psi is 0.1, wanted: above 0.2" in out
    assert "– after skipped: trigger rule all_success, and: retrain skipped" in out
    assert "6 succeeded, 2 skipped" in out
    kept = json.loads((team_repo / ".jobyard/runs/score/2026-11-20/judge/output.json").read_text())
    assert kept["all"] == [{"name": name, "index": index} for index, name in enumerate("abc")]
    assert "started with ['3']" in log_of(team_repo, "report")


def test_one_task_uses_what_an_earlier_run_has_left(jobyard: Jobyard, add_job: AddJob, team_repo: Path) -> None:
    add_job("score", job(FLOW))
    code, _, err = run(jobyard, "report")
    assert code == 1
    assert err.splitlines() == [
        "report: no output of judge: run it first (jobyard run score judge --day 2026-11-20), or give it with "
        "--output judge=<JSON>, or --output judge.<name>=<value>",
        "nothing was run",
    ]
    assert run(jobyard, "report", "--output", "judge.all=[1, 2]")[0] == 0
    assert "started with ['2']" in log_of(team_repo, "report")
    for task in ("split", "train", "judge", "report"):
        assert run(jobyard, task)[0] == 0, task
    assert "started with ['3']" in log_of(team_repo, "report")
    code, out, _ = run(jobyard, "retrain")
    assert code == 0
    assert "– retrain skipped: the gate is closed: judge.psi is 0.1, wanted: above 0.2" in out
    assert run(jobyard, "retrain", "--output", "judge.psi=0.3")[1].count("✓ retrain") == 1


def test_one_item(jobyard: Jobyard, add_job: AddJob, team_repo: Path) -> None:
    add_job("score", job(FLOW))
    run(jobyard, "split")
    code, out, _ = run(jobyard, "train", "--item", "b")
    assert code == 0
    assert "✓ train[1] b" in out
    assert "1 succeeded" in out
    code, _, err = run(jobyard, "train", "--item", "z")
    assert (code, err) == (2, "--item z: no such item; there is 0: a; 1: b; 2: c\n")
    code, _, err = run(jobyard, "--item", "b")
    assert (code, err) == (2, "--item needs a TASK that has a foreach\n")


def test_a_failed_task_shows_the_end_of_its_log(jobyard: Jobyard, add_job: AddJob, team_repo: Path) -> None:
    tasks = (
        "  one: {image: program, args: [fail]}\n"
        "  two: {needs: [one], image: program}\n"
        "  three: {needs: [one], image: program, trigger_rule: all_done}\n"
    )
    add_job("score", job(tasks))
    code, out, err = run(jobyard)
    assert code == 1
    log = team_repo / ".jobyard/runs/score/2026-11-20/one/log.txt"
    assert err == (
        "one: its program ended with exit code 3; the end of its log:\n"
        "  started with ['fail']\n"
        "  it went wrong\n"
        f"  the whole log: {log}\n"
    )
    assert "– two not run: trigger rule all_success, and: one failed" in out
    assert "1 succeeded, 1 failed, 1 not run" in out


def test_an_output_that_is_needed_and_not_left(jobyard: Jobyard, add_job: AddJob) -> None:
    tasks = (
        "  one: {image: program, args: [nothing]}\n"
        '  two: {needs: [one], image: program, args: ["{{ outputs.one }}"]}\n'
        "  list: {image: program, args: ['leave={}']}\n"
        "  each: {needs: [list], image: program, foreach: {output_of: list}}\n"
    )
    add_job("score", job(tasks))
    code, _, err = run(jobyard)
    assert code == 1
    path = "/airflow/xcom/return.json"
    assert sorted(err.splitlines()) == [
        f"list: the output in {path} must be a list, as a foreach uses it; got {{}}",
        f"one: the container wrote nothing to {path}, and another task needs its output",
    ]


def test_a_task_that_takes_too_long_is_ended(jobyard: Jobyard, add_job: AddJob) -> None:
    add_job("score", job("  one: {image: program, args: [sleep=600], timeout: 1s}\n"))
    code, _, err = run(jobyard)
    assert code == 1
    assert "one: it ran for longer than its timeout of 1s; the end of its log:\n" in err


def test_all_that_is_missing_is_said_at_once(
    jobyard: Jobyard, add_job: AddJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job(
        "score",
        job(
            "  one:\n    image: program\n    secrets: {PASSWORD: db/password, TOKEN: api/token}\n"
            '    args: ["{{ var.value.jobyard_data_bucket }}", "{{ var.value.risk_a }}", '
            "\"{{ var.value.get('risk_b', 'b') }}\", show=PASSWORD, show=TOKEN]\n"
        ),
    )
    code, _, err = run(jobyard)
    assert code == 1
    assert err.splitlines() == [
        "one: no value for the secret db/password: set PASSWORD in the environment, or write PASSWORD=… into a file "
        "and give it with --secrets",
        "one: no value for the secret api/token: set TOKEN in the environment, or write TOKEN=… into a file and give "
        "it with --secrets",
        "no value for the Airflow Variable jobyard_data_bucket: give it with --variable jobyard_data_bucket=<value>, "
        "or the data as a folder with --data",
        "no value for the Airflow Variable risk_a: give it with --variable risk_a=<value>",
        "nothing was run",
    ]
    secrets = tmp_path / "secrets"
    secrets.write_text("# Comment\nexport PASSWORD='of the file'\n\n")
    monkeypatch.setenv("TOKEN", "of the environment")
    monkeypatch.setenv("AIRFLOW_VAR_RISK_A", "a")
    code, out, err = run(jobyard, "--secrets", str(secrets), "--variable", "jobyard_data_bucket=bucket")
    assert (code, err) == (0, "")
    assert "of the file" not in out
    assert "of the environment" not in out


def test_secrets_reach_the_task_and_nothing_else(
    jobyard: Jobyard, add_job: AddJob, team_repo: Path, tmp_path: Path
) -> None:
    tasks = "  one: {image: program, args: [show=PASSWORD], secrets: {PASSWORD: db/password}}\n"
    add_job("score", job(tasks + "  two: {image: program, args: [show=PASSWORD]}\n"))
    file = tmp_path / "secrets"
    file.write_text("db/password=hunter2\n")
    code, out, err = run(jobyard, "--secrets", str(file))
    assert code == 0
    assert "hunter2" not in out + err
    assert "PASSWORD is hunter2" in log_of(team_repo, "one")
    assert "PASSWORD is None" in log_of(team_repo, "two")
    kept = [path for path in (team_repo / ".jobyard").rglob("*") if path.is_file() and path.name != "log.txt"]
    assert all(b"hunter2" not in path.read_bytes() for path in kept)
    file.write_text("hunter2\n")
    code, _, err = run(jobyard, "--secrets", str(file))
    assert code == 2
    assert err == f"{file}:1:1: a line must be NAME=VALUE, with the name of a variable or of <secret>/<key>\n"


READER = """\
import boto3, sys
client = boto3.client("s3")
body = client.get_object(Bucket=sys.argv[1], Key="raw/a.txt")["Body"].read().decode()
client.put_object(Bucket=sys.argv[1], Key="made/b.txt", Body=body.upper().encode())
client.delete_object(Bucket=sys.argv[1], Key="raw/old.txt")
"""


def test_a_folder_stands_for_the_bucket(
    jobyard: Jobyard, add_job: AddJob, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The environment of the tests has boto3: the image's own would be installed from a registry.
    packages = str(Path(boto3.__file__).parents[1])
    (image / "Dockerfile").write_text(
        f"FROM debian\nENV PYTHONPATH={packages}\nCOPY reader.py /app/\nENTRYPOINT [python, /app/reader.py]\n".replace(
            "[python, /app/reader.py]", '["python", "/app/reader.py"]'
        )
    )
    (image / "reader.py").write_text(READER)
    data = tmp_path / "sample"
    (data / "raw").mkdir(parents=True)
    (data / "raw" / "a.txt").write_text("rows")
    (data / "raw" / "old.txt").write_text("old")
    monkeypatch.setenv("AWS_PROFILE", "a-persons")
    add_job("score", job('  one: {image: program, args: ["{{ var.value.jobyard_data_bucket }}"]}\n'))
    code, out, err = run(jobyard, "--data", str(data))
    assert (code, err) == (0, ""), out
    assert f"  - the folder {data} stands for s3://jobyard-data; what tasks write is written there\n" in out
    written = {str(path.relative_to(data)): path.read_text() for path in data.rglob("*") if path.is_file()}
    assert written == {"raw/a.txt": "rows", "made/b.txt": "ROWS"}


def test_the_bucket_of_an_environment(jobyard: Jobyard, add_job: AddJob, team_repo: Path) -> None:
    (team_repo / "values/platform/prod.yaml").write_text("environment: {name: prod, dataBucket: the-data}\n")
    add_job("score", job('  one: {image: program, args: ["{{ var.value.jobyard_data_bucket }}"]}\n'))
    assert run(jobyard, "--environment", "prod")[0] == 0
    assert "started with ['the-data']" in log_of(team_repo, "one")
    code, _, err = run(jobyard, "--environment", "pord")
    assert code == 2
    assert "unknown environment 'pord' (did you mean 'prod'? available: prod)" in err


def test_parameters_have_their_types(jobyard: Jobyard, add_job: AddJob, team_repo: Path) -> None:
    more = "params: {limit: {default: 5, minimum: 1}, table: claims, model: {default: a, enum: [a, b]}}\n"
    args = '["{{ params.limit + 1 }}", "{{ params.table }}", "{{ dag_run.conf | tojson }}"]'
    add_job("score", job(ONE.format(args=args), more=more))
    assert run(jobyard, "--param", "limit=7", "--param", "table=12")[0] == 0
    assert """started with ['8', '12', '{"limit": 7, "table": "12"}']""" in log_of(team_repo, "one")
    wrong = ["limit=0", "limits=1", "model=c", "nothing"]
    code, _, err = run(jobyard, *(word for text in wrong for word in ("--param", text)))
    assert code == 2
    assert sorted(err.splitlines()) == [
        "--param limit: 0 is less than the minimum of 1",
        "--param model: 'c' is not one of ['a', 'b']",
        "--param must be NAME=VALUE; got 'nothing'",
        "unknown parameter 'limits' (did you mean 'limit'? the job has: limit, model, table)",
    ]


def test_a_template_that_fails_says_where(jobyard: Jobyard, add_job: AddJob) -> None:
    tasks = (
        "  one: {image: program, args: ['leave={}']}\n"
        '  two: {needs: [one], image: program, args: [a, "{{ outputs.one.rows }}"]}\n'
    )
    add_job("score", job(tasks))
    code, _, err = run(jobyard)
    assert (code, err) == (1, "two: args[1]: 'dict object' has no attribute 'rows'\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "scorn"], 2, "unknown job 'scorn' (did you mean 'score'? available: score)"),
        (["run", "score", "on"], 2, "unknown task 'on' (did you mean 'one'? the job has: one)"),
        (["run", "score", "--day", "yesterday"], 2, "--day must be a date such as 2026-11-20; got 'yesterday'"),
        (["run", "score", "--at", "2"], 2, "--at must be a time such as 02:30; got '2'"),
        (["run", "score", "--engine", "poddman"], 2, "unknown engine 'poddman' (did you mean 'podman'? available: "),
        (["run", "score", "--data", "/nowhere"], 2, "--data must be a folder; got /nowhere"),
        (["run", "score", "--secrets", "/nowhere"], 2, "--secrets /nowhere: [Errno 2]"),
        (["run", "score", "--output", "on=1"], 2, "unknown task 'on' (did you mean 'one'? the job has: one)"),
        (["run", "score", "--output", "one=1"], 2, "--output one: the task is run itself, and leaves its own output"),
        (["run"], 2, "Missing argument 'JOB'"),
    ],
)
def test_mistakes_in_the_command(
    jobyard: Jobyard, add_job: AddJob, arguments: list[str], code: int, message: str
) -> None:
    add_job("score", job(ONE.format(args="[]")))
    found, _, err = jobyard(*arguments)
    assert found == code
    assert message in " ".join(err.replace("│", "").split())


def test_programs_that_cannot_be_started(jobyard: Jobyard, add_job: AddJob, image: Path) -> None:
    tasks = (
        "  missing: {image: program, command: [no-such-program]}\n"
        "  closed: {image: program, command: [/app/data/words.txt]}\n"
        "  silent: {image: inference}\n"
    )
    add_job("score", job(tasks))
    code, _, err = run(jobyard)
    assert code == 1
    closed, missing, silent = sorted(err.splitlines())
    assert closed.startswith("closed: [Errno 13] Permission denied: ")
    assert missing == "missing: `no-such-program` is not installed on this machine"
    assert silent == (
        "silent: images/inference/Dockerfile has neither ENTRYPOINT nor CMD, and the task no command; without a "
        "container, nothing says which program to run"
    )


def test_a_job_with_findings_is_not_run(jobyard: Jobyard, add_job: AddJob, team_repo: Path) -> None:
    add_job("score", job("  one: {image: programs}\n"))
    code, _, err = run(jobyard)
    assert code == 1
    assert "dags/score/job.yaml:4:16: unknown image 'programs'" in err
    assert err.endswith("nothing was run\n")
    assert not (team_repo / ".jobyard").exists()


def test_images_that_are_not_here(jobyard: Jobyard, add_job: AddJob) -> None:
    tasks = "  one: {image: xgboost}\n  two: {image: 'registry.example.com/x/y:1'}\n"
    add_job("score", job(tasks))
    code, _, err = run(jobyard)
    assert code == 1
    assert err.splitlines() == [
        "one: images/xgboost/Dockerfile does not exist, so the image can't be built here",
        "two: the image registry.example.com/x/y:1 can only be run by a container engine",
        "nothing was run",
    ]


def test_it_works_in_a_folder_of_the_repository(
    jobyard: Jobyard, add_job: AddJob, team_repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = add_job("score", job(ONE.format(args="[]")))
    command = [sys.executable, "-m", "jobyard_cli", "run", "score", "--day", "2026-11-20", "--engine", "process"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=file.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (team_repo / ".jobyard/runs/score/2026-11-20/one/log.txt").exists()
    subprocess.run(["git", "init", "--quiet"], cwd=team_repo, check=True)
    status = subprocess.run(["git", "status", "--short"], cwd=team_repo, capture_output=True, text=True, check=True)
    assert ".jobyard" not in status.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_the_command_stops_its_tasks(
    add_job: AddJob, team_repo: Path, tmp_path: Path, how: signal.Signals
) -> None:
    mark = f"sleep={os.getpid()}{int(how)}"
    add_job("score", job(f"  one: {{image: program, foreach: [1, 2], args: [{mark}]}}\n"))
    command = [sys.executable, "-m", "jobyard_cli", "run", "score", "--day", "2026-11-20", "--engine", "process"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=team_repo, env=environment, stdout=pipe, stderr=pipe, text=True, preexec_fn=_take_interrupts
    ) as process:
        folder = team_repo / ".jobyard/runs/score/2026-11-20/one"
        logs = [folder / "0/log.txt", folder / "1/log.txt"]
        wait_until(lambda: all(log.exists() and "started" in log.read_text() for log in logs))
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode == 130
    left = subprocess.run(["pgrep", "--full", mark], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def _take_interrupts() -> None:
    """Take Ctrl-C as in a terminal: what a shell starts in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
