"""`jobyard check` of many jobs beside check-jsonschema, which only validates the same files against the same schema.

The two run in turn, each from the start of its process, so that a machine whose speed drifts is fair to both.
"""

from __future__ import annotations

import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
JOBS = 1_000
PAIRS = 7
TEAM = """\
team: risk
allowedNodeGroups: [default, high-cpu, high-memory]
serviceAccounts: {jobs: {}}
priorities: {low: 1000, normal: 2000, high: 3000}
"""


def make_repo(folder: Path) -> list[Path]:
    """A team's repository with `JOBS` jobs of three tasks each; its job files."""
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    (folder / "values").mkdir()
    shutil.copy(ROOT / "values" / "node-groups.yaml", folder / "values")
    (folder / "values" / "team.yaml").write_text(TEAM)
    for image in ("feature-generation", "inference"):
        (folder / "images" / image).mkdir(parents=True)
        (folder / "images" / image / "Dockerfile").touch()
    job = (ROOT / "tests" / "fixtures" / "valid" / "all" / "job.yaml").read_text()
    files = [folder / "dags" / f"job-{number:04d}" / "job.yaml" for number in range(JOBS)]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.write_text(job.replace("Everything", f"Number {number} of everything"))
    return files


def seconds(command: list[str], folder: Path) -> float:
    """Wall time of a command that has to succeed."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def pairs(first: Callable[[], float], second: Callable[[], float]) -> list[tuple[float, float]]:
    """The two in turn, after one run of each that is not counted."""
    first(), second()
    return [(first(), second()) for _ in range(PAIRS)]


def report(measured: list[tuple[float, float]]) -> str:
    """The result as Markdown."""
    ours, theirs = zip(*measured, strict=True)
    ratios = [other / own for own, other in measured]
    rows = [
        ("jobyard check", statistics.median(ours), min(ours), max(ours)),
        ("check-jsonschema", statistics.median(theirs), min(theirs), max(theirs)),
    ]
    lines = [f"| {name} | {median:.2f} | {least:.2f} | {most:.2f} |" for name, median, least, most in rows]
    versions = ", ".join(f"{name} {version(name)}" for name in ("jsonschema", "pyyaml", "check-jsonschema"))
    return "\n".join(
        [
            f"## The check of {JOBS:,} jobs",
            "",
            "Wall time in seconds of the whole process. `jobyard check` validates against the schema and also checks",
            "names, machines, templates, cron expressions and dependencies; check-jsonschema only validates.",
            "",
            f"| {PAIRS} pairs | median | least | most |",
            "|---|---|---|---|",
            *lines,
            "",
            f"check-jsonschema takes {statistics.median(ratios):.2f} times as long "
            f"(pair by pair {min(ratios):.2f} to {max(ratios):.2f}).",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write RESULTS.md."""
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = make_repo(folder)
        check = [str(programs / "jobyard"), "check"]
        names = [str(file.relative_to(folder)) for file in files]
        peer = [str(programs / "check-jsonschema"), "--schemafile", "schemas/job.schema.json", *names]
        text = report(pairs(lambda: seconds(check, folder), lambda: seconds(peer, folder)))
    print(text)
    (ROOT / "benchmarks" / "RESULTS.md").write_text(f"# Measured\n\n{text}")


if __name__ == "__main__":
    main()
