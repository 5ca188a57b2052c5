"""What an import of dag-factory's files did with each of their keys, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobyard_cli.check.findings import Finding, printable
from jobyard_cli.importing.dag_factory.account import Fate, Outcome
from jobyard_cli.importing.dag_factory.dags import FactoryJob
from jobyard_cli.importing.dag_factory.importing import FactoryImport
from jobyard_cli.importing.report import Written, file_lines
from jobyard_cli.plan.phrases import counted

_MARKS = {Fate.todo: "!"}


@dataclass(frozen=True)
class FactoryReport:
    """An import, what was written, and what the check then says."""

    imported: FactoryImport
    written: Sequence[Written]
    findings: Sequence[Finding]
    checked: bool
    dry_run: bool

    @property
    def kept(self) -> list[str]:
        """The files that exist, differ, and were not changed."""
        return [written.path for written in self.written if written.state == "kept"]


def summary(imported: FactoryImport) -> str:
    """Return `2 jobs with 7 tasks; of 40 keys 31 imported, 6 left out, 3 to do`."""
    tasks = sum(len(job.tasks) for job in imported.jobs)
    counts = {fate: imported.count(fate) for fate in Fate}
    parts = ", ".join(f"{number} {fate}" for fate, number in counts.items())
    jobs = counted(len(imported.jobs), "job")
    return f"{jobs} with {counted(tasks, 'task')}; of {counted(sum(counts.values()), 'key')} {parts}"


def lines(report: FactoryReport) -> Iterator[str]:
    """Yield the report for a terminal, with control characters escaped."""
    yield from map(printable, _lines(report))


def _lines(report: FactoryReport) -> Iterator[str]:
    imported = report.imported
    yield summary(imported)
    for outcome in imported.others:
        yield _outcome(outcome)
    for job in imported.jobs:
        yield ""
        yield f"{job.dag}: dags/{job.name}/job.yaml"
        yield from map(_outcome, sorted(job.account.outcomes, key=lambda one: (one.file, one.line)))
    yield from file_lines(report.written, report.findings if report.checked else None, dry_run=report.dry_run)
    yield from _steps(report)


def _outcome(outcome: Outcome) -> str:
    mark = _MARKS.get(outcome.fate, " ")
    name = f"{outcome.key}: " if outcome.key else ""
    as_what = " as " if outcome.fate is Fate.imported else ", as " if outcome.fate is Fate.left_out else ": "
    return f"{outcome.file}:{outcome.line}:{mark} {name}{outcome.fate}{as_what}{outcome.words}"


def _steps(report: FactoryReport) -> Iterator[str]:
    if not report.imported.jobs:
        return
    yield ""
    yield "Next:"
    steps = []
    if report.dry_run:
        steps.append("Run the command again without --dry-run to write the files.")
    if report.imported.count(Fate.todo):
        steps.append("Do what is marked with !; each is a comment in its job.yaml too.")
    steps.append("Run `jobyard check`, then `jobyard plan`, which shows when each job runs next. Open a merge request.")
    steps.append("When a job is released, remove its DAG from dag-factory's file: until then both run.")
    for number, step in enumerate(steps, 1):
        yield f"  {number}. {step}"


def as_json(report: FactoryReport) -> str:
    """Return a JSON object with the outcome of each key, by job."""
    whole = {
        "summary": summary(report.imported),
        "others": list(map(_outcome_object, report.imported.others)),
        "jobs": list(map(_job_object, report.imported.jobs)),
        "files": [{"path": written.path, "state": written.state} for written in report.written],
        "findings": list(map(str, report.findings)),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False)


def _job_object(job: FactoryJob) -> dict[str, object]:
    return {"dag": job.dag, "name": job.name, "keys": list(map(_outcome_object, job.account.outcomes))}


def _outcome_object(outcome: Outcome) -> dict[str, object]:
    return {
        "file": outcome.file,
        "line": outcome.line,
        "key": outcome.key,
        "fate": str(outcome.fate),
        "words": outcome.words,
    }
