"""`jobyard import dag-factory`: dag-factory's DAGs as jobs, with a report of every key."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.import_crontab import findings_of, team_for
from jobyard_cli.cli.options import TeamRepository

if TYPE_CHECKING:
    from jobyard_cli.importing.dag_factory.report import FactoryReport


class FactoryFormat(StrEnum):
    """For a person, or for a program."""

    text = "text"
    json = "json"


def dag_factory(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files of dag-factory; - reads standard input.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the report, and write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist and differ.")] = False,
    output: Annotated[FactoryFormat, typer.Option("--format", help="Output format.")] = FactoryFormat.text,
    repo: TeamRepository = None,
) -> None:
    """Turn the DAGs of dag-factory's files into jobs, dags/JOB/job.yaml, and report what became of each key.

    Pods become tasks as they are. Other operators become tasks whose image is to be filled in, which the check
    reports. Exit codes: 0 every key is accounted for, 1 a file cannot be read or a file that exists was kept, 2 the
    command itself is wrong.
    """
    from jobyard_cli.importing.dag_factory import report as reports
    from jobyard_cli.importing.dag_factory.importing import import_dag_factory
    from jobyard_cli.importing.writing import write

    team = team_for(repo, dry_run)
    imported = import_dag_factory(files, team)
    root = None if team is None else team.root
    written = list(write(root, imported.files, overwrite=overwrite, dry_run=dry_run))
    checked = team is not None and not dry_run and bool(imported.jobs)
    findings = findings_of(team.root, [job.name for job in imported.jobs]) if team and checked else []
    report = reports.FactoryReport(imported, written, findings, checked, dry_run)
    _tell(report, output)
    if report.kept:
        raise typer.Exit(1)


def _tell(report: FactoryReport, output: FactoryFormat) -> None:
    from jobyard_cli.importing.dag_factory import report as reports

    if output is FactoryFormat.json:
        print(reports.as_json(report))
        return
    for line in reports.lines(report):
        print(line)
