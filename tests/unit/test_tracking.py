"""MLflow: what tasks have in their environment for it, and what the inference image logs to a real server."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import inference.__main__ as inference_job
import mlflow
import pandas as pd
import pytest
from jobyard_cli.check.run import check_repo
from jobyard_cli.cli.steps import Steps
from jobyard_cli.running.tracking import in_words, own_server
from jobyard_cli.running.trigger_rules import State
from jobyard_cli.team.scaffold import new_job
from jobyard_local.demo.data import land
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.support.git import commit_all, git
from tests.support.mlflow_server import QUIET, environment, mlflow_server
from tests.support.paths import ROOT
from tests.support.ports import free_ports
from tests.support.whole_job import run_job

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# MLflow's own: of types without a hint for its user interface, of SQLAlchemy, of names to come.
pytestmark = pytest.mark.filterwarnings("ignore")
BUCKET, TODAY = "data", date(2026, 11, 24)
QUALITY = "consultations-quality"
REGISTERED = f"risk.{QUALITY}"
SERVER = "{{ var.value.risk_mlflow }}"

Run = Callable[..., tuple[dict[str, list[State]], str]]


def back(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
def server(
    shown: Callable[[], AbstractContextManager[Steps]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with shown() as steps, steps.step("MLflow's server") as report:
        python = environment(report)
    with mlflow_server(python, tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """A client of the server, which has nothing of earlier tests."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(server)
    yield client
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            client.delete_run(run.info.run_id)


@pytest.fixture
def repo(team_repo: Path, s3: S3Client) -> Path:
    """A team with a server, in a repository of git's, and raw rows of sixteen days."""
    land(s3, BUCKET, "risk", TODAY, 16)
    has_server(team_repo)
    commit_all(team_repo)
    return team_repo


@pytest.fixture
def run(repo: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a job of a day, with the server in one's own environment: its tasks' states, and what was printed."""

    def run_it(job: str, day: date, server: str = server) -> tuple[dict[str, list[State]], str]:
        outcome, _, printed = run_job(repo, job, day, BUCKET, monkeypatch, {"MLFLOW_TRACKING_URI": server})
        logs = "".join(log.read_text() for log in (repo / ".jobyard" / "runs" / job / str(day)).glob("**/log.txt"))
        return {ended.instance.task: outcome.states(ended.instance.task) for ended in outcome.ended}, printed + logs

    return run_it


def has_server(repo: Path, part: str = f'{{trackingUri: "{SERVER}", experiment: quality}}') -> None:
    values = repo / "values" / "team.yaml"
    values.write_text(f"{values.read_text()}mlflow: {part}\n")
    (repo / "charts" / "team").mkdir(parents=True)
    schema = "charts/team/values.schema.json"
    (repo / schema).write_text((ROOT / schema).read_text())


def runs_of(client: MlflowClient) -> dict[str, Any]:
    """The runs of the team's experiment, by name."""
    experiment = client.get_experiment_by_name("quality")
    assert experiment is not None
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def champion(client: MlflowClient) -> Any:
    return client.get_model_version_by_alias(REGISTERED, "champion")


def latest(s3: S3Client) -> dict[str, Any]:
    key = f"models/risk/{QUALITY}/latest.json"
    pointer: dict[str, Any] = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    return pointer


def test_the_tasks_of_a_run_are_runs_with_its_tags(client: MlflowClient, repo: Path, run: Run) -> None:
    new_job(repo, "promote", "promote-if-better")
    states, printed = run("promote", TODAY)
    assert set(map(tuple, states.values())) == {(State.SUCCESS,)}, printed
    found = runs_of(client)
    assert set(found) == {f"train {back(3)}", f"evaluate {TODAY}", f"promote {TODAY}", f"register {TODAY}"}
    trained = found[f"train {back(3)}"].data
    commit = git(repo, "rev-parse", "HEAD")
    wanted = {
        "jobyard.job": "risk.promote",
        "jobyard.task": "train",
        "jobyard.run_id": f"scheduled__{TODAY + timedelta(days=1)}T05:00:00+00:00",
        "jobyard.try_number": "1",
        "jobyard.commit": commit,
        "jobyard.image": "localhost/jobyard/inference",
        "jobyard.data_interval_start": f"{TODAY}T05:00:00+00:00",
        "mlflow.source.name": "risk.promote/train",
        "mlflow.source.git.commit": commit,
        "jobyard.model": f"models/risk/{QUALITY}-candidate/dt={back(3)}/model.ubj",
    }
    assert {name: trained.tags.get(name) for name in wanted} == wanted
    assert trained.metrics["auc"] > 0.9
    assert (trained.params["depth"], trained.params["kind"], trained.params["days"]) == ("3", "boosting", "7")
    assert not {"bucket", "run", "command"} & set(trained.params)
    assert found[f"evaluate {TODAY}"].data.metrics["gain_low"] > 0


def test_the_gate_moves_the_alias(client: MlflowClient, repo: Path, run: Run, s3: S3Client) -> None:
    new_job(repo, "promote", "promote-if-better")
    run("promote", back(2))
    first = champion(client)
    assert first.tags["jobyard.model"] == latest(s3)["model"]
    # The gate is closed: nothing moves.
    states, _ = run("promote", back(1))
    assert (states["promote"], champion(client).version) == ([State.SKIPPED], first.version)
    # The same again is the same version.
    states, _ = run("promote", back(2))
    assert states["promote"] == [State.SUCCESS]
    assert [version.version for version in client.search_model_versions(f"name = '{REGISTERED}'")] == [first.version]
    # A day before the champion's, as in a backfill, is promoted for its own day alone.
    states, printed = run("promote", back(5))
    assert (states["promote"], champion(client).version) == ([State.SUCCESS], first.version)
    assert f"MLflow: the champion of a later day keeps the alias of {QUALITY}" in printed


@pytest.mark.parametrize("example", ["promote-if-better", "ensemble"])
def test_the_champion_is_loaded_from_mlflow(
    client: MlflowClient, repo: Path, run: Run, s3: S3Client, server: str, example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_job(repo, "promote", example)
    run("promote", TODAY)
    new_job(repo, "score", "batch-inference")
    run("score", TODAY)
    key = f"predictions/risk/consultations/dt={TODAY}/predictions.parquet"
    scored = pd.read_parquet(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))
    key = f"feature-store/risk/consultations/dt={TODAY}/features.parquet"
    features = pd.read_parquet(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    loaded = mlflow.pyfunc.load_model(f"models:/{REGISTERED}@champion")
    pd.testing.assert_frame_equal(loaded.predict(features), scored.drop(columns="model_dt"))


def test_a_server_that_is_away_fails_the_task_in_one_line(
    client: MlflowClient, repo: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    new_job(repo, "train", "batch-training")
    (port,) = free_ports(1)
    states, printed = run("train", TODAY, f"http://127.0.0.1:{port}")
    assert states["train"] == [State.FAILED]
    [line] = [line for line in printed.splitlines() if line.startswith("inference: ")]
    assert line.startswith(f"inference: MLflow at http://127.0.0.1:{port}: API request to ")
    assert "Traceback" not in printed


def test_a_password_in_an_address_is_in_no_message(
    client: MlflowClient, repo: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    new_job(repo, "train", "batch-training")
    (port,) = free_ports(1)
    address = f"http://me:s3cret@127.0.0.1:{port}"
    states, printed = run("train", TODAY, address)
    assert states["train"] == [State.FAILED]
    assert f"inference: MLflow at http://127.0.0.1:{port}: API request to http://127.0.0.1:{port}/" in printed
    assert "s3cret" not in printed
    words = in_words({"trackingUri": SERVER}, {"MLFLOW_TRACKING_URI": address})
    assert words == f"tasks log to your own MLflow server, MLFLOW_TRACKING_URI=http://127.0.0.1:{port}"
    reached = own_server({"trackingUri": SERVER}, {"MLFLOW_TRACKING_URI": address}, "host.docker.internal")
    assert reached == {"MLFLOW_TRACKING_URI": f"http://me:s3cret@host.docker.internal:{port}"}


def test_a_run_on_ones_own_machine_logs_to_ones_own_server_alone(
    client: MlflowClient, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_job(repo, "promote", "promote-if-better")
    outcome, _, _ = run_job(repo, "promote", TODAY, BUCKET, monkeypatch)
    assert not outcome.has_failed
    with pytest.raises(MlflowException, match="not found"):
        champion(client)
    team = {"trackingUri": SERVER}
    assert in_words(team, {}) == "tasks log nothing in MLflow; set MLFLOW_TRACKING_URI to log to a server of your own"
    own = {"MLFLOW_TRACKING_URI": "http://localhost:5000"}
    assert in_words(team, own) == "tasks log to your own MLflow server, MLFLOW_TRACKING_URI=http://localhost:5000"
    assert in_words({}, own) is None
    assert own_server({}, own, None) == own_server(team, {}, None) == {}
    assert own_server(team, own, None) == own
    assert own_server(team, own, "host.docker.internal") == {"MLFLOW_TRACKING_URI": "http://host.docker.internal:5000"}


def test_what_the_values_say_is_in_the_environment_of_each_task(team_repo: Path) -> None:
    (team_repo / "dags" / "score").mkdir()
    job = team_repo / "dags" / "score" / "job.yaml"
    job.write_text("""\
apiVersion: jobyard/v1
schedule: "@daily"
tasks:
  each: {image: inference, foreach: [a, b]}
  own: {image: "registry.example.com/risk/other:1", env: {MLFLOW_EXPERIMENT_NAME: mine}}
  secret: {image: inference, secrets: {MLFLOW_TRACKING_URI: mlflow/uri}}
""")
    (team_repo / "values" / "platform" / "prod.yaml").unlink()
    assert check_repo(team_repo).entries["score"]["tasks"]["each"]["env"] == {}
    has_server(team_repo)
    checked = check_repo(team_repo)
    assert checked.findings == []
    tasks = checked.entries["score"]["tasks"]
    assert tasks["each"]["env"]["MLFLOW_TRACKING_URI"] == SERVER
    assert tasks["each"]["env"]["MLFLOW_EXPERIMENT_NAME"] == "quality"
    assert "'jobyard.item': item | string" in tasks["each"]["env"]["MLFLOW_RUN_CONTEXT"]
    assert tasks["own"]["env"]["MLFLOW_EXPERIMENT_NAME"] == "mine"
    assert "'jobyard.image': 'registry.example.com/risk/other:1'" in tasks["own"]["env"]["MLFLOW_RUN_CONTEXT"]
    assert "item" not in tasks["own"]["env"]["MLFLOW_RUN_CONTEXT"]
    assert set(tasks["secret"]["env"]) == {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_CONTEXT"}


@pytest.mark.parametrize(
    ("part", "finding"),
    [
        ("{}", "'mlflow' is missing the required key 'trackingUri'"),
        ("https://mlflow.example.com", "'mlflow' must be a mapping, not a string"),
        (
            "{trackingUri: 'https://user:word@mlflow.example.com'}",
            "'trackingUri' must be the address of a server, without a user or password, such as ",
        ),
        (
            "{trackingUri: '{{ var.value.care_mlflow }}'}",
            "a job of team risk may not read the Airflow Variable 'care_mlflow' (allowed: risk_*, ",
        ),
        (
            "{trackingUri: 'http://a', experiment: '{{ ds }}'}",
            "'experiment' must be a name without braces, of at most ",
        ),
        ("{trackingUri: 'http://a', experimnt: a}", "unknown key 'experimnt' (did you mean 'experiment'?"),
    ],
)
def test_a_mistake_is_found_where_it_stands(team_repo: Path, part: str, finding: str) -> None:
    has_server(team_repo, part)
    [found] = map(str, check_repo(team_repo).findings)
    assert found.startswith("values/team.yaml:"), found
    assert finding in found


def test_a_repository_whose_chart_is_older_has_no_server(team_repo: Path) -> None:
    values = team_repo / "values" / "team.yaml"
    values.write_text(f"{values.read_text()}mlflow: {{trackingUri: 'http://a'}}\n")
    assert check_repo(team_repo).findings == []


def test_without_a_server_nothing_of_mlflow_is_imported() -> None:
    program = "import sys, inference.__main__; sys.exit('mlflow' in sys.modules)"
    folder = Path(inference_job.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
