"""A check's answer: for a person at a terminal, for CI's log, for another program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from jobyard_cli.check.findings import Finding, printable
from jobyard_cli.check.run import Checked


def summary(checked: Checked) -> str:
    """`2 jobs, no problems` or `3 problems in 2 files, 1 warning`."""
    warned = f", {_count(len(checked.warnings), 'warning')}" if checked.warnings else ""
    if not checked.findings:
        return f"{_count(len(checked.jobs), 'job')}, no problems{warned}"
    files = len({finding.path for finding in checked.findings})
    return f"{_count(len(checked.findings), 'problem')} in {_count(files, 'file')}{warned}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def lines(checked: Checked, *, snippets: bool) -> Iterator[str]:
    """One line for each finding; with `snippets` also the line of the file, with a mark under the place."""
    for finding in checked.told:
        yield str(finding)
        if snippets:
            yield from _snippet(checked, finding)
    yield summary(checked)


def _snippet(checked: Checked, finding: Finding) -> Iterator[str]:
    document = checked.documents.get(finding.path)
    text = document.text.splitlines() if document else []
    if finding.line <= len(text):
        yield f"{finding.line:>6} | {printable(text[finding.line - 1])}"
        yield f"{'':>6} | {' ' * (finding.column - 1)}^"


def as_json(checked: Checked) -> str:
    """An object with the team, the jobs' names and the findings."""
    report = {
        "team": checked.repo.team,
        "jobs": sorted(checked.jobs),
        "findings": [asdict(finding) for finding in checked.findings],
        "warnings": [asdict(warning) for warning in checked.warnings],
    }
    return json.dumps(report, indent=1)
