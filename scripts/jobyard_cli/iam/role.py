"""A role as IAM knows it, and its rights as policies of the sizes that IAM takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VERSION = "2012-10-17"
POLICY_SIZE = 6144
"""Characters of a managed policy, white space not counted."""
POLICIES = 10
"""Managed policies that a role has without a request to AWS."""

Statement = Mapping[str, Any]
"""A statement of a policy."""
Policy = dict[str, Any]


@dataclass(frozen=True)
class Role:
    """An identity, who may be it, and what it may."""

    key: str
    """Its name in a CloudFormation template."""
    part: str
    """The team that it belongs to, or the platform."""
    name: str
    """With its path, as `batch/risk-starts`."""
    identity: str
    """Who that is, in words."""
    trust: Sequence[Statement]
    statements: Sequence[Statement] = ()
    notes: Sequence[str] = ()
    """What a person should know of it."""
    groups: Sequence[str] = ()
    """Its groups in the cluster."""
    after: Sequence[str] = ()
    """Keys of roles that IAM has to know before it takes the trust."""

    @property
    def short_name(self) -> str:
        """Return the name without the path."""
        return self.name.rpartition("/")[2]

    @property
    def path(self) -> str:
        """Return the path, with a slash before and after it."""
        return f"/{self.name.rpartition('/')[0]}/".replace("//", "/")


def key(team: str, kind: str) -> str:
    """Return a role's name in a template, which allows only letters and digits; teams' names have no capital Z."""
    return f"{team.replace('-', 'Z')}{kind}"


def allow(sid: str, actions: Iterable[str], resources: Iterable[str], **condition: Mapping[str, object]) -> Statement:
    """Return a statement that allows; the condition's operators are given by name."""
    return _statement("Allow", sid, actions, resources, condition)


def deny(sid: str, actions: Iterable[str], resources: Iterable[str]) -> Statement:
    """Return a statement that denies, whatever else allows it."""
    return _statement("Deny", sid, actions, resources, {})


def _statement(
    effect: str, sid: str, actions: Iterable[str], resources: Iterable[str], condition: Mapping[str, object]
) -> Statement:
    statement: dict[str, Any] = {"Sid": sid, "Effect": effect, "Action": list(actions), "Resource": list(resources)}
    if condition:
        statement["Condition"] = dict(condition)
    return statement


def document(statements: Iterable[Statement]) -> Policy:
    """Return statements as a policy."""
    return {"Version": VERSION, "Statement": [dict(statement) for statement in statements]}


def size(policy: Policy) -> int:
    """Return its number of characters as IAM counts them."""
    return len(json.dumps(policy, separators=(",", ":")))


def policies(statements: Iterable[Statement]) -> list[Policy]:
    """Return the statements as policies that IAM accepts: one, or several for a long list of resources."""
    groups: list[list[Statement]] = []
    for piece in _pieces(statements):
        if groups and size(document([*groups[-1], piece])) <= POLICY_SIZE:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [document(group) for group in groups]


def _pieces(statements: Iterable[Statement]) -> Iterator[Statement]:
    """The statements, those that fill more than a policy in parts, each with an identifier of its own."""
    for statement in statements:
        parts = list(_parts(statement))
        if len(parts) == 1:
            yield statement
            continue
        for number, part in enumerate(parts, start=1):
            yield {**part, "Sid": f"{part['Sid']}{number}"}


def _parts(statement: Statement) -> Iterator[Statement]:
    resources = statement.get("Resource", [])
    # Room for the number that the identifier gets.
    if size(document([statement])) <= POLICY_SIZE - 4 or len(resources) < 2:
        yield statement
        return
    middle = len(resources) // 2
    for half in (resources[:middle], resources[middle:]):
        yield from _parts({**statement, "Resource": half})
