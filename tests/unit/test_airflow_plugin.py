"""`jobyard airflow-plugin`: the archive with the plugin, alone or beside what an environment has already."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from jobyard_cli.platform.plugin import MODULE

from tests.support.command import Jobyard
from tests.support.paths import ROOT

PLUGIN = (ROOT / "dags" / "jobyard" / "plugin" / MODULE).read_bytes()


@pytest.fixture
def folder(working_folder: Path) -> Path:
    """Where the command runs."""
    return working_folder


def contents(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def others(file: Path) -> bytes:
    """What an environment has: a folder, a compressed file of another day with its own mode, a comment."""
    entry = zipfile.ZipInfo("company/operators.py", (2024, 5, 6, 7, 8, 10))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100755 << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"made by hand"
        archive.mkdir("company")
        archive.writestr(entry, "import this\n" * 50)
    return file.read_bytes()


def facts(entry: zipfile.ZipInfo) -> tuple[object, ...]:
    return entry.filename, entry.date_time, entry.compress_type, entry.external_attr, entry.CRC, entry.file_size


def test_the_archive_is_the_plugin_at_its_top_and_always_the_same(
    jobyard: Jobyard, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = jobyard("airflow-plugin", "plugins.zip")
    assert (code, err) == (0, "")
    assert "aws s3 cp plugins.zip s3://<bucket>/plugins.zip" in out
    assert contents(folder / "plugins.zip") == {MODULE: PLUGIN}
    monkeypatch.setenv("TZ", "Asia/Jakarta")
    umask = os.umask(0o077)
    try:
        assert jobyard("airflow-plugin", "again.zip")[0] == 0
    finally:
        os.umask(umask)
    digests = {hashlib.sha256((folder / name).read_bytes()).digest() for name in ("plugins.zip", "again.zip")}
    assert len(digests) == 1
    [entry] = zipfile.ZipFile(folder / "plugins.zip").infolist()
    assert (entry.date_time, entry.external_attr >> 16) == ((1980, 1, 1, 0, 0, 0), 0o100644)


def test_with_an_environment_the_next_steps_have_its_names(jobyard: Jobyard, folder: Path) -> None:
    code, out, _ = jobyard("airflow-plugin", "plugins.zip", "--environment", "prod", "--repo", str(ROOT))
    assert code == 0
    assert "aws s3 cp plugins.zip s3://example-jobyard-prod/plugins.zip" in out
    assert "aws mwaa update-environment --name jobyard-prod --plugins-s3-path plugins.zip" in out


@pytest.mark.parametrize("target", ["new.zip", "existing.zip"])
def test_what_an_existing_archive_has_stays_as_it_is(jobyard: Jobyard, folder: Path, target: str) -> None:
    before = others(folder / "existing.zip")
    kept = zipfile.ZipFile(folder / "existing.zip").infolist()
    assert jobyard("airflow-plugin", target, "--add-to", "existing.zip")[0] == 0
    with zipfile.ZipFile(folder / target) as archive:
        assert archive.testzip() is None
        assert archive.comment == b"made by hand"
        *rest, added = archive.infolist()
        assert list(map(facts, rest)) == list(map(facts, kept))
        assert (added.filename, archive.read(added)) == (MODULE, PLUGIN)
        assert archive.read("company/operators.py") == b"import this\n" * 50
    assert ((folder / "existing.zip").read_bytes() == before) == (target != "existing.zip")
    assert not list(folder.glob("*.partial"))


def test_an_earlier_plugin_is_replaced_and_the_same_one_needs_no_update(jobyard: Jobyard, folder: Path) -> None:
    with zipfile.ZipFile(folder / "existing.zip", "w") as archive:
        archive.writestr(MODULE, "# an earlier one")
        archive.writestr("other.py", "")
    assert jobyard("airflow-plugin", "new.zip", "--add-to", "existing.zip")[0] == 0
    assert contents(folder / "new.zip") == {"other.py": b"", MODULE: PLUGIN}
    code, out, err = jobyard("airflow-plugin", "newer.zip", "--add-to", "new.zip")
    assert (code, err) == (0, "")
    assert out == "new.zip has this plugin already; nothing was written, and the environment needs no update\n"
    assert not (folder / "newer.zip").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not an archive"])
def test_what_is_no_archive_is_left_alone(jobyard: Jobyard, folder: Path, content: bytes) -> None:
    (folder / "existing.zip").write_bytes(content)
    code, out, err = jobyard("airflow-plugin", "existing.zip", "--add-to", "existing.zip")
    assert (code, out) == (1, "")
    assert err.startswith("existing.zip must be a zip archive that can be read, without a password: ")
    assert (folder / "existing.zip").read_bytes() == content


def test_the_archive_needs_a_directory(jobyard: Jobyard) -> None:
    code, out, err = jobyard("airflow-plugin", "nowhere/plugins.zip")
    assert (code, out) == (2, "")
    assert err == "the archive must be in a directory that exists; got nowhere/plugins.zip\n"
