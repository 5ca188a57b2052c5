"""No job, one job, a thousand; days and files that are missing; a phone, paper, the keyboard, and the viewer's clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from jobyard_metrics.tables import TABLES
from playwright.sync_api import expect

from tests.page.conftest import SETTINGS, Days, Open, write_files
from tests.page.drawn_history import Drawing, draw, fitted

VIEWS = ("", "jobs", "teams", "dependencies", "team/care", "job/care/ingest", "search/care")
EMPTY = {name: pl.DataFrame(schema=dict(schema)) for name, schema in TABLES.items()}


def test_no_day_at_all(look: Open, tmp_path: Path) -> None:
    viewer = look(write_files(tmp_path, {}).as_uri())
    viewer.see("")
    assert "No day has been collected yet" in viewer.text()
    for view, text in {"jobs": "No job matches", "teams": "No team has a job", "dependencies": "No job waits"}.items():
        viewer.see(view)
        assert text in viewer.text()


def test_a_day_without_jobs(look: Open, tmp_path: Path) -> None:
    viewer = look(write_files(tmp_path, {Drawing.newest: EMPTY}).as_uri())
    viewer.see("")
    assert "Nothing failed, started late or missed its deadline" in viewer.text()
    assert "No pod ran on this day" in viewer.text()
    assert "not known" in viewer.page.locator(".tile", has_text="Cost").inner_text()


def test_one_job(look: Open, tmp_path: Path) -> None:
    viewer = look(write_files(tmp_path, draw(Drawing(teams=1, jobs=1, days=1))).as_uri())
    for view in VIEWS:
        viewer.see(view)
        assert "failed\n" not in viewer.text()
        assert viewer.page.locator("h1").inner_text() != "Unknown job"


def test_a_job_that_never_ran_and_one_that_was_removed(look: Open, tmp_path: Path) -> None:
    days = draw(Drawing(teams=2, jobs=2, days=3))
    newest = days[Drawing.newest]
    never = newest["jobs"].head(1).with_columns(job=pl.lit("never"))
    days[Drawing.newest] = {**newest, "jobs": pl.concat([newest["jobs"].head(1), never])}
    viewer = look(write_files(tmp_path, days).as_uri())
    viewer.see("job/care/never")
    assert "no run yet" in viewer.text()
    assert "The job has not run in the days that are kept" in viewer.text()
    viewer.see("job/claims/ingest")
    assert "removed" in viewer.text()
    assert viewer.page.locator("figure", has_text="Duration").count() == 1


def test_what_was_not_sampled_is_never_zero(look: Open, tmp_path: Path) -> None:
    days = draw(Drawing(teams=1, jobs=1, days=1))
    usage = ["memory_peak", "memory_working_set", "cpu_p95", "cpu_peak", "cpu_seconds", "cost"]
    tables = days[Drawing.newest]
    unsampled = tables["pods"].with_columns(pl.lit(None).alias(name) for name in usage)
    pods = fitted("pods", unsampled.with_columns(samples=pl.lit(0)))
    advice = fitted("advice", tables["advice"].drop("memory_peak", "cpu_p95", "fits_memory", "saves"))
    advice = advice.with_columns(sampled=pl.lit(0, pl.Int32))
    nodes = tables["nodes"].with_columns(pl.lit(None, pl.Int64).alias(name) for name in ("price", "cost", "idle"))
    viewer = look(write_files(tmp_path, {Drawing.newest: {**tables, "pods": pods, "advice": advice, "nodes": nodes}}).as_uri())
    viewer.see("job/care/ingest")
    assert "none of the last 30 runs was sampled" in viewer.text()
    assert "2 ended before they were sampled" in viewer.text()
    assert "not known" in viewer.page.locator(".tile", has_text="Cost").inner_text()
    figure = viewer.page.locator("figure", has_text="Memory of extract")
    figure.locator("summary").click()
    assert figure.locator("tbody td").first.inner_text() == "not sampled"
    viewer.see("")
    assert "no node of this day has a known price" in viewer.text()


def test_a_team_file_that_may_not_be_read(look: Open, drawn: Days, tmp_path: Path, serve: Callable[[Path], str]) -> None:
    recent = {day: tables for day, tables in drawn.items() if day > date(2026, 11, 18)}
    start = write_files(tmp_path, recent, replace(SETTINGS, teams_read="own"))
    for team in ("risk", "claims"):
        (tmp_path / "data" / "teams" / f"{team}.js").unlink()
    (tmp_path / "data" / "days" / "2026-11-20.js").unlink()
    viewer = look(serve(start.parent))
    for view in ("team/risk", "job/claims/ingest"):
        viewer.see(view)
        assert "In this environment a team may read its own data" in viewer.text()
        assert "Cost of 30 days" in viewer.text() or "Schedule" in viewer.text()
    viewer.see("day/2026-11-20")
    assert "The file data/days/2026-11-20.js could not be loaded" in viewer.text()
    (tmp_path / "data" / "summary.js").unlink()
    viewer.see("")
    assert "The file data/summary.js could not be loaded" in viewer.text()
    missing = [text for text in viewer.wrong if "404" in text]
    assert viewer.wrong == missing != []
    viewer.wrong.clear()


def test_days_of_another_edition_are_not_mixed(look: Open, drawn: Days, tmp_path: Path) -> None:
    recent = {day: tables for day, tables in drawn.items() if day > date(2026, 11, 22)}
    start = write_files(tmp_path, recent)
    file = tmp_path / "data" / "days" / "2026-11-24.js"
    edition = file.read_text().partition('"edition":"')[2][:12]
    file.write_text(file.read_text().replace(edition, "0" * 12))
    viewer = look(start.as_uri())
    viewer.see("day/2026-11-24")
    assert "Reload the page" in viewer.text()


@pytest.fixture(scope="module")
def large() -> Days:
    """200 teams with 1,000 jobs."""
    return draw(Drawing(teams=200, jobs=1000, days=4, gaps=()))


def test_a_thousand_jobs_are_small_and_drawn_in_a_second(look: Open, large: Days, tmp_path: Path, serve: Callable[[Path], str]) -> None:
    viewer = look(serve(write_files(tmp_path, large).parent))
    viewer.page.add_init_script(f"{DRAWN_AT}")
    viewer.see("")
    measured = viewer.page.evaluate("({ drawn: window.drawnAt, busy: window.busy, entries: performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).map(({ name, decodedBodySize }) => [name, decodedBodySize]) })")
    size = sum(size for _, size in measured["entries"])
    assert len(measured["entries"]) == 8, measured["entries"]
    assert size < 2_000_000
    assert viewer.page.locator(".plot rect").count() > 1000
    # Others may use the machine at the same time; the browser's own time is what the page can answer for.
    assert min(measured["drawn"], _task_time(viewer)) < 1000 * SLACK, measured["drawn"]


SLACK = float(os.environ.get("JOBYARD_PAGE_SLACK", "1"))
DRAWN_AT = """
const check = () => {
  const charts = [...document.querySelectorAll(".chart")];
  if (charts.length && charts.every((chart) => chart.childElementCount)) window.drawnAt = performance.now();
  else requestAnimationFrame(check);
};
document.addEventListener("DOMContentLoaded", () => requestAnimationFrame(check));
"""
