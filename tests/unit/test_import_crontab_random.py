"""Whatever the bytes: an import raises only its own errors, loses no line, and writes jobs that can be checked."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobyard_cli.check.run import check_jobs
from jobyard_cli.importing.commands import read_command
from jobyard_cli.importing.crontab import Options, import_crontab
from jobyard_cli.importing.model import Imported
from jobyard_cli.importing.report import Report, as_json, lines, markdown
from jobyard_cli.importing.shell import outline
from jobyard_cli.importing.source import Source, UnreadableSourceError, decoded
from jobyard_cli.importing.writing import write
from jobyard_cli.team.repo import TeamRepo

from tests.conftest import make_team_repo

NUMBERS = st.one_of(
    st.sampled_from(
        ["*", "*/2", "*/7", "0", "5", "1-5", "1,15", "mon", "jan-mar", "3-59/10", "~", "7", "60", "L", "x"]
    ),
    st.integers(0, 62).map(str),
)
PIECES = """
python a.py --x 'a b' "$D" $(date +\\%F) && || ; | > out.csv >> a.log 2>&1 & % \\% # cd /x flock /l timeout 5m sudo
docker run -e A=1 exec compose su - -c [ ] ( ) { } ` ' " \\ {{ds}} {% #} $$ ${#a} --token=abcdefgh12 é 日
"""
WORDS = st.sampled_from([*PIECES.split(), "\t"])
COMMANDS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
ENTRIES = st.builds(
    lambda fields, command: f"{' '.join(fields)} {command}", st.lists(NUMBERS, min_size=5, max_size=5), COMMANDS
)
LINES = st.one_of(
    ENTRIES,
    COMMANDS.map(lambda command: f"0 2 * * * {command}"),
    st.sampled_from(
        ["", "# about", "A=b c", "MAILTO=a@b.cd,root", "CRON_TZ=Asia/Jakarta", "@daily x", "@reboot y", "EOF"]
    ),
    st.sampled_from(["crontab <<EOF", "SHELL=/bin/bash", "API_KEY=abcdefgh12", "#0 1 * * * z", "0 1 * * * root /a"]),
    st.text(max_size=60),
)
CRONTABS = st.lists(LINES, max_size=12).map("\n".join)


def imported(content: bytes, options: Options = Options()) -> tuple[Source, Imported] | None:  # noqa: B008
    try:
        source = decoded(content, "crontab")
    except UnreadableSourceError:
        return None
    return source, import_crontab(source, options)


def accounted(source: Source, result: Imported) -> None:
    """Each line has one outcome, and each of those that are imported is in one job."""
    assert [outcome.number for outcome in result.outcomes] == list(range(1, len(source.lines) + 1))
    in_jobs = sorted(number for job in result.jobs for number in job.lines)
    assert in_jobs == [outcome.number for outcome in result.outcomes if outcome.job]
    assert all(outcome.reason for outcome in result.outcomes if outcome.fate not in ("comment", "blank", "imported"))


def reported(result: Imported) -> list[str]:
    """All forms of the report."""
    report = Report(result, [], [], "jobyard import crontab crontab", checked=False)
    return ["\n".join(lines(report)), markdown(report), as_json(report)]


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    if made := imported(content):
        accounted(*made)
        reported(made[1])


@given(CRONTABS)
@settings(max_examples=400, deadline=None)
def test_no_line_is_lost(text: str) -> None:
    if made := imported(text.encode("utf-8", "surrogatepass"), Options(include_all=True)):
        accounted(*made)
        assert all(character.isprintable() or character == "\n" for character in reported(made[1])[0])
        for job in made[1].jobs:
            assert list(yaml.safe_load(job.text)["tasks"]) == [task.name for task in job.tasks]


@pytest.fixture(scope="module")
def team() -> TeamRepo:
    return TeamRepo.load(make_team_repo(Path(tempfile.mkdtemp()) / "risk-jobs"))


@given(CRONTABS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_check_finds_nothing_but_what_is_to_do(team: TeamRepo, text: str) -> None:
    made = imported(text.encode("utf-8", "surrogatepass"), Options(image="inference", include_all=True))
    if made is None:
        return
    for _ in write(team.root, made[1].files, overwrite=True, dry_run=False):
        pass
    repo = TeamRepo.load(team.root)
    names = [team.root / "dags" / job.name for job in made[1].jobs]
    for finding in check_jobs(repo, names).findings if names else []:
        assert "TODO" in finding.message or "unknown time zone" in finding.message


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_an_outline_covers_the_text(text: str) -> None:
    found = outline(text)
    assert len(found.marks) == len(text)
    for command in found.commands:
        for word in command.words:
            assert text[word.start : word.end] == word.text
    read_command(text)


@given(st.lists(st.from_regex(re.compile(r"[\w ./'\"$-]{1,8}", re.ASCII), fullmatch=True), min_size=1, max_size=6))
def test_quoted_words_come_back(words: list[str]) -> None:
    import shlex

    written = shlex.join(["/opt/program", *words])
    assert read_command(written).words == ("/opt/program", *words)


@given(st.from_regex(re.compile(r"[a-zA-Z0-9]{12,20}"), fullmatch=True), COMMANDS)
@settings(max_examples=200, deadline=None)
def test_a_secret_is_in_no_output(secret: str, command: str) -> None:
    text = f"SERVICE_TOKEN={secret}\n0 1 * * * a --password {secret} {command}\n# was {secret}\n0 2 * * * b {secret}\n"
    made = imported(text.encode())
    assert made is not None
    for output in [*reported(made[1]), *(job.text for job in made[1].jobs)]:
        assert secret not in output
