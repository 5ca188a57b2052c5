"""`jobyard local team`: what it refuses and what it does, on a platform with stand-ins for its parts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_cli.errors import UsageError
from jobyard_cli.release.compile import compile_release
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.team.repo import NotATeamRepoError
from jobyard_local import argocd, team_commands, teams
from jobyard_local.errors import NotRunningError, TeamRefusedError, UnknownTeamError
from jobyard_local.settings import Source
from jobyard_local.team_commands import _secrets
from jobyard_local.team_states import TeamState, team_states
from jobyard_local.teams import QUOTA, Asked
from rich.console import Console

from tests.support.command import Jobyard
from tests.support.git import commit_all, git

AddJob = Callable[..., Path]
Add = Callable[..., teams.Added]
DIGEST = "sha256:" + "0" * 64


class FakeKubectl:
    """The Applications of a cluster; it notes what it is given."""

    def __init__(self) -> None:
        self.applications: dict[str, str] = {}
        self.did: list[str] = []
        self.applied: list[Mapping[str, Any]] = []
        self.message = ""

    @property
    def once(self) -> FakeKubectl:
        return self

    def __call__(self, *arguments: str) -> str:
        self.did.append(" ".join(arguments))
        if arguments[0] == "annotate" and "deletion-approved" in arguments[-1]:
            del self.applications[arguments[-2]]
        return ""

    def json(self, *arguments: str) -> Any:
        match arguments:
            case ["create", "secret", "generic", name, source, _]:
                return {"kind": "Secret", "metadata": {"name": name}, "source": source}
            case ["get", "applications.argoproj.io", *_]:
                return {"items": [self._application(name) for name in self.applications]}
            case [*_, name]:
                return self._application(name)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self.applied += objects

    def _application(self, name: str) -> dict[str, Any]:
        status = {
            "sync": {"status": "Synced", "revision": self.applications[name]},
            "health": {"status": "Healthy"},
            "operationState": {"phase": "Succeeded"},
            "conditions": [{"message": self.message}],
        }
        return {"metadata": {"name": name}, "status": status}


class FakeBuilder:
    """Notes what is built and pushed."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def ensure_base(self, _: object) -> None:
        self.did.append("base")

    def build(self, context: Path, tag: str, _: object, *, pull: bool) -> None:
        assert pull
        self.did.append(f"build {context.name} {tag}")

    def push(self, tag: str, destination: str) -> str:
        self.did.append(f"push {tag}")
        return f"{destination.rpartition(':')[0]}@{DIGEST}"


class FakeS3:
    """Has releases by their keys, and notes what is deleted."""

    exceptions = SimpleNamespace(NoSuchKey=KeyError)

    def __init__(self, releases: dict[str, str], deleted: list[str]) -> None:
        self.releases, self.deleted = releases, deleted

    def get_object(self, *, Bucket: str, Key: str) -> Any:
        return {"Body": io.BytesIO(self.releases[Key].encode())}

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.deleted.append(Key)


class FakePlatform:
    """A platform that is up; Argo CD has synced what was pushed once the team is registered."""

    def __init__(self, state: Path) -> None:
        self.state, self.source = state, Source.find()
        self.layout = SimpleNamespace(
            state=state, registry="127.0.0.1:5", airflow_url="http://airflow", s3_url="http://s3"
        )
        self.root_credentials = SimpleNamespace(access_key="key", secret_key="secret")
        self.kubectl = FakeKubectl()
        self.variables: dict[str, str] = {}
        self.airflow = SimpleNamespace(set_variable=self.variables.__setitem__)
        self.registered: dict[str, dict[str, Any]] = {}
        self.alive = {"etcd": True, "airflow-scheduler": True}
        self.deleted: list[str] = []
        self.puts = 0
        self.releases: dict[str, str] = {}

    def processes(self) -> dict[str, bool]:
        return self.alive

    def teams(self) -> dict[str, dict[str, Any]]:
        return self.registered

    def add_team(self, team: str, values: Mapping[str, Any]) -> None:
        self.registered[team] = dict(values)
        pushed = git(Path(values["repo"].removeprefix("file://")), "rev-parse", "main")
        self.kubectl.applications |= {f"bounds-{team}": "", f"team-{team}": pushed}

    def register(self, others: Mapping[str, dict[str, Any]]) -> None:
        self.registered = dict(others)
        self.kubectl.message = argocd.WOULD_EMPTY

    def put_platform_files(self) -> None:
        self.puts += 1

    def s3(self) -> Any:
        return FakeS3(self.releases, self.deleted)


@pytest.fixture
def platform(tmp_path: Path) -> Any:
    return FakePlatform(tmp_path / "state")


@pytest.fixture
def builder() -> Any:
    return FakeBuilder()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands of `jobyard` that were run in the team's repository, each with its S3 key."""
    calls: list[tuple[str, ...]] = []

    def jobyard(_: Path, *arguments: str, environment: Mapping[str, str]) -> str:
        calls.append((*arguments, environment["AWS_ACCESS_KEY_ID"]))
        return "Airflow has the release\n"

    monkeypatch.setattr(teams, "jobyard", jobyard)
    return calls


@pytest.fixture
def add(platform: Any, builder: Any, team_repo: Path, synced: list[tuple[str, ...]]) -> Add:
    def call(folder: Path = team_repo, **asked: Any) -> teams.Added:
        return teams.add(platform, folder, Asked(**asked), builder, Steps(Console(file=io.StringIO())))

    return call


def refused(add: Add, folder: Path | None = None, **asked: Any) -> list[str]:
    with pytest.raises(TeamRefusedError) as caught:
        add(**({"folder": folder} if folder else {}), **asked)
    return str(caught.value).splitlines()


def test_all_that_a_merge_does(
    add: Add, platform: Any, builder: Any, team_repo: Path, add_job: AddJob, synced: list[tuple[str, ...]]
) -> None:
    add_job("score")
    commit = commit_all(team_repo)
    added = add(secrets={"db": team_repo / "values" / "team.yaml"})
    assert (added.team, added.commit, added.dags) == ("risk", commit, ["risk.score"])
    assert added.images["inference"] == f"127.0.0.1:5/risk/inference@{DIGEST}"
    assert json.loads(platform.variables["jobyard_images_risk"]) == added.images
    assert builder.did == [
        "base",
        *(f"build {name} localhost/risk/{name}" for name in ("feature-generation", "inference")),
        *(f"push localhost/risk/{name}" for name in ("feature-generation", "inference")),
    ]
    assert platform.registered["risk"] == {
        "repo": f"file://{platform.state}/git/risk-jobs.git",
        "revision": "main",
        "allowedNodeGroups": ["default", "high-cpu", "high-memory"],
        "priorityBand": {"min": 1000, "max": 9999},
        "priorities": {"low": 1000, "normal": 2000, "high": 3000},
        "quota": QUOTA,
    }
    (secret,) = platform.kubectl.applied
    assert secret["metadata"] == {"name": "db", "namespace": "team-risk"}
    assert secret["source"] == f"--from-env-file={team_repo / 'values' / 'team.yaml'}"
    (sync,) = synced
    assert sync == (
        *("sync", "--airflow-url", "http://airflow"),
        *("--bucket", "jobyard-airflow", "--endpoint-url", "http://s3", "key"),
    )
    assert added.said == "Airflow has the release\n"


def test_again_it_goes_on_from_what_there_is(add: Add, platform: Any, team_repo: Path) -> None:
    commit_all(team_repo)
    add(node_groups=["default"], quota={"pods": 5})
    second = commit_all(team_repo)
    assert add(quota={"cpu": "4"}).commit == second
    grant = platform.registered["risk"]
    assert grant["allowedNodeGroups"] == ["default"]
    assert grant["quota"] == {**QUOTA, "pods": 5, "cpu": "4"}
    # An amended commit is no later one, and nobody else pushes here.
    git(team_repo, "commit", "--quiet", "--amend", "--allow-empty", "--message=Amended")
    assert add().commit != second


def test_a_team_without_images(add: Add, builder: Any, platform: Any, team_repo: Path) -> None:
    for file in team_repo.glob("images/*/Dockerfile"):
        file.unlink()
    commit_all(team_repo)
    assert add().images == {}
    assert builder.did == []
    assert platform.variables == {"jobyard_images_risk": "{}"}


class TestRefused:
    """Nothing is pushed, and every problem is named at once."""

    @pytest.fixture(autouse=True)
    def nothing_was_done(self, platform: Any, builder: Any, synced: list[tuple[str, ...]]) -> Any:
        before = dict(platform.registered)
        yield
        assert platform.registered == before
        assert (builder.did, synced) == ([], [])
        assert not (platform.state / "git").exists() or before

    def test_findings_uncommitted_changes_and_bad_options(self, add: Add, team_repo: Path, add_job: AddJob) -> None:
        commit_all(team_repo)
        add_job("score", "apiVersion: jobyard/v1\nschedule: null\ntasks: {score: {image: inferense}}\n")
        lines = refused(add, quota={"cpu": "many"}, secrets={"db": Path("no-file")})
        short = git(team_repo, "log", "-1", "--format=%h")
        assert lines[0] == (
            f"{team_repo} has uncommitted changes: dags/; only commits are pushed, the last is '{short} All': commit "
            "or stash the changes"
        )
        text = "\n".join(lines[1:])
        assert "'cpu' must be a number of cores in canonical form, such as 4 or 250m; got 'many'" in text
        assert "dags/score/job.yaml:3:24: unknown image 'inferense' (did you mean 'inference'?" in text
        assert "--secret must name a file that exists; got no-file" in text
        assert lines[-1] == "nothing was pushed"

    def test_a_node_group_that_the_platform_lacks(self, add: Add, team_repo: Path) -> None:
        commit_all(team_repo)
        problem, _ = refused(add, node_groups=["default", "high-cpus"])
        assert problem.startswith("unknown node group 'high-cpus' (did you mean 'high-cpu'?")

    def test_many_changes_are_counted(self, add: Add, team_repo: Path) -> None:
        commit_all(team_repo)
        for number in range(8):
            (team_repo / f"file-{number}").touch()
        assert "file-4 and 3 more; only commits are pushed" in refused(add)[0]

    def test_a_folder_that_is_no_work_tree(self, add: Add, team_repo: Path) -> None:
        assert "must be the top folder of a git work tree with a commit; run `git init" in refused(add)[0]
        git(team_repo, "init", "--quiet")
        assert "with a commit" in refused(add)[0]

    def test_a_folder_inside_another_work_tree(self, add: Add, team_repo: Path) -> None:
        commit_all(team_repo.parent)
        assert f"{team_repo} must be the top folder" in refused(add)[0]

    def test_a_folder_that_is_no_teams(self, add: Add, tmp_path: Path) -> None:
        with pytest.raises(NotATeamRepoError, match="is not a team's repository: it has no dags"):
            add(tmp_path)

    @pytest.mark.parametrize("alive", [{}, {"etcd": False, "airflow-scheduler": False}])
    def test_a_platform_that_is_not_up(self, add: Add, platform: Any, alive: dict[str, bool]) -> None:
        platform.alive = alive
        with pytest.raises(NotRunningError, match="is not running; start it with `jobyard local up --name state`"):
            add()

    def test_a_platform_of_which_a_part_ended(self, add: Add, platform: Any) -> None:
        platform.alive["etcd"] = False
        with pytest.raises(NotRunningError, match="not complete, as etcd ended; start it with `jobyard local up"):
            add()

    def test_the_platforms_own_team(self, add: Add, team_repo: Path) -> None:
        values = team_repo / "values" / "team.yaml"
        values.write_text(values.read_text().replace("team: risk", "team: platform"))
        commit_all(team_repo)
        assert refused(add)[0].startswith("'platform' is reserved for the platform")


def test_another_repository_of_the_same_team(add: Add, platform: Any, team_repo: Path) -> None:
    commit_all(team_repo)
    add()
    pushed = platform.kubectl.applications["team-risk"]
    git(team_repo, "checkout", "--quiet", "--orphan", "another")
    git(team_repo, "commit", "--quiet", "--message=Another beginning")
    (problem, _) = refused(add)
    assert problem.startswith("team 'risk' is on the platform with the jobs of another repository; `jobyard local team")
    assert platform.kubectl.applications["team-risk"] == pushed


def test_what_a_step_says_when_it_fails_is_the_commands_end(
    add: Add, team_repo: Path, builder: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_all(team_repo)

    def fail(*_: object, **__: object) -> None:
        raise ProgramError("buildah build", "no such file")

    monkeypatch.setattr(builder, "build", fail)
    with pytest.raises(ProgramError, match="no such file"):
        add()
    # Images are built first: a team with a Dockerfile that is wrong is not half there.
    assert platform.registered == {}


def steps() -> Steps:
    return Steps(Console(file=io.StringIO()))


def test_a_team_is_removed_with_its_objects_repository_and_dags(add: Add, platform: Any, team_repo: Path) -> None:
    commit_all(team_repo)
    add()
    platform.kubectl.did.clear()
    teams.remove(platform, "risk", steps())
    assert platform.registered == {}
    assert "bounds-risk" not in platform.kubectl.applications
    assert [line.split()[0] for line in platform.kubectl.did] == ["patch", "delete", "annotate"]
    assert (platform.deleted, platform.puts) == (["dags/risk/jobs.json"], 1)
    assert not (platform.state / "git" / "risk-jobs.git").exists()
    with pytest.raises(UnknownTeamError, match=r"has no team 'risk' \(it has no team\)"):
        teams.remove(platform, "risk", steps())


def test_the_list_has_each_teams_folder_commit_and_jobs(
    add: Add, platform: Any, team_repo: Path, add_job: AddJob
) -> None:
    add_job("train")
    add_job("score")
    commit = commit_all(team_repo)
    add()
    platform.releases["dags/risk/jobs.json"] = compile_release(team_repo, commit).body.decode()
    # One that is registered, and that Argo CD has not seen.
    platform.registered["care"] = {"repo": "https://git.example.com/care.git"}
    care, risk = team_states(platform)
    assert care == TeamState(
        team="care",
        source="https://git.example.com/care.git",
        namespace="team-care",
        commit="",
        argocd=["bounds-care: not made yet", "team-care: not made yet"],
        jobs=[],
    )
    assert risk == TeamState(
        team="risk",
        source=str(team_repo),
        namespace="team-risk",
        commit=commit,
        argocd=["Synced, Healthy"],
        jobs=["score", "train"],
    )


def test_the_list_is_a_table(jobyard: Jobyard, monkeypatch: pytest.MonkeyPatch) -> None:
    state = TeamState("risk", "/a[b]", "team-risk", "c0ffee" * 7, ["Synced, Healthy"], list("abcdefg"))
    found = [state]
    monkeypatch.setattr(team_commands, "team_states", lambda _: found)
    code, out, _ = jobyard("local", "team", "list")
    assert code == 0
    title, row = (line.split() for line in out.splitlines())
    assert " ".join(title) == "team folder or repository namespace commit Argo CD jobs released"
    assert " ".join(row) == ("risk /a[b] team-risk c0ffeec0ffee Synced, Healthy 7: a, b, c, d, e, …")
    found.clear()
    assert jobyard("local", "team", "list")[1] == "no team yet; `jobyard local team add FOLDER` adds one\n"


def test_a_removal_that_was_interrupted_goes_on(platform: Any) -> None:
    platform.kubectl.applications["bounds-risk"] = ""
    platform.kubectl.message = argocd.WOULD_EMPTY
    teams.remove(platform, "risk", steps())
    assert platform.kubectl.applications == {}


def test_a_team_that_is_not_there_has_a_hint(platform: Any) -> None:
    platform.registered = {"risk": {}}
    with pytest.raises(UnknownTeamError, match=r"has no team 'rick' \(did you mean 'risk'\?\)"):
        teams.remove(platform, "rick", steps())


def test_secrets_are_given_as_names_with_files() -> None:
    assert dict(_secrets(["shop=../shop.env", "a.b=c=d"])) == {"shop": Path("../shop.env"), "a.b": Path("c=d")}
    with pytest.raises(UsageError, match="such as shop=shop.env; got 'Shop=x'"):
        dict(_secrets(["Shop=x"]))


def test_the_command_on_a_platform_that_was_never_started(
    jobyard: Jobyard, team_repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBYARD_STATE", str(tmp_path / "state"))
    code, _, error = jobyard("local", "team", "add", str(team_repo))
    assert (code, error) == (1, "the local platform is not running; start it with `jobyard local up`\n")
    code, _, error = jobyard("local", "team", "list")
    assert (code, error) == (1, "the local platform is not running; start it with `jobyard local up`\n")
    code, _, error = jobyard("local", "team", "remove", "risk")
    assert (code, error) == (1, "the local platform is not running; start it with `jobyard local up`\n")
    assert jobyard("local", "team", "add", str(team_repo), "--secret", "db")[0] == 2
