"""Rows of advice, and a platform whose environments collect metrics."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from jobyard_cli.usage.address import Address
from jobyard_cli.usage.advice import Advice, parsed

from tests.support.paths import ROOT
from tests.unit.plan_repo import NOW

GIB = 2**30
Row = dict[str, Any]
USED: Row = {
    "cpu_p95": 1.45,
    "cpu_peak": 1.9,
    "memory_p95": 2_976_000_000,
    "memory_peak": 3_328_599_654,
    "fits_cpu": 1.6,
    "fits_memory": 4 * GIB,
    "saves": 41_200_000_000,
    "krr_cpu": 1.45,
    "krr_memory": 3_827_889_602,
    "vpa_cpu": 1.903,
    "vpa_memory": 3_865_470_566,
}
NOT_SAMPLED: Row = {"sampled": 0, **dict.fromkeys(USED)}


def row(job: str, task: str, map_index: int = -1, **changes: Any) -> Row:
    """A task that asks for 4 cores and 16Gi, of whose 30 runs all were sampled."""
    asked = {"requested_cpu": 4.0, "requested_memory": 16 * GIB}
    counts = {"runs": 30, "sampled": 30, "seconds": 600.0}
    return {"team": "risk", "job": job, "task": task, "map_index": map_index, **counts, **asked, **USED, **changes}


def as_json(*rows: Row) -> bytes:
    """The object that the platform's job writes."""
    return json.dumps(rows).encode()


def advice(*rows: Row, written: datetime = NOW) -> Advice:
    """Advice of these rows."""
    return Advice(parsed(as_json(*rows), "json", "x"), written)


class Reader:
    """Stands for reading a bucket: it has the same answer for every address, and keeps what it was asked for."""

    def __init__(self, answer: Advice | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[Address, str]] = []

    def __call__(self, address: Address, team: str) -> Advice:
        self.asked.append((address, team))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def measured_platform(folder: Path, *environments: str, metrics: str = "bucket: example-metrics") -> Path:
    """This repository's values and schemas, where these environments collect metrics."""
    shutil.copytree(ROOT / "values", folder / "values")
    (folder / "charts").symlink_to(ROOT / "charts")
    for name in environments:
        file = folder / "values" / "environments" / f"{name}.yaml"
        stated = f"  metrics: {{prometheusUrl: http://prometheus:9090, {metrics}}}\n"
        file.write_text(file.read_text() + stated)
    return folder
