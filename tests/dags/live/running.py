"""A whole Airflow: its scheduler, and what else its version has beside it, on a database of its own."""

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg2
from jobyard.compat import AIRFLOW_3

from tests.support.ports import free_ports

LOG_LINES = 40
# Generous, as the machine may have more to do; nothing waits longer than it has to.
BOUND_SECONDS = 600
PARALLELISM = 10
PLUGINS = Path(__file__).parents[3] / "dags" / "jobyard" / "plugin"


class LiveAirflow:
    """Airflow's processes, from start to close."""

    def __init__(self, home: Path, database: str, variables: dict[str, str]) -> None:
        """Take the folder `home`, with its `dags`, and the address of an empty `database`; start nothing yet."""
        self.home = home
        self._processes: list[subprocess.Popen[bytes]] = []
        self._database = f"postgresql://airflow@{database}"
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
        self._environment = {**inherited, **variables, **_settings(home, self.url, database)}

    def create_tables(self) -> None:
        """Give the empty database Airflow's own tables."""
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=self._environment, check=True, capture_output=True)

    def start(self) -> None:
        """Start the processes of this version.

        Raises:
            TimeoutError: the API server did not answer.
            RuntimeError: a process has failed.
        """
        if AIRFLOW_3:
            port = self.url.rpartition(":")[2]
            server = ["api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1", "--apps", "execution"]
            self.command(server)
            self.command(["dag-processor"])
            self.wait(lambda: answers(f"{self.url}/execution/health"), "an answer of the API server")
        self.command(["triggerer", "--skip-serve-logs"])
        self.command(["scheduler", "--skip-serve-logs"])

    def start_api(self) -> str:
        """Start the server of the REST API, which nobody needs to run jobs; return its address when it answers.

        Raises:
            TimeoutError: it did not answer.
            RuntimeError: a process has failed.
        """
        port = str(free_ports(1)[0])
        # Everyone who reaches it on loopback may read everything.
        (self.home / "webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\n')
        self.command(["api-server", "--apps", "core", "--port", port] if AIRFLOW_3 else ["webserver", "--port", port])
        url = f"http://127.0.0.1:{port}"
        version = f"{url}/api/{'v2' if AIRFLOW_3 else 'v1'}/version"
        self.wait(lambda: answers(version), "an answer of the REST API")
        return url

    def command(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command of Airflow's, in a session of its own."""
        with open(self.home / f"{arguments[0]}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                env=self._environment,
                # Airflow 2's web server leaves its socket where it was started.
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End every process that was started, and every process that those started."""
        # Airflow gives some of its children a process group of their own, but none a session.
        sessions = {process.pid for process in self._processes}
        while pids := [pid for pid, session in _living() if session in sessions]:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._processes:
                process.wait()
        self._processes.clear()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Return as soon as the condition holds.

        Raises:
            TimeoutError: it does not hold in time; with what Airflow has, and last said.
            RuntimeError: meanwhile a process has failed; likewise.
        """
        end = time.monotonic() + BOUND_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} within {BOUND_SECONDS} s\n{self._report()}")
            if failed := [process.args for process in self._processes if process.poll()]:
                raise RuntimeError(f"no {what}, as this has failed: {failed}\n{self._report()}")
            time.sleep(0.2)

    def ask(self, query: str, *values: object) -> list[Any]:
        """Return the rows of the database."""
        with closing(psycopg2.connect(self._database)) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def runs(self, dag_id: str) -> dict[str, str]:
        """Return the state of each run of the DAG."""
        return dict(self.ask("SELECT run_id, state FROM dag_run WHERE dag_id = %s", dag_id))

    def states(self, dag_id: str) -> list[str]:
        """Return the states of the DAG's runs, in order."""
        return sorted(self.runs(dag_id).values())

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until Airflow has read the DAG."""
        query = "SELECT 1 FROM dag JOIN serialized_dag USING (dag_id) WHERE dag_id = %s"
        self.wait(lambda: self.ask(query, dag_id), f"DAG {dag_id}")

    def unpause(self, dag_id: str) -> None:
        """Do what the switch on Airflow's page does."""
        with closing(psycopg2.connect(self._database)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("UPDATE dag SET is_paused = false WHERE dag_id = %s", [dag_id])

    def add_pools(self, pools: dict[str, int]) -> None:
        """Make pools, as the platform does through Airflow's API."""
        query = "INSERT INTO slot_pool (pool, slots, description, include_deferred) VALUES (%s, %s, '', false)"
        with closing(psycopg2.connect(self._database)) as connection, connection, connection.cursor() as cursor:
            cursor.executemany(query, list(pools.items()))

    def has_logged(self, text: str) -> bool:
        """Return whether the text is in any log."""
        logs = [*self.home.glob("*.log"), *self.home.glob("logs/**/*.log")]
        return any(text in log.read_text(errors="replace") for log in logs)

    def wait_for_run(self, dag_id: str, *states: str) -> None:
        """Wait until the DAG has runs in these states, and no others."""
        self.wait(lambda: self.states(dag_id) == sorted(states), f"run of {dag_id} with {', '.join(states)}")

    def _report(self) -> str:
        instances = self.ask("SELECT dag_id, run_id, task_id, map_index, state, try_number FROM task_instance")
        lines = [" ".join(map(str, instance)) for instance in instances]
        for log in sorted(self.home.glob("*.log")):
            lines += ["", log.name, *log.read_text(errors="replace").splitlines()[-LOG_LINES:]]
        return "\n".join(lines)


def answers(url: str) -> bool:
    """Return whether a server answers a request."""
    with suppress(OSError), urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _living() -> Iterator[tuple[int, int]]:
    """The id of each process that has not ended, and of its session."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # proc(5): pid (name) state ppid pgrp session …
            state, _, _, session = file.read_text().rpartition(")")[2].split()[:4]
            if state != "Z":
                yield int(file.parent.name), int(session)


def _settings(home: Path, url: str, database: str) -> dict[str, str]:
    secret = base64.urlsafe_b64encode(os.urandom(32)).decode()
    options = {
        "core.dagbag_import_timeout": str(BOUND_SECONDS),
        "core.dags_folder": str(home / "dags"),
        "core.executor": "LocalExecutor",
        "core.fernet_key": secret,
        "core.lazy_load_plugins": "False",
        "core.load_examples": "False",
        "core.parallelism": str(PARALLELISM),
        "core.plugins_folder": str(PLUGINS),
        "database.sql_alchemy_conn": f"postgresql+psycopg2://airflow@{database}",
        "logging.logging_level": "INFO",
        "usage_data_collection.enabled": "False",
        **(_settings_3(url, secret) if AIRFLOW_3 else _settings_2(url)),
    }
    variables = {f"AIRFLOW__{name.upper().replace('.', '__', 1)}": value for name, value in options.items()}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {
        "AIRFLOW_HOME": str(home),
        "PATH": path,
        "NO_PROXY": "127.0.0.1",
        **variables,
    }


def _settings_3(url: str, secret: str) -> dict[str, str]:
    return {
        "api.base_url": url,
        "api.secret_key": secret,
        "api_auth.jwt_secret": secret,
        "core.auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "core.execution_api_server_url": f"{url}/execution/",
        "core.simple_auth_manager_all_admins": "True",
        "dag_processor.dag_file_processor_timeout": str(BOUND_SECONDS),
        "dag_processor.min_file_process_interval": "60",
        "dag_processor.parsing_processes": "1",
        # A task of which the API server does not answer in time fails before it has begun.
        "workers.execution_api_timeout": str(BOUND_SECONDS),
    }


def _settings_2(url: str) -> dict[str, str]:
    return {
        "api.auth_backends": "airflow.api.auth.backend.default",
        "core.dag_file_processor_timeout": str(BOUND_SECONDS),
        "scheduler.enable_health_check": "False",
        "scheduler.min_file_process_interval": "5",
        "scheduler.parsing_processes": "1",
        "webserver.base_url": url,
        "webserver.secret_key": "none",
        # It ends itself where its first answer takes longer, as on a busy machine.
        "webserver.web_server_master_timeout": str(BOUND_SECONDS),
        "webserver.web_server_worker_timeout": str(BOUND_SECONDS),
        "webserver.workers": "1",
    }
