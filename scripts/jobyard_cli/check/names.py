"""Names that must exist: node groups, service accounts, priorities, pools, images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jobyard.contract import is_image_address

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import defaults_of, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo


def check_names(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each name that the team does not have, or may not use."""
    yield from _names(document, repo, ("defaults",), defaults_of(document))
    for name, task in tasks_of(document).items():
        path: KeyPath = ("tasks", name)
        yield from _names(document, repo, path, task)
        yield from _image(document, repo, path, task)


def _names(document: Document, repo: TeamRepo, path: KeyPath, part: dict[str, Any]) -> Iterator[Finding]:
    may = f"team {repo.team} may use"
    known = {
        "node_group": ("node group", repo.allowed_node_groups, may),
        "service_account": ("service account", repo.service_accounts, f"team {repo.team} has"),
        "priority": ("priority", list(repo.priorities), f"team {repo.team} has"),
        "pool": ("pool", repo.pools, f"team {repo.team} has"),
    }
    for key, (what, names, words) in known.items():
        value = part.get(key)
        if not isinstance(value, str) or value in names:
            continue
        if key == "node_group" and value in repo.node_groups:
            message = f"team {repo.team} may not use node group '{value}' ({may}: {', '.join(names)})"
        else:
            message = unknown(what, value, names, words)
        yield document.finding((*path, key), message, key.replace("_", "-"))


def _image(document: Document, repo: TeamRepo, path: KeyPath, task: dict[str, Any]) -> Iterator[Finding]:
    image = task.get("image")
    if not isinstance(image, str) or not image or image in repo.images:
        return
    if not is_image_address(image):
        message = unknown("image", image, repo.images, "images/ and values/team.yaml have")
        yield document.finding((*path, "image"), message, "image")
    elif re.search(r"[\s{}]", image):
        message = f"'{image}' is no image's address: no spaces and no templates; a name is looked up at run time"
        yield document.finding((*path, "image"), message, "image")
