"""The platform's own part of the bucket: what is in it, what is put, and the copy that Airflow makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobyard_cli.local.bucket_copy import copy_once
from jobyard_cli.platform_data import platform_data
from jobyard_cli.platform_files import (
    NotThePlatformRepo,
    PutFailed,
    UnreadableValues,
    loader_source,
    node_groups,
    platform_files,
    put_changed,
    task_types,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "airflow"


def test_every_node_group_of_the_catalogue_gets_selector_tolerations_and_time_to_start() -> None:
    groups = node_groups(ROOT / "values")
    data = platform_data(groups, "dev", task_types=task_types(ROOT / "values"), teams={})
    assert data["environment"] == "dev"
    assert data["node_groups"].keys() == groups.keys()
    assert data["node_groups"]["graviton"]["node_selector"] == {
        "jobyard.dev/node-group": "graviton",
        "kubernetes.io/arch": "arm64",
    }
    assert data["node_groups"]["high-cpu"]["tolerations"] == [
        {"key": "jobyard.dev/node-group", "value": "high-cpu", "effect": "NoSchedule", "operator": "Equal"}
    ]
    assert data["node_groups"]["gpu"]["startup_timeout"] == 1200


def test_loaders_come_last_as_they_need_all_the_rest() -> None:
    platform = platform_data(node_groups(ROOT / "values"), "dev", task_types={}, teams={})
    files = platform_files(ROOT / "dags", ["risk", "fraud"], platform, "x: y")
    assert list(files)[0] == ".airflowignore"
    assert list(files)[-2:] == ["fraud.py", "risk.py"]
    assert files["risk.py"] == loader_source("risk").encode()
    assert files["jobyard/kubeconfig.yaml"] == b"x: y"
    assert json.loads(files["jobyard/platform.json"])["environment"] == "dev"
    modules = {path.name for path in (ROOT / "dags" / "jobyard").glob("*.py")}
    assert {name.removeprefix("jobyard/") for name in files if name.startswith("jobyard/")} >= modules


def test_a_loader_is_read_by_airflows_safe_mode() -> None:
    source = loader_source("risk").lower()
    assert "airflow" in source
    assert "dag" in source
    compile(source, "risk.py", "exec")


def test_only_what_changed_is_put(s3: S3Client) -> None:
    assert put_changed(s3, BUCKET, {"a.py": b"1", "b.py": b"2"}) == ["a.py", "b.py"]
    assert put_changed(s3, BUCKET, {"a.py": b"1", "b.py": b"3", "c.py": b"4"}) == ["b.py", "c.py"]
    assert put_changed(s3, BUCKET, {"a.py": b"1", "b.py": b"3", "c.py": b"4"}) == []


def test_a_bucket_that_is_not_there_is_named(s3: S3Client) -> None:
    with pytest.raises(PutFailed, match="s3://nowhere/dags/: .*NoSuchBucket"):
        put_changed(s3, "nowhere", {"a.py": b"1"})


def test_the_copy_brings_what_is_new_and_takes_away_what_is_gone(s3: S3Client, tmp_path: Path) -> None:
    put_changed(s3, BUCKET, {"risk.py": b"1", "risk/jobs.json": b"{}"})
    known = copy_once(s3, BUCKET, tmp_path, {})
    (tmp_path / "risk.py").write_text("kept, as the bucket has not changed it")
    put_changed(s3, BUCKET, {"risk/jobs.json": b"[]"})
    known = copy_once(s3, BUCKET, tmp_path, known)
    assert (tmp_path / "risk.py").read_text().startswith("kept")
    assert (tmp_path / "risk" / "jobs.json").read_bytes() == b"[]"
    s3.delete_object(Bucket=BUCKET, Key="dags/risk.py")
    copy_once(s3, BUCKET, tmp_path, known)
    assert not (tmp_path / "risk.py").exists()


def test_values_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotThePlatformRepo, match="node-groups.yaml is not there: run this in the top folder"):
        node_groups(tmp_path)
    (tmp_path / "node-groups.yaml").write_text("nodeGroups: [gpu]\n")
    with pytest.raises(UnreadableValues, match="node-groups.yaml: must have a mapping under 'nodeGroups'"):
        node_groups(tmp_path)
    (tmp_path / "node-groups.yaml").write_text("nodeGroups: {gpu\n")
    with pytest.raises(UnreadableValues, match="node-groups.yaml:2:1: not YAML"):
        node_groups(tmp_path)
