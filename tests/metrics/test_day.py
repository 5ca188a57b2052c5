"""A day from its sources into the store: whole or absent, and the same bytes from the same sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jobyard_metrics import __main__ as command
from jobyard_metrics import day as module
from jobyard_metrics import settings, store
from jobyard_metrics.day import Result, Sources, collect_day
from jobyard_metrics.errors import SourceUnavailableError
from jobyard_metrics.objects import FolderStore
from jobyard_metrics.patience import Patience
from jobyard_metrics.sources.prometheus_api import PrometheusApi

from tests.metrics.fake_airflow import DAY, FakeAirflow, instance, run
from tests.metrics.test_settings import LEAST
from tests.support.ports import free_ports

NOON = 12 * 60
"""Minutes; rows of the fake Airflow have their times from noon on."""


def minute(second: float) -> float:
    """Return the minutes from noon to a second of the day, as which recorded pods have their times."""
    return second / 60 - NOON


class Collector:
    """All that a day is made of, and where it goes."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        self.airflow = FakeAirflow()
        self.prometheus = prometheus
        self.releases = folder / "dags"
        self.store = FolderStore(folder / "metrics")
        self.folder = folder / "metrics"
        self.settings = settings.read(LEAST)
        self.releases.mkdir()

    def release(self, **jobs: Any) -> None:
        """Release jobs of team risk."""
        (self.releases / "risk").mkdir(exist_ok=True)
        (self.releases / "risk" / "jobs.json").write_text(json.dumps({"team": "risk", "jobs": jobs}))

    def run(self) -> Result:
        """Collect the day."""
        prometheus = PrometheusApi(self.prometheus, Patience(1))
        sources = Sources(self.airflow.source, prometheus, FolderStore(self.releases), {})
        return collect_day(sources, self.store, DAY, self.settings)

    def frames(self) -> store.Frames:
        """Return the day."""
        return store.history(self.store, [DAY]).days[DAY]

    def files(self) -> dict[str, bytes]:
        """Return everything in the store."""
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def collector(tmp_path: Path, recorded: str) -> Iterator[Collector]:
    """The recorded pods, with the runs and tries of Airflow's that made them."""
    found = Collector(tmp_path, recorded)
    found.release(score={"owner": "a@example.com", "deadline": 300, "tasks": {"train": {"output": False}}})
    pods = {"run-1": (36_000, 36_600), "run-2": (40_000, 40_040), "run-3": (41_000, 41_070), "run-9": (42_000, 42_001)}
    for run_id, (begin, end) in pods.items():
        times = {"queued_at": _time(begin), "start_date": _time(begin)}
        found.airflow.runs.append(run(run_id=run_id, ended=minute(end), **times))
        started: Any = {"start_date": _time(begin), "rendered_fields": {"measured": {"auc": 0.9}}}
        found.airflow.instances.append(instance(ended=minute(end), dag_run_id=run_id, **started))
    found.airflow.dags = [{"dag_id": "risk.score", "is_paused": False}]
    yield found


def _time(second: float) -> str:
    return (datetime(2026, 11, 25, tzinfo=UTC) + timedelta(seconds=second)).isoformat()


def test_a_day_is_collected(collector: Collector) -> None:
    result = collector.run()
    assert result.warnings == ()
    assert result.manifest.counts == {"tries_without_pod": 1}
    assert dict(result.manifest.rows) == {
        "runs": 4,
        "tries": 4,
        "pods": 8,
        "nodes": 2,
        "models": 4,
        "jobs": 1,
        "advice": result.manifest.rows["advice"],
    }
    frames = collector.frames()
    runs = frames["runs"].select("run_id", "missed_deadline").rows()
    assert runs == [("run-1", True), ("run-2", False), ("run-3", False), ("run-9", False)]
    keys = ["team", "job", "run_id", "task", "map_index", "try_number"]
    joined = frames["tries"].join(frames["pods"], on=keys).sort("run_id")
    assert joined.select("run_id", "name", "samples").rows() == [
        ("run-1", "usual", 39),
        ("run-2", "short", 1),
        ("run-3", "unseen", 0),
    ]


def test_a_day_collected_twice_has_the_same_bytes(collector: Collector) -> None:
    collector.run()
    first = collector.files()
    collector.airflow.instances.reverse()
    collector.airflow.runs.reverse()
    collector.run()
    assert collector.files() == first


def test_a_day_without_anything_is_whole_and_empty(tmp_path: Path, recorded: str) -> None:
    collector = Collector(tmp_path, recorded)
    collector.settings = settings.read(LEAST)
    sources = Sources(
        collector.airflow.source, PrometheusApi(recorded, Patience(1)), FolderStore(collector.releases), {}
    )
    result = collect_day(sources, collector.store, DAY - timedelta(days=30), collector.settings)
    assert set(result.manifest.rows.values()) == {0}
    assert store.days(collector.store) == [DAY - timedelta(days=30)]


def test_a_prometheus_that_is_away_fails_the_day(collector: Collector) -> None:
    collector.run()
    before = collector.files()
    there, collector.prometheus = collector.prometheus, f"http://127.0.0.1:{free_ports(1)[0]}"
    collector.airflow.runs.pop()
    with pytest.raises(SourceUnavailableError, match="Prometheus at .* can't be reached"):
        collector.run()
    assert collector.files() == before
    collector.prometheus = there
    assert collector.run().manifest.rows["runs"] == 3


@pytest.mark.parametrize("request_number", [1, 2, 3, 4, 5])
def test_an_airflow_that_fails_half_way_leaves_no_day(collector: Collector, request_number: int) -> None:
    def fail(number: int) -> None:
        if number >= request_number:
            raise SourceUnavailableError("503")

    collector.airflow.before = fail
    with pytest.raises(SourceUnavailableError):
        collector.run()
    assert store.days(collector.store) == []
    collector.airflow = FakeAirflow()
    assert collector.run().manifest.rows["pods"] == 8
    assert store.days(collector.store) == [DAY]


def test_a_team_without_a_release_keeps_its_runs(collector: Collector) -> None:
    (collector.releases / "risk" / "jobs.json").unlink()
    collector.airflow.dags = []
    rows = collector.run().manifest.rows
    assert (rows["runs"], rows["tries"], rows["jobs"]) == (4, 4, 0)
    assert collector.frames()["runs"]["missed_deadline"].to_list() == [None] * 4


def test_a_renamed_job_keeps_the_runs_of_both_names(collector: Collector) -> None:
    collector.release(rated={"tasks": {}})
    collector.airflow.runs.append(run("risk.rated"))
    collector.run()
    assert sorted(collector.frames()["runs"]["job"].unique()) == ["rated", "score"]
    assert collector.frames()["jobs"]["job"].to_list() == ["rated"]


def test_an_unreadable_release_is_a_warning(collector: Collector) -> None:
    (collector.releases / "care").mkdir()
    (collector.releases / "care" / "jobs.json").write_text("{")
    [warning] = collector.run().warnings
    assert warning.startswith("the release of team care can't be read: ")


def test_a_damaged_older_day_is_a_warning(collector: Collector) -> None:
    collector.store.put("days/2026-11-24.json", b"{")
    warnings = collector.run().warnings
    assert warnings
    assert all("days/2026-11-24.json can't be read" in warning for warning in warnings)


def test_a_day_that_goes_on_is_not_complete(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Clock:
            return cls(2026, 11, 25, 11, 0, tzinfo=tz)

    monkeypatch.setattr(module, "datetime", Clock)
    result = collector.run()
    assert not result.manifest.complete
    pods = collector.frames()["pods"]
    assert pods["name"].to_list() == ["from-yesterday", "usual"]
    ended = collector.frames()["nodes"].filter(pl.col("node") == "node-a")["ended"].to_list()
    assert ended == [datetime(2026, 11, 25, 11, tzinfo=UTC)]


def test_the_command_collects_a_day(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        **LEAST,
        "JOBYARD_PROMETHEUS_URL": collector.prometheus,
        "JOBYARD_METRICS_STORE": str(collector.folder),
        "JOBYARD_RELEASES": str(collector.releases),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    output = tmp_path / "return.json"
    output.touch()
    monkeypatch.setattr(command, "OUTPUT", output)
    monkeypatch.setattr(settings, "open_airflow", lambda _: collector.airflow)
    assert command.main(["--day", "2026-11-25"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("2026-11-25: rows.runs 4, rows.tries 4, rows.pods 8, rows.nodes 2, ")
    facts = json.loads(output.read_text())
    assert (facts["requests.airflow"], facts["requests.prometheus"]) == (5, 48)
    (collector.releases / "risk").rename(collector.releases / "moved")
    monkeypatch.setenv("JOBYARD_RELEASES", str(collector.releases / "missing"))
    assert command.main(["--day", "2026-11-25"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {collector.releases / 'missing'}: ")
