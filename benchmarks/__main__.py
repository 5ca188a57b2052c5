"""`make bench`: measure everything, print it, and write RESULTS.md."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import check
import parse


def main() -> None:
    """Run one benchmark after the other."""
    sections = []
    for measured in (check, parse):
        sections.append(measured.section())
        print(sections[-1], flush=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    head = f"# Measured\n\n{datetime.now(UTC):%Y-%m-%d}, {machine}.\n\n"
    Path(__file__).with_name("RESULTS.md").write_text(head + "\n".join(sections))


if __name__ == "__main__":
    main()
