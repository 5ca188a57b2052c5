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
class Section:
    """A part of the comment, and what stands in its place where there is no room for it."""

    whole: str
    short: str


def markdown(plan: Plan, limit: int = LIMIT) -> str:
    """Return the comment, of at most so many characters; it says if something is left out."""
    head = f"### Plan for team {code(plan.team)}\n\n**{counts(plan)}** compared with {code(plan.base)}\n"
    if plan.bounds:
        head += f"\nBounds and published jobs: {prose(plan.bounds)}\n"
    return _fitted(head, list(_sections(plan)), limit)


def _sections(plan: Plan) -> Iterator[Section]:
    yield from _list("Warnings", _warnings(plan))
    yield from _list("Not known", _notes(plan))
    yield from _list("Images", _images(plan))
    for job in plan.jobs:
        yield _job(job)
    for manifest in plan.objects:
        yield _object(manifest)


def _warnings(plan: Plan) -> Iterator[str]:
    for warning in plan.warnings:
        yield f"{code(warning.job)}: {prose(warning.message)}"


def _notes(plan: Plan) -> Iterator[str]:
    for note in plan.notes:
        yield prose(" ".join(note.split()))


def _images(plan: Plan) -> Iterator[str]:
    for image in plan.images:
        yield f"{code(image.name)} {image.kind}: {prose(image_fate(image))}"


def _fitted(head: str, sections: list[Section], limit: int) -> str:
    whole = "\n".join([head, *(section.whole for section in sections)])
    if len(whole) <= limit:
        return whole
    note = "\n_The rest is too long for a comment: `jobyard plan` shows all of it._\n"
    parts = [head]
    room = limit - len(head) - len(note) - 1
    # What is short is shown of all, and the whole of the first for which there is room beside that.
    rest = sum(len(section.short) + 1 for section in sections)
    for section in sections:
        rest -= len(section.short) + 1
        part = section.short
        if len(section.whole) + 1 + rest <= room:
            part = section.whole
        if part and len(part) + 1 <= room:
            parts.append(part)
            room -= len(part) + 1
    return "\n".join([*parts, note])


def code(text: str) -> str:
    """Return inline code, in which no character is markup."""
    shown = printable(text)
    fence = _fence(shown, 1)
    if shown.startswith("`") or shown.endswith("`") or not shown.strip():
        shown = f" {shown} "
    return f"{fence}{shown}{fence}"


def block(kind: str, lines: Iterable[str]) -> str:
    """Return a block of code that nothing in it can end."""
    text = "\n".join(lines)
    fence = _fence(text, 3)
    return f"{fence}{kind}\n{text}\n{fence}\n"


def _fence(text: str, shortest: int) -> str:
    """Backquotes, more than the text has anywhere in a row."""
    longest_run = max(re.findall("`+", text), key=len, default="")
    return "`" * max(shortest, len(longest_run) + 1)


def prose(text: str) -> str:
    """Return a sentence in which names between single quotes are code, and nothing else is markup."""
    sentence = ""
    for number, part in enumerate(_NAMES.split(printable(text))):
        # With the pattern's group, every second part is a name.
        if number % 2:
            sentence += code(part)
        else:
            sentence += _escaped(part)
    return sentence


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("@", _AT)


def _list(title: str, items: Iterable[str]) -> Iterator[Section]:
    """A list under a title, which is shown as a whole or not at all; nothing if it is empty."""
    if listed := _bullets(items):
        yield Section(f"#### {title}\n{listed}", "")


def _bullets(items: Iterable[str]) -> str:
    return "".join(f"- {item}\n" for item in items)


def _folded(summary: str, content: Iterable[str]) -> str:
    # GitHub and GitLab read Markdown between the tags after an empty line.
    inside = "\n".join(content)
    return f"<details><summary>{summary}</summary>\n\n{inside}\n</details>\n"


def _html(text: str) -> str:
    return escape(printable(text))


def _job(change: JobChange) -> Section:
    title = f"Job <code>{_html(change.name)}</code> {change.kind}"
    if change.was:
        title += f" from <code>{_html(change.was)}</code>"
    short = f"{title}\n"
    if change.note:
        short = f"{title}: {change.note}\n"
    if change.kind == REMOVED:
        return Section(short, short)
    return Section(_folded(title, _job_content(change)), short)


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
    runs = list(timing.next_runs)
    if timing.at_once:
        runs.insert(0, f"at once, {timing.at_once}")
    if runs:
        yield f"Next: {'; '.join(runs)}\n"


def _settings(settings: list[Setting]) -> Iterator[str]:
    """A list, not a table: in a cell, each server reads a bar after a backslash its own way."""
    if settings:
        yield _bullets(f"{code(setting.name)}: {_values(setting)}" for setting in settings)


def _values(setting: Setting) -> str:
    if setting.before is None:
        return f"{code(setting.after or '')} (new)"
    if setting.after is None:
        return f"{code(setting.before)} → (gone)"
    return f"{code(setting.before)} → {code(setting.after)}"


def _task(task: TaskChange) -> Iterator[str]:
    yield f"Task {code(task.name)} {task.kind}\n"
    yield from _settings(task.settings)
    if task.pod and task.kind != REMOVED:
        yield block("diff", task.pod)


def _object(change: ObjectChange) -> Section:
    title = f"Object <code>{_html(change.name)}</code> {change.kind}{_html(change.scope)}"
    return Section(_folded(title, [block("diff", change.difference)]), f"{title}\n")
