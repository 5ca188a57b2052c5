"""Read dag-factory's YAML as plain data, with the line of every key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from jobyard_cli.check.findings import printable
from jobyard_cli.errors import JobyardError
from jobyard_cli.importing.source import read

DEFAULTS_FILES = ("defaults.yml", "defaults.yaml")
"""What dag-factory merges below every file of a folder; it takes the first that is there."""
MOST_NODES = 100_000
"""A file whose aliases make more of it than this is refused."""
TYPE = "__type__"
"""The key with the class of which dag-factory makes an object, from the other keys."""
Path_ = tuple[str | int, ...]
Place = tuple[str, int]
"""A file, and a line from 1."""
Places = dict[Path_, Place]


class InvalidFactoryFileError(JobyardError):
    """A file of dag-factory can't be read; the message has its place."""


@dataclass(frozen=True)
class Keyed:
    """A mapping of a file, and the place of each of its keys, at every depth."""

    data: Mapping[str, Any]
    file: str
    places: Places = field(default_factory=dict)

    def place(self, path: Path_) -> Place:
        """Return the place of a key, or that of the innermost one around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (self.file, 1))

    def part(self, key: str) -> Keyed:
        """Return the mapping at a key; an empty one if it is none."""
        data = self.data.get(key)
        places = {path[1:]: place for path, place in self.places.items() if path[0] == key}
        return Keyed(data if isinstance(data, Mapping) else {}, self.file, places)

    def over(self, default: Keyed) -> Keyed:
        """Return this on top of another: where both have a mapping, key by key, as dag-factory merges them."""
        data = dict(self.data)
        places = {**default.places, **self.places}
        for key, below in default.data.items():
            above = data.get(key)
            if isinstance(above, Mapping) and isinstance(below, Mapping):
                data[key] = self.part(key).over(default.part(key)).data
            else:
                data.setdefault(key, below)
        return Keyed(data, self.file, places)


def read_factory_file(file: str) -> Keyed:
    """Return the content of a file, or of standard input for `-`.

    Raises:
        UnreadableSourceError: the file is missing, a folder, too large, or no text.
        InvalidFactoryFileError: it is not YAML, or not a mapping.
    """
    source = read(file)
    return parsed("\n".join(source.lines), source.name)


def defaults_beside(file: str) -> Keyed | None:
    """Return the defaults that dag-factory merges below the files of the same folder, or None.

    Raises:
        InvalidFactoryFileError: they are not YAML, or not a mapping.
    """
    folder = Path(file).parent
    found = [folder / name for name in DEFAULTS_FILES if (folder / name).is_file()]
    return read_factory_file(str(found[0])) if found and file != "-" else None


def parsed(text: str, name: str) -> Keyed:
    """Return the content of a text; `name` is the file's in messages.

    Raises:
        InvalidFactoryFileError: it is not YAML, or not a mapping.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Keyed({}, name)
        places = {path: (name, line) for path, line in _Walk(name).lines(node)}
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise InvalidFactoryFileError(f"{name}:{place}: {printable(str(error.problem))}") from None
    except yaml.YAMLError as error:
        raise InvalidFactoryFileError(f"{name}:1:1: {printable(str(error))}") from None
    if not isinstance(data, dict):
        raise InvalidFactoryFileError(f"{name}:1:1: a file of dag-factory must be a mapping of DAGs")
    return Keyed(data, name, places)


class _Walk:
    """Goes through a tree of nodes, in which aliases may be often, and never in themselves."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = MOST_NODES
        self._above: list[yaml.Node] = []

    def lines(self, node: yaml.Node, path: Path_ = ()) -> Iterator[tuple[Path_, int]]:
        """Yield the path and the line of each key below a node."""
        self._left -= 1
        if self._left < 0 or node in self._above:
            place = f"{self._name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
            raise InvalidFactoryFileError(f"{place}: aliases make too much of this file, or refer to themselves")
        self._above.append(node)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield from self._pair(key, value, path)
        elif isinstance(node, yaml.SequenceNode):
            for number, entry in enumerate(node.value):
                yield (*path, number), entry.start_mark.line + 1
                yield from self.lines(entry, (*path, number))
        self._above.pop()

    def _pair(self, key: yaml.Node, value: yaml.Node, path: Path_) -> Iterator[tuple[Path_, int]]:
        if key.tag == "tag:yaml.org,2002:merge":
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for mapping in merged:
                yield from self.lines(mapping, path)
        elif isinstance(key, yaml.ScalarNode):
            yield (*path, key.value), key.start_mark.line + 1
            yield from self.lines(value, (*path, key.value))


def plain(value: Any) -> Any:
    """Return a value as dag-factory makes it of `__type__` and `__join__`, at every depth.

    Of the classes only timedelta and list are known; of another one its arguments are returned, as a mapping.
    """
    if isinstance(value, Mapping):
        return _cast({key: plain(part) for key, part in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(part) for part in value]
    return value


def _cast(value: dict[str, Any]) -> Any:
    if "__join__" in value:
        return "".join(map(str, value["__join__"]))
    kind = str(value.pop(TYPE, ""))
    if kind.endswith("timedelta"):
        return _timedelta(value)
    if kind == "builtins.list":
        return list(value.get("items", []))
    return value


def _timedelta(arguments: Mapping[str, Any]) -> timedelta | None:
    try:
        return timedelta(**arguments)
    except (TypeError, OverflowError):
        return None
