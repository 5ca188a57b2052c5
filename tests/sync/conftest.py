"""A real S3 server (versitygw) alone, stand-ins beside it, and processes that run the command against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from jobyard_cli.cli.steps import Steps

from tests.conftest import make_team_repo
from tests.support.git import git
from tests.support.ports import free_ports
from tests.sync.faulty_proxy import FaultyProxy
from tests.sync.real_airflow import Copier, RealAirflow, installation
from tests.sync.running import Forked
from tests.sync.servers import Server, s3_server
from tests.sync.stand_in_airflow import StandInAirflow
from tests.sync.story import VERSIONS, Team, live

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """versitygw, with versions, on a port of its own."""
    with s3_server(programs, tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """Where processes that run the command come from."""
    running = Forked(tmp_path_factory.mktemp("runs"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def airflow(server: Server) -> Iterator[StandInAirflow]:
    """Has what is in the bucket at once."""
    running = StandInAirflow(server.client)
    yield running
    running.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultyProxy]:
    """In front of the S3 server."""
    running = FaultyProxy(server.url)
    yield running
    running.close()


@pytest.fixture
def commit_job(team_repo: Path, add_job: Callable[..., Path]) -> Callable[[str], str]:
    """Give the job `score` another description in the team's repository, and commit that."""
    git(team_repo, "init", "--quiet", "--initial-branch=main")

    def commit(description: str) -> str:
        file = add_job("score")
        file.write_text(f"{file.read_text()}description: {description}\n")
        git(team_repo, "add", "--all")
        git(team_repo, "commit", "--quiet", "--message", description)
        return git(team_repo, "rev-parse", "HEAD")

    return commit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stories on real Airflows begin with the first test here, and are asked for last: they mostly wait."""
    items.sort(key=lambda item: item.path.name == "test_real_airflow.py" and item.path.parent == HERE)


@pytest.fixture(scope="session", autouse=True)
def stories(
    request: pytest.FixtureRequest,
    server: Server,
    shown: Callable[[], AbstractContextManager[Steps]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[None]]]:
    """A team's life on each version, run in parallel with the other tests."""
    if not any(item.path.name == "test_real_airflow.py" for item in request.session.items):
        yield {}
        return
    folders = {version: tmp_path_factory.mktemp(version) for version in VERSIONS}
    with shown() as steps, steps.step("environments of Airflow, with their databases") as report:
        for version in VERSIONS:
            installation(version, report)
    ports = dict(zip(VERSIONS, free_ports(len(VERSIONS)), strict=True))
    with ThreadPoolExecutor() as pool:
        yield {version: pool.submit(_tell, server, version, folders[version], ports[version]) for version in VERSIONS}


def _tell(server: Server, version: str, folder: Path, port: int) -> None:
    airflow = RealAirflow(version, folder, port, lambda _: None)
    bucket = server.bucket()
    copier = Copier(server.client, bucket, airflow.dags)
    forked = Forked(folder)
    copier.start()
    try:
        airflow.start()
        live(Team(airflow, server, forked, make_team_repo(folder / "risk-jobs"), bucket, copier), print)
    finally:
        airflow.close()
        copier.close()
        forked.close()
