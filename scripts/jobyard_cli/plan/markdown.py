"""A plan as a comment of a merge request, on GitLab and GitHub.

What a team wrote stands in code alone, inline or in blocks, whose fences are longer than any in it: there it can be
neither markup, nor HTML, nor a mention, nor a command of the server's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from jobyard_cli.check.findings import printable
from jobyard_cli.plan.model import (
    ADDED,
    CHANGED,
    REMOVED,
    JobChange,
    ObjectChange,
    Plan,
    Setting,
    TaskChange,
    Timing,
    counts,
    image_fate,
)

LIMIT = 64_000
"""Characters; GitHub takes 65,536, GitLab a million."""
_NAMES = re.compile(r"'([^']*)'")
_SPECIAL = re.compile(r"([\\`*_\[\]<>#!|~$&])")
# A backslash does not keep a server from seeing a mention; a space without width does.
_AT = "@\u200b"


@dataclass(frozen=True)
class Block:
    """A part of the comment, and what stands in its place where there is no room for it."""

    whole: str
    short: str


def markdown(plan: Plan, limit: int = LIMIT) -> str:
    """Return the comment, of at most so many characters; it says if something is left out."""
    head = f"### Plan for team {code(plan.team)}\n\n**{counts(plan)}** compared with {code(plan.base)}\n"
    head += f"\nBounds and published jobs: {prose(plan.bounds)}\n" if plan.bounds else ""
    lists = [_list("Warnings", [f"{code(one.job)}: {prose(one.message)}" for one in plan.warnings])]
    lists += [_list("Not known", [prose(" ".join(note.split())) for note in plan.notes])]
    lists.append(_list("Images", [f"{code(one.name)} {one.kind}: {prose(image_fate(one))}" for one in plan.images]))
    blocks = [Block(text, "") for text in lists if text]
    blocks += [_job(change) for change in plan.jobs]
    blocks += [_object(change) for change in plan.objects]
    return _fitted(head, blocks, limit)


def _fitted(head: str, blocks: list[Block], limit: int) -> str:
    note = "\n_The rest is too long for a comment: `jobyard plan` shows all of it._\n"
    if len(head) + sum(len(block.whole) + 1 for block in blocks) <= limit:
        return "\n".join([head, *(block.whole for block in blocks)])
    parts = [head]
    room = limit - len(head) - len(note) - 1
    # What is short is shown of all, and the whole of the first for which there is room beside that.
    rest = sum(len(block.short) + 1 for block in blocks)
    for block in blocks:
        rest -= len(block.short) + 1
        part = block.whole if len(block.whole) + 1 + rest <= room else block.short
        if part and len(part) + 1 <= room:
            parts.append(part)
            room -= len(part) + 1
    return "\n".join([*parts, note])


def code(text: str) -> str:
    """Return inline code, in which no character is markup."""
    shown = printable(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{space}{shown}{space}{fence}"


def block(kind: str, lines: Iterable[str]) -> str:
    """Return a block of code that nothing in it can end."""
    text = "\n".join(lines)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}\n"


def prose(text: str) -> str:
    """Return a sentence in which names between single quotes are code, and nothing else is markup."""
    parts = _NAMES.split(printable(text))
    return "".join(code(part) if odd % 2 else _escaped(part) for odd, part in enumerate(parts))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("@", _AT)


def _list(title: str, items: list[str]) -> str:
    return f"#### {title}\n" + "".join(f"- {item}\n" for item in items) if items else ""


def _folded(summary: str, content: Iterable[str]) -> str:
    # GitHub and GitLab read Markdown between the tags after an empty line.
    inside = "\n".join(content)
    return f"<details><summary>{summary}</summary>\n\n{inside}\n</details>\n"


def _title(thing: str, name: str, kind: str) -> str:
    return f"{thing} <code>{escape(printable(name))}</code> {kind}"


def _job(change: JobChange) -> Block:
    kind = f"{change.kind} from <code>{escape(printable(change.was))}</code>" if change.was else change.kind
    title = _title("Job", change.name, kind)
    short = f"{title}: {change.note}\n" if change.note else f"{title}\n"
    return Block(short if change.kind == REMOVED else _folded(title, _job_content(change)), short)


def _job_content(change: JobChange) -> Iterator[str]:
    if change.note:
        yield f"{change.note[0].upper()}{change.note[1:]}.\n"
    if change.timing:
        yield from _timing(change.timing)
    if change.graph:
        yield block("mermaid", [change.graph])
    elif change.kind in (ADDED, CHANGED):
        yield "Its graph has more lines than Mermaid draws.\n"
    yield from _settings(change.settings)
    for task in change.tasks:
        yield from _task(task)


def _timing(timing: Timing) -> Iterator[str]:
    yield f"Runs {code(timing.words)}\n"
    runs = [f"at once, {timing.at_once}"] if timing.at_once else []
    if runs := [*runs, *timing.next_runs]:
        yield f"Next: {'; '.join(runs)}\n"


def _settings(settings: list[Setting]) -> Iterator[str]:
    """A list, not a table: in a cell, each server reads a bar after a backslash its own way."""
    if settings:
        yield "".join(f"- {code(setting.name)}: {_values(setting)}\n" for setting in settings)


def _values(setting: Setting) -> str:
    if setting.before is None:
        return f"{code(setting.after or '')} (new)"
    return f"{code(setting.before)} → {'(gone)' if setting.after is None else code(setting.after)}"


def _task(task: TaskChange) -> Iterator[str]:
    yield f"Task {code(task.name)} {task.kind}\n"
    yield from _settings(task.settings)
    if task.pod and task.kind != REMOVED:
        yield block("diff", task.pod)


def _object(change: ObjectChange) -> Block:
    where = f" in {escape(printable(', '.join(change.environments)))}" if change.environments else ""
    title = _title("Object", change.name, f"{change.kind}{where}")
    return Block(_folded(title, [block("diff", change.difference)]), f"{title}\n")
