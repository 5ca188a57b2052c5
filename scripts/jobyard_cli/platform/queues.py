"""What a team has of each node group where its pods wait in Kueue's queues, as charts/bounds makes it of the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from jobyard.quantities import canonical_memory, parse_quantity

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.parsing.documents import Document, KeyPath, Written
from jobyard_cli.parsing.quantities import canonical_cpu

KINDS = ("cpu", "memory", "ephemeralStorage", "gpu")
"""What a pod requests, in the words of a quota and of the catalogue."""
UNITS = {"cpu": "cores", "memory": "memory", "ephemeralStorage": "disk", "gpu": "GPUs"}
"""What an amount of each kind is of."""
_READ = ("queue", "quota", "allowedNodeGroups")
"""Values of a team on which its shares depend."""


def own_amounts(values: Written, name: str, group: Written) -> dict[str, Decimal]:
    """Return what a team has of a node group for itself: by kind; `values` are the team's in one environment.

    It is what `queue` says, else its quota, at most what the group's machines have together.
    """
    stated = _stated(values, name)
    amounts = {}
    for kind in KINDS:
        most = min(_machines(group, kind), _quota(values, kind))
        amounts[kind] = parse_quantity(stated[kind]) if kind in stated else most
    return amounts


def borrowed_amounts(values: Written, name: str) -> dict[str, Decimal]:
    """Return what a team may borrow at most in a node group, of the kinds of which that is bounded."""
    limits = {kind: parse_quantity(amount) for kind, amount in mapping(_stated(values, name).get("borrow")).items()}
    if not _quota(values, "gpu"):
        limits.setdefault("gpu", Decimal(0))
    return limits


def quota_warnings(teams: Mapping[str, Written], catalogue: Mapping[str, Written]) -> Iterator[str]:
    """Yield a warning for each node group of which the teams' quotas are together more than its machines have.

    Kueue does not know what machines there are. It lets such pods start, and they wait for a machine: that counts
    against their tasks' `startup_timeout`, and waiting in a queue does not.
    """
    for name, group in sorted(catalogue.items()):
        own = [own_amounts(values, name, group) for values in teams.values() if name in values["allowedNodeGroups"]]
        more = list(_more_than_machines(own, group))
        if more:
            yield (
                f"node group {name}: the quotas of the {len(own)} teams that may use it are more than its machines "
                f"have ({', '.join(more)}). Pods may start to wait for a machine, which counts against "
                "`startup_timeout`, when they should wait in their queue. "
                f"Set `queue.nodeGroups.{name}` of the teams, or raise its maxNodes"
            )


def _more_than_machines(own: Sequence[Mapping[str, Decimal]], group: Written) -> Iterator[str]:
    for kind, unit in UNITS.items():
        total, most = sum((amounts[kind] for amounts in own), Decimal(0)), _machines(group, kind)
        if total > most:
            # People count in cores, not in thousandths of one.
            shown = [f"{one.normalize():f}" if kind == "cpu" else _text(kind, one) for one in (total, most)]
            yield f"{shown[0]} of {shown[1]} {unit}"


def queue_findings(document: Document, values: Written, catalogue: Mapping[str, Written]) -> Iterator[Finding]:
    """Yield a finding for each amount of a team's `queue` that makes no sense; the schema has checked its form.

    `values` are the team's where the document counts: the document itself, or merged with the team's file.
    """
    if not any(key in document.data for key in _READ):
        return
    allowed = values.get("allowedNodeGroups", [])
    for name in _groups(values):
        path = ("queue", "nodeGroups", name)
        if name not in allowed:
            message = f"the team may not use node group '{name}' (allowedNodeGroups: {', '.join(sorted(allowed))})"
            yield document.finding(path, message, "node-group", at_key=True)
        elif name in catalogue:
            yield from _amounts(document, path, values, catalogue[name])


def _amounts(document: Document, path: KeyPath, values: Written, group: Written) -> Iterator[Finding]:
    name = str(path[-1])
    stated = _stated(values, name)
    own = own_amounts(values, name, group)
    yield from _gpus(document, path, stated, group)
    for kind in KINDS:
        if kind in stated:
            at = (*path, kind)
            yield from _more(document, at, stated[kind], _quota(values, kind), "the team's quota")
            yield from _more(document, at, stated[kind], _machines(group, kind), "the group's machines have together")
        lent = mapping(stated.get("lend"))
        if kind in lent:
            yield from _more(document, (*path, "lend", kind), lent[kind], own[kind], "the team has there")


def _gpus(document: Document, path: KeyPath, stated: Written, group: Written) -> Iterator[Finding]:
    if mapping(group.get("allocatable")).get("gpu"):
        return
    for place, amounts in (((), stated), (("borrow",), mapping(stated.get("borrow")))):
        if amounts.get("gpu"):
            yield document.finding((*path, *place, "gpu"), f"node group '{path[-1]}' has no GPU", "node-group")


def _more(document: Document, path: KeyPath, stated: str | int, most: Decimal, words: str) -> Iterator[Finding]:
    kind = str(path[-1])
    # Of a group without any, that is said already.
    if parse_quantity(stated) > most and not (kind == "gpu" and not most):
        message = f"'{'.'.join(str(step) for step in path)}' is {stated}, more than {words} ({_text(kind, most)})"
        yield document.finding(path, message, "node-group")


def _groups(values: Written) -> Written:
    return mapping(mapping(values.get("queue")).get("nodeGroups"))


def _stated(values: Written, name: str) -> Written:
    return mapping(_groups(values).get(name))


def _quota(values: Written, kind: str) -> Decimal:
    return parse_quantity(mapping(values.get("quota")).get(kind, 0))


def _machines(group: Written, kind: str) -> Decimal:
    return parse_quantity(mapping(group.get("allocatable")).get(kind, 0)) * parse_quantity(group.get("maxNodes", 0))


def _text(kind: str, amount: Decimal) -> str:
    if kind == "cpu":
        return canonical_cpu(f"{amount.normalize():f}")
    if kind == "gpu":
        return str(int(amount))
    return canonical_memory(str(int(amount)))
