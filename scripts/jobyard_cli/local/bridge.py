"""The bridge that joins this machine and the pods of the real nodes."""

from __future__ import annotations

import json

from jobyard_cli.local.layout import Layout
from jobyard_cli.local.shell import run


def create(layout: Layout) -> None:
    """The pods' bridge, with this machine's own address on it; pods reach nothing beyond."""
    if layout.bridge in {link["ifname"] for link in json.loads(run(["ip", "-j", "link"]))}:
        return
    size = layout.network.partition("/")[2]
    run(["ip", "link", "add", layout.bridge, "type", "bridge"])
    run(["ip", "address", "add", f"{layout.host}/{size}", "dev", layout.bridge])
    run(["ip", "link", "set", layout.bridge, "up"])


def remove(layout: Layout) -> None:
    """Undo `create`."""
    if layout.bridge in {link["ifname"] for link in json.loads(run(["ip", "-j", "link"]))}:
        run(["ip", "link", "delete", layout.bridge])
