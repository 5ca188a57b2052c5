"""Going back to an earlier release, and not going back by mistake, on a real S3 server and a real Airflow."""

from __future__ import annotations

import json

import pytest
from jobyard_cli.system.errors import ProgramError
from jobyard_local.demo import team_repo
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.story import SECONDS
from jobyard_local.platform import AIRFLOW_BUCKET, LocalPlatform
from jobyard_local.services import git

from tests.end_to_end.following import release
from tests.support.waiting import wait_until

TEAM = team_repo.TEAM
JOB = "regretted"
DAG = f"{TEAM}.{JOB}"
TEXT = """\
apiVersion: jobyard/v1
schedule: null
tasks:
  regret:
    image: inference
"""


def released(platform: LocalPlatform) -> bytes:
    return platform.s3().get_object(Bucket=AIRFLOW_BUCKET, Key=f"dags/{TEAM}/jobs.json")["Body"].read()


def test_a_job_that_was_released_by_mistake_is_taken_back(demo: FinishedDemo, platform: LocalPlatform) -> None:
    tree, before = demo.tree, released(platform)
    head, good = git(tree, "rev-parse", "HEAD").strip(), json.loads(before)["commit"]
    (tree / "dags" / JOB).mkdir()
    (tree / "dags" / JOB / "job.yaml").write_text(TEXT)
    release(demo, f"Add the job {JOB}")
    bad = git(tree, "rev-parse", "HEAD").strip()
    platform.airflow.wait_for_dags({DAG}, SECONDS)

    # The pipeline of the commit before, when it comes late.
    git(tree, "checkout", "--quiet", good)
    with pytest.raises(ProgramError, match=f"is from commit {bad[:12]}, which is newer than {good[:12]}"):
        demo.story.publish(tree)
    git(tree, "checkout", "--quiet", "main")

    assert f"the release of commit {good[:12]}, put " in demo.story.with_bucket(tree, "sync", "--rollback", "--no-wait")
    assert released(platform) == before
    wait_until(lambda: DAG not in platform.airflow.dag_ids())
    newest, second, *_ = demo.story.with_bucket(tree, "releases").splitlines()
    assert good[:12] in newest
    assert bad[:12] in second

    git(tree, "reset", "--quiet", "--hard", head)
    git(tree, "push", "--quiet", "--force", str(platform.state / "git" / f"{team_repo.NAME}.git"), "HEAD:main")
    demo.story.publish(tree)
    # A pipeline's release has the images that it built; this one is put without any.
    again, first = json.loads(released(platform)), json.loads(before)
    assert {name: again[name] for name in ("commit", "jobs")} == {name: first[name] for name in ("commit", "jobs")}
