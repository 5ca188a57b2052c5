"""The parts of an import of a crontab: schedules, lines, commands as the shell runs them, secrets, names, chains."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import datetime

import pytest
from cronsim import CronSim
from jinja2 import Environment
from jobyard_cli.importing import chains
from jobyard_cli.importing.commands import Command, read_command
from jobyard_cli.importing.housekeeping import reason
from jobyard_cli.importing.jobs import as_template
from jobyard_cli.importing.lines import Kind, read_lines
from jobyard_cli.importing.names import names_of
from jobyard_cli.importing.schedules import Schedule, ScheduleError, from_fields, from_preset
from jobyard_cli.importing.secrets import Vault
from jobyard_cli.importing.settings import Settings
from jobyard_cli.importing.users import Form


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("0 2 * * *", "0 2 * * *"),
        ("3-59/10 * * * *", "3-59/10 * * * *"),
        ("*/15 8-18 * * mon-fri", "*/15 8-18 * * mon-fri"),
        ("5/15 * * * *", "5,20,35,50 * * * *"),
        ("*/1 * * * *", "* * * * *"),
        ("*/90 * * * *", "0 * * * *"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 5 */1 * 1", "0 5 * * 1"),
        ("0 0 1,15 * sun", "0 0 1,15 * 0"),
        ("0 0 ? * mon", "0 0 * * 1"),
        ("00 06,18 * * *", "0 06,18 * * *"),
        ("0 3 31 * *", "0 3 31 * *"),
        ("0 0 1 JAN,JUL *", "0 0 1 jan,jul *"),
        ("1-5,7,10-12/2 * * * *", "1-5,7,10,12 * * * *"),
    ],
)
def test_a_schedule_is_what_airflow_reads_alike(written: str, expression: str) -> None:
    made = from_fields(written.split())
    assert (made.expression, made.problem) == (expression, "")


@pytest.mark.parametrize("written", ["0 3 */2 * 1", "0 3 1 * */2", "* * */3 * sat"])
def test_days_that_must_both_match_are_a_decision(written: str) -> None:
    made = from_fields(written.split())
    assert made.expression == ""
    assert "Airflow would run it on days that match either" in made.problem


@pytest.mark.parametrize(
    ("written", "index", "message"),
    [
        ("60 * * * *", 0, "minute must be 0 to 59, *, a list or a range; got '60'"),
        ("0 0 0 * *", 2, "day of the month must be 1 to 31, *, a list or a range; got '0'"),
        ("0 0 * foo *", 3, "month must be 1 to 12 or a name such as jan, *, a list or a range; got 'foo'"),
        ("0 0 * * 5-1", 4, "weekday must be 0 to 7 or a name such as mon, *, a list or a range; got '5-1'"),
        ("*/0 * * * *", 0, "minute must be 0 to 59, *, a list or a range; got '*/0'"),
        ("0 0 L * *", 2, "day of the month 'l' is not a field of cron's, which has no L, W and #"),
        ("0 0 * * 5#2", 4, "weekday '5#2' is not a field of cron's, which has no L, W and #"),
    ],
)
def test_a_wrong_field_is_named(written: str, index: int, message: str) -> None:
    with pytest.raises(ScheduleError) as raised:
        from_fields(written.split())
    assert (raised.value.index, str(raised.value)) == (index, message)


def test_presets() -> None:
    assert from_preset("@midnight").expression == "@daily"
    assert from_preset("@Annually").expression == "@yearly"
    assert from_preset("@every 15m").expression == "*/15 * * * *"
    assert from_preset("@reboot").expression == ""
    with pytest.raises(ScheduleError, match="does not divide"):
        from_preset("@every 7m")


def test_forms_of_some_crons_only() -> None:
    (line,) = read_lines(["-*/15 * * * * root /a.sh"])
    assert line.entry is not None
    assert (line.entry.schedule.expression, line.entry.user) == ("*/15 * * * *", "root")
    assert from_preset("@every_minute").interval == 1
    lines = read_lines(["0 0 5 * * * python a.py", "0 2 * * * python a.py \\", "  --all"])
    assert lines[0].entry is not None
    assert lines[0].entry.schedule.expression == "0 5 * * *"
    assert lines[2].problem.startswith("an entry cannot go on in the next line")


def test_a_random_minute_is_always_the_same() -> None:
    first, again = from_fields(["0~30", "4", "*", "*", "*"], "a.py"), from_fields(["0~30", "4", "*", "*", "*"], "a.py")
    assert first == again
    assert 0 <= int(first.expression.split()[0]) <= 30
    assert first.notes == (f"minute '0~30' is random in cron; the job always uses {first.expression.split()[0]}",)


def test_an_interval_is_the_shortest_time_between_runs() -> None:
    assert from_fields(["*/15", "8-18", "*", "*", "*"]).interval == 15
    assert from_fields(["0", "2", "*", "*", "*"]).interval == 1440
    assert from_fields(["50", "23,0", "*", "*", "*"]).interval == 60


def kinds(text: str, form: Form = Form.auto, name: str = "") -> list[str]:
    return [line.kind.value for line in read_lines(text.split("\n"), form, name)]


def test_kinds_of_lines() -> None:
    settings_and_entries = "A=b\n 'Q' = c d \n0 2 * * * x\n@daily x\n#0 2 * * * x"
    text = f"# a\n\n{settings_and_entries}\n# * * * * * user-name command to be executed\nfoo"
    assert kinds(text) == [
        *("comment", "blank", "setting", "setting", "entry", "entry", "disabled", "comment", "unreadable"),
    ]


@pytest.mark.parametrize(
    ("text", "users"),
    [
        ("0 1 * * * root /a.sh", ["root"]),
        ("0 1 * * * iconic bash -x /a.sh", ["iconic"]),
        ("0 1 * * * python /a.py", [""]),
        ("0 1 * * * backuptool /data", [""]),
        ("# m h dom mon dow user command\n0 1 * * * svc-claims /a.sh\n0 2 * * * bash /b.sh", ["svc-claims", ""]),
        ("0 1 * * * poetry run x", [""]),
        ("0 1 * * * airflow db clean", [""]),
        ("0 1 * * * /a.sh\n0 2 * * * /b.sh\n0 3 * * * root python c.py", ["", "", "root"]),
    ],
)
def test_a_column_of_users(text: str, users: list[str]) -> None:
    found = [line.entry.user for line in read_lines(text.split("\n")) if line.entry]
    assert found == users


def test_the_form_can_be_given() -> None:
    (line,) = read_lines(["0 1 * * * tool /data"], Form.system)
    assert line.entry is not None
    assert (line.entry.user, line.entry.command) == ("tool", "/data")
    (line,) = read_lines(["0 1 * * * root /data"], Form.user)
    assert line.entry is not None
    assert line.entry.command == "root /data"
    assert read_lines(["0 1 * * * svc /data"], name="x/etc/cron.d/svc")[0].entry is not None


def test_shells_around_a_crontab() -> None:
    text = "#!/bin/sh\ncat <<'END' | crontab -\n0 1 * * * a\nEND\nservice cron restart"
    assert kinds(text) == ["comment", "wrapper", "entry", "wrapper", "wrapper"]
    (line,) = read_lines(['(crontab -l; echo "0 1 * * * a b") | crontab -'])
    assert line.kind is Kind.entry
    assert line.entry is not None
    assert line.entry.command == "a b"


def test_the_comment_above_explains_an_entry() -> None:
    lines = read_lines(
        ["# ====", "# Trains", "#   weekly.", "0 1 * * * a", "0 2 * * * b", "# apart", "", "0 3 * * * c"]
    )
    comments = [(line.entry.comment, line.entry.comment_lines) for line in lines if line.entry]
    assert comments == [("Trains weekly.", (2, 3)), ("", ()), ("", ())]


@pytest.mark.parametrize(
    ("name", "value", "reason", "env"),
    [
        ("MAILTO", "a@example.com, b@example.com", "an alert of the jobs below when a run fails, to a@example.com, "
         "b@example.com", {}),
        ("MAILTO", "", "no mail, so the jobs below have no alerts", {}),
        ("MAILTO", "root", "left out: an alert needs an e-mail address", {}),
        ("CRON_TZ", "Asia/Jakarta", "the time zone of the jobs below: Asia/Jakarta", {}),
        ("PATH", "/usr/bin:/bin", "left out: the image has its own PATH", {}),
        ("THREADS", "4", "env of the jobs below", {"THREADS": "4"}),
        ("TZ", "Asia/Jakarta", "env of the jobs below", {"TZ": "Asia/Jakarta"}),
    ],
)  # fmt: skip
def test_settings(name: str, value: str, reason: str, env: dict[str, str]) -> None:
    settings = Settings()
    assert settings.take(name, value, 1, Vault())[0] == reason
    assert settings.env == env


def test_a_setting_holds_for_the_entries_below_it_only() -> None:
    settings, vault = Settings(), Vault()
    settings.take("LEVEL", "info", 1, vault)
    above = settings.env
    settings.take("LEVEL", "debug", 3, vault)
    assert (above, settings.env) == ({"LEVEL": "info"}, {"LEVEL": "debug"})


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("python a.py --n 'x y' \"z\"", ("python", "a.py", "--n", "x y", "z")),
        ("a >> /var/log/a.log 2>&1", ("a",)),
        ("a > /dev/null 2>&1", ("a",)),
        ("a &> /tmp/cron.out", ("a",)),
        ("a 2>&1 | logger -t a", ("a",)),
        ("a 2>&1 | tee -a a.log", ("a",)),
        ("a > /proc/1/fd/1 2>/proc/1/fd/2", ("a",)),
        ("nice -n 19 ionice -c3 a b", ("a", "b")),
        ("flock -n -w 5 /tmp/l a b", ("a", "b")),
        ("/usr/bin/flock -n /tmp/l -c 'a b'", ("a", "b")),
        ("sudo -u ml a", ("a",)),
        ("su - ml -c 'a b'", ("a", "b")),
        ("su ml -s /bin/sh -c \"a 'b c'\" >> /var/log/x.log", ("a", "b c")),
        ("nohup a &", ("a",)),
        ("chronic a", ("a",)),
        ("env A=1 B='2 3' a", ("a",)),
        ("a  # explains", ("a",)),
        ("bash -c 'cd /x && a'", ("bash", "-c", "cd /x && a")),
        ("sh -c 'a >> /tmp/a.log 2>&1'", ("a",)),
        ("a \\% b", ("a", "%", "b")),
        ("cd /srv && docker compose run --rm -T app python a.py >> /var/log/a.log 2>&1", ("python", "a.py")),
        ("docker exec -i db psql -c 'select 1'", ("psql", "-c", "select 1")),
        ('su - ml -c "a b"', ("a", "b")),
    ],
)
def test_a_plain_command_is_split_as_the_shell_does(written: str, words: tuple[str, ...]) -> None:
    read = read_command(written)
    assert (read.words, read.text) == (words, "")


@pytest.mark.parametrize(
    ("written", "shell", "text"),
    [
        ("cd /x && a >> a.log 2>&1", "sh", "cd /x && a"),
        ("a | b", "sh", "a | b"),
        ("a || b", "sh", "a || b"),
        ("a $B", "sh", "a $B"),
        ("a *.csv", "sh", "a *.csv"),
        ("a > data.csv", "sh", "a > data.csv"),
        ("a 2>&1 | grep -v b >> a.log 2>&1", "sh", "a 2>&1 | grep -v b"),
        ("a > /data/micron.txt", "sh", "a > /data/micron.txt"),
        ("a >> logs/day.csv 2>&1", "sh", "a >> logs/day.csv 2>&1"),
        ("a 2>&1 | tee -a logs/day.json", "sh", "a 2>&1 | tee -a logs/day.json"),
        ("a > data.csv 2>> err.log", "sh", "a > data.csv"),
        ("source venv/bin/activate && a", "bash", "source venv/bin/activate && a"),
        ("cd /x && flock -n /tmp/l a && b", "sh", "cd /x && a && b"),
        ("cd /x && timeout 5m a; b", "sh", "cd /x && timeout 5m a; b"),
        ("[ -f /x ] && a b", "sh", "if [ -f /x ]; then a b; fi"),
        ("cd /x && test -f y && a && b", "sh", "cd /x && if test -f y; then a && b; fi"),
        ("a {1..3}", "bash", "a {1..3}"),
        ("env $(cat x/.env | xargs) a", "sh", "env $(cat x/.env | xargs) a"),
        ("a%one%two", "sh", "{\na\n} <<'CRON_INPUT'\none\ntwo\nCRON_INPUT"),
        ("(cd /x; a) > /dev/null", "sh", "(cd /x; a)"),
        ("export A=1; a", "sh", "export A=1; a"),
    ],
)
def test_what_needs_a_shell_keeps_its_text(written: str, shell: str, text: str) -> None:
    read = read_command(written)
    assert (read.shell, read.text, read.words) == (shell, text, ())


def test_a_command_is_read_with_what_it_sets() -> None:
    assert read_command("A=1 B=two a").env == {"A": "1", "B": "two"}
    assert read_command("timeout -s KILL 2h a").timeout == "2h"
    run = read_command("docker run --rm -e A=1 -v /d:/d --network host registry.example.com/x:1 b c")
    assert (run.image, run.words, run.env) == ("registry.example.com/x:1", ("b", "c"), {"A": "1"})
    own = read_command("docker run --rm inference:latest --all")
    assert (own.image, own.local_image, own.image_of) == ("", "inference", "'inference:latest'")
    assert run.doubts == ("its container mounts /d:/d, which a pod does not have",)


@pytest.mark.parametrize(
    ("written", "doubt"),
    [
        ("tar -czf /b/x_$(date +%F).tgz /data", "cron ends a command at a % without a backslash"),
        ("cd /x && . ./.env && a", "it reads ./.env: put its values into env and secrets"),
        ("a 'b", "its quotes or brackets are not closed"),
        ("curl http://localhost:8000/x", "it calls a service of the machine (localhost)"),
        ("a > /data/out.csv", "it writes /data/out.csv, which is deleted with the pod"),
        ("conda activate ml && python a.py", "it activates ml/bin/activate"),
        ("papermill in.ipynb out.ipynb", "it runs a notebook, whose output is deleted with the pod"),
        ("ssh batch-2 ./a.sh", "it reaches another machine over ssh"),
        ("a | mail -s done me@example.com", "it sends mail"),
        ("a || true", "what follows || hides a failure"),
        ("a & b", "a part of it runs in the background"),
        ("docker run -e DAY=$(date) x y", "its container gets DAY=$(date) from a shell on the machine"),
        ("docker run --strange x y", "it runs docker, which a pod does not have"),
    ],
)
def test_what_a_person_must_look_at(written: str, doubt: str) -> None:
    assert any(found.startswith(doubt) for found in read_command(written).doubts)


@pytest.mark.parametrize(
    "written",
    [
        "printf '[%s]' a 'b c' \"d\"; printf '[%s]' e",
        'cd / && printf \'[%s]\' "$(pwd)" && printf \'[%s]\' "x\\"y"',
        "printf '[%s]' a | cat | sed s/a/b/",
        "false || printf '[%s]' \"fell back\"",
        "cat%one%two words%$three",
        "printf '[%s]' $((1 + 2)) `echo four` ~root",
        "[ -d / ] && printf '[%s]' yes",
        "[ -f /nowhere ] && printf '[%s]' yes",
        "(printf '[%s]' in; printf '[%s]' group) && printf '[%s]' out # explained",
        "nice printf '[%s]' 'a  b' \\$c \"#\"",
        'A=1 B=\'2 3\' sh -c \'printf "[%s]" "$A" "$B"\'',
        "flock -n /tmp/jobyard-test-lock -c 'printf \"[%s]\" locked'",
    ],
)
def test_a_job_prints_what_cron_would_have(written: str) -> None:
    # What cron does: the text up to the first %, with the rest as standard input.
    command, _, given = written.replace("'[%s]'", "'[\\%s]'").replace('"[%s]"', '"[\\%s]"').partition("%")
    while command.endswith("\\"):
        after, _, given = given.partition("%")
        command = f"{command[:-1]}%{after}"
    shell = ["/bin/sh", "-c", command]
    wanted = subprocess.run(shell, input=given.replace("%", "\n") + "\n", capture_output=True, text=True).stdout
    read = read_command(written.replace("'[%s]'", "'[\\%s]'").replace('"[%s]"', '"[\\%s]"'))
    words = list(read.words) or [read.shell, "-c", read.text]
    shown = subprocess.run(words, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **read.env})
    assert shown.stdout.rstrip("\n") == wanted.replace("[]", "").rstrip("\n")


@pytest.mark.parametrize(
    ("command", "changed", "names"),
    [
        ("a --password hunter22", 'a --password "${PASSWORD}"', ["PASSWORD"]),
        ("a --password=$P --token-file x", "a --password=$P --token-file x", []),
        ("mysqldump -u root -ps3cret db", 'mysqldump -u root -p"${MYSQL_PASSWORD}" db', ["MYSQL_PASSWORD"]),
        ("mysqldump -psecretpw db", 'mysqldump -p"${MYSQL_PASSWORD}" db', ["MYSQL_PASSWORD"]),
        ("a -db-password hunter22", 'a -db-password "${DB_PASSWORD}"', ["DB_PASSWORD"]),
        ("wget ftp://u:pw12@h/x", 'wget ftp://u:"${URL_PASSWORD}"@h/x', ["URL_PASSWORD"]),
        ("a '{\"token\": \"abc12345\"}'", "a '{\"token\": \"'\"${TOKEN}\"'\"}'", ["TOKEN"]),
        ("a \"x?api_key=abc123\"", 'a "x?api_key=${API_KEY}"', ["API_KEY"]),
        ("AWS_SECRET_ACCESS_KEY=abc/def a", 'AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY}" a',
         ["AWS_SECRET_ACCESS_KEY"]),
        ("a AKIAABCDEFGHIJKLMNOP", 'a "${API_KEY}"', ["API_KEY"]),
        ("python tokenizer.py --tokens 512", "python tokenizer.py --tokens 512", []),
        ("docker pull x@sha256:" + "ab" * 32, "docker pull x@sha256:" + "ab" * 32, []),
    ],
)  # fmt: skip
def test_secrets_become_variables(command: str, changed: str, names: list[str]) -> None:
    vault = Vault()
    assert vault.without_secrets(command, 3) == (changed, tuple(names))
    assert [secret.name for secret in vault.secrets] == names


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("certbot -q renew", "it renews certificates of the machine"),
        ("cd / && run-parts --report /etc/cron.daily", "it runs what the machine's distribution installed"),
        ("sudo /usr/sbin/logrotate x", "it rotates logs of the machine"),
        ("apt-get update && apt-get -y upgrade", "it updates software of the machine"),
        ("pgrep -f x || systemctl restart x", "it starts, stops or watches services of the machine"),
        ("docker system prune -f", "it manages containers of the machine"),
        ("cd /x && docker-compose up -d", "it manages containers of the machine"),
        ("/opt/health_check.sh", "by its name, 'health_check.sh' looks after the machine"),
        ("find /var/log -mtime +7 -delete", "it deletes old files of the machine"),
        ("tar czf /backup/etc.tgz /etc", "it backs up files of the machine"),
        ("echo 'cron is alive'", "it only shows that cron runs"),
        ("python train.py", ""),
        ("aws s3 sync s3://a s3://b", ""),
        ("pg_dump shop", ""),
    ],
)
def test_what_does_not_belong_on_the_platform(command: str, why: str) -> None:
    assert reason(read_command(command), from_fields(["0", "2", "*", "*", "*"])) == why


def test_what_runs_too_often() -> None:
    assert reason(read_command("a"), from_fields(["*", "*", "*", "*", "*"])).startswith("it runs every minute")
    assert reason(read_command("a"), from_fields(["*/5", "*", "*", "*", "*"])) == ""


def named(*commands: str) -> list[str]:
    return names_of([read_command(command) for command in commands], ["0200"] * len(commands))


def test_what_hides_no_failure() -> None:
    for written in ("test -e /x || a", "a || exit 1", "a && b", "a; b"):
        assert read_command(written).doubts == ()


def test_names() -> None:
    assert named(
        "cd /x && for f in *.csv; do python load.py; done", "timeout --signal=KILL 3600 python /opt/k.py; echo d"
    ) == ["load", "k"]
    assert named("python /opt/x/train_model.py --all") == ["train-model"]
    assert named("cd /opt/claims && ./run.sh", "python -m src.jobs.pulse") == ["claims-run", "pulse"]
    assert named("a.sh --daily 1", "a.sh --weekly 1") == ["a-daily", "a-weekly"]
    assert named("a.sh", "a.sh", "a.sh") == ["a-0200", "a-0200-2", "a-0200-3"]
    assert named("curl https://api.example.com/v1/refresh") == ["curl-api-refresh"]
    assert named("docker run registry.example.com/x/report:2") == ["report"]
    assert named("$X", "123", "'", "日本") == ["x", "job-0200", "job-0200-2", "job-0200-3"]
    assert named("jupyter nbconvert --to notebook --execute /x/weekly_scores.ipynb") == ["weekly-scores"]
    assert named("bash -c 'sleep 5; python score.py'") == ["score"]


def step(name: str, line: int, start: int, text: str = "", comment: str = "", folder: str = "/x") -> chains.Step:
    return chains.Step(name, line, (start,), ("*", "*", "*"), "UTC", folder, name, text or name, comment)


def test_chains_with_their_reasons() -> None:
    (chain,) = chains.find([step("features", 1, 120), step("inference", 2, 180), step("report", 3, 240)])
    assert (chain.name, chain.certainty) == ("features,inference,report", "likely")
    (chain,) = chains.find([step("a", 1, 0, "a > /d/x.csv"), step("b", 2, 30, "b /d/x.csv", "after a is done")])
    assert chain.certainty == "almost certain"
    assert chain.links[0].reasons[1:] == ("both name /d/x.csv", "the comment of line 2 names it", "both are in /x")


def test_a_chain_several_times_a_day() -> None:
    first = chains.Step("features", 1, (60, 780), ("1-31",), "UTC", "/x", "features", "features")
    (chain,) = chains.find([first, replace(first, name="inference", program="inference", moments=(90, 810))])
    assert chain.links[0].reasons[0] == "they start 30 min apart on the same days"
    assert chains.find([first, replace(first, name="inference", program="inference", moments=(90, 840))]) == []


@pytest.mark.parametrize(
    "steps",
    [
        [step("features", 1, 120), step("inference", 2, 120)],
        [step("features", 1, 120), step("inference", 2, 900)],
        [step("inference", 1, 120), step("features", 2, 180)],
        [step("alpha", 1, 120), step("beta", 2, 180)],
        [step("stops-0900", 1, 540), step("stops-1000", 2, 600)],
    ],
)
def test_no_chain_without_an_order(steps: list[chains.Step]) -> None:
    assert chains.find(steps) == []


@pytest.mark.parametrize("text", ["echo {{ x }}", "a ${#b[@]}", "{% x %}", "raw {{ x }} {#", "a $$ b", "plain"])
def test_airflow_and_kubernetes_leave_a_text_as_it_is(text: str) -> None:
    rendered = Environment(autoescape=False).from_string(as_template(text)).render()
    # Kubernetes reads $$ as an escaped $.
    assert rendered.replace("$$", "$") == text


def test_a_schedule_in_words() -> None:
    assert from_fields(["0", "2", "*", "*", "*"]).words == "At 02:00 every day"
    assert Schedule("x", "").words == "`x`"
    assert next(CronSim(from_fields(["0", "0", "*", "*", "7"]).expression, datetime(2026, 1, 1))).weekday() == 6


def test_a_command_as_one_line() -> None:
    assert Command(("a", "b")).whole == "a b"
