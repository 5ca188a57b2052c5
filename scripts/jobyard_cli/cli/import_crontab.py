"""`jobyard import crontab`: a crontab's entries as jobs, with a report of every line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import TeamRepository, team_root
from jobyard_cli.errors import UsageError

if TYPE_CHECKING:
    from jobyard_cli.check.findings import Finding
    from jobyard_cli.importing.crontab import Options
    from jobyard_cli.importing.report import Report
    from jobyard_cli.importing.users import Form
    from jobyard_cli.team.repo import TeamRepo

_SECRET = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class ImportFormat(StrEnum):
    """For a person, for the description of a merge request, or for a program."""

    text = "text"
    markdown = "markdown"
    json = "json"


class CrontabForm(StrEnum):
    """Whether there is a column of users."""

    auto = "auto"
    user = "user"
    system = "system"


def crontab(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The crontab; - reads standard input.")],
    timezone: Annotated[
        str, typer.Option(help="Time zone of entries without CRON_TZ: that of the machine, such as Asia/Jakarta.")
    ] = "UTC",
    image: Annotated[
        str, typer.Option(help="Image of every job that names none.", show_default="TODO, which the check reports")
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            help="Kubernetes Secret that has the secrets found, each under its name.",
            show_default="TODO, which the check reports",
        ),
    ] = "",
    chain: Annotated[
        list[str] | None,
        typer.Option(help="Jobs to join into one, in order and separated by commas; may be repeated."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="Line to import although leaving it out is proposed, or `all`; may be repeated."),
    ] = None,
    form: Annotated[
        CrontabForm, typer.Option(help="A user's crontab, or the system's, which has a column of users.")
    ] = CrontabForm.auto,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the file.", show_default="UTF-8, or else Latin-1")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the report, and write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist and differ.")] = False,
    output: Annotated[ImportFormat, typer.Option("--format", help="Output format.")] = ImportFormat.text,
    repo: TeamRepository = None,
) -> None:
    """Turn a crontab into jobs, dags/JOB/job.yaml, and report what became of each line.

    Exit codes: 0 every line is accounted for, 1 a line cannot be read or a file that exists was kept, 2 the command
    itself is wrong.
    """
    from jobyard_cli.importing.crontab import import_crontab
    from jobyard_cli.importing.model import Fate
    from jobyard_cli.importing.report import Report
    from jobyard_cli.importing.source import read
    from jobyard_cli.importing.writing import replaced_by_chains, write

    source = read(file, encoding)
    team = team_for(repo, dry_run)
    lines, all_lines = _lines(include or [])
    options = _options(timezone, image, secret, lines, all_lines, chain or [], form, team)
    imported = import_crontab(source, options)
    root = None if team is None else team.root
    written = list(write(root, imported.files, overwrite=overwrite, dry_run=dry_run))
    written += replaced_by_chains(root, imported.jobs)
    findings = [] if team is None or dry_run else findings_of(team.root, [job.name for job in imported.jobs])
    checked = team is not None and not dry_run and bool(imported.jobs)
    report = Report(imported, written, findings, _command(file, options, encoding), checked, dry_run)
    _tell(report, output)
    if imported.count(Fate.unreadable) or report.kept:
        raise typer.Exit(1)


def team_for(repo: Path | None, dry_run: bool) -> TeamRepo | None:
    """Return the team's repository; a dry run needs none."""
    from jobyard_cli.team.repo import NotATeamRepoError, TeamRepo

    try:
        return TeamRepo.load(team_root(repo))
    except NotATeamRepoError:
        if dry_run and repo is None:
            return None
        raise


def _options(
    timezone: str,
    image: str,
    secret: str,
    lines: frozenset[int],
    all_lines: bool,
    chain: list[str],
    form: Form | CrontabForm,
    team: TeamRepo | None,
) -> Options:
    from zoneinfo import available_timezones

    from jobyard_cli.check.findings import did_you_mean
    from jobyard_cli.importing.crontab import Options
    from jobyard_cli.importing.skeletons import images_of_others
    from jobyard_cli.importing.users import Form

    if timezone not in available_timezones():
        hint = did_you_mean(timezone, available_timezones()) or "it must be in the IANA database, such as Asia/Jakarta"
        raise UsageError(f"--timezone: unknown time zone '{timezone}' ({hint})")
    if secret and not _SECRET.fullmatch(secret):
        raise UsageError(f"--secret must be the name of a Kubernetes Secret, such as database; got '{secret}'")
    chains = tuple(tuple(name.strip() for name in names.split(",")) for names in chain)
    known = frozenset() if team is None else images_of_others(team.root, team.images)
    return Options(timezone, image, secret, lines, all_lines, chains, Form(form.value), known)


def _lines(include: list[str]) -> tuple[frozenset[int], bool]:
    """The numbers of --include, and whether it says `all`."""
    numbers = set()
    for given in include:
        if given != "all" and not (given.isascii() and given.isdigit()):
            raise UsageError(f"--include must be the number of a line, or all; got '{given}'")
        if given != "all":
            numbers.add(int(given))
    return frozenset(numbers), "all" in include


def findings_of(root: Path, names: Sequence[str]) -> list[Finding]:
    """Return what the check says of these jobs."""
    from jobyard_cli.check.run import check_repo

    jobs = [root / "dags" / name for name in names]
    return check_repo(root, jobs).findings if jobs else []


def _command(file: str, options: Options, encoding: str | None) -> str:
    """The command as a person types it again, with what decides about the jobs."""
    given = [
        ("--timezone", "" if options.timezone == "UTC" else options.timezone),
        ("--image", options.image),
        ("--secret", options.secret),
        ("--encoding", encoding or ""),
        ("--form", "" if options.form.value == "auto" else options.form.value),
        *(("--include", str(number)) for number in sorted(options.include)),
        ("--include", "all" if options.include_all else ""),
        *(("--chain", ",".join(names)) for names in options.chains),
    ]
    words = ["jobyard", "import", "crontab", file]
    for option, value in given:
        if value:
            words += [option, value]
    return shlex.join(words)


def _tell(report: Report, output: ImportFormat) -> None:
    from jobyard_cli.importing import report as reports

    match output:
        case ImportFormat.json:
            print(reports.as_json(report))
        case ImportFormat.markdown:
            print(reports.markdown(report), end="")
        case _:
            for line in reports.lines(report):
                print(line)
