"""`jobyard check` of many jobs beside check-jsonschema, which only validates the same files against the same schema."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from jobs import make_repo
from measure import in_turn

JOBS = 1_000


def seconds(command: list[str], folder: Path) -> float:
    """Wall time of a command that has to succeed, from the start of its process to its end."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def section() -> str:
    """Measure, and return the result as Markdown."""
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        names = [str(file.relative_to(folder)) for file in make_repo(folder, JOBS)]
        check = [str(programs / "jobyard"), "check"]
        peer = [str(programs / "check-jsonschema"), "--schemafile", "schemas/job.schema.json", *names]
        sides = {"jobyard check": lambda: seconds(check, folder), "check-jsonschema": lambda: seconds(peer, folder)}
        rounds = in_turn(sides)
    versions = ", ".join(f"{name} {version(name)}" for name in ("jsonschema", "pyyaml", "check-jsonschema"))
    return f"""\
## The check of {JOBS:,} jobs of four tasks

Wall time in seconds of the whole process. `jobyard check` validates against the schema and also checks names,
machines, templates, cron expressions and dependencies; check-jsonschema only validates. {versions}

{rounds.table()}
{rounds.compare("check-jsonschema", "jobyard check")}"""
