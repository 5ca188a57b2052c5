"""Which data a run is for, however it was started; that a scheduler starts it so is shown in live/."""

from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from jobyard.interval import data_interval, send_data_interval
from jobyard.template_names import times
from support import context

NONE = {"data_interval_start": None, "data_interval_end": None, "logical_date": None}
STARTED = pendulum.datetime(2026, 11, 5, 12)
JAKARTA = pendulum.timezone("Asia/Jakarta")


def event(start: str, end: str, **others: Any) -> SimpleNamespace:
    """Return the event of an asset that a run over that data wrote."""
    return SimpleNamespace(extra={"data_interval_start": start, "data_interval_end": end, **others})


def by_assets(*events: Any, **changes: Any) -> Any:
    """Return the context of a run that these events started, as Airflow 3 gives it."""
    run = SimpleNamespace(run_type="asset_triggered", run_after=STARTED, conf={})
    return context(**{**NONE, "dag_run": run, "triggering_asset_events": {"an asset": list(events)}, **changes})


def moments(given: Any) -> list[str]:
    """Return begin and end of the run's data."""
    return [moment.isoformat() for moment in data_interval(given)]


def test_a_run_of_the_clock_has_its_own() -> None:
    assert moments(context()) == ["2026-11-02T00:00:00+00:00", "2026-11-03T00:00:00+00:00"]


def test_a_run_by_assets_has_that_of_the_run_that_wrote_the_asset() -> None:
    given = by_assets(event("2026-11-01T19:00:00+00:00", "2026-11-02T19:00:00+00:00"))
    assert moments(given) == ["2026-11-01T19:00:00+00:00", "2026-11-02T19:00:00+00:00"]
    found = times(given, JAKARTA)
    assert (found["ds"], found["day"], found["ts"]) == ("2026-11-01", "2026-11-02", "2026-11-01T19:00:00+00:00")
    assert found["logical_date"] == found["data_interval_start"]


def test_of_several_events_it_is_all_their_data() -> None:
    early = event("2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00")
    late = event("2026-11-02T06:00:00+07:00", "2026-11-03T06:00:00+07:00", rows=5)
    foreign = SimpleNamespace(extra={"from_rest_api": True})
    assert moments(by_assets(early, foreign, late)) == ["2026-11-01T00:00:00+00:00", "2026-11-03T06:00:00+07:00"]


@pytest.mark.parametrize("events", [[], [SimpleNamespace(extra={})]])
def test_a_run_that_knows_of_no_data_has_its_moment(events: list[Any]) -> None:
    assert moments(by_assets(*events)) == ["2026-11-05T12:00:00+00:00"] * 2
    assert times(by_assets(*events), UTC)["ds"] == "2026-11-05"


def test_a_run_by_hand_has_its_moment() -> None:
    run = SimpleNamespace(run_type="manual", run_after=STARTED, conf={})
    assert moments(context(**NONE, dag_run=run)) == ["2026-11-05T12:00:00+00:00"] * 2


def test_airflow_2s_run_by_assets_has_the_day_of_its_data_and_not_of_its_start() -> None:
    run = SimpleNamespace(run_type="dataset_triggered", conf={})
    found = times(context(dag_run=run, logical_date=STARTED), UTC)
    assert (found["ds"], found["ts"]) == ("2026-11-02", "2026-11-02T00:00:00+00:00")


def test_a_chain_of_jobs_passes_it_on() -> None:
    given = context()
    for _ in range(3):
        send_data_interval(given, ["an asset"])
        sent = SimpleNamespace(extra=given["outlet_events"]["an asset"].extra)
        given = by_assets(sent)
    assert moments(given) == ["2026-11-02T00:00:00+00:00", "2026-11-03T00:00:00+00:00"]
