"""A team's repository with many jobs."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEAM = """\
team: risk
allowedNodeGroups: [default, high-cpu, high-memory]
serviceAccounts: {jobs: {}}
priorities: {low: 1000, normal: 2000, high: 3000}
"""
JOB = ROOT / "benchmarks" / "job.yaml"


def make_repo(folder: Path, jobs: int) -> list[Path]:
    """Make team risk's repository in an empty folder, and return its job files."""
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    (folder / "values").mkdir()
    shutil.copy(ROOT / "values" / "node-groups.yaml", folder / "values")
    (folder / "values" / "team.yaml").write_text(TEAM)
    for image in ("feature-generation", "inference"):
        (folder / "images" / image).mkdir(parents=True)
        (folder / "images" / image / "Dockerfile").touch()
    text = JOB.read_text()
    files = [folder / "dags" / f"job-{number:04d}" / "job.yaml" for number in range(jobs)]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.write_text(text.replace("NUMBER", str(number)))
    return files
