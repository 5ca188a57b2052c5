"""Which rows a day has, what a second run does, and what becomes of rows that come late."""

from __future__ import annotations

from datetime import date, timedelta

from tests.ingestion.conftest import BUCKET, TODAY, Place, key

YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


def visit(place: Place, number: int, at: str, note: str | None = None) -> None:
    place.sql("INSERT INTO visits VALUES (%s, %s, %s)", number, at, note)


def ids(place: Place, day: date = TODAY) -> set[int]:
    return {row["id"] for row in place.rows(day)}


def test_a_day_begins_at_midnight_in_utc_and_ends_before_the_next(place: Place) -> None:
    place.sql("ALTER ROLE reader SET timezone TO 'Asia/Jakarta'")
    visit(place, 1, "2026-11-19 23:59:59.999999+00")
    visit(place, 2, "2026-11-20 00:00:00+00")
    visit(place, 3, "2026-11-21 06:59:59.999999+07")
    visit(place, 4, "2026-11-21 00:00:00+00")
    assert place.output() | {"bytes": 0} == {"rows": 2, "bytes": 0, "changed": [str(TODAY)], "changed_days": 1}
    assert ids(place) == {2, 3}
    # Without a time zone, and as a date, a day is the same.
    place.sql(
        "CREATE TABLE local AS SELECT id, at AT TIME ZONE 'UTC' AS at, (at AT TIME ZONE 'UTC')::date d FROM visits"
    )
    place.sql("GRANT SELECT ON local TO reader")
    for time in ("at", "d"):
        assert place.output("--name", time, table="local", time=time)["rows"] == 2
        assert {row["id"] for row in place.rows(name=time)} == {2, 3}


def test_a_second_run_replaces_the_day_where_it_has_changed(place: Place) -> None:
    visit(place, 1, "2026-11-20 08:00+00", "old")
    visit(place, 2, "2026-11-20 09:00+00")
    first = place.output("--run", "one")
    assert (first["changed"], place.versions()) == ([str(TODAY)], 1)
    # The same rows in another order on disk.
    place.sql("UPDATE visits SET note = note WHERE id = 1")
    second = place.output("--run", "two")
    assert (second["rows"], second["changed"], second["bytes"]) == (2, [], first["bytes"])
    assert place.versions() == 1
    place.sql("UPDATE visits SET note = 'new' WHERE id = 1")
    place.sql("DELETE FROM visits WHERE id = 2")
    assert place.output("--run", "three")["changed"] == [str(TODAY)]
    assert [row["note"] for row in place.rows()] == ["new"]
    assert place.keys() == [key(TODAY)]


def test_a_retry_names_what_an_earlier_try_of_the_same_run_has_changed(place: Place) -> None:
    visit(place, 1, "2026-11-19 08:00+00")
    visit(place, 2, "2026-11-20 08:00+00")
    changed = [str(YESTERDAY), str(TODAY)]
    assert place.output("--late-days", "1", "--run", "one")["changed"] == changed
    assert place.output("--late-days", "1", "--run", "one")["changed"] == changed
    assert (place.versions(), place.versions(YESTERDAY)) == (1, 1)


def test_rows_that_come_late_change_their_own_day_alone(place: Place) -> None:
    for number, day in enumerate((17, 18, 19, 20)):
        visit(place, number, f"2026-11-{day} 08:00+00")
    for day in (17, 18, 19):
        place.output(day=date(2026, 11, day))
    visit(place, 10, "2026-11-18 09:00+00")
    visit(place, 11, "2026-11-17 09:00+00")
    code, out, _ = place.run("--late-days", "2")
    assert code == 0
    assert out.splitlines() == [
        f"2026-11-18: 2 rows -> s3://{BUCKET}/{key(date(2026, 11, 18))}",
        "2026-11-19: unchanged, 1 rows",
        f"2026-11-20: 1 rows -> s3://{BUCKET}/{key(TODAY)}",
    ]
    assert ids(place, date(2026, 11, 18)) == {1, 10}
    # Before the two days: not looked at.
    assert ids(place, date(2026, 11, 17)) == {0}


def test_a_day_that_never_came_to_the_bucket_is_late_too_unless_it_is_empty(place: Place) -> None:
    visit(place, 1, "2026-11-18 08:00+00")
    visit(place, 2, "2026-11-20 08:00+00")
    assert place.output("--late-days", "2")["changed"] == ["2026-11-18", "2026-11-20"]
    assert place.keys() == [key(date(2026, 11, 18)), key(TODAY)]


def test_a_day_without_rows_is_an_error_unless_it_may_be_empty(place: Place) -> None:
    visit(place, 1, "2026-11-19 08:00+00")
    visit(place, 2, "2026-11-19 09:00+00")
    assert place.error() == (
        "public.visits has no rows of 2026-11-20 (the days before have: 2026-11-19 2, 2026-11-18 0, 2026-11-17 0); "
        "--empty allow accepts it"
    )
    assert place.keys() == []
    assert place.output("--empty", "allow")["rows"] == 0
    assert place.table().column_names == ["id", "at", "note"]


def test_a_late_day_that_has_lost_all_its_rows_is_an_error_too(place: Place) -> None:
    visit(place, 1, "2026-11-19 08:00+00")
    visit(place, 2, "2026-11-20 08:00+00")
    place.output(day=YESTERDAY)
    place.sql("DELETE FROM visits WHERE id = 1")
    assert place.error("--late-days", "1") == (
        "public.visits has no rows of 2026-11-19, of which the bucket has 1; --empty allow accepts it"
    )
    assert place.output("--late-days", "1", "--empty", "allow")["changed"] == [str(YESTERDAY), str(TODAY)]
    assert place.rows(YESTERDAY) == []


def test_a_column_that_is_gone_or_has_another_type_stops_the_job(place: Place) -> None:
    visit(place, 1, "2026-11-19 08:00+00")
    visit(place, 2, "2026-11-20 08:00+00")
    place.output(day=YESTERDAY)
    place.sql("ALTER TABLE visits DROP note, ALTER id TYPE bigint, ADD colour text")
    assert place.error() == (
        "public.visits differs from its file of 2026-11-19: column 'id' is now int64, and was int32; "
        "column 'note' (string) is gone; if that is meant, --accept-drift id note"
    )
    assert "column 'note' (string) is gone; if that is meant, --accept-drift note" in place.error(
        "--accept-drift", "id"
    )
    code, out, _ = place.run("--accept-drift", "id", "note", "--late-days", "1")
    assert code == 0
    assert out.startswith("2026-11-19: left as it is, as column 'id' is now int64, and was int32\n")
    assert place.table(YESTERDAY).column_names == ["id", "at", "note"]
    assert place.table().column_names == ["id", "at", "colour"]
    # From now on the new columns are those to compare with.
    visit(place, 3, "2026-11-21 08:00+00")
    assert place.output(day=TOMORROW)["rows"] == 1


def test_a_new_column_changes_the_late_days(place: Place) -> None:
    visit(place, 1, "2026-11-19 08:00+00")
    visit(place, 2, "2026-11-20 08:00+00")
    place.output(day=YESTERDAY)
    place.sql("ALTER TABLE visits ADD colour text")
    assert place.output("--late-days", "1")["changed"] == [str(YESTERDAY), str(TODAY)]
