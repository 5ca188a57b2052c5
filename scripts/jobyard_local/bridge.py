"""The bridge that joins this machine and the pods of the real nodes.

Its name is the platform's claim to what is named after it: the network and the pods' cgroups. A platform that is down
has no bridge, so another may have taken the name since; the bridge itself says whose it is.
"""

from __future__ import annotations

import json
from typing import Any

from jobyard_cli.system.programs import run

from jobyard_local.errors import UnsupportedError
from jobyard_local.layout import Layout


def create(layout: Layout) -> None:
    """The pods' bridge, with this machine's own address on it; pods reach nothing beyond.

    Raises:
        UnsupportedError: another platform has taken its name.
    """
    if is_anothers(layout):
        raise UnsupportedError(
            f"another platform took the network of this one ({layout.network}) while it was down; "
            "stop that one, or run `jobyard local down --purge` and start this one again"
        )
    if _link(layout):
        return
    size = layout.network.partition("/")[2]
    run(["ip", "link", "add", layout.bridge, "type", "bridge"])
    run(["ip", "link", "set", layout.bridge, "alias", str(layout.state)])
    run(["ip", "address", "add", f"{layout.host}/{size}", "dev", layout.bridge])
    run(["ip", "link", "set", layout.bridge, "up"])


def is_anothers(layout: Layout) -> bool:
    """Return whether the bridge of this name exists and belongs to another platform."""
    link = _link(layout)
    return link is not None and link.get("ifalias") != str(layout.state)


def remove(layout: Layout) -> None:
    """Undo `create`."""
    if _link(layout) and not is_anothers(layout):
        run(["ip", "link", "delete", layout.bridge])


def _link(layout: Layout) -> dict[str, Any] | None:
    links: list[dict[str, Any]] = json.loads(run(["ip", "-j", "link"]))
    return next((link for link in links if link["ifname"] == layout.bridge), None)
