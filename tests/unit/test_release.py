"""The release: what is in it, the same bytes every time, and one conditional write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobyard.contract import SCHEMA_VERSION
from jobyard_cli.check.run import check_repo
from jobyard_cli.release.compile import InvalidJobsError, compile_release
from jobyard_cli.release.releases import OlderReleaseError, StoreError, publish
from jobyard_cli.team.scaffold import NewJobError, examples, new_job

from tests.support.command import Jobyard
from tests.support.golden import assert_golden
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddJob = Callable[..., Path]
BUCKET = "airflow"
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "valid"
RELEASES = FIXTURES.parent / "releases"
KEY = "dags/risk/jobs.json"


def compiled(repo: Path, commit: str = "c0ffee") -> dict[str, Any]:
    release: dict[str, Any] = json.loads(compile_release(repo, commit).body)
    return release


def test_the_least_job_gets_every_default(add_job: AddJob, team_repo: Path) -> None:
    text = add_job("score").read_text()
    release = compiled(team_repo)
    assert (release["schema_version"], release["team"]) == (7, "risk")
    assert release["commit"] == "c0ffee"
    assert re.fullmatch("[0-9a-f]{12}", release["jobs"]["score"].pop("digest"))
    assert release["jobs"]["score"] == {
        "catchup": False,
        "description": "",
        "end_date": None,
        "max_active_runs": 1,
        "owner": "",
        "params": {},
        "schedule": "@daily",
        "source": text,
        "start_date": "2026-01-01",
        "tags": [],
        "timeout": None,
        "timezone": "UTC",
        "tasks": {
            "score": {
                "args": None,
                "command": None,
                "env": {},
                "image": "inference",
                "needs": [],
                "node_group": "default",
                "priority_class": "risk.normal-2000",
                "resources": {
                    "limits": {"memory": "1Gi", "ephemeral-storage": "2Gi"},
                    "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "2Gi"},
                },
                "scratch": None,
                "secrets": {},
                "retries": {"attempts": 2, "backoff": "none", "delay": 300, "max_delay": None},
                "service_account": "jobs",
                "startup_timeout": None,
                "timeout": None,
                "trigger_rule": "all_success",
            }
        },
    }


def test_a_task_takes_what_it_does_not_say_from_the_jobs_defaults(add_job: AddJob, team_repo: Path) -> None:
    add_job(
        "score",
        """\
apiVersion: jobyard/v1
schedule: null
defaults:
  node_group: high-cpu
  timeout: 1h
  resources: {cpu: 2000m, memory: 2048Mi}
  retries: {attempts: 5}
  env: {LEVEL: info, THREADS: "1"}
tasks:
  first: {image: inference}
  second: {image: inference, node_group: default, timeout: 30m, env: {THREADS: "2"}, resources: {cpu: 1}}
""",
    )
    tasks = compiled(team_repo)["jobs"]["score"]["tasks"]
    assert tasks["first"]["node_group"] == "high-cpu"
    assert tasks["first"]["timeout"] == 3600
    assert tasks["first"]["resources"]["requests"] == {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "2Gi"}
    assert tasks["first"]["retries"]["attempts"] == 5
    assert tasks["second"]["node_group"] == "default"
    assert tasks["second"]["timeout"] == 1800
    assert tasks["second"]["env"] == {"LEVEL": "info", "THREADS": "2"}
    assert tasks["second"]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "2Gi"}


def test_secrets_and_scratch_space_are_spelled_out(add_job: AddJob, team_repo: Path) -> None:
    add_job(
        "score",
        """\
apiVersion: jobyard/v1
schedule: null
defaults:
  secrets: {USER: database/user, PASSWORD: database/password}
tasks:
  score: {image: inference, scratch: 2048Mi, secrets: {PASSWORD: other.db/pass_word}}
""",
    )
    task = compiled(team_repo)["jobs"]["score"]["tasks"]["score"]
    assert task["secrets"] == {
        "PASSWORD": {"secret": "other.db", "key": "pass_word"},
        "USER": {"secret": "database", "key": "user"},
    }
    assert task["scratch"] == "2Gi"
    # The scratch space, and 2Gi for logs and what else is written.
    assert task["resources"]["requests"]["ephemeral-storage"] == "4Gi"
    assert task["resources"]["limits"]["ephemeral-storage"] == "4Gi"


def test_a_read_only_root_file_system_is_stated_only_where_it_is_wanted(add_job: AddJob, team_repo: Path) -> None:
    add_job(
        "score",
        """\
apiVersion: jobyard/v1
schedule: null
defaults: {read_only_root_filesystem: true}
tasks:
  follows: {image: inference}
  differs: {image: inference, read_only_root_filesystem: false}
""",
    )
    add_job("least")
    jobs = compiled(team_repo)["jobs"]
    assert jobs["score"]["tasks"]["follows"]["read_only_root_filesystem"] is True
    assert "read_only_root_filesystem" not in jobs["score"]["tasks"]["differs"]
    assert "read_only_root_filesystem" not in json.dumps(jobs["least"])


def test_the_same_files_make_the_same_bytes_in_any_order_and_place(
    add_job: AddJob, team_repo: Path, tmp_path: Path
) -> None:
    for name in ("b", "a", "c"):
        add_job(name)
    before = compile_release(team_repo, "c0ffee").body
    moved = team_repo.rename(tmp_path / "elsewhere")
    assert compile_release(moved, "c0ffee").body == before
    assert before.endswith(b"\n")


@pytest.mark.golden
def test_the_bytes_are_those_that_were_stored(add_job: AddJob, team_repo: Path) -> None:
    """On any machine, and until SCHEMA_VERSION is raised."""
    for name in ("after", "all", "by-hand", "ensemble", "least", "on-assets", "retrain-on-drift"):
        add_job(name, (FIXTURES / name / "job.yaml").read_text())
    assert_golden(RELEASES / f"{SCHEMA_VERSION}.json", compile_release(team_repo, "c0ffee" + "0" * 34).body)


def test_the_digest_is_of_the_jobs_and_not_of_the_commit(add_job: AddJob, team_repo: Path) -> None:
    file = add_job("score")
    one, other = compiled(team_repo, "1"), compiled(team_repo, "2")
    assert one["digest"] == other["digest"]
    file.write_text(file.read_text().replace("@daily", "@weekly"))
    assert compiled(team_repo)["digest"] != one["digest"]


def test_a_jobs_digest_is_its_own(add_job: AddJob, team_repo: Path) -> None:
    file = add_job("score")
    alone = compiled(team_repo)["jobs"]["score"]
    add_job("train")
    beside = compiled(team_repo)["jobs"]
    assert beside["score"] == alone
    file.write_text(file.read_text().replace("@daily", "@weekly"))
    assert compiled(team_repo)["jobs"]["score"]["digest"] != alone["digest"]
    assert compiled(team_repo)["jobs"]["train"] == beside["train"]


def test_another_schema_makes_other_digests(add_job: AddJob, team_repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `jobyard sync` would take an Airflow that can't read the release yet for one that has it."""
    add_job("score")
    before = compiled(team_repo)
    monkeypatch.setattr("jobyard_cli.release.compile.SCHEMA_VERSION", before["schema_version"] + 1)
    after = compiled(team_repo)
    assert after["digest"] != before["digest"]
    assert after["jobs"]["score"]["digest"] != before["jobs"]["score"]["digest"]


def test_images_are_part_of_the_release_and_of_its_digest(add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    without = compiled(team_repo)
    url = "registry.example.com/risk/inference@sha256:" + "a" * 64
    with_image = json.loads(compile_release(team_repo, "c0ffee", {"inference": url}).body)
    assert (without["images"], with_image["images"]) == ({}, {"inference": url})
    assert with_image["digest"] != without["digest"]
    assert with_image["jobs"] == without["jobs"]


def test_a_repository_with_a_broken_job_has_no_release(add_job: AddJob, team_repo: Path) -> None:
    add_job("right")
    add_job("wrong", "apiVersion: jobyard/v1\nschedule: null\ntasks: {}\nowner: me\n")
    with pytest.raises(InvalidJobsError) as caught:
        compile_release(team_repo, "")
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines[:2]] == ["dags/wrong/job.yaml:3:8", "dags/wrong/job.yaml:4:8"]
    assert lines[2:] == ["2 problems in 1 file", "nothing was released"]


@pytest.mark.parametrize("example", examples())
def test_every_example_passes_the_check_and_compiles(team_repo: Path, example: str) -> None:
    allow_gpu(team_repo)
    file, *images = new_job(team_repo, "mine", example)
    assert file == team_repo / "dags" / "mine" / "job.yaml"
    assert not [written for written in (file, *images) if "TEAM" in written.read_text()]
    assert list(compiled(team_repo)["jobs"]) == ["mine"]


@pytest.mark.parametrize("example", examples())
def test_every_example_may_start_after_other_jobs(team_repo: Path, example: str) -> None:
    allow_gpu(team_repo)
    new_job(team_repo, "mine", example, ["care.ingest", "care.claims"])
    assert compiled(team_repo)["jobs"]["mine"]["schedule"] == {"after": ["care.ingest", "care.claims"]}


def test_a_job_to_start_after_has_a_team(team_repo: Path, jobyard: Jobyard) -> None:
    code, _, said = jobyard("new", "mine", "--after", "ingest")
    assert (code, "--after must be <team>.<job>, such as care.ingest; got 'ingest'" in said) == (2, True)
    assert not (team_repo / "dags" / "mine").exists()


def test_a_gpu_job_of_a_team_that_may_not_use_the_machines_is_found(team_repo: Path) -> None:
    new_job(team_repo, "mine", "gpu-training")
    [found] = map(str, check_repo(team_repo).findings)
    assert found.startswith("dags/mine/job.yaml:19:17: team risk may not use node group 'gpu'"), found
    allow_gpu(team_repo)
    train = compiled(team_repo)["jobs"]["mine"]["tasks"]["train"]
    assert (train["node_group"], train["resources"]["limits"]["nvidia.com/gpu"]) == ("gpu", "1")


def allow_gpu(team_repo: Path) -> None:
    values = team_repo / "values" / "team.yaml"
    values.write_text(values.read_text().replace("[default,", "[default, gpu,"))


def test_an_examples_image_is_completed_and_none_of_its_files_replaced(team_repo: Path, jobyard: Jobyard) -> None:
    image = team_repo / "images" / "notebook"
    image.mkdir()
    (image / "Dockerfile").write_text("FROM ours\n")
    wrote = "wrote dags/one/job.yaml; change it, then run `jobyard check`\n"
    assert jobyard("new", "one", "--like", "notebook") == (0, f"wrote images/notebook\n{wrote}", "")
    assert (image / "Dockerfile").read_text() == "FROM ours\n"
    assert 'team = \\"risk\\"' in (image / "notebooks" / "quality.ipynb").read_text()
    files = {file.relative_to(image) for file in image.rglob("*") if file.is_file()}
    source = ROOT / "images" / "notebook"
    assert files == {file.relative_to(source) for file in source.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    assert not any(file.is_symlink() for file in image.rglob("*"))
    assert jobyard("new", "two", "--like", "notebook") == (0, wrote.replace("one", "two"), "")


def test_an_image_that_the_repository_lacks_is_a_copy(team_repo: Path, jobyard: Jobyard) -> None:
    image = team_repo / "images" / "ingestion"
    wrote = "wrote dags/one/job.yaml; change it, then run `jobyard check`\n"
    assert jobyard("new", "one", "--like", "ingestion") == (0, f"wrote images/ingestion\n{wrote}", "")
    assert (image / "Dockerfile").read_bytes() == (ROOT / "images" / "ingestion" / "Dockerfile").read_bytes()
    assert not list(image.rglob("__pycache__"))


def test_a_new_job_never_replaces_one(add_job: AddJob, team_repo: Path) -> None:
    file = add_job("score")
    before = file.read_text()
    with pytest.raises(NewJobError, match="already exists"):
        new_job(team_repo, "score")
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("name", "example", "message"),
    [
        ("Score", "batch-inference", "a job must have a name of lower-case letters, .*; got 'Score'"),
        ("../score", "batch-inference", "a job must have a name of lower-case letters"),
        ("score", "batch-inferense", "unknown example 'batch-inferense' .did you mean 'batch-inference'"),
    ],
)
def test_what_cannot_be_a_new_job_is_refused(team_repo: Path, name: str, example: str, message: str) -> None:
    with pytest.raises(NewJobError, match=message):
        new_job(team_repo, name, example)
    assert list((team_repo / "dags").iterdir()) == []


def versions(client: S3Client) -> int:
    return len(client.list_object_versions(Bucket=BUCKET, Prefix=KEY).get("Versions", []))


def test_publishing_puts_one_object_and_the_same_jobs_none(s3: S3Client, add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    release = compile_release(team_repo, "1")
    assert publish(s3, BUCKET, release).changed
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == release.body
    assert not publish(s3, BUCKET, release).changed
    assert versions(s3) == 1
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == [KEY]


def test_a_later_commit_with_the_same_jobs_is_noted_so_that_none_between_goes_over_it(
    s3: S3Client, add_job: AddJob, team_repo: Path
) -> None:
    def later(theirs: str, ours: str) -> bool:
        return theirs > ours

    file = add_job("score")
    text = file.read_text()
    publish(s3, BUCKET, compile_release(team_repo, "1"), is_later=later)
    file.write_text(text.replace("@daily", "@weekly"))
    between = compile_release(team_repo, "2")
    file.write_text(text)
    restored = compile_release(team_repo, "3")
    assert not publish(s3, BUCKET, restored, is_later=later).changed
    with pytest.raises(OlderReleaseError, match="is from commit 3, which is newer than 2"):
        publish(s3, BUCKET, between, is_later=later)
    assert not publish(s3, BUCKET, compile_release(team_repo, "1"), is_later=later).changed
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == restored.body


def test_something_else_in_its_place_is_replaced(s3: S3Client, add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"[no release]")
    assert publish(s3, BUCKET, compile_release(team_repo, "1")).changed
    assert versions(s3) == 2


class Interrupted:
    """A client between whose read and write another pipeline publishes, the given number of times."""

    def __init__(self, client: S3Client, others: int) -> None:
        self._client = client
        self._others = others
        self.puts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **arguments: Any) -> Any:
        self.puts += 1
        if self._others:
            self._others -= 1
            self._client.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps({"digest": str(self._others)}).encode())
        return self._client.put_object(**arguments)


@pytest.mark.parametrize("others", [0, 1, 4])
def test_who_comes_second_reads_again_and_puts_over_what_it_has_seen(
    s3: S3Client, add_job: AddJob, team_repo: Path, others: int
) -> None:
    add_job("score")
    client: Any = Interrupted(s3, others)
    assert publish(client, BUCKET, compile_release(team_repo, "1")).changed
    assert client.puts == others + 1
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == compile_release(team_repo, "1").body


def test_one_that_always_comes_second_gives_up_and_says_so(
    s3: S3Client, add_job: AddJob, team_repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobyard_cli.release.releases._LONGEST_PAUSE", 0)
    add_job("score")
    client: Any = Interrupted(s3, 99)
    with pytest.raises(
        StoreError, match="another release was published at the same time, 40 times over; run this again"
    ):
        publish(client, BUCKET, compile_release(team_repo, "1"))


def test_a_bucket_that_is_not_there_is_named(s3: S3Client, add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    with pytest.raises(StoreError, match="s3://nowhere/dags/risk/jobs.json: NoSuchBucket: The specified bucket"):
        publish(s3, "nowhere", compile_release(team_repo, "1"))


def released(add_job: AddJob, repo: Path, fixture: str) -> dict[str, Any]:
    """What the release has of a job of tests/fixtures/valid."""
    add_job("least")
    add_job(fixture, (FIXTURES / fixture / "job.yaml").read_text())
    job: dict[str, Any] = compiled(repo)["jobs"][fixture]
    return job


def test_parallel_tasks_and_their_outputs_are_spelled_out(add_job: AddJob, team_repo: Path) -> None:
    job = released(add_job, team_repo, "ensemble")
    tasks = job["tasks"]
    assert job["max_active_tasks"] == 8
    assert tasks["train"]["foreach"] == {
        "items": [{"name": "small", "depth": 3}, {"name": "deep", "depth": 9}],
        "output_of": None,
        "concurrency": 2,
    }
    assert tasks["folds"]["foreach"] == {"items": None, "output_of": "split", "concurrency": None}
    assert {name: task.get("group") for name, task in tasks.items()} == {
        "split": None,
        "train": "training",
        "folds": "training",
        "ensemble": None,
    }
    # Only what another task uses is kept by Airflow.
    assert [name for name, task in tasks.items() if task.get("output")] == ["split", "train"]


def test_waiting_alerts_gates_and_parameters_are_spelled_out(add_job: AddJob, team_repo: Path) -> None:
    job = released(add_job, team_repo, "retrain-on-drift")
    tasks = job["tasks"]
    assert job["wait_for"] == [{"job": "risk.least", "timeout": 86400}, {"job": "care.ingest", "timeout": 21600}]
    assert job["deadline"] == 14400
    assert job["alerts"]["on_failure"] == [{"slack": "#ml-alerts"}, {"pagerduty": "critical"}]
    assert job["params"] == {
        "threshold": {
            "default": 0.2,
            "title": "Threshold",
            "description": "Of the PSI.",
            "minimum": 0,
            "maximum": 1,
            "type": "number",
        },
        "model": {"default": "small", "enum": ["small", "deep"], "type": "string"},
        "note": {"default": None, "type": ["string", "null"]},
        "rows": {"default": None, "type": ["integer", "null"]},
    }
    assert tasks["arrived"] == {
        "type": "wait-for-s3-key",
        "arguments": {"bucket_key": "s3://raw/{{ ds }}/_SUCCESS"},
        "needs": [],
        "retries": {"attempts": 2, "backoff": "none", "delay": 300, "max_delay": None},
        "timeout": 10800,
        "trigger_rule": "all_success",
    }
    # A pool of Airflow's is everybody's; the team's name in front makes it the team's.
    assert tasks["enough"]["pool"] == "risk.warehouse"
    assert tasks["retrain"]["gate"] == {"output_of": "drift", "value": "figures.psi", "test": "above", "bound": 0.2}
    assert tasks["report"]["gate"] == {"output_of": "drift", "value": "done", "test": "equals", "bound": True}
    assert tasks["retrain"]["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "2Gi"},
        "limits": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "2Gi"},
    }
    assert [name for name, task in tasks.items() if task.get("output")] == ["drift"]


def test_a_schedule_after_others_and_assets_are_kept_as_they_are(add_job: AddJob, team_repo: Path) -> None:
    assert released(add_job, team_repo, "after")["schedule"] == {"after": ["risk.least", "care.ingest"]}
    job = released(add_job, team_repo, "on-assets")
    assert job["schedule"] == {"assets": ["s3://features/day", "x-kafka://claims"]}
    assert job["tasks"]["score"]["inputs"] == ["s3://features/day", "x-kafka://claims"]
    assert job["tasks"]["score"]["outputs"] == ["s3://predictions/day"]
