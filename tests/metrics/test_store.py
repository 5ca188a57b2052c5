"""Days in a folder and in a real S3: whole or absent, whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jobyard_metrics import store
from jobyard_metrics.errors import StoreError, UnreadableDayError
from jobyard_metrics.frames import empty, frame
from jobyard_metrics.objects import FolderStore, ObjectStore, S3Store
from jobyard_metrics.tables import TABLES

from tests.sync.servers import Server

DAY, NEXT = date(2026, 11, 25), date(2026, 11, 26)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
Frames = dict[str, pl.DataFrame]


@pytest.fixture(params=["folder", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of either kind."""
    if request.param == "folder":
        return FolderStore(tmp_path / "metrics")
    server: Server = request.getfixturevalue("s3")
    return S3Store(server.client, server.bucket(versioned=False), "metrics/")


def frames(rows: int = 3) -> Frames:
    found = {table: empty(table) for table in TABLES}
    found["runs"] = frame("runs", [run(f"run-{number}") for number in range(rows)])
    return found


def run(run_id: str, **changes: Any) -> dict[str, Any]:
    times = {"queued": NOON, "started": NOON, "ended": NOON}
    return {"team": "risk", "job": "score", "run_id": run_id, "state": "success", **times, **changes}


def names(target: ObjectStore) -> list[str]:
    return [listed.name for listed in target.list("")]


def test_a_day_can_be_read_as_it_was_written(target: ObjectStore) -> None:
    written = store.write_day(target, DAY, frames(), {"tries_without_pod": 2})
    assert store.manifest(target, DAY) == (written, store.manifest(target, DAY)[1])  # type: ignore[index]
    assert store.days(target) == [DAY]
    assert len(names(target)) == len(TABLES) + 1
    found = store.history(target, [DAY, NEXT]).days
    assert list(found) == [DAY]
    for table, data in frames().items():
        assert found[DAY][table].equals(data)
    assert (written.rows["runs"], written.counts, written.complete) == (3, {"tries_without_pod": 2}, True)


def test_a_day_written_twice_has_the_same_bytes(target: ObjectStore) -> None:
    first = store.write_day(target, DAY, frames(), {})
    before = {name: target.get(name) for name in names(target)}
    shuffled = frames()
    shuffled["runs"] = shuffled["runs"].sample(fraction=1, shuffle=True, seed=random.randrange(1000))
    assert store.write_day(target, DAY, shuffled, {}) == first
    assert {name: found.body for name in names(target) if (found := target.get(name))} == {
        name: found.body for name, found in before.items() if found
    }


def test_a_day_written_again_replaces_the_old_files(tmp_path: Path) -> None:
    target = FolderStore(tmp_path)
    old = store.write_day(target, DAY, frames(3), {})
    new = store.write_day(target, DAY, frames(4), {})
    assert old.files["runs"] not in names(target)
    assert sorted(names(target)) == sorted([*new.files.values(), "days/2026-11-25.json"])


def test_an_empty_day_is_a_whole_day(target: ObjectStore) -> None:
    store.write_day(target, DAY, frames(0), {})
    found = store.history(target, [DAY]).days[DAY]
    assert {table: data.height for table, data in found.items()} == dict.fromkeys(TABLES, 0)


def test_of_two_collectors_at_once_one_whole_day_remains(target: ObjectStore) -> None:
    """The second begins and ends while the first has put its files, and not its manifest."""
    put_if = target.put_if
    seconds: list[store.Manifest | None] = []

    def second_first(name: str, body: bytes, etag: str | None) -> bool:
        if not seconds:
            seconds.append(None)
            seconds.append(store.write_day(target, DAY, frames(5), {}))
        return put_if(name, body, etag)

    target.put_if = second_first  # type: ignore[method-assign]
    first = store.write_day(target, DAY, frames(3), {})
    assert first == seconds[1]
    assert store.history(target, [DAY]).days[DAY]["runs"].height == 5
    # What the first has left goes with the next writing.
    store.write_day(target, DAY, frames(6), {})
    assert store.history(target, [DAY]).days[DAY]["runs"].height == 6


@pytest.mark.parametrize("calls", range(len(TABLES) + 1))
def test_a_collector_that_dies_leaves_the_day_as_it_was(tmp_path: Path, calls: int) -> None:
    target = FolderStore(tmp_path)
    store.write_day(target, DAY, frames(3), {})
    dying = Dying(tmp_path, calls)
    with pytest.raises(StoreError, match="no space left"):
        store.write_day(dying, DAY, frames(4), {})
    assert store.history(target, [DAY]).days[DAY]["runs"].height == 3
    store.write_day(target, DAY, frames(4), {})
    assert store.history(target, [DAY]).days[DAY]["runs"].height == 4
    assert len(names(target)) == len(TABLES) + 1


class Dying(FolderStore):
    """Fails at the put with this number."""

    def __init__(self, root: Path, calls: int) -> None:
        super().__init__(root)
        self._left = calls

    def put(self, name: str, body: bytes, *, content_type: str = "") -> None:
        """Put it, or fail."""
        if not self._left:
            raise StoreError("no space left on device")
        self._left -= 1
        super().put(name, body)


def damage_manifest(target: ObjectStore, written: store.Manifest) -> None:
    target.put("days/2026-11-25.json", b"{")


def damage_table(target: ObjectStore, written: store.Manifest) -> None:
    target.put(written.files["runs"], b"PAR1")


def delete_table(target: ObjectStore, written: store.Manifest) -> None:
    target.delete([written.files["runs"]])


def replace_table(target: ObjectStore, written: store.Manifest) -> None:
    target.put(written.files["runs"], store.parquet(pl.DataFrame({"team": ["risk"]})))


@pytest.mark.parametrize("damage", [damage_manifest, damage_table, delete_table, replace_table])
def test_a_damaged_day_is_named_and_written_again(
    tmp_path: Path, damage: Callable[[ObjectStore, store.Manifest], None]
) -> None:
    target = FolderStore(tmp_path)
    damage(target, store.write_day(target, DAY, frames(), {}))
    store.write_day(target, NEXT, frames(2), {})
    found = store.history(target, [NEXT, DAY])
    assert list(found.days) == [NEXT]
    assert list(found.unreadable) == [DAY]
    assert found.unreadable[DAY].endswith("; collect the day again")
    store.write_day(target, DAY, frames(), {})
    assert list(store.history(target, [DAY, NEXT]).days) == [DAY, NEXT]


def test_a_day_from_before_a_table_existed_can_be_read(tmp_path: Path) -> None:
    target = FolderStore(tmp_path)
    written = store.write_day(target, DAY, frames(), {})
    name = "days/2026-11-25.json"
    older = replace(written, files={table: file for table, file in written.files.items() if table != "replaced_pods"})
    target.put(name, older.body())
    found = store.history(target, [DAY])
    assert found.unreadable == {}
    assert found.days[DAY]["runs"].height == 3
    assert found.days[DAY]["replaced_pods"].equals(empty("replaced_pods"))


def test_a_reader_follows_a_day_that_is_written_again(tmp_path: Path) -> None:
    target = FolderStore(tmp_path)
    store.write_day(target, DAY, frames(3), {})
    get = target.get
    written: list[store.Manifest] = []

    def late(name: str) -> Any:
        if name.startswith("runs/") and not written:
            written.append(store.write_day(FolderStore(tmp_path), DAY, frames(4), {}))
        return get(name)

    target.get = late  # type: ignore[method-assign]
    assert store.history(target, [DAY], ["runs"]).days[DAY]["runs"].height == 4


def test_a_manifest_of_a_newer_version_is_not_guessed_at() -> None:
    with pytest.raises(UnreadableDayError, match="its version must be 1; got 2"):
        store.Manifest.parse(b'{"version": 2}', "days/2026-11-25.json")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "x" * 10_000, "\x00", "ナ\u202e", ""])
def test_any_text_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    target = FolderStore(tmp_path)
    found = frames(0) | {"runs": frame("runs", [run(text, state=text)])}
    store.write_day(target, DAY, found, {})
    row = store.history(target, [DAY]).days[DAY]["runs"].row(0, named=True)
    assert (row["run_id"], row["state"]) == (text, text)


def test_rows_with_the_same_key_are_there_once() -> None:
    assert frame("runs", [run("a", state="failed"), run("a"), run("b")])["state"].to_list() == ["success", "success"]


def test_days_are_joined_with_their_dates(tmp_path: Path) -> None:
    target = FolderStore(tmp_path)
    for day, rows in ((NEXT, 1), (DAY, 2)):
        store.write_day(target, day, frames(rows), {})
    found = store.joined(store.history(target, [NEXT, DAY]).days, "runs")
    assert found["day"].to_list() == [DAY, DAY, NEXT]
    assert store.joined({}, "runs").columns == found.columns


def test_an_objects_name_stays_below_the_store(tmp_path: Path) -> None:
    target = FolderStore(tmp_path / "metrics")
    for name in ("../x", "/etc/x", "teams/../../x"):
        with pytest.raises(StoreError, match="the name of an object must be below"):
            target.put(name, b"")


def test_objects_of_both_kinds_behave_alike(target: ObjectStore) -> None:
    assert target.get("a/b.json") is None
    assert target.put_if("a/b.json", b"1", None)
    assert not target.put_if("a/b.json", b"2", None)
    assert not target.put_if("a/b.json", b"2", '"0123"')
    stored = target.get("a/b.json")
    assert stored and stored.body == b"1"
    assert target.put_if("a/b.json", b"2", stored.etag)
    target.put("c/d.js", b"", content_type="text/javascript")
    target.put("top.json", b"")
    assert target.folders() == ["a", "c"]
    assert names(target) == ["a/b.json", "c/d.js", "top.json"]
    assert [one.name for one in target.list("a/")] == ["a/b.json"]
    target.delete(["a/b.json", "missing"])
    assert not target.put_if("a/b.json", b"2", stored.etag)
    assert names(target) == ["c/d.js", "top.json"]


def test_a_missing_bucket_is_an_error(s3: Server) -> None:
    missing = S3Store(s3.client, "no-such-bucket", "")

    def list_all() -> Iterable[Any]:
        return missing.list("")

    for act in (list_all, missing.folders, lambda: missing.put("x", b"")):
        with pytest.raises(StoreError, match="s3://no-such-bucket/: "):
            act()
