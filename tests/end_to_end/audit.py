"""What the teams' launchers have asked of the API server, from its audit log."""

from __future__ import annotations

import json
from dataclasses import dataclass

from jobyard_local.platform import LocalPlatform


@dataclass(frozen=True)
class Request:
    """One request, and the HTTP status it was answered with; `right` is what a role has to give for it."""

    user: str
    agent: str
    right: str
    status: int


def requests(platform: LocalPlatform) -> list[Request]:
    """All that are in the log; fewer than there were once it has grown beyond what the API server keeps."""
    files = platform.layout.audit_log.parent.glob("*.log")
    return [_request(line) for file in files for line in file.read_text().splitlines()]


def _request(line: str) -> Request:
    event = json.loads(line)
    # A request without an object is not for a resource: `kubectl` asks which kinds exist.
    target = event.get("objectRef", {"resource": event["requestURI"]})
    resource = "/".join(target[part] for part in ("resource", "subresource") if part in target)
    if group := target.get("apiGroup"):
        resource += f".{group}"
    right = f"{event['verb']} {resource}"
    return Request(event["user"]["username"], event["userAgent"], right, event["responseStatus"]["code"])
