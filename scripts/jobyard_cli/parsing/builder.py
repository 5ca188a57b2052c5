"""Build plain data, with the position of every key and value, from the events of PyYAML's parser.

A file is read event by event, without recursion and without resolving aliases, so that a malicious one can exhaust
neither the stack nor the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from jobyard_cli.check.findings import Finding, printable

if TYPE_CHECKING:
    from jobyard_cli.parsing.documents import Document, KeyPath, Position

MAXIMUM_DEPTH = 50
MAXIMUM_DIGITS = 100
"""Longer numbers stay strings, which no schema accepts as a number: Python would take minutes to convert them."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def position_of(mark: Any) -> Position:
    """Return the position of PyYAML's mark, or of a parse event's; (1, 1) without one."""
    if not mark:
        return 1, 1
    return mark.line + 1, mark.column + 1


class _RefusedError(Exception):
    """The document has something that is not read on purpose; the finding is already in the document."""


class _UnknownTagError(Exception):
    """A value has a tag that is none of YAML's own."""


# PyYAML's stubs have no types for it.
_RESOLVER: Any = Resolver()


@lru_cache(maxsize=4096)
def _constructed(tag: str, text: str, implicit: tuple[bool, bool]) -> Any:
    """Return what YAML reads a scalar as; a repository has the same few thousand again and again.

    Raises:
        _UnknownTagError: the tag is none of YAML's own.
    """
    tag = tag or _RESOLVER.resolve(ScalarNode, text, implicit)
    # Dates stay strings: JSON has no dates, and messages quote what was written.
    if tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"):
        return text
    if tag in _NUMBERS and len(text) > MAXIMUM_DIGITS:
        return text
    if tag not in SafeConstructor.yaml_constructors:
        raise _UnknownTagError(tag)
    try:
        # A new one, as it keeps what it constructs.
        constructor: Any = SafeConstructor()
        return constructor.construct_object(ScalarNode(tag, text))
    except (ValueError, yaml.YAMLError):
        return text


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read; `key` is the key of the mapping whose value is next."""

    path: KeyPath
    content: dict[Any, Any] | list[Any]
    key: str | None = None


class Builder:
    """Builds data and positions from parse events."""

    def __init__(self, document: Document) -> None:
        """Take the document to fill."""
        self.document = document
        self.open: list[_Open] = []
        self.documents = 0

    def build(self, text: str) -> None:
        """Fill the document from its text; its data is None if the text has something that is not read on purpose.

        Raises:
            yaml.YAMLError: the text is not YAML.
        """
        parser = _Loader(text)
        try:
            while (event := parser.get_event()) is not None:
                self._take(event)
        except _RefusedError:
            self.document.data = None
            return
        finally:
            parser.dispose()
        if self.document.data is None and not self.document.values:
            self.document.refuse(1, 1, "the file must not be empty")

    def _take(self, event: Any) -> None:
        # The most frequent first. `match` would take twice as long.
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(event)
        elif kind is MappingStartEvent:
            self._start(event, {})
        elif kind is SequenceStartEvent:
            self._start(event, [])
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self.open.pop()
        elif kind is DocumentStartEvent:
            self._start_document(event)
        elif kind is AliasEvent:
            self._refuse(event, f"aliases are not supported; write out the value of *{event.anchor}")

    def _start_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self._refuse(event, "a file must hold a single YAML document; remove the separator (---) and what follows")

    def _refuse(self, event: Any, message: str) -> None:
        self.document.refuse(*position_of(event.start_mark), message)
        raise _RefusedError

    def _is_key(self) -> bool:
        """Whether the next event is a key: a mapping is open, and no value of it is awaited."""
        if not self.open:
            return False
        top = self.open[-1]
        return top.key is None and type(top.content) is dict

    def _start(self, event: Any, content: dict[Any, Any] | list[Any]) -> None:
        if self._is_key():
            self._refuse(event, "keys must be strings; quote values that contain braces")
        if len(self.open) >= MAXIMUM_DEPTH:
            self._refuse(event, f"the file must not be nested more than {MAXIMUM_DEPTH} levels deep")
        path = self._add(event, content)
        self.open.append(_Open(path, content))

    def _scalar(self, event: Any) -> None:
        text = event.value
        if "\0" in text:
            self._refuse(event, "NUL characters are not supported by Airflow's database and containers")
        if self._is_key():
            self._key(event, self.open[-1])
            return
        path = self._add(event, self._value(event))
        if event.implicit[0] and not event.style:
            self.document.plain[path] = text

    def _key(self, event: Any, top: _Open) -> None:
        path = (*top.path, event.value)
        position = position_of(event.start_mark)
        if event.value in top.content:
            first = self.document.keys[path][0]
            message = f"'{event.value}' must not occur twice in a mapping; the first is on line {first}"
            self.document.findings.append(Finding(self.document.path, *position, printable(message), "duplicate-key"))
        self.document.keys[path] = position
        top.key = event.value

    def _value(self, event: Any) -> Any:
        if event.tag is None and not event.implicit[0]:
            # In quotes, or a block.
            return event.value
        try:
            return _constructed(event.tag or "", event.value, event.implicit)
        except _UnknownTagError as error:
            self._refuse(event, f"the tag {error} is not supported")

    def _add(self, event: Any, value: Any) -> KeyPath:
        """Add a value to the data and its position to the document; return its path."""
        path: KeyPath = ()
        if not self.open:
            self.document.data = value
        else:
            top = self.open[-1]
            path = (*top.path, len(top.content) if top.key is None else top.key)
            _put(top, value)
        self.document.values[path] = position_of(event.start_mark)
        return path


def _put(top: _Open, value: Any) -> None:
    if isinstance(top.content, list):
        top.content.append(value)
    else:
        top.content[top.key] = value
        top.key = None
