"""No job, one job, a thousand; days and files that are missing; a phone, paper, the keyboard, the viewer's clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from jobyard_metrics.page import files
from jobyard_metrics.tables import TABLES
from playwright.sync_api import Page, expect

from tests.page.conftest import Days, Open, write_files
from tests.page.drawn_history import Drawing, draw, fitted
from tests.page.made_up_page import SETTINGS

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
        assert "This view failed" not in viewer.text()
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
    viewer = look(
        write_files(tmp_path, {Drawing.newest: {**tables, "pods": pods, "advice": advice, "nodes": nodes}}).as_uri()
    )
    viewer.see("job/care/ingest")
    assert "none of the last 30 runs was sampled" in viewer.text()
    assert "2 ended before they were sampled" in viewer.text()
    assert "not known" in viewer.page.locator(".tile", has_text="Cost").inner_text()
    figure = viewer.page.locator("figure", has_text="Memory of extract")
    figure.locator("summary").click()
    assert figure.locator("tbody td").first.inner_text() == "not sampled"
    viewer.see("")
    assert "no node of this day has a known price" in viewer.text()


def test_a_team_file_that_may_not_be_read(
    look: Open, drawn: Days, tmp_path: Path, serve: Callable[[Path], str]
) -> None:
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
def large_site(tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> str:
    """The page of 200 teams with 1,000 jobs."""
    days = draw(Drawing(teams=200, jobs=1000, days=4, gaps=()))
    return serve(write_files(tmp_path_factory.mktemp("large"), days).parent)


def test_a_thousand_jobs_are_small(look: Open, large_site: str) -> None:
    viewer = look(large_site, color_scheme="light")
    viewer.see("")
    sizes: dict[str, int] = viewer.page.evaluate(SIZES)
    # The browser gets the icon when it has nothing else to do.
    assert sorted({*sizes, "/icon.svg"}) == FIRST_VIEW
    assert sum(sizes.values()) < 2_000_000
    assert viewer.page.locator(".plot rect").count() > 1000


SIZES = """Object.fromEntries(
  [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map(({ name, decodedBodySize }) => [new URL(name).pathname, decodedBodySize]))"""
FIRST_VIEW = [
    "/app.js",
    "/data/summary.js",
    "/icon.svg",
    "/index.html",
    "/style.css",
    "/vendor/d3.min.js",
    "/vendor/dagre.min.js",
    "/vendor/plot.umd.min.js",
]


def test_the_views_of_a_thousand_jobs(look: Open, large_site: str) -> None:
    viewer = look(large_site)
    page = viewer.see("jobs")
    assert page.locator("tbody tr").count() == 100
    page.get_by_role("button", name="Show 900 more rows").click()
    assert page.locator("tbody tr").count() == 1000
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 101
    viewer.see("dependencies")
    page.locator(".more").click()
    assert page.locator("svg.graph").count() > 50


def test_a_thousand_jobs_have_a_file_for_each_team_and_day() -> None:
    days = draw(Drawing(teams=200, jobs=1000, days=5, gaps=()))
    built = files(days, Drawing.newest, SETTINGS)
    names = sorted(built)
    assert sum(name.startswith("data/teams/") for name in names) == 200
    assert sum(name.startswith("data/days/") for name in names) >= 4


def test_a_phone_scrolls_in_one_direction(look: Open, site: str) -> None:
    viewer = look(site, viewport={"width": 360, "height": 740}, has_touch=True)
    for view in (*VIEWS, "team/risk", "job/fraud/ingest", "day/2026-11-05"):
        page = viewer.see(view)
        for details in page.locator("details summary").all()[:2]:
            details.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, view


def test_paper_has_no_controls_and_is_light(look: Open, site: str) -> None:
    viewer = look(site, color_scheme="dark")
    page = viewer.see("job/fraud/ingest")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("nav").is_visible()
    assert not page.locator("#theme").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('h2')).color") == "rgb(27, 31, 36)"
    assert page.locator("figure").first.is_visible()
    assert len(page.pdf(format="A4")) > 10_000


def test_the_keyboard_reaches_everything(look: Open, site: str) -> None:
    page = look(site).see("")
    page.keyboard.press("Tab")
    assert _focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    names = _walk(page)
    assert "Show as a table" in names
    assert "What" in names
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("risk score")
    expect(page.get_by_role("status")).to_have_text("0 teams and 1 job")
    page.keyboard.press("Enter")
    assert _focused(page) == "Search"
    assert "risk.score" in _walk(page)
    page.locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("risk.score")
    assert _focused(page) == "risk.score"


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText"))


def _walk(page: Page) -> list[str]:
    """What the tab key reaches, to the end of the page."""
    names: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            return names
        names.append(_focused(page))
    raise AssertionError(f"the focus never leaves: {names[-5:]}")


@pytest.mark.parametrize(
    ("zone", "moment", "local"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 30), "Sun, 25 Oct 2026, 02:30:00 CEST (Europe/Berlin)"),
        ("Europe/Berlin", datetime(2026, 10, 25, 1, 30), "Sun, 25 Oct 2026, 02:30:00 CET (Europe/Berlin)"),
        ("Europe/Berlin", datetime(2026, 3, 29, 1, 30), "Sun, 29 Mar 2026, 03:30:00 CEST (Europe/Berlin)"),
        ("America/New_York", datetime(2026, 11, 1, 5, 30), "Sun, 1 Nov 2026, 01:30:00 GMT-4 (America/New_York)"),
        ("America/New_York", datetime(2026, 11, 1, 6, 30), "Sun, 1 Nov 2026, 01:30:00 GMT-5 (America/New_York)"),
        ("America/New_York", datetime(2026, 3, 8, 7, 30), "Sun, 8 Mar 2026, 03:30:00 GMT-4 (America/New_York)"),
    ],
)
def test_times_are_in_utc_with_the_viewers_own(
    look: Open, tmp_path: Path, zone: str, moment: datetime, local: str
) -> None:
    newest = moment.date()
    ended = moment.replace(tzinfo=UTC)
    days = draw(Drawing(teams=1, jobs=1, days=1, newest=newest))
    runs = days[newest]["runs"].with_columns(
        ended=pl.lit(ended).cast(pl.Datetime("ms", "UTC")),
        started=pl.lit(ended - timedelta(minutes=10)).cast(pl.Datetime("ms", "UTC")),
    )
    start = write_files(tmp_path, {newest: {**days[newest], "runs": runs}}, newest=newest)
    viewer = look(start.as_uri(), timezone_id=zone)
    page = viewer.see("job/care/ingest")
    shown = page.locator(".pairs time").last
    assert shown.inner_text() == f"{moment:%-d %b %H:%M}"
    assert shown.get_attribute("datetime") == f"{moment:%Y-%m-%dT%H:%M}:00.000Z"
    assert shown.get_attribute("title") == local
    viewer.see("")
    assert page.locator("h1").inner_text() == f"{moment:%A, %-d %B %Y}"
    # The day's timeline is of 24 hours, in UTC, on whichever day clocks change.
    assert "Drawn from 09:00 to 10:00" in viewer.text()
    days[newest] = {**days[newest], "pods": _all_day(days[newest]["pods"], newest)}
    viewer.url = write_files(tmp_path, days, newest=newest).as_uri()
    hours = viewer.see("").locator(".plot text", has_text=":00").all_text_contents()
    assert hours[:25] == [f"{hour % 24:02}:00" for hour in range(25)]


def _all_day(pods: pl.DataFrame, day: date) -> pl.DataFrame:
    start = pl.lit(day).cast(pl.Datetime("ms", "UTC"))
    begin = {name: start for name in ("created", "scheduled", "started")}
    return pods.with_columns(**begin, ended=start + timedelta(days=1))
