"""`jobyard import crontab`: the jobs, the report of every line, and what is never done without being asked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.command import Jobyard
from tests.support.golden import assert_golden
from tests.support.paths import ROOT

CRONTABS = ROOT / "tests" / "fixtures" / "crontabs"
Write = Callable[..., Path]


@pytest.fixture
def crontab(team_repo: Path) -> Write:
    """Write a crontab beside the team's repository."""

    def write(content: str | bytes, name: str = "crontab") -> Path:
        file = team_repo.parent / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def job_of(team_repo: Path, name: str) -> dict[str, object]:
    job = yaml.safe_load((team_repo / "dags" / name / "job.yaml").read_text())
    assert isinstance(job, dict)
    return job


def task_of(team_repo: Path, name: str) -> dict[str, object]:
    tasks = job_of(team_repo, name)["tasks"]
    assert isinstance(tasks, dict)
    return dict(tasks[name])


@pytest.mark.golden
@pytest.mark.parametrize("shape", ["pipeline", "system", "containers", "script"])
def test_report_and_jobs_are_the_golden_ones(
    shape: str, jobyard: Jobyard, team_repo: Path, crontab: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    crontab((CRONTABS / shape / "crontab").read_bytes())
    monkeypatch.chdir(team_repo)
    code, out, err = jobyard("import", "crontab", "../crontab", "--timezone", "Asia/Jakarta")
    assert err == ""
    jobs = sorted((team_repo / "dags").glob("*/job.yaml"))
    texts = [f"=== {job.parent.name}\n{job.read_text()}" for job in jobs]
    assert_golden(CRONTABS / shape / "report.txt", f"{out}exit code {code}\n")
    assert_golden(CRONTABS / shape / "jobs.txt", "".join(texts))


@pytest.mark.golden
def test_markdown_is_the_golden_one(jobyard: Jobyard, crontab: Write) -> None:
    crontab((CRONTABS / "pipeline" / "crontab").read_bytes())
    _, out, _ = jobyard("import", "crontab", "../crontab", "--dry-run", "--format", "markdown")
    assert_golden(CRONTABS / "pipeline" / "report.md", out)


def test_a_plain_entry_is_complete_with_an_image(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    crontab("MAILTO=ml@example.com\n# Scores claims.\n30 2 * * * python score.py --all\n")
    code, out, _ = jobyard("import", "crontab", "../crontab", "--image", "inference")
    assert code == 0
    assert "`jobyard check` of these jobs: 0 problems" in out
    assert job_of(team_repo, "score") == {
        "apiVersion": "jobyard/v1",
        "description": "Scores claims.",
        "schedule": "30 2 * * *",
        "timezone": "UTC",
        "alerts": {"on_failure": [{"email": "ml@example.com"}]},
        "defaults": {"retries": {"attempts": 2, "delay": "5m"}, "timeout": "6h"},
        "tasks": {"score": {"image": "inference", "command": ["python"], "args": ["score.py", "--all"]}},
    }


def test_an_image_of_the_team_is_found_by_its_name(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    crontab("0 2 * * * docker run --rm inference:latest --all\n0 3 * * * docker run --rm other --all\n")
    jobyard("import", "crontab", "../crontab")
    assert task_of(team_repo, "inference") == {"image": "inference", "args": ["--all"]}
    assert task_of(team_repo, "other") == {"image": "TODO", "args": ["--all"]}


def test_the_check_points_at_each_todo(jobyard: Jobyard, crontab: Write) -> None:
    crontab("API_TOKEN=made-up-value\n0 5 */2 * 1 python a.py $REGION\n")
    jobyard("import", "crontab", "../crontab")
    code, out, _ = jobyard("check")
    assert code == 1
    assert out.splitlines() == [
        "dags/a/job.yaml:6:11: a cron expression must have five fields (minute hour day month weekday), such as "
        "'0 2 * * *'; 'TODO 0 5 */2 * 1' has 6",
        "dags/a/job.yaml:15:12: unknown image 'TODO' (images/ and values/team.yaml have: feature-generation, "
        "inference, xgboost)",
        "dags/a/job.yaml:18:26: 'API_TOKEN' must be the name of a Secret and one of its keys, such as "
        "database/password; got 'TODO'",
        "dags/a/job.yaml:18:40: 'REGION' must be the name of a Secret and one of its keys, such as "
        "database/password; got 'TODO'",
        "4 problems in 1 file",
    ]


def test_an_existing_job_is_kept_unless_asked(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    crontab("0 2 * * * python score.py\n")
    assert jobyard("import", "crontab", "../crontab", "--image", "inference")[0] == 0
    file = team_repo / "dags" / "score" / "job.yaml"
    imported = file.read_text()
    code, out, _ = jobyard("import", "crontab", "../crontab", "--image", "inference")
    assert (code, "dags/score/job.yaml: unchanged" in out) == (0, True)
    file.write_text(imported + "# mine\n")
    code, out, _ = jobyard("import", "crontab", "../crontab", "--image", "inference")
    assert (code, file.read_text()) == (1, imported + "# mine\n")
    assert "dags/score/job.yaml: exists and differs: it was not changed" in out
    code, out, _ = jobyard("import", "crontab", "../crontab", "--image", "inference", "--overwrite")
    assert (code, file.read_text()) == (0, imported)
    assert "dags/score/job.yaml: replaced" in out


def test_a_dry_run_writes_nothing_and_needs_no_repository(
    jobyard: Jobyard, team_repo: Path, crontab: Write, tmp_path: Path
) -> None:
    crontab("0 2 * * * python score.py\n")
    code, out, _ = jobyard("import", "crontab", "../crontab", "--dry-run")
    assert (code, list((team_repo / "dags").iterdir())) == (0, [])
    assert "Files (nothing was written: --dry-run):\n  dags/score/job.yaml: new" in out
    (team_repo / "values" / "team.yaml").unlink()
    assert jobyard("import", "crontab", "../crontab", "--dry-run")[0] == 0
    code, _, err = jobyard("import", "crontab", "../crontab")
    assert (code, "is not a team's repository" in err) == (2, True)


def test_entries_proposed_to_leave_out_are_imported_on_request(
    jobyard: Jobyard, team_repo: Path, crontab: Write
) -> None:
    crontab("* * * * * python poll.py\n@reboot python serve.py\n0 1 * * * certbot renew\n#0 3 * * * python old.py\n")
    jobyard("import", "crontab", "../crontab", "--image", "inference")
    assert list((team_repo / "dags").iterdir()) == []
    code, out, _ = jobyard("import", "crontab", "../crontab", "--image", "inference", "--include", "2")
    assert (code, [job.name for job in (team_repo / "dags").iterdir()]) == (0, ["serve"])
    assert job_of(team_repo, "serve")["schedule"] is None
    assert "although it runs when the machine starts" in out
    jobyard("import", "crontab", "../crontab", "--image", "inference", "--include", "all")
    assert {job.name for job in (team_repo / "dags").iterdir()} == {"serve", "poll", "certbot"}
    _, out, _ = jobyard("import", "crontab", "../crontab", "--image", "inference", "--include", "4")
    assert "4  imported as dags/old/job.yaml: at 03:00 every day (UTC)" in out


def test_a_chain_is_proposed_and_joined_only_on_request(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    crontab(
        "15 12 * * 4 cd /code/; bash /code/shop_features.sh\n"
        "30 13 * * 4 cd /code/; bash /code/shop_inference.sh --in shop.parquet\n"
    )
    _, out, _ = jobyard("import", "crontab", "../crontab", "--image", "inference")
    assert "shop-features (line 1, 12:15) -> shop-inference (line 2, 13:30): likely" in out
    assert "they start 75 min apart on the same days; 'features' usually comes before 'inference'" in out
    command = "jobyard import crontab ../crontab --image inference --chain shop-features,shop-inference"
    assert f"to join them: {command}" in out
    assert {job.name for job in (team_repo / "dags").iterdir()} == {"shop-features", "shop-inference"}
    code, out, _ = jobyard(*command.split()[1:])
    assert (code, "Proposals" in out) == (0, False)
    assert "dags/shop-features-to-shop-inference/job.yaml: at 12:15 on Thursday (UTC)" in out
    assert "dags/shop-features-to-shop-inference/job.yaml: task shop-inference, after shop-features" in out
    assert "dags/shop-features/job.yaml: its task is in a joined job now: delete this file, or both run" in out
    joined = job_of(team_repo, "shop-features-to-shop-inference")
    assert joined["schedule"] == "15 12 * * 4"
    assert isinstance(joined["tasks"], dict)
    assert joined["tasks"]["shop-inference"]["needs"] == ["shop-features"]


def test_joined_tasks_that_name_the_same_file_are_to_be_looked_at(
    jobyard: Jobyard, team_repo: Path, crontab: Write
) -> None:
    crontab(
        "# Features of the day\n0 2 * * * cd /x && python features.py --out data/day.json\n"
        "# Needs the features\n0 3 * * * cd /x && python score.py --in data/day.json --out s3://b/scores.csv\n"
        "# Last\n0 4 * * * cd /x && python report.py s3://b/scores.csv\n"
    )
    command = ["import", "crontab", "../crontab", "--image", "inference"]
    assert "share no disk" not in jobyard(*command, "--dry-run")[1]
    _, out, _ = jobyard(*command, "--chain", "features,score,report")
    look = "task 'features' names data/day.json, too, and the pods of two tasks share no disk"
    assert out.count("share no disk") == 1
    assert f"! {look}" in out
    text = (team_repo / "dags" / "features-to-report" / "job.yaml").read_text()
    assert f"    # Look at this: {look}" in text
    assert job_of(team_repo, "features-to-report")["description"] == "Features of the day. Needs the features. Last."


def test_no_secret_is_copied_anywhere(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    values = ["hunter2hunter2", "tok-11112222", "pw5551212", "basic777pw"]
    crontab(
        f"DB_PASSWORD={values[0]}\n"
        f"# old: --token {values[1]}\n"
        f"0 1 * * * python load.py --api-token={values[1]} --url https://me:{values[2]}@example.com/x\n"
        f"#0 2 * * * mysqldump -u root -p{values[2]} db\n"
        f"0 3 * * * curl -u me:{values[3]} 'https://example.com/?key={values[1]}' && python b.py {values[0]}\n"
        f"0 99 * * * PASSWORD={values[3]} x\n"
    )
    outputs = [jobyard("import", "crontab", "../crontab", "--format", name)[1] for name in ("text", "markdown", "json")]
    files = [file.read_text() for file in (team_repo / "dags").glob("*/job.yaml")]
    assert len(files) == 2
    for text in [*outputs, *files]:
        for value in values:
            assert value not in text
    task = task_of(team_repo, "load")
    assert task["command"] == ["sh", "-c"]
    assert task["args"] == [
        'python load.py --api-token="${API_TOKEN}" --url https://me:"${URL_PASSWORD}"@example.com/x'
    ]
    assert task["secrets"] == {"API_TOKEN": "TODO", "URL_PASSWORD": "TODO", "DB_PASSWORD": "TODO"}


def test_secrets_of_one_secret(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    crontab("0 1 * * * PGPASSWORD=made-up-value psql -c 'select 1'\n")
    code, _, _ = jobyard("import", "crontab", "../crontab", "--image", "inference", "--secret", "warehouse")
    assert code == 0
    task = task_of(team_repo, "psql")
    assert (task["command"], task["args"]) == (["psql"], ["-c", "select 1"])
    assert task["secrets"] == {"PGPASSWORD": "warehouse/PGPASSWORD"}


def test_a_script_beside_the_crontab_gets_an_image(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    file = crontab("0 1 * * * cd /opt/claims && python train.py\n30 1 * * * python /opt/claims/token.py\n")
    (file.parent / "train.py").write_text("print('trains')\n")
    (file.parent / "token.py").write_text("PASSWORD = 'made-up-value'\n")
    (file.parent / "requirements.txt").write_text("polars\n")
    _, out, _ = jobyard("import", "crontab", "../crontab")
    assert task_of(team_repo, "train")["image"] == "claims"
    assert task_of(team_repo, "token")["image"] == "TODO"
    assert "token.py has what looks like a secret, so it was not copied into images/" in out
    folder = team_repo / "images" / "claims"
    assert {image.name for image in folder.iterdir()} == {"Dockerfile", "train.py", "requirements.txt"}
    assert "WORKDIR /opt/claims\n" in (folder / "Dockerfile").read_text()
    _, out, _ = jobyard("import", "crontab", "../crontab")
    assert "images/claims/Dockerfile: unchanged" in out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "0 lines: 0 entries imported as 0 jobs"),
        (b"\n\n", "2 lines: 0 entries imported as 0 jobs"),
        (b"# only a comment", "1 line: 0 entries imported as 0 jobs"),
        (b"\xef\xbb\xbf0 2 * * * python a.py\r\n", "lines end as on Windows (CRLF)"),
        ("# Führt aus\n0 2 * * * python a.py\n".encode("latin-1"), "line 1 is not UTF-8 (byte 0xfc)"),
        ("0 2 * * * python a.py\n".encode("utf-16"), "the file is in UTF-16"),
        (b"0\t2\t*\t*\t*\tpython\ta.py\n", "imported as dags/a/job.yaml: at 02:00 every day (UTC)"),
    ],
)
def test_any_form_of_file(content: bytes, expected: str, jobyard: Jobyard, crontab: Write) -> None:
    crontab(content)
    code, out, err = jobyard("import", "crontab", "../crontab")
    assert (code, err) == (0, "")
    assert expected in out


def test_standard_input(jobyard: Jobyard, team_repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"0 2 * * * python a.py\n")))
    assert jobyard("import", "crontab", "-")[0] == 0
    assert "from standard input, line 1:" in (team_repo / "dags" / "a" / "job.yaml").read_text()


def test_all_unreadable_lines_are_reported_at_once(jobyard: Jobyard, team_repo: Path, crontab: Write) -> None:
    crontab(
        "61 2 * * * a\n0 2 * * xyz b\nexport A=1\nsome prose\n0 2 * *\n@fortnightly c\n{{ cron }} d\n0 3 * * * ok\n"
    )
    code, out, err = jobyard("import", "crontab", "../crontab")
    assert (code, err) == (1, "")
    reported = [line.strip().partition("  ")[2] for line in out.splitlines() if "../crontab:" in line][1:]
    assert reported == [
        "../crontab:1:1: minute must be 0 to 59, *, a list or a range; got '61'",
        "../crontab:2:9: weekday must be 0 to 7 or a name such as mon, *, a list or a range; got 'xyz'",
        "../crontab:3:1: cron has no 'export': a setting is NAME=value alone",
        "../crontab:4:1: not a line of a crontab: neither a comment (#), nor a setting (NAME=value), nor an entry "
        "(0 2 * * * command)",
        "../crontab:5:1: an entry must have five fields (minute hour day month weekday) and a command",
        "../crontab:6:1: unknown name @fortnightly (cron has: @hourly, @daily, @midnight, @weekly, @monthly, @yearly, "
        "@annually, @reboot)",
        "../crontab:7:1: a placeholder of a template: import the file as it is on the machine (crontab -l)",
    ]
    assert (team_repo / "dags" / "ok" / "job.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("../nothing", "../nothing: cannot read the file: No such file or directory"),
        (".", ".: cannot read the file: Is a directory"),
        ("../crontab --timezone Asia/Jakata", "unknown time zone 'Asia/Jakata' (did you mean 'Asia/Jakarta'?)"),
        ("../crontab --include 2", "--include must be the number of a line with an entry; got 2"),
        ("../crontab --include x", "--include must be the number of a line, or all; got 'x'"),
        ("../crontab --chain score,infer", "unknown job 'infer' (the crontab gives: score)"),
        ("../crontab --chain score", "--chain must have at least two jobs, separated by commas"),
        ("../crontab --chain score,score", "--chain must have each job once; got 'score' again"),
        ("../crontab --secret Data_Base", "--secret must be the name of a Kubernetes Secret, such as database"),
        ("../crontab --encoding klingon", "cannot read the file as klingon: unknown encoding: klingon"),
    ],
)
def test_a_wrong_command_is_refused(arguments: str, message: str, jobyard: Jobyard, crontab: Write) -> None:
    crontab("0 2 * * * python score.py\n")
    code, _, err = jobyard("import", "crontab", *arguments.split())
    assert (code, message in err) == (2, True), err


def test_binary_content_is_refused_with_its_place(jobyard: Jobyard, crontab: Write) -> None:
    crontab(b"0 2 * * * a\n\x00\x01")
    code, _, err = jobyard("import", "crontab", "../crontab")
    assert (code, err) == (2, "../crontab:2:1: a crontab must be text; got a NUL character\n")


def test_json_has_each_line_once(jobyard: Jobyard, crontab: Write) -> None:
    crontab((CRONTABS / "pipeline" / "crontab").read_bytes())
    report = json.loads(jobyard("import", "crontab", "../crontab", "--dry-run", "--format", "json")[1])
    lines = len((CRONTABS / "pipeline" / "crontab").read_text().splitlines())
    assert [line["line"] for line in report["lines"]] == list(range(1, lines + 1))
    assert [secret["name"] for secret in report["secrets"]] == ["DB_PASSWORD", "AUTHORIZATION"]
