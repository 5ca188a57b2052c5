"""YAML files as plain data, with the line and column of every key and value.

The file is read event by event, without recursion and without following aliases, so that a hostile one can exhaust
neither the stack nor the memory.
"""

from __future__ import annotations

import re
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
from jobyard_cli.team.conflicts import conflicts

MAXIMUM_BYTES = 1 << 18
MAXIMUM_DEPTH = 50
MAXIMUM_DIGITS = 100
"""Longer numbers stay text, which no schema takes for a number: Python would compute for minutes on them."""
MAXIMUM_MESSAGE = 600
"""Characters; what a message quotes may be as long as the file."""

KeyPath = tuple[str | int, ...]
Position = tuple[int, int]
"""Line and column, both from 1."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Document:
    """One YAML file. `data` is None where the file is so broken that nothing of it can be used."""

    path: str
    text: str = ""
    data: Any = None
    values: dict[KeyPath, Position] = field(default_factory=dict)
    keys: dict[KeyPath, Position] = field(default_factory=dict)
    plain: dict[KeyPath, str] = field(default_factory=dict)
    """The text of scalars without quotes, which YAML may have turned into something else than it looks."""
    findings: list[Finding] = field(default_factory=list)

    def finding(self, path: KeyPath, message: str, rule: str, *, at_key: bool = False) -> Finding:
        """A problem at a value, or at its key; for what is not there, at the nearest thing around it."""
        positions = self.keys if at_key else self.values
        while path and path not in positions:
            path = path[:-1]
        line, column = positions.get(path, (1, 1))
        if len(message) > MAXIMUM_MESSAGE:
            message = f"{message[: MAXIMUM_MESSAGE - 200]} … {message[-200:]}"
        return Finding(self.path, line, column, printable(message), rule)

    def refuse(self, line: int, column: int, message: str) -> None:
        """Note that the file can't be read further."""
        self.findings.append(Finding(self.path, line, column, printable(message), "yaml"))


def load(file: Path, name: str) -> Document:
    """Read a file; `name` is how findings call it. Problems are in the document's `findings`; nothing is raised."""
    document = Document(name)
    if leaves(file, _top(file, name)):
        document.findings.append(Finding(document.path, 1, 1, MESSAGE, "link"))
        return document
    try:
        size = file.stat().st_size
        if size > MAXIMUM_BYTES:
            document.refuse(1, 1, f"the file has {size:,} bytes; at most {MAXIMUM_BYTES:,} are read")
            return document
        content = file.read_bytes()
    except OSError as error:
        document.refuse(1, 1, f"can't be read: {error.strerror}")
        return document
    text = _decode(document, content)
    if text is not None:
        parse(document, text)
    return document


def _top(file: Path, name: str) -> Path:
    """The folder that `name` is counted from."""
    parts = Path(name).parts
    counted = not Path(name).is_absolute() and file.parts[-len(parts) :] == parts
    return file.parents[len(parts) - 1] if counted else file.parent


def _decode(document: Document, content: bytes) -> str | None:
    if b"\0" in content:
        line, column = _line_and_column(content[: content.index(b"\0")].decode("utf-8", "replace"))
        document.refuse(line, column, "a NUL byte; the file must be text in UTF-8")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8", "replace"))
        document.refuse(line, column, f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8")
        return None


def _line_and_column(before: str) -> Position:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def parse(document: Document, text: str) -> None:
    """Fill the document from a text."""
    document.text = text
    if left := list(conflicts(text)):
        document.findings += [Finding(document.path, one.first, 1, str(one), "conflict") for one in left]
        return
    try:
        _Builder(document).build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        document.refuse(line, column, _words(error, text))
        document.data = None
    except yaml.YAMLError as error:
        document.refuse(1, 1, f"not YAML: {error}")
        document.data = None
    except _RefusedError:
        document.data = None


def _words(error: yaml.MarkedYAMLError, text: str) -> str:
    problem, mark = error.problem or "can't be read", error.problem_mark
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "a tab; YAML is indented with spaces"
    if re.search(r"(:\s|-\s|\[|,\s*)(\{\{|@|`|%|\*)", line) and ("expected" in problem or "found character" in problem):
        return f"not YAML: {problem}; put a value that starts with a special character in quotes"
    context = f" ({error.context})" if error.context else ""
    return f"not YAML: {problem}{context}"


class _RefusedError(Exception):
    """The document holds something that is not read on purpose; the finding is noted already."""


@dataclass
class _Open:
    """A mapping or list that is being read; `key` is the mapping's key whose value comes next."""

    path: KeyPath
    content: dict[Any, Any] | list[Any]
    key: str | None = None


class _Builder:
    """Turns parse events into data and positions."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[_Open] = []
        self.documents = 0
        # PyYAML's own annotations stop here.
        self.constructor: Any = SafeConstructor()
        self.resolver: Any = Resolver()

    def build(self, text: str) -> None:
        for event in yaml.parse(text, Loader=_Loader):
            match event:
                case DocumentStartEvent():
                    self._start_document(event)
                case AliasEvent():
                    self._refuse(event, f"an alias (*{event.anchor}); write the value out, or put it under `defaults`")
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
            self.document.refuse(1, 1, "the file is empty")

    def _start_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self._refuse(event, "a second YAML document (---); a file holds one")

    def _refuse(self, event: Any, message: str) -> None:
        self.document.refuse(event.start_mark.line + 1, event.start_mark.column + 1, message)
        raise _RefusedError

    def _start(self, event: Any, content: dict[Any, Any] | list[Any]) -> None:
        if self.open and isinstance(self.open[-1].content, dict) and self.open[-1].key is None:
            self._refuse(event, "a key that is no text; write templates and other values with braces in quotes")
        if len(self.open) >= MAXIMUM_DEPTH:
            self._refuse(event, f"nested more than {MAXIMUM_DEPTH} deep")
        path = self._place(event, content)
        self.open.append(_Open(path, content))

    def _scalar(self, event: Any) -> None:
        if "\0" in event.value:
            self._refuse(event, "a NUL character, which neither Airflow's database nor a container can hold")
        top = self.open[-1] if self.open else None
        if top is not None and isinstance(top.content, dict) and top.key is None:
            self._key(event, top)
            return
        value = self._value(event)
        path = self._place(event, value)
        if event.implicit[0] and not event.style:
            self.document.plain[path] = event.value

    def _key(self, event: Any, top: _Open) -> None:
        path = (*top.path, event.value)
        position = (event.start_mark.line + 1, event.start_mark.column + 1)
        if event.value in top.content:
            first = self.document.keys[path][0]
            message = f"'{event.value}' is given twice (first on line {first}); only one can count"
            self.document.findings.append(Finding(self.document.path, *position, printable(message), "duplicate-key"))
        self.document.keys[path] = position
        top.key = event.value

    def _value(self, event: Any) -> Any:
        tag = event.tag or self.resolver.resolve(ScalarNode, event.value, event.implicit)
        # Dates keep their text: a JSON Schema knows no date, and a reader wants back what was written.
        if tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"):
            return event.value
        if tag in _NUMBERS and len(event.value) > MAXIMUM_DIGITS:
            return event.value
        if tag not in SafeConstructor.yaml_constructors:
            self._refuse(event, f"an unknown tag {tag}")
        try:
            return self.constructor.construct_object(ScalarNode(tag, event.value))
        except (ValueError, yaml.YAMLError):
            return event.value

    def _place(self, event: Any, value: Any) -> KeyPath:
        """Put a value where it belongs and note where it stands."""
        path: KeyPath = ()
        if not self.open:
            self.document.data = value
        elif isinstance(self.open[-1].content, list):
            top = self.open[-1]
            path = (*top.path, len(top.content))
            self.open[-1].content.append(value)
        else:
            top = self.open[-1]
            assert isinstance(top.content, dict)
            assert top.key is not None
            path = (*top.path, top.key)
            top.content[top.key] = value
            top.key = None
        self.document.values[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        return path
