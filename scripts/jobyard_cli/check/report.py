"""The result of a check as text for a person, and as JSON for another program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache

from jobyard_cli.check.findings import Finding, printable
from jobyard_cli.check.run import Checked


def summary(checked: Checked) -> str:
    """Return `2 jobs, no problems` or `3 problems in 2 files, 1 warning`."""
    text = f"{_count(len(checked.jobs), 'job')}, no problems"
    if checked.findings:
        files = {finding.path for finding in checked.findings}
        text = f"{_count(len(checked.findings), 'problem')} in {_count(len(files), 'file')}"
    if checked.warnings:
        text += f", {_count(len(checked.warnings), 'warning')}"
    return text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def lines(checked: Checked, *, snippets: bool) -> Iterator[str]:
    """Yield a line for each finding, with `snippets` also the line of the file and a mark under the column."""
    lines_of = cache(checked.lines_of)
    for finding in checked.reported:
        yield str(finding)
        if snippets:
            yield from _snippet(lines_of(finding.path), finding)
    yield summary(checked)


def _snippet(text: list[str], finding: Finding) -> Iterator[str]:
    if finding.line <= len(text):
        yield f"{finding.line:>6} | {printable(text[finding.line - 1])}"
        yield f"{'':>6} | {' ' * (finding.column - 1)}^"


def as_json(checked: Checked) -> str:
    """Return a JSON object with the team, the names of the jobs, and the findings."""
    report = {
        "team": checked.repo.team,
        "jobs": sorted(checked.jobs),
        "findings": list(map(asdict, checked.findings)),
        "warnings": list(map(asdict, checked.warnings)),
    }
    return json.dumps(report, indent=1)
