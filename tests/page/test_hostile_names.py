"""Names, descriptions and owners that were chosen to break the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from jobyard_metrics.page import Settings
from jobyard_metrics.tables import TABLES
from playwright.sync_api import Page, expect

from tests.page.conftest import Open, write_files
from tests.page.drawn_history import Drawing, draw

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"><img src=x onerror=alert(2)>'"
LONG = "j" * 10_000
TURNED = "\u202egnitroppus\u202c \u2067rtl\u2069"
TEAMS = (
    "__proto__",
    SCRIPT,
    "constructor",
    "../../etc/passwd",
    "toString",
    "a/b?c#d%2e",
    TURNED,
    "line\u2028end\r\n",
    "",
)
JOBS = (SCRIPT, IMAGE, LONG, "__proto__", "hasOwnProperty", "%zz", TURNED, "*/ }); alert(3); //", "\\u0027\x00")


KEPT = {"team", "job", "state", "run_type", "reason", "timezone", "run_id", "uid", "task"}
DRAWING = Drawing(teams=9, jobs=9, days=12, gaps=())


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine teams with one job each, renamed in every table; each other text is a script too."""
    drawn = draw(DRAWING)
    teams = drawn[Drawing.newest]["jobs"]["team"].to_list()
    days = {day: _renamed(tables, teams) for day, tables in drawn.items()}
    settings = Settings(environment=SCRIPT, airflow_url="javascript:alert(4)", argocd_url=f"https://x/{IMAGE}")
    return write_files(tmp_path_factory.mktemp("hostile"), days, settings)


def _renamed(tables: Mapping[str, pl.DataFrame], teams: list[str]) -> dict[str, pl.DataFrame]:
    renamed = {name: _scripted(name, frame) for name, frame in tables.items()}
    names = pl.DataFrame({"team": teams, "hostile": TEAMS, "named": JOBS})
    for name, frame in renamed.items():
        if "team" in frame.columns:
            joined = frame.join(names, on="team", maintain_order="left")
            columns = joined.with_columns(team="hostile", job="named")
            renamed[name] = columns.select(list(TABLES[name]))
    links = pl.concat_list(pl.lit(IMAGE), pl.lit(f"{TEAMS[0]}.{JOBS[0]}"))
    return {**renamed, "jobs": renamed["jobs"].with_columns(after=links)}


def _scripted(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    texts = [name for name, kind in TABLES[table].items() if kind == pl.String and name not in KEPT]
    return frame.with_columns(pl.lit(SCRIPT + IMAGE).alias(name) for name in texts)


def test_nothing_runs_and_every_view_is_drawn(look: Open, hostile_page: Path) -> None:
    viewer = look(hostile_page.as_uri())
    for view in ("", "jobs", "teams", "dependencies", "search/script", "day/%3Cscript%3E", "team/%E0%A4%A"):
        page = viewer.see(view)
        assert "This view failed" not in viewer.text()
        assert page.locator("main img, main script").count() == 0
        assert page.locator("head script").count() == 5
    assert page.locator("#environment").inner_text() == SCRIPT


def test_each_job_and_team_has_its_view(look: Open, hostile_page: Path) -> None:
    viewer = look(hostile_page.as_uri())
    for team, job in zip(TEAMS, JOBS, strict=True):
        _open(viewer.page, viewer.url, team, job)
        viewer.settle()
        assert "Runs" in viewer.text(), (team, job[:40])
        assert "could not be loaded" not in viewer.text(), (team, job[:40])
        assert viewer.page.locator("main script, main img").count() == 0
        assert viewer.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _open(page: Page, url: str, team: str, job: str) -> None:
    page.goto("about:blank")
    page.goto(url)
    go = "([team, job]) => { location.hash = `#/job/${encodeURIComponent(team)}/${encodeURIComponent(job)}`; }"
    page.evaluate(go, [team, job])
    expect(page.locator("h1")).to_contain_text(".")


def test_a_link_that_is_no_web_address_is_left_out(look: Open, hostile_page: Path) -> None:
    page = look(hostile_page.as_uri()).see("jobs")
    page.locator("tbody a").first.click()
    page.wait_for_selector(".pairs")
    assert page.locator("a", has_text="Airflow").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
