"""Read YAML files as plain data, with the line and column of every key and value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from jobyard_cli.check.findings import WARNING, Finding, printable
from jobyard_cli.check.links import MESSAGE, leaves
from jobyard_cli.check.rules import Rule
from jobyard_cli.parsing.builder import Builder, position_of
from jobyard_cli.team.conflicts import conflicts

MAXIMUM_BYTES = 1 << 18
MAXIMUM_MESSAGE = 600
"""In characters: what a message quotes may be as long as the file."""

KeyPath = tuple[str | int, ...]
Position = tuple[int, int]
"""Line and column, from 1."""
Written = Mapping[str, Any]
"""A mapping of a file that a person wrote, as the file's schema has it."""

_SPECIAL = re.compile(r"(:\s|-\s|\[|,\s*)(\{\{|@|`|%|\*)")
"""A value that starts with a special character."""


@dataclass
class Document:
    """A YAML file. `data` is None if the file cannot be parsed."""

    path: str
    text: str = ""
    data: Any = None
    values: dict[KeyPath, Position] = field(default_factory=dict)
    keys: dict[KeyPath, Position] = field(default_factory=dict)
    plain: dict[KeyPath, str] = field(default_factory=dict)
    """The source text of scalars without quotes, which YAML may read differently than they look."""
    findings: list[Finding] = field(default_factory=list)

    def finding(self, path: KeyPath, message: str, rule: Rule, *, at_key: bool = False) -> Finding:
        """Return a finding at a value, or at its key; if that is missing, at the innermost value around it."""
        positions = self.keys if at_key else self.values
        while path and path not in positions:
            path = path[:-1]
        line, column = positions.get(path, (1, 1))
        if len(message) > MAXIMUM_MESSAGE:
            message = f"{message[: MAXIMUM_MESSAGE - 200]} … {message[-200:]}"
        return Finding(self.path, line, column, printable(message), rule)

    def warning(self, path: KeyPath, message: str, rule: Rule) -> Finding:
        """Return a finding at a value that does not make the check fail."""
        return replace(self.finding(path, message, rule), severity=WARNING)

    def refuse(self, line: int, column: int, message: str) -> None:
        """Add a finding: the file cannot be read further."""
        self.findings.append(Finding(self.path, line, column, printable(message), "yaml"))


def load(file: Path, name: str) -> Document:
    """Read a file; `name` is its path in findings. Problems are in the document's `findings`; nothing is raised."""
    document = Document(name)
    if leaves(file, _root(file, name)):
        document.findings.append(Finding(document.path, 1, 1, MESSAGE, "link"))
        return document
    try:
        size = file.stat().st_size
        if size > MAXIMUM_BYTES:
            document.refuse(1, 1, f"the file must have at most {MAXIMUM_BYTES:,} bytes; got {size:,}")
            return document
        content = file.read_bytes()
    except OSError as error:
        document.refuse(1, 1, f"cannot read the file: {error.strerror}")
        return document
    text = _decode(document, content)
    if text is not None:
        parse(document, text)
    return document


def _root(file: Path, name: str) -> Path:
    """Return the folder that `name` is relative to; the file's own folder if it is not relative to one."""
    # Nearly every file's; parts of paths take longer.
    if str(file).endswith(f"{os.sep}{name}") and not name.startswith(os.sep):
        return Path(str(file)[: -len(name) - 1])
    parts = Path(name).parts
    if Path(name).is_absolute() or file.parts[-len(parts) :] != parts:
        return file.parent
    return file.parents[len(parts) - 1]


def _decode(document: Document, content: bytes) -> str | None:
    if b"\0" in content:
        line, column = _line_and_column(content[: content.index(b"\0")].decode("utf-8", "replace"))
        document.refuse(line, column, "the file must be text in UTF-8, without NUL bytes")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8", "replace"))
        document.refuse(line, column, f"the file must be text in UTF-8; got the byte 0x{content[error.start]:02x}")
        return None


def _line_and_column(before: str) -> Position:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def parse(document: Document, text: str) -> None:
    """Parse a text into the document."""
    document.text = text
    for conflict in conflicts(text):
        document.findings.append(Finding(document.path, conflict.first, 1, str(conflict), "conflict"))
    if document.findings:
        return
    try:
        Builder(document).build(text)
    except yaml.MarkedYAMLError as error:
        document.refuse(*position_of(error.problem_mark or error.context_mark), _yaml_problem(error, text))
        document.data = None
    except yaml.YAMLError as error:
        document.refuse(1, 1, f"invalid YAML: {error}")
        document.data = None


def _yaml_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = error.problem or "cannot be parsed"
    line = _line(text, error.problem_mark)
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "invalid YAML: indent with spaces, not with tabs"
    if _SPECIAL.search(line) and ("expected" in problem or "found character" in problem):
        return f"invalid YAML: {problem}; quote values that start with a special character"
    if error.context:
        problem = f"{problem} ({error.context})"
    return f"invalid YAML: {problem}"


def _line(text: str, mark: yaml.Mark | None) -> str:
    """Return the line at PyYAML's mark; empty without a mark, and at the end of the text."""
    lines = text.splitlines()
    if not mark or mark.line >= len(lines):
        return ""
    return lines[mark.line]
