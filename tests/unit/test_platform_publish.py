"""The platform's files in the bucket: what is put and deleted, and in which order; tests/sync has the faults."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobyard.contract import LOADERS_FILE
from jobyard_cli.aws.errors import StoreError
from jobyard_cli.platform import publish as platform_publish
from jobyard_cli.platform.files import PlatformFiles
from jobyard_cli.platform.loader import loader_source
from jobyard_cli.platform.loader_counts import OVERLAP, loader_names
from jobyard_cli.platform.publish import INDEX, KEPT, OlderPlatformError, publish
from jobyard_local.bucket_copy import copy_once

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "airflow"
LATER = datetime.now(UTC) + timedelta(days=2)
READ = "import sys; sys.path.insert(0, sys.argv[1]); import jobyard; print(jobyard.load(''))"


def a_library(version: str, *teams: str, kubeconfig: str = "kind: Config", **several: int) -> PlatformFiles:
    """A library of two modules that don't go with any but each other, with the real chooser before it."""
    counts = {**dict.fromkeys(teams, 1), **several}
    loader = f"from jobyard import other\nassert other.VERSION == '{version}'\ndef load(file): return other.VERSION\n"
    return PlatformFiles(
        version={"loader.py": loader.encode(), "other.py": f"VERSION = '{version}'\n".encode()},
        shared={
            ".airflowignore": b"jobyard/",
            "jobyard/kubeconfig.yaml": kubeconfig.encode(),
            "jobyard/__init__.py": (ROOT / "dags" / "jobyard" / "__init__.py").read_bytes(),
        },
        loaders={name: loader_source(team).encode() for name, team in loader_names(counts)},
        counts=counts,
    )


def names(s3: S3Client, bucket: str = BUCKET) -> set[str]:
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="dags/").get("Contents", [])
    return {entry.get("Key", "").removeprefix("dags/") for entry in listed}


def read(copy: Path) -> str:
    """What a new process imports of the library in a copy of the bucket, or why it can't."""
    done = subprocess.run([sys.executable, "-c", READ, str(copy)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


def copied(s3: S3Client, folder: Path, bucket: str = BUCKET) -> Path:
    copy_once(s3, bucket, folder, {})
    return folder


def test_the_index_comes_after_what_it_names_and_a_second_time_nothing_is_put(s3: S3Client) -> None:
    files = a_library("1", "risk", "care")
    first = publish(s3, BUCKET, files)
    version = [f"jobyard/{files.folder}/{name}" for name in files.version]
    assert first.put == [*version, INDEX, *files.shared, *files.loaders]
    again = publish(s3, BUCKET, files)
    assert (again.put, again.deleted, again.unchanged) == ([], [], len(first.put))


def test_only_what_changed_is_put(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", "risk"))
    done = publish(s3, BUCKET, a_library("1", "risk", "care", kubeconfig="kind: Other"))
    assert done.put == ["jobyard/kubeconfig.yaml", "care.py"]


def test_a_bucket_with_keys_of_kms_is_not_put_again_either(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """There S3's digests are not those of the contents."""
    publish(s3, BUCKET, a_library("1", "risk", "care"))
    there = {name: replace(entry, etag="another") for name, entry in platform_publish._listed(s3, BUCKET).items()}
    monkeypatch.setattr(platform_publish, "_listed", lambda *_: there)
    assert publish(s3, BUCKET, a_library("1", "risk", "care")).put == []
    assert publish(s3, BUCKET, a_library("1", "risk")).deleted == ["care.py"]


def test_a_change_by_hand_is_undone(s3: S3Client) -> None:
    files = a_library("1", "risk")
    publish(s3, BUCKET, files)
    s3.put_object(Bucket=BUCKET, Key="dags/risk.py", Body=b"import os")
    s3.put_object(Bucket=BUCKET, Key=f"dags/jobyard/{files.folder}/other.py", Body=b"VERSION = '0'")
    done = publish(s3, BUCKET, files)
    assert done.put == [f"jobyard/{files.folder}/other.py", "risk.py"]


def test_only_the_platforms_own_is_deleted_and_never_a_teams(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", "risk", "care"))
    others = ["care/jobs.json", "risk/jobs.json", "mine.py", "mine/dag.py", "jobyard.py.txt"]
    for name in others:
        s3.put_object(Bucket=BUCKET, Key=f"dags/{name}", Body=b"{}")
    assert publish(s3, BUCKET, a_library("1", "risk"), now=LATER).deleted == ["care.py"]
    assert names(s3) >= {*others, "risk.py"}


def test_a_loader_that_somebody_rewrote_is_not_the_platforms(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", "risk", "care"))
    s3.put_object(Bucket=BUCKET, Key="dags/care.py", Body=b"import os")
    assert publish(s3, BUCKET, a_library("1", "risk")).deleted == []


def test_old_versions_go_a_day_after_nothing_names_them(s3: S3Client) -> None:
    versions = [a_library(str(number)) for number in range(KEPT + 2)]
    for files in versions:
        assert publish(s3, BUCKET, files).deleted == []
    done = publish(s3, BUCKET, versions[-1], now=LATER)
    assert {name.split("/")[1] for name in done.deleted} == {files.folder for files in versions[:2]}


def test_the_layout_without_versions_is_replaced(s3: S3Client, tmp_path: Path) -> None:
    """As the files were before a version had a folder: one beside the other."""
    for name, content in a_library("0").version.items():
        s3.put_object(Bucket=BUCKET, Key=f"dags/jobyard/{name}", Body=content)
    publish(s3, BUCKET, a_library("1"))
    assert read(copied(s3, tmp_path)) == "1"
    assert set(publish(s3, BUCKET, a_library("1"), now=LATER).deleted) == {"jobyard/loader.py", "jobyard/other.py"}


def test_an_older_commit_does_not_replace_a_later_one(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("2"), "2")
    with pytest.raises(
        OlderPlatformError, match="is from commit 2, which is newer than 1, checked out here; nothing was published"
    ):
        publish(s3, BUCKET, a_library("1"), "1", lambda theirs, ours: theirs > ours)
    assert publish(s3, BUCKET, a_library("3"), "3", lambda theirs, ours: theirs > ours).put


def test_who_is_overtaken_begins_anew_and_finds_the_later_commit(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("0"), "0")
    raced: list[bool] = []

    def later(theirs: str, ours: str) -> bool:
        if not raced:
            raced.append(True)
            publish(s3, BUCKET, a_library("2", "risk"), "2")
        return theirs > ours

    with pytest.raises(OlderPlatformError):
        publish(s3, BUCKET, a_library("1", kubeconfig="old"), "1", later)
    assert s3.get_object(Bucket=BUCKET, Key="dags/jobyard/kubeconfig.yaml")["Body"].read() == b"kind: Config"
    index = json.loads(s3.get_object(Bucket=BUCKET, Key=f"dags/{INDEX}")["Body"].read())
    assert index["commit"] == "2"


def test_a_bucket_that_is_not_there_is_named(s3: S3Client) -> None:
    with pytest.raises(StoreError, match="s3://nowhere/dags/: .*NoSuchBucket"):
        publish(s3, "nowhere", a_library("1"))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"versions": [1]}', b'{"versions": [{"folder": "x"}]}'])
def test_an_index_that_is_none_is_replaced(s3: S3Client, tmp_path: Path, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"dags/{INDEX}", Body=content)
    publish(s3, BUCKET, a_library("1"))
    assert read(copied(s3, tmp_path)) == "1"


def test_a_version_that_is_copied_in_part_leaves_the_one_before(s3: S3Client, tmp_path: Path) -> None:
    publish(s3, BUCKET, a_library("1"))
    files = a_library("2")
    publish(s3, BUCKET, files)
    copy = copied(s3, tmp_path)
    assert read(copy) == "2"
    (copy / "jobyard" / files.folder / "other.py").unlink()
    assert read(copy) == "1"
    (copy / "jobyard" / files.folder / "other.py").write_text("VERSION = ")
    assert read(copy) == "1"


def test_no_whole_version_is_an_import_error_that_says_so(s3: S3Client, tmp_path: Path) -> None:
    files = a_library("1")
    publish(s3, BUCKET, files)
    copy = copied(s3, tmp_path)
    (copy / "jobyard" / files.folder / "loader.py").unlink()
    assert "versions.json names is here whole" in read(copy)


def said(s3: S3Client) -> Any:
    """Return what the bucket says of the teams' loaders."""
    return json.loads(s3.get_object(Bucket=BUCKET, Key=f"dags/{LOADERS_FILE}")["Body"].read())["teams"]


NOW = datetime.now(UTC)
UNTIL = (NOW + OVERLAP).timestamp()


def test_a_large_team_has_several_loaders_and_then_their_number(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", "risk", "care"), now=NOW)
    assert LOADERS_FILE not in names(s3)
    done = publish(s3, BUCKET, a_library("1", "care", risk=3), now=NOW)
    assert (done.put, done.deleted) == (["risk_2.py", "risk_3.py", LOADERS_FILE], [])
    assert said(s3) == {"risk": {"count": 3, "earlier": [{"count": 1, "until": UNTIL}]}}


def test_the_same_number_is_not_put_again(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", risk=3), now=NOW)
    again = publish(s3, BUCKET, a_library("1", risk=3), now=NOW + OVERLAP)
    assert (again.put, again.deleted) == ([], [])
    assert publish(s3, BUCKET, a_library("1", risk=3), now=LATER).put == [LOADERS_FILE]
    assert said(s3) == {"risk": {"count": 3, "earlier": []}}


def test_loaders_that_are_too_many_go_a_day_after_they_have_handed_over(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", risk=3), now=NOW - timedelta(days=9))
    publish(s3, BUCKET, a_library("1", risk=3), now=NOW - timedelta(days=5))
    fewer = a_library("1", risk=2)
    done = publish(s3, BUCKET, fewer, now=NOW)
    assert (done.put, done.deleted) == ([LOADERS_FILE], [])
    assert said(s3) == {"risk": {"count": 2, "earlier": [{"count": 3, "until": UNTIL}]}}
    assert publish(s3, BUCKET, fewer, now=NOW + timedelta(days=1)).deleted == []
    assert publish(s3, BUCKET, fewer, now=LATER).deleted == ["risk_3.py"]


def test_a_second_change_keeps_what_the_first_one_had(s3: S3Client) -> None:
    for count in (1, 2, 4):
        publish(s3, BUCKET, a_library("1", risk=count), now=NOW)
    earlier = [{"count": 1, "until": UNTIL}, {"count": 2, "until": UNTIL}]
    assert said(s3) == {"risk": {"count": 4, "earlier": earlier}}
    publish(s3, BUCKET, a_library("1", risk=1), now=NOW)
    earlier = [{"count": 2, "until": UNTIL}, {"count": 4, "until": UNTIL}]
    assert said(s3) == {"risk": {"count": 1, "earlier": earlier}}


def test_without_a_large_team_nothing_of_it_stays(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", risk=2), now=NOW)
    publish(s3, BUCKET, a_library("1", "risk"), now=NOW)
    done = publish(s3, BUCKET, a_library("1", "risk"), now=LATER)
    assert (done.put, done.deleted) == ([LOADERS_FILE], [LOADERS_FILE, "risk_2.py"])
    assert publish(s3, BUCKET, a_library("1", "risk"), now=LATER).put == []


def test_the_loaders_of_a_team_that_is_gone_are_deleted(s3: S3Client) -> None:
    publish(s3, BUCKET, a_library("1", care=2), now=NOW)
    assert publish(s3, BUCKET, a_library("1", "risk"), now=NOW).deleted == ["care.py", "care_2.py"]
    assert said(s3) == {}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"teams": {"risk": {}}}', b'{"teams": []}'])
def test_a_number_of_loaders_that_is_none_is_replaced(s3: S3Client, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"dags/{LOADERS_FILE}", Body=content)
    publish(s3, BUCKET, a_library("1", risk=2), now=NOW)
    assert said(s3) == {"risk": {"count": 2, "earlier": [{"count": 1, "until": UNTIL}]}}
