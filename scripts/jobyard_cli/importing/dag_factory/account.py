"""What became of each key of a file of dag-factory, so that none is dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jobyard_cli.importing.dag_factory.reading import Keyed, Path_


class Fate(StrEnum):
    """What became of a key."""

    imported = "imported"
    left_out = "left out"
    todo = "to do"


@dataclass(frozen=True)
class Outcome:
    """What became of one key, which is on that line of that file."""

    file: str
    line: int
    key: str
    fate: Fate
    words: str


@dataclass
class Account:
    """The outcomes of one DAG, in the order of the file."""

    outcomes: list[Outcome] = field(default_factory=list)

    def todos(self, key: str) -> list[str]:
        """Return what is to do for a key, and what is below it."""
        inside = [one for one in self.outcomes if one.key == key or one.key.startswith(f"{key}.")]
        return [f"{one.key.rpartition('.')[2]}: {one.words}" for one in inside if one.fate is Fate.todo]


class Section:
    """A mapping of a DAG, every key of which gets an outcome: by one of the methods, or by `rest` at the end."""

    def __init__(self, account: Account, source: Keyed, path: Path_, data: Mapping[str, Any], shown: str) -> None:
        """`path` is where the mapping is in the file, and `shown` what the report calls it."""
        self.account, self.source, self.path, self.data, self.shown = account, source, path, data, shown
        self._done: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) is not None

    def get(self, key: str) -> Any:
        """Return the value of a key, or None."""
        return self.data.get(key)

    def first(self, *keys: str) -> str:
        """Return the first of the keys that has a value, or "" if none has one."""
        return next((key for key in keys if key in self), "")

    def below(self, key: str | int, data: Mapping[str, Any], shown: str = "") -> Section:
        """Return a mapping in this one, whose keys are accounted for by themselves."""
        self._done.add(str(key))
        name = shown or str(key)
        return Section(self.account, self.source, (*self.path, key), data, f"{self.shown}.{name}".lstrip("."))

    def imported(self, key: str, words: str) -> None:
        """The key is in the job, as these words say."""
        self._note(key, Fate.imported, words)

    def left_out(self, key: str, words: str) -> None:
        """The key is not in the job, for this reason."""
        self._note(key, Fate.left_out, words)

    def todo(self, key: str, words: str) -> None:
        """A person must do this about the key."""
        self._note(key, Fate.todo, words)

    def note(self, what: str, words: str) -> None:
        """A person must do this, which is about no single key."""
        file, line = self.source.place(self.path)
        self.account.outcomes.append(Outcome(file, line, f"{self.shown}.{what}".lstrip("."), Fate.todo, words))

    def rest(self, reasons: Mapping[str, str], otherwise: str) -> None:
        """Leave out each key that has no outcome yet, for the reason that its name has."""
        for key in self._unknown():
            self.left_out(key, reasons.get(key, otherwise))

    def _unknown(self) -> Iterator[str]:
        yield from [str(key) for key in self.data if str(key) not in self._done]

    def _note(self, key: str, fate: Fate, words: str) -> None:
        if key in self._done or key not in self.data:
            return
        self._done.add(key)
        file, line = self.source.place((*self.path, key))
        name = f"{self.shown}.{key}".lstrip(".")
        self.account.outcomes.append(Outcome(file, line, name, fate, words))
