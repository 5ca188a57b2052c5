"""The report of an import: what became of each line, what to decide, and what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from jobyard_cli.check.findings import Finding, printable
from jobyard_cli.importing.chains import Chain, Step
from jobyard_cli.importing.model import TODO, Fate, Imported, JobDraft, Outcome
from jobyard_cli.plan.markdown import code, prose
from jobyard_cli.plan.phrases import counted

_STATES = {
    "kept": "exists and differs: it was not changed",
    "joined": "its task is in a joined job now: delete this file, or both run",
}
_QUIET = (Fate.comment, Fate.blank)


@dataclass(frozen=True)
class Written:
    """A file of the repository: `new`, `unchanged`, `replaced`, `kept` (it exists and differs), or `joined`.

    A joined one is from an earlier import, and its task is in another job now.
    """

    path: str
    state: str


@dataclass(frozen=True)
class Report:
    """An import, what was written, and what the check then says. `command` is how it was called, for next steps."""

    imported: Imported
    written: Sequence[Written]
    findings: Sequence[Finding]
    command: str
    checked: bool
    dry_run: bool = False

    @property
    def kept(self) -> list[str]:
        """The files that exist, differ, and were not changed."""
        return [written.path for written in self.written if written.state == "kept"]


def summary(imported: Imported) -> str:
    """Return `40 lines: 8 entries imported as 7 jobs, 3 proposed to leave out, 1 left out`."""
    entries = imported.count(Fate.imported)
    jobs = counted(len(imported.jobs), "job")
    text = f"{counted(len(imported.outcomes), 'line')}: {_entries(entries)} imported as {jobs}"
    for fate in (Fate.proposed, Fate.left_out):
        if number := imported.count(fate):
            text += f", {number} {fate}"
    if number := imported.count(Fate.unreadable):
        text += f", {number} not readable"
    return text


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def lines(report: Report) -> Iterator[str]:
    """Yield the report for a terminal, with control characters escaped: a crontab may have any."""
    yield from map(printable, _lines(report))


def _lines(report: Report) -> Iterator[str]:
    imported = report.imported
    yield f"{imported.source}: {summary(imported)}"
    for note in imported.notes:
        yield f"note: {note}"
    yield ""
    yield from _outcome_lines(imported)
    yield from _chain_lines(report)
    yield from _secret_lines(imported)
    yield from _file_lines(report)
    yield from _step_lines(report)


def _outcome_lines(imported: Imported) -> Iterator[str]:
    for group in _groups(imported.outcomes):
        first = group[0]
        if first.fate in _QUIET:
            yield f"{_range(group):>7}  {_became(imported, first)}"
            continue
        yield f"{_range(group):>7}  {_became(imported, first)}"
        yield f"{'':>9}| {_short(first.text.strip())}"
        for look in first.looks:
            yield f"{'':>9}! {look}"
        for note in first.notes:
            yield f"{'':>9}- {note}"


def _groups(outcomes: Sequence[Outcome]) -> Iterator[list[Outcome]]:
    """Yield lines that follow each other and have the same fate and reason, such as comments; entries are alone."""
    for _, group in groupby(outcomes, key=_alike):
        yield list(group)


def _alike(outcome: Outcome) -> tuple[str, str]:
    if outcome.fate in (*_QUIET, Fate.unreadable):
        return outcome.fate, outcome.reason
    return outcome.fate, str(outcome.number)


def _range(group: Sequence[Outcome]) -> str:
    first, last = group[0].number, group[-1].number
    return str(first) if first == last else f"{first}-{last}"


def _became(imported: Imported, outcome: Outcome) -> str:
    """Return what became of a line."""
    match outcome.fate:
        case Fate.imported:
            return f"imported as dags/{outcome.job}/job.yaml: {_when(imported, outcome)}"
        case Fate.unreadable:
            return f"{imported.source}:{outcome.number}:{outcome.column}: {outcome.reason}"
        case Fate.proposed:
            return f"{outcome.fate}, as {outcome.reason} (--include {outcome.number} imports it)"
        case Fate.left_out:
            return f"{outcome.fate}, as {outcome.reason}"
        case _:
            return f"{outcome.fate}: {outcome.reason}" if outcome.reason else str(outcome.fate)


def _when(imported: Imported, outcome: Outcome) -> str:
    for job in imported.jobs:
        for number, task in enumerate(job.tasks):
            if task.line == outcome.number:
                return _start_of(job, number)
    return ""


def _start_of(job: JobDraft, number: int) -> str:
    """Return when a task starts: the first of a chain on the entry's schedule, another after the one before."""
    task = job.tasks[number]
    if number:
        return f"task {task.name}, after {job.tasks[number - 1].name}"
    return f"{_lowered(task.schedule.words)} ({task.timezone})"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _short(text: str, longest: int = 110) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _chain_lines(report: Report) -> Iterator[str]:
    if not report.imported.chains:
        return
    yield ""
    yield "Proposals: these may wait for each other by the clock. As one job with needs, a task starts when the one"
    yield "before has succeeded. Nothing was joined:"
    for chain in report.imported.chains:
        yield f"  {_steps_of(chain)}: {chain.certainty}"
        for link in chain.links:
            yield f"    {link.first.name} -> {link.second.name}: {'; '.join(link.reasons)}"
        yield f"    to join them: {report.command} --chain {chain.name}"


def _steps_of(chain: Chain) -> str:
    return " -> ".join(f"{step.name} (line {step.line}, {_clock(step)})" for step in chain.steps)


def _clock(step: Step) -> str:
    hour, minute = divmod(step.moments[0], 60)
    more = ", …" if len(step.moments) > 1 else ""
    return f"{hour:02}:{minute:02}{more}"


def _secret_lines(imported: Imported) -> Iterator[str]:
    if not imported.secrets:
        return
    yield ""
    yield "Secrets: their values are in the crontab, and were copied nowhere. Jobs refer to them by name:"
    for secret in imported.secrets:
        yield f"  line {secret.line}: {secret.name}"


def file_lines(written: Sequence[Written], findings: Sequence[Finding] | None, *, dry_run: bool) -> Iterator[str]:
    """Yield what became of each file, and what the check says of the jobs; None where it was not asked."""
    if not written:
        return
    yield ""
    yield "Files (nothing was written: --dry-run):" if dry_run else "Files:"
    for one in written:
        yield f"  {one.path}: {_STATES.get(one.state, one.state)}"
    if any(one.state == "kept" for one in written):
        yield "  --overwrite replaces the files that differ"
    if findings is not None:
        yield ""
        yield f"`jobyard check` of these jobs: {counted(len(findings), 'problem')}"
        for finding in findings:
            yield f"  {finding}"


def _file_lines(report: Report) -> Iterator[str]:
    return file_lines(report.written, report.findings if report.checked else None, dry_run=report.dry_run)


def _step_lines(report: Report) -> Iterator[str]:
    steps = list(_steps(report))
    if steps:
        yield ""
        yield "Next:"
    for number, step in enumerate(steps, 1):
        yield f"  {number}. {step}"


def _steps(report: Report) -> Iterator[str]:
    imported = report.imported
    if bad := [outcome for outcome in imported.outcomes if outcome.fate is Fate.unreadable]:
        yield f"Correct {counted(len(bad), 'line')} of {imported.source} that cannot be read, and import again."
    if not imported.jobs:
        return
    if report.dry_run:
        yield "Run the command again without --dry-run to write the files."
    if any(task.image == TODO for job in imported.jobs for task in job.tasks):
        yield "Replace image: TODO in each job, or import again with --image <folder of images/> --overwrite."
    if keys := _keys_to_do(imported):
        yield (
            f"Create a Kubernetes Secret in the team's namespace with the keys {', '.join(keys)}. Write <secret>/<key> "
            "instead of TODO, or import again with --secret <secret> --overwrite."
        )
    if any(outcome.looks for outcome in imported.outcomes):
        yield "Read the lines marked with !: they need something of the machine, or a decision of yours."
    yield "Run `jobyard check`, then `jobyard plan`, which shows when each job runs next. Open a merge request."
    yield (
        "When a job is released, comment out its line in the crontab. Airflow also runs a new job at once, for the "
        "interval that ended last: a start_date in the future prevents that."
    )


def _keys_to_do(imported: Imported) -> list[str]:
    """Return the variables for which a job has no Secret yet, in the order of the alphabet."""
    keys: set[str] = set()
    for job in imported.jobs:
        for task in job.tasks:
            keys.update(name for name, reference in task.secrets.items() if reference == TODO)
    return sorted(keys)


def markdown(report: Report) -> str:
    """Return the report as Markdown, such as for the description of a merge request."""
    imported = report.imported
    parts = [f"### Import of {code(imported.source)}\n", f"**{summary(imported)}**\n"]
    parts += [f"- {prose(note)}" for note in imported.notes]
    parts += ["", "| line | what became of it | the line |", "|---|---|---|"]
    parts += list(_rows(imported))
    parts += list(_sections(report))
    return "\n".join(parts) + "\n"


def _rows(imported: Imported) -> Iterator[str]:
    for group in _groups(imported.outcomes):
        first = group[0]
        if first.fate in _QUIET:
            yield f"| {_range(group)} | {prose(_became(imported, first))} | |"
            continue
        cells = [prose(_became(imported, first)), *(f"**{prose(look)}**" for look in first.looks)]
        cells += [prose(note) for note in first.notes]
        yield f"| {_range(group)} | {_cell('<br>'.join(cells))} | {_cell(code(_short(first.text.strip())))} |"


def _cell(text: str) -> str:
    """Return Markdown for a table, where a bar ends a cell even in code."""
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def _sections(report: Report) -> Iterator[str]:
    titles = {"Chains": _chain_lines(report), "Secrets": _secret_lines(report.imported), "Files": _file_lines(report)}
    for title, section in titles.items():
        if text := [line for line in section if line]:
            yield f"\n#### {title}\n"
            yield from (f"{prose(line.strip())}  " for line in text)
    if steps := list(_steps(report)):
        yield "\n#### Next\n"
        yield from (f"{number}. {prose(step)}" for number, step in enumerate(steps, 1))


def as_json(report: Report) -> str:
    """Return a JSON object with the outcome of each line, the jobs, the chains and the names of the secrets."""
    imported = report.imported
    whole = {
        "source": imported.source,
        "notes": list(imported.notes),
        "lines": list(map(_outcome_object, imported.outcomes)),
        "jobs": [{"name": job.name, "lines": job.lines} for job in imported.jobs],
        "chains": list(map(_chain_object, imported.chains)),
        "secrets": [{"name": secret.name, "line": secret.line} for secret in imported.secrets],
        "files": [{"path": written.path, "state": written.state} for written in report.written],
        "findings": list(map(str, report.findings)),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False)


def _outcome_object(outcome: Outcome) -> dict[str, object]:
    return {
        "line": outcome.number,
        "text": outcome.text,
        "fate": str(outcome.fate),
        "reason": outcome.reason,
        "job": outcome.job,
        "notes": list(outcome.notes),
        "looks": list(outcome.looks),
    }


def _chain_object(chain: Chain) -> dict[str, object]:
    reasons: Iterable[str] = ("; ".join(link.reasons) for link in chain.links)
    return {"jobs": chain.name.split(","), "certainty": chain.certainty, "reasons": list(reasons)}
