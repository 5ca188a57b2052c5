"""Read YAML files as plain data, with the line and column of every key and value.

The file is read event by event, without recursion and without resolving aliases, so that a malicious one can exhaust
neither the stack nor the memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from jobyard_cli.check.findings import Finding, printable
from jobyard_cli.check.links import MESSAGE, leaves
from jobyard_cli.check.rules import Rule
from jobyard_cli.team.conflicts import conflicts

MAXIMUM_BYTES = 1 << 18
MAXIMUM_DEPTH = 50
MAXIMUM_DIGITS = 100
"""Longer numbers stay strings, which no schema accepts as a number: Python would take minutes to convert them."""
MAXIMUM_MESSAGE = 600
"""In characters: what a message quotes may be as long as the file."""

KeyPath = tuple[str | int, ...]
Written = Mapping[str, Any]
"""A mapping of a file that a person wrote, as the file's schema has it."""
Position = tuple[int, int]
"""Line and column, from 1."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_SPECIAL = re.compile(r"(:\s|-\s|\[|,\s*)(\{\{|@|`|%|\*)")
"""A value that starts with a special character."""
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    parts = Path(name).parts
    is_relative = not Path(name).is_absolute() and file.parts[-len(parts) :] == parts
    return file.parents[len(parts) - 1] if is_relative else file.parent


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
    document.findings += [
        Finding(document.path, conflict.first, 1, str(conflict), "conflict") for conflict in conflicts(text)
    ]
    if document.findings:
        return
    try:
        _Builder(document).build(text)
    except yaml.MarkedYAMLError as error:
        document.refuse(*_position(error.problem_mark or error.context_mark), _yaml_problem(error, text))
        document.data = None
    except yaml.YAMLError as error:
        document.refuse(1, 1, f"invalid YAML: {error}")
        document.data = None
    except _RefusedError:
        document.data = None


def _position(mark: Any) -> Position:
    """Return the position of PyYAML's mark, or of a parse event's; (1, 1) without one."""
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _yaml_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = error.problem or "cannot be parsed"
    line = _line(text, error.problem_mark)
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "invalid YAML: indent with spaces, not with tabs"
    if _SPECIAL.search(line) and ("expected" in problem or "found character" in problem):
        return f"invalid YAML: {problem}; quote values that start with a special character"
    context = f" ({error.context})" if error.context else ""
    return f"invalid YAML: {problem}{context}"


def _line(text: str, mark: Any) -> str:
    lines = text.splitlines()
    return lines[mark.line] if mark and mark.line < len(lines) else ""


class _RefusedError(Exception):
    """The document has something that is not read on purpose; the finding is already in the document."""


@dataclass
class _Open:
    """A mapping or list that is being read; `key` is the key of the mapping whose value is next."""

    path: KeyPath
    content: dict[Any, Any] | list[Any]
    key: str | None = None


class _Builder:
    """Builds data and positions from parse events."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[_Open] = []
        self.documents = 0
        # PyYAML's stubs have no types for these.
        self.constructor: Any = SafeConstructor()
        self.resolver: Any = Resolver()

    def build(self, text: str) -> None:
        for event in yaml.parse(text, Loader=_Loader):
            match event:
                case DocumentStartEvent():
                    self._start_document(event)
                case AliasEvent():
                    self._refuse(event, f"aliases are not supported; write out the value of *{event.anchor}")
                case ScalarEvent():
                    self._scalar(event)
                case MappingStartEvent():
                    self._start(event, {})
                case SequenceStartEvent():
                    self._start(event, [])
                case CollectionEndEvent():
                    self.open.pop()
                case _:
                    pass
        if self.document.data is None and not self.document.values:
            self.document.refuse(1, 1, "the file must not be empty")

    def _start_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self._refuse(event, "a file must hold a single YAML document; remove the separator (---) and what follows")

    def _refuse(self, event: Any, message: str) -> None:
        self.document.refuse(*_position(event.start_mark), message)
        raise _RefusedError

    def _start(self, event: Any, content: dict[Any, Any] | list[Any]) -> None:
        if self.open and isinstance(self.open[-1].content, dict) and self.open[-1].key is None:
            self._refuse(event, "keys must be strings; quote values that contain braces")
        if len(self.open) >= MAXIMUM_DEPTH:
            self._refuse(event, f"the file must not be nested more than {MAXIMUM_DEPTH} levels deep")
        path = self._add(event, content)
        self.open.append(_Open(path, content))

    def _scalar(self, event: Any) -> None:
        if "\0" in event.value:
            self._refuse(event, "NUL characters are not supported by Airflow's database and containers")
        top = self.open[-1] if self.open else None
        if top is not None and isinstance(top.content, dict) and top.key is None:
            self._key(event, top)
            return
        value = self._value(event)
        path = self._add(event, value)
        if event.implicit[0] and not event.style:
            self.document.plain[path] = event.value

    def _key(self, event: Any, top: _Open) -> None:
        path = (*top.path, event.value)
        position = _position(event.start_mark)
        if event.value in top.content:
            first = self.document.keys[path][0]
            message = f"'{event.value}' must not occur twice in a mapping; the first is on line {first}"
            self.document.findings.append(Finding(self.document.path, *position, printable(message), "duplicate-key"))
        self.document.keys[path] = position
        top.key = event.value

    def _value(self, event: Any) -> Any:
        tag = event.tag or self.resolver.resolve(ScalarNode, event.value, event.implicit)
        # Dates stay strings: JSON has no dates, and messages quote what was written.
        if tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"):
            return event.value
        if tag in _NUMBERS and len(event.value) > MAXIMUM_DIGITS:
            return event.value
        if tag not in SafeConstructor.yaml_constructors:
            self._refuse(event, f"the tag {tag} is not supported")
        try:
            return self.constructor.construct_object(ScalarNode(tag, event.value))
        except (ValueError, yaml.YAMLError):
            return event.value

    def _add(self, event: Any, value: Any) -> KeyPath:
        """Add a value to the data and its position to the document; return its path."""
        path = self._add_to(self.open[-1], value) if self.open else ()
        if not self.open:
            self.document.data = value
        self.document.values[path] = _position(event.start_mark)
        return path

    def _add_to(self, top: _Open, value: Any) -> KeyPath:
        if isinstance(top.content, list):
            top.content.append(value)
            return (*top.path, len(top.content) - 1)
        assert top.key is not None
        path = (*top.path, top.key)
        top.content[top.key] = value
        top.key = None
        return path
