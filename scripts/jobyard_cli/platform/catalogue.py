"""Adding a node group to values/node-groups.yaml, and writing again what follows from its machines.

The rest of the file, comments included, stays as a person wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jobyard.quantities import parse_quantity

from jobyard_cli.errors import UsageError
from jobyard_cli.platform.environments import CATALOGUE, load_node_groups
from jobyard_cli.platform.machines import Machine, choose, largest_first, read_machines

NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
"""The key that Kubernetes' ExtendedResourceToleration admission knows."""
STARTUP_SECONDS, GPU_STARTUP_SECONDS = 600, 1200
"""From no machine at all to a running pod."""
MADE = ("instanceTypes", "capacity", "allocatable")
"""The fields that follow from the machines."""
GIB = 2**30
TEXT = "tag:yaml.org,2002:str"


class NodeGroupError(UsageError):
    """The node group that is asked for can't be added or updated; the message has every problem."""


@dataclass(frozen=True)
class NewGroup:
    """A node group to add."""

    name: str
    instance_types: Sequence[str]
    description: str
    disk: int  # GiB of a machine's volume
    most: int  # machines
    capacity_type: str  # on-demand or spot


@dataclass(frozen=True)
class Change:
    """What has become of a node group."""

    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]

    @property
    def lines(self) -> Iterator[str]:
        """Yield a line for each field that has changed."""
        for field in MADE:
            old = None if self.before is None else self.before[field]
            if old != self.after[field]:
                was = "" if old is None else f"{_flow(old)} -> "
                yield f"  {field}: {was}{_flow(self.after[field])}"


def add(repo: Path, group: NewGroup) -> Change:
    """Add a node group to the catalogue.

    Raises:
        NotAPlatformRepoError: the catalogue, or the list of machines, is not there.
        InvalidValuesError: one of them is wrong.
        NodeGroupError: the catalogue has such a group already, or an answer is wrong.
        MachinesError: the machines are not known, or don't fit together.
    """
    groups = load_node_groups(repo)
    if problems := [*_problems(group, groups)]:
        raise NodeGroupError("\n".join(problems))
    machines = choose(read_machines(repo), group.instance_types)
    entry = _entry(group, machines)
    file = repo / CATALOGUE
    text = file.read_text(encoding="utf-8").rstrip("\n")
    file.write_text(f"{text}\n{_block(group.name, entry)}", encoding="utf-8")
    return Change(group.name, None, entry)


def update(repo: Path, name: str | None, instance_types: Sequence[str]) -> list[Change]:
    """Write again what follows from the machines of a node group, or of all; with `instance_types`, of other machines.

    Raises:
        NotAPlatformRepoError: the catalogue, or the list of machines, is not there.
        InvalidValuesError: one of them is wrong.
        NodeGroupError: there is no such group.
        MachinesError: the machines are not known, or don't fit together.
    """
    groups, known = load_node_groups(repo), read_machines(repo)
    if name is not None and name not in groups:
        raise NodeGroupError(f"unknown node group '{name}' ({CATALOGUE} has: {', '.join(groups)})")
    changes = []
    for one in [name] if name else groups:
        before = groups[one]
        machines = choose(known, instance_types or before["instanceTypes"])
        after = {**before, "architecture": machines[0].architecture, **_of_machines(machines, _disk(before))}
        if after != before:
            changes.append(Change(one, before, after))
    file = repo / CATALOGUE
    file.write_text(_with(file.read_text(encoding="utf-8"), changes), encoding="utf-8")
    return changes


def _problems(group: NewGroup, groups: Mapping[str, Any]) -> Iterator[str]:
    if group.name in groups:
        yield f"node group '{group.name}' exists already, in {CATALOGUE}; `jobyard node-groups update` changes it"
    if not NAME.fullmatch(group.name):
        yield f"NAME must be lower-case letters, digits and '-', such as high-cpu; got '{group.name}'"
    if not group.instance_types:
        yield "--instance-types must name at least one; got none"
    if group.disk < 10:
        yield f"--disk must be at least 10 (GiB); got {group.disk}"
    if group.most < 1:
        yield f"--max-nodes must be at least 1; got {group.most}"
    if not group.description.strip():
        yield "--description must say in words what the machines are for; got nothing"


def _of_machines(machines: Sequence[Machine], disk: int) -> dict[str, Any]:
    ordered = largest_first(machines)
    most = ordered[0]
    return {
        "instanceTypes": [machine.name for machine in ordered],
        "capacity": most.capacity(disk),
        "allocatable": most.allocatable(disk),
    }


def _entry(group: NewGroup, machines: Sequence[Machine]) -> dict[str, Any]:
    has_gpu = bool(machines[0].gpu)
    own = {"key": "jobyard.dev/node-group", "value": group.name, "effect": "NoSchedule"}
    return {
        "description": group.description,
        "architecture": machines[0].architecture,
        **_of_machines(machines, group.disk),
        "labels": {"jobyard.dev/node-group": group.name},
        "taints": [own, GPU_TAINT] if has_gpu else [own],
        "minNodes": 0,
        "maxNodes": group.most,
        "capacityType": group.capacity_type,
        "startupTimeout": GPU_STARTUP_SECONDS if has_gpu else STARTUP_SECONDS,
    }


def _disk(group: Mapping[str, Any]) -> int:
    return int(parse_quantity(group["capacity"]["ephemeralStorage"]) / GIB)


def _block(name: str, entry: Mapping[str, Any]) -> str:
    lines = [f"    {field}: {_flow(value)}" for field, value in entry.items()]
    return "\n".join([f"  {name}:", *lines, ""])


def _flow(value: Any) -> str:
    """Return a value on one line, as the catalogue has it."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


class _Dumper(yaml.SafeDumper):
    """Writes what must be quoted with double quotes, as people do."""


def _written(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(TEXT, value, style=None if tag == TEXT else '"')


_Dumper.add_representer(str, _written)


def _with(text: str, changes: Sequence[Change]) -> str:
    """Return the catalogue's text with the values of the changed groups in the places of the old ones."""
    places: list[tuple[int, int, str]] = []
    for change in changes:
        fields = _fields(text, change.name)
        for field in ("architecture", *MADE):
            begin, end = fields[field]
            places.append((begin, end, _flow(change.after[field])))
    for begin, end, value in sorted(places, reverse=True):
        text = f"{text[:begin]}{value}{text[end:]}"
    return text


def _fields(text: str, group: str) -> dict[str, tuple[int, int]]:
    """Return where each value of a group begins and ends in the text."""
    groups = _values(_values(yaml.compose(text, Loader=yaml.SafeLoader))["nodeGroups"])
    values = _values(groups[group])
    # A block ends where the next thing begins, with line breaks and comments between.
    return {name: (node.start_mark.index, len(text[: node.end_mark.index].rstrip())) for name, node in values.items()}


def _values(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value}
