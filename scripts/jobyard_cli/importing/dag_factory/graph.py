"""Which task needs which: dependencies of tasks and of task groups, without the tasks that a job does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A task, or a task group: what it depends on, and the group that it is in, by their names in the file."""

    dependencies: Sequence[str] = ()
    group: str = ""


class Graph:
    """Tasks and groups of one DAG; names that neither has are ignored, and so are cycles."""

    def __init__(self, tasks: Mapping[str, Node], groups: Mapping[str, Node]) -> None:
        self._tasks, self._groups = tasks, groups

    def unknown(self) -> Iterator[tuple[str, str]]:
        """Yield each task or group, and what it depends on that does not exist."""
        for name, node in {**self._tasks, **self._groups}.items():
            for other in node.dependencies:
                if other not in self._tasks and other not in self._groups:
                    yield name, other

    def needs(self, name: str, dropped: Collection[str]) -> list[str]:
        """Return what a task needs, with what is dropped replaced by what that needs, in the order of the file."""
        found = set(self._kept(self._direct(name), dropped, {name}))
        return [task for task in self._tasks if task in found]

    def _kept(self, names: Iterable[str], dropped: Collection[str], seen: set[str]) -> Iterator[str]:
        for name in names:
            if name not in dropped:
                yield name
            elif name not in seen:
                seen.add(name)
                yield from self._kept(self._direct(name), dropped, seen)

    def _direct(self, name: str) -> Iterator[str]:
        """Yield the tasks on which a task depends, by itself or as the first of its groups."""
        node = self._tasks[name]
        yield from self._tasks_of(node.dependencies)
        group = node.group
        seen: set[str] = set()
        while group in self._groups and group not in seen and self._is_first(name, group):
            seen.add(group)
            yield from self._tasks_of(self._groups[group].dependencies)
            group = self._groups[group].group

    def _tasks_of(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name in self._tasks:
                yield name
            else:
                yield from self._last(name)

    def _members(self, group: str) -> list[str]:
        return [name for name in self._tasks if group in self._groups_of(name)]

    def _groups_of(self, name: str) -> list[str]:
        found: list[str] = []
        group = self._tasks[name].group
        while group in self._groups and group not in found:
            found.append(group)
            group = self._groups[group].group
        return found

    def _is_first(self, name: str, group: str) -> bool:
        members = self._members(group)
        return not any(other in members for other in self._tasks_of(self._tasks[name].dependencies))

    def _last(self, group: str) -> list[str]:
        """Return the tasks of a group on which no other task of it depends."""
        members = self._members(group) if group in self._groups else []
        before = {other for name in members for other in self._tasks[name].dependencies}
        return [name for name in members if name not in before]
