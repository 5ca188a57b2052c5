"""Differences of documents in YAML: each changed line under the lines that say where it is."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

import yaml

from jobyard_cli.check.findings import printable
from jobyard_cli.plan.phrases import prefixed

_Dumper: Any = yaml.SafeDumper


class _Lines(_Dumper):  # type: ignore[misc]
    """Lists are indented more than what they are in, so that indentation alone says what a line belongs to."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    """A text of several lines as such: a script's difference is then one of its lines."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Lines.add_representer(str, _text)


def _yaml_lines(document: object) -> list[str]:
    """The document in YAML, without control characters for a terminal; no lines for a missing one."""
    if document is None:
        return []
    text = yaml.dump(document, Dumper=_Lines, sort_keys=False, allow_unicode=True, width=10**9)
    return [printable(line) for line in text.removesuffix("\n").split("\n")]


def difference(before: object, after: object) -> list[str]:
    """Return lines that begin with `-`, `+` or a space; None stands for a missing document."""
    old = _yaml_lines(before)
    new = _yaml_lines(after)
    if old == new:
        return []
    return _changed(list(_marked(old, new)))


def _marked(old: list[str], new: list[str]) -> Iterator[str]:
    """All lines of both, each after a mark and a space."""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for operation, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if operation == "equal":
            yield from prefixed("  ", old[old_start:old_end])
        else:
            yield from prefixed("- ", old[old_start:old_end])
            yield from prefixed("+ ", new[new_start:new_end])


def _changed(lines: list[str]) -> list[str]:
    """The changed lines, and of the others those that lead to one."""
    kept: list[str] = []
    # Read from below, the next line that is indented less than a kept one is what that is in.
    kept_depth = 0
    for line in reversed(lines):
        depth = len(line) - 2 - len(line[2:].lstrip(" "))
        if line[0] != " " or (depth < kept_depth and line.strip()):
            kept.append(line)
            kept_depth = depth
    return kept[::-1]
