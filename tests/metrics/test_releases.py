"""The jobs of all teams, from releases that may have any bytes in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jobyard_metrics.frames import frame
from jobyard_metrics.objects import FolderStore
from jobyard_metrics.quantities import quantity
from jobyard_metrics.sources import releases

from tests.support.paths import FIXTURES

GATE = {"output_of": "train", "value": "drift.psi", "test": "above", "bound": 0.2}
JOB: dict[str, Any] = {
    "owner": "risk-ml@example.com",
    "description": "<script>",
    "schedule": "0 2 * * *",
    "timezone": "Asia/Jakarta",
    "deadline": 3600,
    "wait_for": [{"job": "care.claims", "timeout": 60}],
    "tasks": {
        "train": {
            "image": "inference",
            "node_group": "default",
            "needs": [],
            "output": True,
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
        },
        "report": {"needs": ["train"], "gate": GATE},
    },
}


def put(folder: Path, team: str, content: Any) -> None:
    (folder / team).mkdir()
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / team / "jobs.json").write_bytes(body)


def release(team: Any = "risk", **jobs: Any) -> dict[str, Any]:
    return {"team": team, "commit": "c0ffee", "jobs": jobs}


def test_a_job_has_what_its_release_and_airflow_say(tmp_path: Path) -> None:
    put(tmp_path, "risk", release(score=JOB))
    (tmp_path / "jobyard").mkdir()
    dag = {
        "is_paused": False,
        "timetable_description": "At 02:00",
        "next_dagrun_create_after": "2026-11-26T02:00:00+07:00",
    }
    [row] = releases.read(FolderStore(tmp_path)).rows({("risk", "score"): dag})
    assert row["next_run"].isoformat() == "2026-11-25T19:00:00+00:00"
    assert (row["schedule"], row["paused"], row["after"], row["commit"]) == (
        "At 02:00",
        False,
        ["care.claims"],
        "c0ffee",
    )
    train, report = row["tasks"]
    assert (train["requested_cpu"], train["requested_memory"]) == (0.5, 2**30)
    assert train["thresholds"] == [{"name": "drift.psi", "test": "above", "bound": 0.2}]
    assert (report["needs"], report["requested_cpu"]) == (["train"], None)
    assert frame("jobs", [row])["description"].to_list() == ["<script>"]


def test_what_releases_say_of_a_job(tmp_path: Path) -> None:
    put(tmp_path, "risk", release(score=JOB))
    found = releases.read(FolderStore(tmp_path))
    assert found.deadline("risk", "score") == 3600
    assert found.deadline("risk", "renamed") is None
    assert [found.uses_output("risk", "score", task) for task in ("train", "report", "gone")] == [True, False, None]


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (None, "by hand"),
        ("@daily", "every day at 00:00"),
        ("0 2 * * *", "0 2 * * *"),
        ({"after": ["risk.a", "care.b"]}, "after risk.a and after care.b"),
        ({"assets": ["s3://x"], "after": ["risk.a"]}, "after risk.a and when s3://x is written"),
    ],
)
def test_a_schedule_is_put_into_words(tmp_path: Path, schedule: Any, words: str) -> None:
    put(tmp_path, "risk", release(score={**JOB, "schedule": schedule}))
    [row] = releases.read(FolderStore(tmp_path)).rows({})
    assert row["schedule"] == words


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"1", b"[" * 99_999, release("other"), {"jobs": {}}])
def test_a_release_that_cannot_be_read_affects_its_team_alone(tmp_path: Path, content: Any) -> None:
    put(tmp_path, "bad", content)
    put(tmp_path, "risk", release(score=JOB))
    found = releases.read(FolderStore(tmp_path))
    assert list(found.jobs) == [("risk", "score")]
    assert list(found.unreadable) == ["bad"]


@pytest.mark.parametrize("value", [None, 1, -1.5, "x", "\ud800", [], [None], {}, {"x": None}, True, 10**30])
def test_any_value_of_a_field_is_survived(tmp_path: Path, value: Any) -> None:
    jobs = {f"without-{name}": {**JOB, name: value} for name in JOB}
    jobs |= {
        f"task-{name}": {**JOB, "tasks": {"train": {**GATE, name: value}}} for name in (*JOB["tasks"]["train"], "gate")
    }
    jobs |= {f"gate-{name}": {**JOB, "tasks": {"x": {"gate": {**GATE, name: value}}}} for name in GATE}
    put(tmp_path, "risk", release(**jobs, job=value))
    rows = releases.read(FolderStore(tmp_path)).rows({("risk", "job"): {"is_paused": value}})
    assert frame("jobs", rows).height == len(jobs) + 1


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_releases_of_every_version_are_read(tmp_path: Path, version: int) -> None:
    (tmp_path / "risk").mkdir()
    shutil.copy(FIXTURES / "releases" / f"{version}.json", tmp_path / "risk" / "jobs.json")
    rows = {row["job"]: row for row in releases.read(FolderStore(tmp_path)).rows({})}
    assert [task["requested_cpu"] for task in rows["all"]["tasks"]] == [4, 0.5, 0.5]


@pytest.mark.parametrize(
    ("written", "value"),
    [("4", 4), ("500m", 0.5), ("1Gi", 2**30), ("1G", 10**9), ("1e3", 1000), ("x", None), ("", None), ("-1", None)]
    + [("NaN", None), ("1e999", None), (None, None), ("9" * 10_000, None)],
)
def test_quantities(written: object, value: float | None) -> None:
    found = quantity(written)
    assert found == value or (found is not None and len(str(written)) > 64)
