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
from jobyard_metrics.prices import Machine, Prices
from jobyard_metrics.sources.prometheus_api import PrometheusApi

from tests.metrics.fake_airflow import DAY, FakeAirflow, instance, run
from tests.metrics.recorded import GIB
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
        self.prices: Prices = {}
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
        sources = Sources(self.airflow.source, prometheus, FolderStore(self.releases), self.prices)
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
        "replaced_pods": 0,
        "pods": 11,
        "nodes": 3,
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


def replace_pods(collector: Collector, **changes: Any) -> None:
    """Add the run whose only task had three pods in its try; `changes` are of its task instance."""
    times = {"queued_at": _time(52_080), "start_date": _time(52_085)}
    collector.airflow.runs.append(run(run_id="run-11", ended=minute(54_500), **times))
    row = instance(task="grow", ended=minute(54_480), dag_run_id="run-11", start_date=_time(52_090))
    collector.airflow.instances.append({**row, **changes})


GROWN = {"team": "risk", "job": "score", "run_id": "run-11", "task": "grow", "map_index": -1, "try_number": 1}
KILLED = "container 'base' was killed, as it used more memory than its limit"
TAINTED = "DeletionByTaintManager: Taint manager: deleting due to NoExecute taint"
NAMED = [
    {"name": "one-killed", "ended": f"out of memory: {KILLED}"},
    {"name": "two-lost", "ended": f"lost: {TAINTED}"},
]


def test_the_pods_that_a_try_replaced_are_counted_with_their_reasons(collector: Collector) -> None:
    replace_pods(collector, rendered_fields={"earlier_pods": NAMED})
    assert collector.run().manifest.rows["replaced_pods"] == 2
    frames = collector.frames()
    assert frames["replaced_pods"].to_dicts() == [
        {**GROWN, "name": "one-killed", "cause": "out of memory", "reason": KILLED},
        {**GROWN, "name": "two-lost", "cause": "lost", "reason": TAINTED},
    ]
    reasons = dict(frames["pods"].filter(pl.col("task") == "grow").select("name", "reason").rows())
    assert reasons == {"one-killed": "OOMKilled", "two-lost": "Lost", "three": "Completed"}
    assert frames["tries"].filter(pl.col("task") == "grow").height == 1


def test_pods_of_a_try_that_airflow_does_not_name_are_known_from_prometheus(collector: Collector) -> None:
    # Airflow has the rendered fields of the newest try alone.
    replace_pods(collector, try_number=2, start_date=_time(54_600), end_date=_time(54_700))
    collector.airflow.history = [
        instance(task="grow", ended=minute(54_480), dag_run_id="run-11", start_date=_time(52_090), state="failed")
    ]
    collector.run()
    found = collector.frames()["replaced_pods"]
    assert found.select("name", "cause", "reason", "try_number").rows() == [
        ("one-killed", "out of memory", "OOMKilled", 1),
        ("two-lost", "lost", None, 1),
    ]


def test_pods_that_nobody_but_airflow_saw_are_counted(collector: Collector) -> None:
    named = [{"name": "never-seen", "ended": "lost: the pod is gone"}, {"name": "two-lost", "ended": "lost: x"}]
    replace_pods(collector, rendered_fields={"earlier_pods": named})
    collector.run()
    found = collector.frames()["replaced_pods"].select("name", "reason").rows()
    assert found == [("never-seen", "the pod is gone"), ("one-killed", "OOMKilled"), ("two-lost", "x")]


def test_the_pods_of_a_try_pay_for_their_own_time_together(collector: Collector) -> None:
    collector.prices = {"m6i.xlarge": Machine(4, 16 * GIB, 0, {"spot": 3_600_000_000})}
    replace_pods(collector, rendered_fields={"earlier_pods": NAMED})
    collector.run()
    frames = collector.frames()
    pods = {row["name"]: row for row in frames["pods"].filter(pl.col("task") == "grow").to_dicts()}
    # A million nanodollars a second of a whole node; the first asked for a quarter of it, the others for a half.
    assert pods["one-killed"]["cost"] == (52_395 - 52_103) * 250_000
    # Its node was gone at 53,220 s, before the pod was.
    assert pods["two-lost"]["cost"] == (53_220 - 52_423) * 500_000
    assert pods["three"]["cost"] == (54_445 - 53_453) * 500_000
    spot = frames["nodes"].filter(pl.col("capacity_type") == "spot")
    paid = frames["pods"].filter(pl.col("node").is_in(spot["node"].implode()))["cost"].to_list()
    assert sum(paid) + sum(spot["idle"].to_list()) == sum(spot["cost"].to_list())


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
    assert collector.run().manifest.rows["pods"] == 11
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
    assert printed.out.startswith("2026-11-25: rows.runs 4, rows.tries 4, rows.replaced_pods 0, rows.pods 11, ")
    facts = json.loads(output.read_text())
    assert (facts["requests.airflow"], facts["requests.prometheus"]) == (5, 48)
    (collector.releases / "risk").rename(collector.releases / "moved")
    monkeypatch.setenv("JOBYARD_RELEASES", str(collector.releases / "missing"))
    assert command.main(["--day", "2026-11-25"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {collector.releases / 'missing'}: ")
