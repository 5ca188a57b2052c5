"""A real Airflow's REST API and DAG processor, over a copy of a bucket; nothing in it runs a task."""

from __future__ import annotations

import base64
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from jobyard_cli.airflow.transport import Login
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.environments import load_node_groups
from jobyard_cli.platform.files import task_types
from jobyard_cli.platform.loader import loader_source
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import run
from jobyard_local import airflow
from jobyard_local.bucket_copy import copy_once
from jobyard_local.processes import Process, Supervisor, answers
from jobyard_local.settings import Source

from tests.sync.servers import KEY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

USER, PASSWORD = "admin", "secret"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
SOURCE = Source.find()
NOT_IN_AIRFLOW = "high-memory"
"""A node group that teams may use, and that this Airflow's platform does not have: a job of it is broken there."""


def installation(version: str, report: Callable[[str], None]) -> tuple[Path, Path]:
    """An environment with this Airflow, and an empty database with a user in it: made once, as both take long."""
    # Airflow 2 has the FAB auth manager built in.
    extra = [] if version.startswith("2") else ["apache-airflow-providers-fab"]
    installed = airflow.environment(SOURCE, cache_dir(), report, version, extra)
    made = installed / "airflow-user.db"
    with one_builder(installed.with_name(f"{installed.name}.lock")):
        if not made.exists():
            report("creating Airflow's database")
            partial = made.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            settings = {
                "AIRFLOW_HOME": str(installed),
                "AIRFLOW__CORE__AUTH_MANAGER": FAB,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{partial}",
            }
            program = installed / "bin" / "airflow"
            run([program, "db", "migrate"], what="creating Airflow's database", environment=settings)
            user = ["users", "create", "--role=Admin", f"--username={USER}", f"--password={PASSWORD}"]
            names = ["--firstname=A", "--lastname=B", "--email=a@example.com"]
            run([program, *user, *names], what="creating a user", environment=settings)
            partial.rename(made)
    return installed, made


class RealAirflow:
    """One version, from start to close."""

    def __init__(self, version: str, home: Path, port: int, report: Callable[[str], None]) -> None:
        """Take an empty folder; start nothing yet."""
        self.version = version
        self.home = home
        self.dags = home / "dags"
        self._is_2 = version.startswith("2")
        self.url = f"http://127.0.0.1:{port}"
        self.keys = {"JOBYARD_AIRFLOW_USERNAME": USER, "JOBYARD_AIRFLOW_PASSWORD": PASSWORD}
        self.login = Login(USER, PASSWORD)
        self._port = str(port)
        self._supervisor = Supervisor(home)
        installed, database = installation(version, report)
        self._program = str(installed / "bin" / "airflow")
        shutil.copyfile(database, home / "airflow.db")
        path = os.pathsep.join([str(installed / "bin"), os.environ["PATH"]])
        settings = {f"AIRFLOW__{name.upper().replace('.', '__', 1)}": value for name, value in self._settings().items()}
        self._environment = {"AIRFLOW_HOME": str(home), "PATH": path, **settings}
        self.platform = self._platform()

    def start(self) -> None:
        """Start the processes, and wait until the API answers."""
        server = ["webserver", "--port"] if self._is_2 else ["api-server", "--host", "127.0.0.1", "--port"]
        health = "/api/v1/health" if self._is_2 else "/api/v2/version"
        ready = answers(self.url + health)
        environment = self._environment
        # Airflow 2 has no DAG processor of its own on SQLite; as no job has a schedule, nothing else is done.
        reads = ["scheduler", "--skip-serve-logs"] if self._is_2 else ["dag-processor"]
        processor = Process("processor", [self._program, *reads], environment=environment)
        api = [self._program, *server, self._port, "--workers", "1"]
        self._supervisor.start(processor)
        self._supervisor.start(Process("api", api, ready, environment))

    def close(self) -> None:
        """End the processes, and what they started: Airflow 2's file processor has a group of its own."""
        started = [*self._descendants()]
        self._supervisor.stop(self._supervisor.names(), grace=0)
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _descendants(self) -> Iterator[psutil.Process]:
        pids = [self._supervisor.pid(name) for name in self._supervisor.names()]
        for pid in filter(None, pids):
            with suppress(psutil.NoSuchProcess):
                yield from psutil.Process(pid).children(recursive=True)

    def log(self) -> str:
        """What the processes said last."""
        return "\n".join(self._supervisor.log(name).read_text()[-3000:] for name in self._supervisor.names())

    def write_platform(self, text: str) -> None:
        """Give the library another platform.json."""
        partial = self.home / "platform.json"
        partial.write_text(text)
        partial.rename(self.dags / "jobyard" / "platform.json")

    def add_team(self, team: str, like: str) -> None:
        """Give Airflow another team, with the jobs that one has."""
        release = json.loads((self.dags / like / "jobs.json").read_text())
        (self.dags / team).mkdir(exist_ok=True)
        (self.dags / team / "jobs.json").write_text(json.dumps({**release, "team": team}))
        (self.dags / f"{team}.py").write_text(loader_source(team))

    def _platform(self) -> str:
        shutil.copytree(SOURCE.dags / "jobyard", self.dags / "jobyard", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(SOURCE.dags / ".airflowignore", self.dags / ".airflowignore")
        (self.dags / "jobyard" / "kubeconfig.yaml").write_text("{}")
        groups = load_node_groups(SOURCE.root)
        del groups[NOT_IN_AIRFLOW]
        teams: dict[str, Any] = {"care": {}, "risk": {}}
        text = json.dumps(platform_data(groups, "test", task_types=task_types(SOURCE.values), teams=teams))
        self.write_platform(text)
        (self.dags / "risk.py").write_text(loader_source("risk"))
        return text

    def _settings(self) -> dict[str, str]:
        secret = base64.urlsafe_b64encode(os.urandom(32)).decode()
        return {
            "core.dagbag_import_timeout": "120",
            "core.dags_folder": str(self.dags),
            "core.executor": "SequentialExecutor" if self._is_2 else "LocalExecutor",
            "core.fernet_key": secret,
            "core.load_examples": "False",
            "core.min_serialized_dag_fetch_interval": "1",
            "core.min_serialized_dag_update_interval": "1",
            "database.sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}",
            "scheduler.parsing_cleanup_interval": "2",
            "usage_data_collection.enabled": "False",
            **(self._settings_2() if self._is_2 else self._settings_3(secret)),
        }

    def _settings_2(self) -> dict[str, str]:
        return {
            "api.auth_backends": "airflow.api.auth.backend.basic_auth",
            "scheduler.dag_dir_list_interval": "2",
            "scheduler.min_file_process_interval": "1",
            "scheduler.parsing_processes": "1",
            "scheduler.stale_dag_threshold": "3",
            "webserver.secret_key": "none",
            # It ends itself where its first answer takes longer, as on a busy machine.
            "webserver.web_server_master_timeout": "900",
            "webserver.web_server_worker_timeout": "900",
        }

    def _settings_3(self, secret: str) -> dict[str, str]:
        return {
            "api.base_url": self.url,
            "api.secret_key": secret,
            "api_auth.jwt_secret": secret,
            "core.auth_manager": FAB,
            "dag_processor.bundle_refresh_check_interval": "1",
            "dag_processor.min_file_process_interval": "1",
            "dag_processor.parsing_processes": "1",
            "dag_processor.refresh_interval": "2",
            "dag_processor.stale_dag_threshold": "3",
        }


class Copier(threading.Thread):
    """Copies the bucket's releases into Airflow's folder, as MWAA does, except while it is held."""

    def __init__(
        self, client: S3Client, bucket: str, target: Path, copy: Callable[..., dict[str, str]] = copy_once
    ) -> None:
        super().__init__(daemon=True)
        self._client, self._bucket, self._target, self._copy = client, bucket, target, copy
        self._ended = threading.Event()
        self._known: dict[str, str] = {}
        self._round = threading.Lock()
        self._held = False

    def run(self) -> None:
        while not self._ended.wait(0.3):
            with self._round:
                if not self._held:
                    self._known = self._copy(self._client, self._bucket, self._target, self._known)

    def hold(self) -> None:
        """Copy nothing that is put from now on: a round that has begun ends first."""
        with self._round:
            self._held = True

    def go_on(self) -> None:
        """Copy again."""
        self._held = False

    @contextmanager
    def before_next(self, happens: Callable[[], None]) -> Iterator[None]:
        """After the next release inside was put, and before any part of it is copied, something happens."""
        self.hold()
        there, ended = self._etag(), threading.Event()

        def follow() -> None:
            while self._etag() == there:
                if ended.wait(0.1):
                    return
            happens()
            self.go_on()

        following = threading.Thread(target=follow)
        following.start()
        try:
            yield
        finally:
            ended.set()
            following.join()
            self.go_on()

    def _etag(self) -> str:
        return self._client.head_object(Bucket=self._bucket, Key=KEY)["ETag"]

    def close(self) -> None:
        """Stop."""
        self._ended.set()
        self.join()


class StandInMwaa:
    """A stand-in for boto3's client of MWAA: what it is asked it asks the REST API of a real Airflow."""

    def __init__(self, rest: Any) -> None:
        self._rest = rest
        self.calls: list[str] = []

    def invoke_rest_api(
        self, Name: str, Path: str, Method: str, QueryParameters: Any = None, Body: Any = None
    ) -> dict[str, Any]:
        """One call, with MWAA's errors."""
        from botocore.exceptions import ClientError
        from jobyard_cli.airflow.transport import AirflowNotFoundError

        self.calls.append(f"{Method} {Path}")
        try:
            return {
                "RestApiStatusCode": 200,
                "RestApiResponse": self._rest.call(Method, Path.strip("/"), QueryParameters, Body),
            }
        except AirflowNotFoundError as error:
            response: Any = {
                "Error": {"Code": "RestApiClientException", "Message": ""},
                "RestApiStatusCode": 404,
                "RestApiResponse": {"detail": str(error)},
            }
            raise ClientError(response, "InvokeRestApi") from error
