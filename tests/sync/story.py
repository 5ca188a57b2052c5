"""A team's life with its releases on one real Airflow: what `jobyard sync` says at each step."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.mwaa import MwaaTransport
from jobyard_cli.airflow.transport import AirflowError, AirflowPermissionError, Login, RestTransport
from jobyard_cli.platform.airflow_roles import make_roles
from jobyard_cli.platform.pools import default_pool_slots, make_pools, wanted_pools
from jobyard_cli.runs.clear import Clearing, clear, to_clear
from jobyard_cli.runs.errors import NotReleasedError, RunExistsError, UnknownJobInAirflowError
from jobyard_cli.runs.model import TaskRun
from jobyard_cli.runs.team_airflow import TeamAirflow
from jobyard_cli.runs.trigger import Order, start
from jobyard_cli.sync.run import go_back
from jobyard_cli.sync.target import Target
from jobyard_cli.sync.variables import AirflowVariable

from tests.support.git import git
from tests.sync.real_airflow import NOT_IN_AIRFLOW, Copier, RealAirflow, StandInMwaa
from tests.sync.running import Ended, Forked, Run
from tests.sync.servers import KEY, Server

VERSIONS = ("3.3.1", "2.11.2")
IMAGES = {"inference": "registry.example.com/risk/inference@sha256:" + "a" * 64}
JOB = """\
apiVersion: jobyard/v1
schedule: null
tasks:
  train:
    image: inference
"""


@dataclass
class Team:
    """A team whose releases an Airflow reads."""

    airflow: RealAirflow
    server: Server
    forked: Forked
    repo: Path
    bucket: str
    copier: Copier
    commits: list[str] = field(default_factory=list)

    def file(self, job: str) -> Path:
        """The job's file."""
        return self.repo / "dags" / job / "job.yaml"

    def write(self, job: str, text: str) -> None:
        """Write the job."""
        self.file(job).parent.mkdir(exist_ok=True)
        self.file(job).write_text(text)

    def commit(self) -> None:
        """Commit everything."""
        git(self.repo, "add", "--all")
        git(self.repo, "commit", "--quiet", "--message=Change")
        self.commits.append(git(self.repo, "rev-parse", "HEAD"))

    def sync(self, *arguments: str) -> Ended:
        """What the command does."""
        where = ["--bucket", self.bucket, "--endpoint-url", self.server.url, "--airflow-url", self.airflow.url]
        keys = {**self.server.environment, **self.airflow.keys}
        return self.forked.run(Run(self.repo, ["sync", *where, "--timeout", "900", *arguments], keys))

    @property
    def rest(self) -> RestTransport:
        """This Airflow's REST API."""
        return RestTransport(self.airflow.url, login=self.airflow.login)

    @property
    def client(self) -> AirflowClient:
        """A client of it."""
        return AirflowClient(self.rest)


def live(team: Team, report: Callable[[str], None]) -> None:
    """All of it."""
    git(team.repo, "init", "--quiet", "--initial-branch=main")
    start = time.monotonic()
    for step in STEPS:
        report(f"{team.airflow.version}: {step.__name__.replace('_', ' ')}, after {time.monotonic() - start:.0f} s")
        step(team)


def have_no_pool(team: Team) -> None:
    """Airflow would start nothing of a release, and say so nowhere."""
    team.write("score", JOB)
    team.commit()
    ended = team.sync()
    assert ended.code == 1
    assert ended.err.startswith("Airflow has no pool risk, and starts no task whose pool does not exist.")
    assert "Contents" not in team.server.client.list_objects_v2(Bucket=team.bucket, Prefix=KEY)
    team.commits.clear()


def make_the_pools(team: Team) -> None:
    """As `publish-platform` does, through the API and through MWAA's."""
    wanted = wanted_pools({"risk": {"workerSlots": 20, "pools": {"warehouse": 4}}, "care": {}})
    assert wanted == {"care": 16, "risk": 16, "risk.warehouse": 4}
    assert make_pools(team.client, wanted) == ["care", "risk", "risk.warehouse"]
    assert make_pools(team.client, wanted) == []
    client = AirflowClient(MwaaTransport(StandInMwaa(team.rest), "jobyard-test"))
    assert make_pools(client, {**wanted, "risk": 10}) == ["risk"]
    there = {pool["name"]: pool for pool in team.client.listed("pools", "pools")}
    assert {name: pool["slots"] for name, pool in there.items()} == {
        "default_pool": 128,
        "care": 16,
        "risk": 10,
        "risk.warehouse": 4,
    }
    # Of deferred tasks a pool that a team names counts all, and no other any.
    assert [name for name, pool in there.items() if pool["include_deferred"]] == ["risk.warehouse"]
    assert default_pool_slots(team.client) == default_pool_slots(client) == 128


def release(team: Team) -> None:
    """The first release, with images, and the same again."""
    team.write("score", JOB)
    team.write("train", JOB)
    (team.repo / "images.json").write_text(json.dumps(IMAGES))
    team.commit()
    ended = team.sync("--images", "images.json")
    assert (ended.code, ended.err) == (0, ""), team.airflow.log()
    assert "Airflow's Variable jobyard_images_risk: set\n" in ended.out
    assert "\nAirflow has the release: 2 jobs, after " in ended.out
    assert json.loads(team.client.variable("jobyard_images_risk") or "") == IMAGES
    assert {"risk.score", "risk.train"} <= team.client.dag_ids()
    again = team.sync("--images", "images.json")
    assert again.code == 0
    assert "these jobs are released already\nAirflow has the release: 2 jobs, after " in again.out


def through_mwaa(team: Team) -> None:
    """The same release through MWAA's API, which here is a stand-in before the real one."""
    mwaa = StandInMwaa(team.rest)
    client = AirflowClient(MwaaTransport(mwaa, "jobyard-test"))
    said: list[str] = []
    target = Target("risk", team.bucket, team.server.client, client, AirflowVariable(client, "jobyard_images_risk"))
    done = go_back(target, team.commits[0], "ann", 900, said.append)
    assert done.waited is not None
    assert not done.published.changed
    assert {"GET /dags", "GET /dags/risk.score/details", "GET /variables/jobyard_images_risk"} <= set(mwaa.calls)
    for value in ("one", "two"):
        client.set_variable("jobyard_test", value)
        assert client.variable("jobyard_test") == value
    assert client.variable("jobyard_nothing") is None


def lacking(ended: Ended) -> set[str]:
    """The DAGs that Airflow did not have in time, or not as they were released."""
    assert ended.code == 1, ended
    said, more = ended.err.splitlines()
    assert said.startswith("Airflow does not have the release after "), said
    assert more.startswith("it is in the bucket, and Airflow may still load it"), more
    return set(re.findall(r"risk\.[a-z]+", said))


def fall_behind(team: Team) -> None:
    """Airflow gets neither a release nor the next, which takes one half of it back and leaves the other."""
    team.copier.hold()
    changed = JOB.replace("schedule: null\n", "schedule: null\ndescription: Second.\n")
    team.write("score", changed)
    team.write("train", changed)
    team.commit()
    assert {"risk.score", "risk.train"} <= lacking(team.sync("--timeout", "2"))
    team.write("score", JOB)
    team.commit()
    assert "risk.train" in lacking(team.sync("--timeout", "2"))
    team.copier.go_on()


def break_a_job(team: Team) -> None:
    """The check lets it pass, and this Airflow can't make a DAG of it."""
    file = team.file("train")
    file.write_text(f"{file.read_text()}    node_group: {NOT_IN_AIRFLOW}\n")
    team.commit()
    ended = team.sync()
    assert ended.code == 1, team.airflow.log()
    assert ended.err.startswith("risk.train is broken in Airflow: ")
    assert NOT_IN_AIRFLOW in ended.err
    assert ended.err.count("\n") == 1


def take_a_job_away(team: Team) -> None:
    """And pause another by hand, on Airflow's page."""
    team.client.call("PATCH", "dags/risk.score", {"is_paused": True})
    file = team.file("train")
    file.unlink()
    team.commit()
    ended = team.sync()
    assert (ended.code, ended.err) == (0, ""), team.airflow.log()
    assert "risk.train is not in the release: its DAG was paused and will disappear; its history is kept\n" in ended.out
    assert "risk.score is paused in Airflow: it has no scheduled runs until someone unpauses it there" in ended.out
    assert "risk.train" not in team.client.dag_ids()
    assert team.client.call("GET", "dags/risk.train")["is_paused"]


def start_and_clear_a_run(team: Team) -> None:
    """The job is paused, so that nothing of it runs."""
    airflow = TeamAirflow(team.client, "risk", ["score", "late"])
    dag = airflow.dag("score")
    order = Order(datetime(2026, 11, 20, tzinfo=UTC))
    run = start(airflow, dag, order)
    assert dag.is_paused
    assert run.id == order.run_id == airflow.newest("score").id == airflow.again(run).id
    with pytest.raises(RunExistsError, match=re.escape(run.id)):
        start(airflow, dag, order)
    clearing = Clearing(run, "train", downstream=True)
    assert [task.label for task in airflow.tasks(run)] == ["train"] == [*map(_label, to_clear(airflow, clearing))]
    clear(airflow, clearing)
    with pytest.raises(NotReleasedError):
        airflow.dag("late")


def _label(task: TaskRun) -> str:
    return task.label


def break_the_platform(team: Team) -> None:
    """Airflow then can't read the team's file at all."""
    file = team.file("score")
    file.write_text(f"{file.read_text()}description: Another.\n")
    team.commit()
    with team.copier.before_next(lambda: team.airflow.write_platform("{")):
        ended = team.sync()
    assert ended.code == 1, team.airflow.log()
    assert ended.err.startswith("Airflow can't import ")
    assert "risk.py:\n" in ended.err
    assert "platform.json" in ended.err
    team.airflow.write_platform(team.airflow.platform)
    assert team.sync().code == 0, team.airflow.log()


def copy_nothing(team: Team) -> None:
    """Airflow does not get the release in time; then the one before is put again."""
    team.copier.hold()
    team.write("late", JOB)
    file = team.file("score")
    file.write_text(file.read_text().replace("Another.", "Yet another."))
    team.commit()
    assert lacking(team.sync("--timeout", "2")) == {"risk.late", "risk.score"}
    team.copier.go_on()
    back = team.sync("--rollback")
    assert (back.code, back.err) == (0, ""), team.airflow.log()
    assert back.out.startswith(f"the release of commit {team.commits[-2][:12]}, put ")
    assert "Airflow has the release: 1 job, after" in back.out


def give_the_teams_roles(team: Team) -> None:
    """With the FAB auth manager, a person of a team's role sees that team's DAGs alone."""
    assert make_roles(team.client, ["care", "risk"]) == ["care", "risk"]
    assert make_roles(team.client, ["care", "risk"]) == []
    team.airflow.add_team("care", "risk")
    platform = json.loads(team.airflow.platform)
    for name, values in platform["teams"].items():
        values["role"] = name
    team.airflow.write_platform(json.dumps(platform))
    person = {"username": "ann", "password": "secret", "email": "ann@example.com", "first_name": "A", "last_name": "B"}
    users = "users" if team.airflow.version.startswith("2") else "/auth/fab/v1/users"
    team.client.call("POST", users, {**person, "roles": [{"name": "risk"}]})
    ann = AirflowClient(RestTransport(team.airflow.url, login=Login("ann", "secret")))
    deadline = time.monotonic() + 600
    while (seen := seen_by(ann)) != {"risk.score"} or "care.score" not in team.client.dag_ids():
        assert time.monotonic() < deadline, (seen, team.client.import_errors(), team.airflow.log())
        assert not [dag for dag in seen if not dag.startswith("risk.")]
        time.sleep(1)
    assert ann.call("GET", "dags/risk.score/details")["dag_id"] == "risk.score"
    for refused in (
        "dags/care.score",
        "dags/care.score/details",
        "dags/care.score/dagRuns",
        "variables",
        "connections",
    ):
        with pytest.raises(AirflowError, match=r"\(40[34]\)"):
            ann.call("GET", refused)
    with pytest.raises(AirflowPermissionError):
        ann.call("PATCH", "dags/care.score", {"is_paused": True})
    ann.call("PATCH", "dags/risk.score", {"is_paused": True})
    own = TeamAirflow(ann, "risk", ["score"])
    run = start(own, own.dag("score"), Order(datetime(2026, 11, 21, tzinfo=UTC)))
    assert own.runs(own.jobs(), 1) == [run]
    clear(own, Clearing(run))
    # The rights to change runs and task instances are of all DAGs, and the right to edit DAGs is of the team's alone.
    whole = Clearing(run).body(dry_run=False)
    with pytest.raises(AirflowPermissionError):
        ann.call("POST", "dags/care.score/clearTaskInstances", {**whole, "dag_run_id": None})
    with pytest.raises(AirflowPermissionError):
        ann.call("PATCH", "dags/care.score/dagRuns/any", {"state": "failed"})
    with pytest.raises(UnknownJobInAirflowError):
        TeamAirflow(ann, "care", []).dag("score")
    assert team.client.import_errors() == {}


def seen_by(person: AirflowClient) -> set[str]:
    """The DAGs that a person sees; Airflow refuses to list any until it has given the role the first."""
    try:
        return set(person.dag_ids())
    except AirflowPermissionError:
        return set()


STEPS = (
    have_no_pool,
    make_the_pools,
    release,
    through_mwaa,
    fall_behind,
    break_a_job,
    take_a_job_away,
    start_and_clear_a_run,
    break_the_platform,
    copy_nothing,
    give_the_teams_roles,
)
