"""The demo's steps: from a team's answers to cookiecutter to predictions on S3."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobyard_cli.cli.steps import Steps
from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.teams import PLATFORM_TEAM
from jobyard_cli.system.waiting import NotYetError, until

from jobyard_local import cluster, metrics
from jobyard_local.demo import data, team_repo
from jobyard_local.demo.team_repo import TEAM
from jobyard_local.errors import TookTooLongError
from jobyard_local.images import Builder
from jobyard_local.machine_watcher import MachineWatcher
from jobyard_local.platform import DATA_BUCKET, LocalPlatform
from jobyard_local.teams import LocalTeam, build_images, grant, push_image
from jobyard_local.usage import UsageWatcher

if TYPE_CHECKING:
    import pandas as pd

TRAINING, SCORING = "train-consultations", "score-consultations"
LARGE = "compare-settings"
HISTORY_DAYS = 20
SECONDS = 900.0
"""For each of what Airflow does by itself: seconds on a free machine, minutes on a busy one."""
SCORING_TIME = timedelta(hours=2)
"""When the example `batch-inference` scores the day before, in UTC."""
IMAGES = ("feature-generation", "inference")
GRANT: Mapping[str, Any] = grant(["default", "high-cpu", "high-memory"])
"""What the platform gives the team: the content of its file in `values/teams/`."""


class DemoError(JobyardError):
    """Something that the demo promises did not hold."""


def newest_scored_day(now: datetime) -> date:
    """The day that the newest run of the scoring scores: before its time, the day before yesterday."""
    return (now - SCORING_TIME).date() - timedelta(days=1)


class Story:
    """One run of the demo on a platform that is up."""

    def __init__(self, platform: LocalPlatform, cache: Path, steps: Steps) -> None:
        self.platform = platform
        self.steps = steps
        self.builder = Builder(cache)
        self.team = LocalTeam(platform, TEAM)
        self.work = platform.state / "demo"
        self.today = datetime.now(UTC).date()

    def bake(self) -> Path:
        """Make the team's repository with cookiecutter."""
        with self.steps.step("cookiecutter makes the team's repository"):
            return team_repo.bake(self.platform.source.root, self.work)

    def check(self, tree: Path) -> str:
        """The check's answer on the fresh repository."""
        with self.steps.step("jobyard check"):
            return team_repo.jobyard(tree, "check")

    def build_images(self, tree: Path) -> None:
        """Build the two images from the Dockerfiles in the team's repository, and the platform's own."""
        with self.steps.step("images of the jobs, from their Dockerfiles") as report:
            build_images(self.builder, TEAM, tree, report)
            own = self.platform.source.root / "images" / metrics.IMAGE
            self.builder.build(own, f"localhost/{PLATFORM_TEAM}/{metrics.IMAGE}", report)

    def join_platform(self, tree: Path) -> None:
        """Register the team, push its repository, and wait until Argo CD has made what its chart says."""
        with self.steps.step("Argo CD syncs the team's bounds and the team's chart"):
            self.team.join(tree, GRANT)

    def publish_images(self) -> dict[str, str]:
        """Push the images, and tell Airflow where they are, by digest."""
        with self.steps.step("images pushed, their URLs in an Airflow Variable") as report:
            urls = self.team.publish_images(IMAGES, self.builder, report)
            report(f"pushing {metrics.IMAGE}")
            own = push_image(self.platform, self.builder, f"{PLATFORM_TEAM}/{metrics.IMAGE}")
            self.platform.release_metrics(own)
            return urls

    def land_data(self) -> int:
        """Put the raw rows of the last days, today's included, on S3."""
        with self.steps.step("raw rows land in S3"):
            return data.land(self.platform.s3(), DATA_BUCKET, TEAM, self.today, HISTORY_DAYS)

    def add_job(self, tree: Path, job: str, example: str) -> str:
        """A data scientist's merge request with one job.yaml like an example, and the release after the merge."""
        return self._add(tree, job, lambda: team_repo.jobyard(tree, "new", job, "--like", example))

    def add_large_job(self, tree: Path) -> str:
        """The same with a job for machines that are not there yet."""
        file = tree / "dags" / LARGE / "job.yaml"

        def write() -> None:
            file.parent.mkdir()
            shutil.copyfile(Path(__file__).with_name(f"{LARGE}.yaml"), file)

        return self._add(tree, LARGE, write)

    def _add(self, tree: Path, job: str, write: Callable[[], object]) -> str:
        with self.steps.step(f"merge request: {job}; the release goes to S3, the DAG comes up in Airflow"):
            answer = team_repo.merge_request(tree, job, write)
            self.team.repository.push(tree)
            self.team.sync(tree)
            return answer

    def publish(self, tree: Path) -> None:
        """Put the release of the work tree into Airflow's bucket, and don't wait until Airflow has it.

        Raises:
            ProgramError: the check found something, or the bucket refused.
        """
        self.with_bucket(tree, "sync", "--no-wait")

    def with_bucket(self, tree: Path, *command: str) -> str:
        """What a `jobyard` command on Airflow's bucket answers, in the team's repository.

        Raises:
            ProgramError: it exited with another code than 0.
        """
        return self.team.with_bucket(tree, *command)

    def watch(self) -> UsageWatcher:
        """A watcher of the team's pods."""
        return UsageWatcher(self.platform.cluster, cluster.namespace(TEAM))

    def train(self) -> None:
        """Start the training by hand, as its schedule is null."""
        self._start(TRAINING, "training")

    def compare(self) -> None:
        """Start the large job by hand, and follow it to its end."""
        self._start(LARGE, "large tasks on machines that Karpenter makes")

    def _start(self, job: str, title: str) -> None:
        dag = f"{TEAM}.{job}"
        day = datetime.combine(newest_scored_day(datetime.now(UTC)), time(), UTC)
        run = self.platform.airflow.trigger(dag, f"first-{job}", day.isoformat())
        self._follow(dag, run, title)

    def watch_machines(self) -> MachineWatcher:
        """A watcher of Karpenter's machines."""
        return MachineWatcher(self.platform.kubectl)

    def wait_without(self, machines: MachineWatcher) -> None:
        """Wait until Karpenter has removed every machine that it made.

        Raises:
            TookTooLongError: one is still there.
        """
        with self.steps.step("nothing runs on the machines any longer: Karpenter removes them") as report:

            def look() -> None:
                if present := machines.present:
                    report(f"{len(present)} of {len(machines.machines)} are there")
                    raise NotYetError(f"still there: {', '.join(present)}")

            until(look, SECONDS, TookTooLongError.of("the removal of the machines", SECONDS))

    def score(self) -> str:
        """Follow the run that Airflow's scheduler starts by itself for the last whole day; the day scored."""
        dag = f"{TEAM}.{SCORING}"
        with self.steps.step("Airflow schedules the scoring of the last day"):
            run = self.platform.airflow.wait_for_first_run(dag, SECONDS)
        self._follow(dag, run["dag_run_id"], "scoring")
        return str(run["data_interval_start"])[:10]

    def collect(self) -> None:
        """Collect what all jobs used on this day, which is not over: tonight the platform's own job does it again."""
        begin = datetime.combine(self.today, time(), UTC)
        day = (begin.isoformat(), (begin + timedelta(days=1)).isoformat())
        run = self.platform.airflow.trigger(metrics.DAG, "first-day", datetime.now(UTC).isoformat(), day)
        self._follow(metrics.DAG, run, "metrics of the day")

    def _follow(self, dag: str, run: str, title: str) -> None:
        with self.steps.step(f"{title}: {dag}") as report:
            tasks: list[dict[str, Any]] = []
            for tasks in self.platform.airflow.wait_for_run(dag, run, SECONDS):
                report(", ".join(f"{task['task_id']} {task['state'] or 'waiting'}" for task in tasks))
            if failed := [task["task_id"] for task in tasks if task["state"] != "success"]:
                log = self.platform.airflow.log(dag, run, failed[0])
                raise DemoError(f"{dag}: {', '.join(failed)} did not succeed; the end of the log:\n{log[-3000:]}")

    def predictions(self, day: str) -> pd.DataFrame:
        """The predictions of a day, as any reader gets them from S3."""
        import pandas as pd

        key = f"predictions/{TEAM}/{data.TABLE}/dt={day}/predictions.parquet"
        body = self.platform.s3().get_object(Bucket=DATA_BUCKET, Key=key)["Body"].read()
        return pd.read_parquet(io.BytesIO(body))

    def model(self) -> dict[str, Any]:
        """The pointer to the model that scored: day and metrics."""
        key = f"models/{TEAM}/consultations-quality/latest.json"
        pointer: dict[str, Any] = json.loads(self.platform.s3().get_object(Bucket=DATA_BUCKET, Key=key)["Body"].read())
        return pointer
