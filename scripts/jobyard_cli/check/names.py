"""Check names that must exist: node groups, service accounts, priorities, pools, images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jobyard.contract import is_image_address

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import defaults_of, tasks_of
from jobyard_cli.check.rules import Rule
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo


def check_names(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each name that the team does not have, or may not use."""
    yield from _names(document, repo, ("defaults",), defaults_of(document))
    for name, task in tasks_of(document).items():
        path: KeyPath = ("tasks", name)
        yield from _names(document, repo, path, task)
        yield from _image(document, repo, path, task)


def _names(document: Document, repo: TeamRepo, path: KeyPath, part: dict[str, Any]) -> Iterator[Finding]:
    known: dict[str, tuple[Rule, list[str]]] = {
        "node_group": ("node-group", repo.allowed_node_groups),
        "service_account": ("service-account", repo.service_accounts),
        "priority": ("priority", list(repo.priorities)),
        "pool": ("pool", repo.pools),
    }
    for key, (rule, names) in known.items():
        value = part.get(key)
        if isinstance(value, str) and value not in names:
            yield document.finding((*path, key), _unknown_name(repo, key, value, names), rule)


def _unknown_name(repo: TeamRepo, key: str, value: str, names: list[str]) -> str:
    if key != "node_group":
        return unknown(key.replace("_", " "), value, names, f"team {repo.team} has")
    intro = f"team {repo.team} may use"
    if value in repo.node_groups:
        return f"team {repo.team} may not use node group '{value}' ({intro}: {', '.join(names)})"
    return unknown("node group", value, names, intro)


def _image(document: Document, repo: TeamRepo, path: KeyPath, task: dict[str, Any]) -> Iterator[Finding]:
    image = task.get("image")
    if not isinstance(image, str) or not image or image in repo.images:
        return
    if not is_image_address(image):
        message = unknown("image", image, repo.images, "images/ and values/team.yaml have")
        yield document.finding((*path, "image"), message, "image")
    elif re.search(r"[\s{}]", image):
        message = (
            "'image' must be a name, which is resolved at run time, or an address without spaces and templates; "
            f"got '{image}'"
        )
        yield document.finding((*path, "image"), message, "image")
