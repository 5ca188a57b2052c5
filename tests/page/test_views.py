"""Every view in a real browser: what it shows, from a server and from a folder, and that axe finds nothing wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.page.conftest import Days, Open, write_files
from tests.page.drawn_history import Drawing, draw

VIEWS = {
    "": "Wednesday, 25 November 2026",
    "day/2026-11-05": "Thursday, 5 November 2026",
    "day/2026-11-20": "Friday, 20 November 2026",
    "jobs": "Jobs",
    "teams": "Teams",
    "dependencies": "Dependencies",
    "team/risk": "Team risk",
    "job/fraud/ingest": "fraud.ingest",
    "search/risk": "Search",
    "team/nobody": "Unknown team",
    "job/risk/nothing": "Unknown job",
    "nonsense": "Unknown page",
}
AXE = Axe()


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> str:
    """What has every kind of part, and few of each: axe looks at the ground behind every element."""
    drawing = Drawing(teams=4, jobs=12, days=12, gaps=(4, 5))
    return serve(write_files(tmp_path_factory.mktemp("small"), draw(drawing)).parent)


AXE_VIEWS = ("", "jobs", "teams", "dependencies", "team/claims", "job/fraud/ingest", "day/2026-11-21", "search/care")


def test_axe_finds_nothing(look: Open, small_site: str) -> None:
    viewer = look(small_site, color_scheme="light")
    for view in AXE_VIEWS:
        page = viewer.see(view)
        for details in page.locator("details summary").all()[:2]:
            details.click()
        found = AXE.run(page)
        assert len(found.response["passes"]) > 0
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"


def test_axe_finds_no_weak_contrast_in_the_dark(look: Open, small_site: str) -> None:
    viewer = look(small_site, color_scheme="dark")
    for view in AXE_VIEWS:
        found = AXE.run(viewer.see(view), options={"runOnly": ["color-contrast"]})
        assert len(found.response["passes"]) > 0
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"


def test_the_views_work_from_a_folder(look: Open, start_page: Path) -> None:
    viewer = look(start_page.as_uri())
    for view, heading in VIEWS.items():
        assert viewer.see(view).inner_text("h1") == heading
    assert viewer.page.evaluate(
        "performance.getEntriesByType('resource').every(({ name }) => name.startsWith('file:'))"
    )


def test_the_policy_refuses_scripts_and_styles_of_others(start_page: Path) -> None:
    text = start_page.read_text()
    policy = text.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in text.replace("http-equiv", "")


def test_the_day_says_what_needs_a_look(look: Open, site: str) -> None:
    viewer = look(site)
    viewer.see("")
    text = viewer.text()
    assert "claims.train" in text
    assert "overdue" in text
    assert "ended before they were sampled" in text
    assert "idle" in text
    assert viewer.page.locator("figure", has_text="high-memory").count() > 0


def test_a_run_is_explained_where_the_pointer_is(look: Open, site: str) -> None:
    page = look(site).see("")
    chart = page.locator("figure", has_text="high-cpu").locator("svg.plot").first
    bar = chart.locator("rect").last
    # Its label lies over it.
    bar.hover(force=True)
    tip = chart.locator("g[aria-hidden]").last
    expect(tip).to_contain_text(re.compile(r"\d\d:\d\d to \d\d:\d\d UTC, \d+ pod"))
    bar.click(force=True)
    expect(page).to_have_url(re.compile(r"#/job/"))


def test_a_day_without_data_says_so(look: Open, site: str) -> None:
    viewer = look(site)
    viewer.see("day/2026-11-05")
    assert "No data was collected for this day" in viewer.text()
    assert viewer.page.locator(".tiles").count() == 0


def test_another_day_is_chosen_and_loaded(look: Open, site: str) -> None:
    viewer = look(site)
    page = viewer.see("")
    page.get_by_label("Day", exact=True).select_option("2026-11-20")
    expect(page.locator("h1")).to_have_text("Friday, 20 November 2026")
    page.get_by_label("Day before").click()
    expect(page.locator("h1")).to_have_text("Thursday, 19 November 2026")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name.split('/data/')[1])")
    assert [name for name in loaded if name] == ["summary.js", "days/2026-11-20.js", "days/2026-11-19.js"]


def test_a_job_shows_what_it_asks_for_and_what_would_fit(look: Open, site: str) -> None:
    viewer = look(site)
    viewer.see("job/fraud/ingest")
    text = viewer.text()
    assert "extract asks for 4Gi; the last 28 sampled runs peaked at 1.8Gi; 2.3Gi would fit" in text
    assert "saves $" in text
    assert "KRR" in text
    assert "VPA" in text
    assert "values are above 0.2" in text
    assert viewer.page.locator("figure", has_text="threshold of the gate").count() == 1


def test_pods_that_were_replaced_are_counted_on_the_day_and_the_job(look: Open, site: str) -> None:
    viewer = look(site)
    for view in ("", "job/fraud/ingest"):
        tile = viewer.see(view).locator(".tile", has_text="Replaced pods").locator("dd").inner_text()
        found = re.fullmatch(r"(\d+)\s+(\d+) lost to machines, (\d+) out of memory; in the same try", tile)
        assert found, tile
        assert int(found[1]) == int(found[2]) + int(found[3]) > 0
    notes = viewer.page.locator("table", has_text="Newest runs").locator("td", has_text="replaced")
    assert notes.first.inner_text() == "1 pod lost to machines, replaced in the same try"


def test_a_day_on_which_no_pod_was_replaced_has_no_tile_of_them(look: Open, drawn: Days, tmp_path: Path) -> None:
    older = {day: {**tables, "replaced_pods": tables["replaced_pods"].clear()} for day, tables in drawn.items()}
    viewer = look(write_files(tmp_path, older).as_uri())
    for view in ("", "job/fraud/ingest"):
        viewer.see(view)
        assert "eplaced" not in viewer.text()


def test_links_lead_to_airflow_and_argo_cd(look: Open, site: str) -> None:
    page = look(site).see("job/fraud/ingest")
    links = page.locator("a.outside").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
    assert links[:2] == [
        "https://airflow.example.com/dags/fraud.ingest",
        "https://argocd.example.com/applications/argocd/team-fraud",
    ]
    assert links[2] == f"{links[0]}/runs/scheduled__2026-11-25T02%3A00%3A00%2B00%3A00"


def test_a_table_is_sorted_by_a_button(look: Open, site: str) -> None:
    page = look(site).see("jobs")
    head = page.locator("th", has_text="Cost")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    costs = page.locator("tbody tr td:nth-child(9)").all_inner_texts()
    amounts = [float(cost.lstrip("$").replace(",", "")) for cost in costs]
    assert amounts == sorted(amounts, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.locator("[aria-sort]").count() == 1


def test_search_finds_jobs_by_owner(look: Open, site: str) -> None:
    page = look(site).see("")
    page.get_by_role("searchbox").press_sequentially("care-ml ingest")
    expect(page.get_by_role("status")).to_have_text("0 teams and 1 job")
    assert page.locator("tbody th").all_inner_texts() == ["care.ingest"]
    assert page.evaluate("document.activeElement.id") == "search"


def test_the_theme_is_kept(look: Open, site: str) -> None:
    viewer = look(site, color_scheme="light")
    page = viewer.see("")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.locator("#theme").inner_text() == "Theme: dark"
    dark = page.evaluate(background)
    viewer.see("jobs")
    assert light != dark == page.evaluate(background)
