"""`make bench`: measure everything, print it, and write RESULTS.md."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import advice
import check
import credential
import crowd
import large
import largest
import memory
import merge_request
import metrics
import night.bench
import page
import parse
import pods
import release
import reparse
import teams
from jobyard_cli.errors import JobyardError

SECTIONS = {
    "check": check.section,
    "merge request": merge_request.section,
    "parse": parse.section,
    "reparse": reparse.section,
    "large": large.section,
    "largest": largest.section,
    "memory": memory.section,
    "metrics": metrics.section,
    "page": page.section,
    "release": release.section,
    "teams": teams.section,
    "advice": advice.section,
    "token": credential.section,
    "pods": pods.section,
    "night": night.bench.section,
    "crowd": crowd.section,
}


def main(names: list[str]) -> None:
    """Run one benchmark after the other; only all of them together are a result to keep."""
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        sys.exit(f"bench: no {' or '.join(unknown)} here; there is {', '.join(SECTIONS)}")
    sections = []
    for name in names or SECTIONS:
        try:
            sections.append(SECTIONS[name]())
        except JobyardError as error:
            sys.exit(f"bench: {error}")
        print(sections[-1], flush=True)
    if names:
        return
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    head = f"# Measured\n\n{datetime.now(UTC):%Y-%m-%d}, {machine}.\n\n"
    text = head + "\n".join(section.rstrip() + "\n" for section in sections)
    Path(__file__).with_name("RESULTS.md").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
