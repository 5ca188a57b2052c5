"""The platform's own part of the bucket: what is in it, what is put, and the copy that Airflow makes."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import (
    NotAPlatformRepoError,
    PlatformFiles,
    UnreadableValuesError,
    node_groups,
    platform_files,
    task_types,
)
from jobyard_cli.platform.loader import loader_source
from jobyard_cli.platform.loader_counts import loader_counts
from jobyard_local.bucket_copy import copy_once, request_parse

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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


def some_files(teams: list[str], kubeconfig: str = "x: y") -> PlatformFiles:
    platform = platform_data(node_groups(ROOT / "values"), "dev", task_types={}, teams={})
    return platform_files(ROOT / "dags", dict.fromkeys(teams, 1), platform, kubeconfig)


def test_a_version_is_the_library_and_the_platforms_data() -> None:
    files = some_files(["risk", "fraud"])
    library = ROOT / "dags" / "jobyard"
    modules = {str(path.relative_to(library)) for path in library.rglob("*.py")}
    others = {"__init__.py", "plugin/jobyard_trigger.py", "token_plugin.py"}
    assert files.version.keys() == modules - others | {"platform.json"}
    assert "following/shared.py" in files.version
    assert json.loads(files.version["platform.json"])["environment"] == "dev"


def test_the_kubeconfig_and_the_teams_are_no_part_of_the_version() -> None:
    files, other = some_files(["risk", "fraud"]), some_files(["risk"], "z: y")
    assert files.folder == other.folder
    assert files.shared["jobyard/kubeconfig.yaml"] == b"x: y"
    assert files.shared["jobyard/token_plugin.py"] == (ROOT / "dags" / "jobyard" / "token_plugin.py").read_bytes()
    assert list(files.shared)[-1] == "jobyard/__init__.py"
    assert files.loaders == {f"{team}.py": loader_source(team).encode() for team in ("fraud", "risk")}


def test_a_large_team_has_several_loaders_with_the_same_text() -> None:
    platform = platform_data(node_groups(ROOT / "values"), "dev", task_types={}, teams={})
    files = platform_files(ROOT / "dags", loader_counts({"risk": {"loaders": 2}, "care": {}}), platform, "x: y")
    text = loader_source("risk").encode()
    assert files.loaders == {"care.py": loader_source("care").encode(), "risk.py": text, "risk_2.py": text}


def test_the_kubeconfigs_plugin_is_put_before_the_kubeconfig_and_has_one_path_in_all_versions() -> None:
    names = list(some_files(["risk"]).shared)
    assert names.index("jobyard/token_plugin.py") < names.index("jobyard/kubeconfig.yaml")


def test_the_library_of_a_commit_without_the_plugin_can_be_laid_out(tmp_path: Path) -> None:
    copy = shutil.copytree(ROOT / "dags", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "jobyard" / "token_plugin.py").unlink()
    platform = platform_data(node_groups(ROOT / "values"), "dev", task_types={}, teams={})
    assert "jobyard/token_plugin.py" not in platform_files(copy, {}, platform, "x: y").flat


def test_a_loader_is_read_by_airflows_safe_mode() -> None:
    source = loader_source("risk").lower()
    assert "airflow" in source
    assert "dag" in source
    compile(source, "risk.py", "exec")


def put(s3: S3Client, name: str, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"dags/{name}", Body=content)


def test_the_copy_brings_what_is_new_and_takes_away_what_is_gone(s3: S3Client, tmp_path: Path) -> None:
    put(s3, "risk.py", b"1")
    put(s3, "risk/jobs.json", b"{}")
    known = copy_once(s3, BUCKET, tmp_path, {})
    (tmp_path / "risk.py").write_text("kept, as the bucket has not changed it")
    put(s3, "risk/jobs.json", b"[]")
    known = copy_once(s3, BUCKET, tmp_path, known)
    assert (tmp_path / "risk.py").read_text().startswith("kept")
    assert (tmp_path / "risk" / "jobs.json").read_bytes() == b"[]"
    s3.delete_object(Bucket=BUCKET, Key="dags/risk.py")
    copy_once(s3, BUCKET, tmp_path, known)
    assert not (tmp_path / "risk.py").exists()


def test_after_a_change_a_loader_is_newer_than_a_parse_that_has_begun(tmp_path: Path) -> None:
    (tmp_path / "risk.py").touch()
    (tmp_path / "risk").mkdir()
    (release := tmp_path / "risk" / "jobs.json").touch()
    unchanged = release.stat().st_mtime
    request_parse(tmp_path)
    assert (tmp_path / "risk.py").stat().st_mtime > time.time()
    assert release.stat().st_mtime == unchanged


def test_values_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotAPlatformRepoError, match="node-groups.yaml is missing: run this in the root directory"):
        node_groups(tmp_path)
    (tmp_path / "node-groups.yaml").write_text("nodeGroups: [gpu]\n")
    with pytest.raises(UnreadableValuesError, match="node-groups.yaml: must have a mapping under 'nodeGroups'"):
        node_groups(tmp_path)
    (tmp_path / "node-groups.yaml").write_text("nodeGroups: {gpu\n")
    with pytest.raises(UnreadableValuesError, match="node-groups.yaml:2:1: invalid YAML"):
        node_groups(tmp_path)
