"""Airflow as MWAA runs it: MWAA's version and pins, its dags folder copied from a bucket, on a database of its own."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from jobyard_cli.airflow import virtualenv as airflow_environment
from jobyard_cli.airflow.virtualenv import AIRFLOW_VERSION
from jobyard_cli.platform import plugin
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

from jobyard_local.control_plane import write_private
from jobyard_local.layout import Layout
from jobyard_local.processes import Process, answers
from jobyard_local.settings import Source

COPY_SECONDS = 3
"""How often the bucket is copied; MWAA does it about every 30 s."""
READER = "metrics"
"""The user that may read everything and change nothing: the platform's own job reads runs with its login."""


def environment(
    source: Source, cache: Path, report: Report, version: str = AIRFLOW_VERSION, extra: Sequence[str] = ()
) -> Path:
    """Return a virtual environment with this Airflow, MWAA's pins, and `extra` packages under the same pins.

    Raises:
        ProgramError: the installation failed.
    """
    return airflow_environment.environment(source.mwaa, cache, report, version, extra)


def ensure(source: Source, cache: Path, report: Report, version: str = AIRFLOW_VERSION) -> Path:
    """Return an environment with this Airflow and, beside it, an empty database, made once.

    Raises:
        ProgramError: the installation failed.
    """
    target = environment(source, cache, report, version)
    with one_builder(target.with_name(f"{target.name}.lock")):
        if not (target / "airflow.db").exists():
            report("creating Airflow's database")
            _create_database(target)
    return target


def _create_database(target: Path) -> None:
    # Migrating an empty database takes longer than all the rest of Airflow's start: it is done once, and copied.
    partial = target / "airflow.db.partial"
    partial.unlink(missing_ok=True)
    variables = {"AIRFLOW_HOME": str(target), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{partial}"}
    run([target / "bin" / "airflow", "db", "migrate"], what="creating Airflow's database", environment=variables)
    partial.rename(target / "airflow.db")


def prepare(layout: Layout, installed: Path) -> None:
    """Give the platform this checkout's plugin, and a database, unless it has one from an earlier start."""
    home = layout.state / "airflow"
    for folder in ("dags", "plugins"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "plugins" / plugin.MODULE).write_bytes(plugin.source())
    if not (home / "airflow.db").exists():
        shutil.copyfile(installed / "airflow.db", home / "airflow.db")
    secret = home / "secret"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def processes(layout: Layout, installed: Path, bucket: str, bucket_environment: dict[str, str]) -> list[Process]:
    """Return the bucket's copier, the API server with the page, the scheduler, the DAG processor and the triggerer."""
    environment = _environment(layout, installed)
    airflow = str(installed / "bin" / "airflow")
    copier = [
        sys.executable,
        "-m",
        "jobyard_local.bucket_copy",
        bucket,
        str(layout.state / "airflow" / "dags"),
    ]
    return [
        Process("bucket-copy", [*copier, str(COPY_SECONDS)], environment=bucket_environment),
        Process("airflow-dag-processor", [airflow, "dag-processor"], environment=environment),
        Process("airflow-scheduler", [airflow, "scheduler"], environment=environment),
        Process("airflow-triggerer", [airflow, "triggerer"], environment=environment),
        _server("airflow-api-server", airflow, layout.airflow_url, environment),
    ]


def server_for_pods(layout: Layout, installed: Path) -> Process:
    """Return another API server of the same Airflow, where pods reach it, and where one has to log in.

    Its only user is READER, with Airflow's role Viewer: what MWAA gives an IAM role.
    """
    passwords = layout.state / "airflow" / "passwords.json"
    write_private(passwords, json.dumps({READER: reader_password(layout)}))
    options = {
        "api.base_url": layout.airflow_url_for_pods,
        "core.simple_auth_manager_all_admins": "False",
        "core.simple_auth_manager_passwords_file": str(passwords),
        "core.simple_auth_manager_users": f"{READER}:viewer",
    }
    environment = {**_environment(layout, installed), **_variables(options)}
    airflow = str(installed / "bin" / "airflow")
    return _server("airflow-api-server-for-pods", airflow, layout.airflow_url_for_pods, environment)


def reader_password(layout: Layout) -> str:
    """Return READER's password, made on first use."""
    kept = layout.state / "airflow" / "reader-password"
    if not kept.exists():
        write_private(kept, secrets.token_urlsafe(24))
    return kept.read_text()


def _server(name: str, airflow: str, url: str, environment: Mapping[str, str]) -> Process:
    address = urlsplit(url)
    command = [airflow, "api-server", "--host", str(address.hostname), "--port", str(address.port), "--workers", "1"]
    return Process(name, command, ready=answers(f"{url}/api/v2/monitor/health"), environment=environment)


def _environment(layout: Layout, installed: Path) -> dict[str, str]:
    home = layout.state / "airflow"
    secret = (home / "secret").read_text()
    options = {
        "api.base_url": layout.airflow_url,
        "api.secret_key": secret,
        "api_auth.jwt_secret": secret,
        "core.auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        # Each task imports its DAG; with a full parallelism on two cores that can take longer than the default of 30.
        "core.dagbag_import_timeout": "120",
        "core.dags_folder": str(home / "dags"),
        "core.execution_api_server_url": f"{layout.airflow_url}/execution/",
        "core.executor": "LocalExecutor",
        "core.fernet_key": secret,
        # So that the plugin imports the operator once for all tasks: docs/install.md.
        "core.lazy_load_plugins": "False",
        "core.load_examples": "False",
        "core.parallelism": "8",
        # As MWAA unpacks plugins.zip: on the path of every process, the triggerer's too.
        "core.plugins_folder": str(home / "plugins"),
        # The page listens on loopback alone, so everyone who reaches it may do everything.
        "core.simple_auth_manager_all_admins": "True",
        "dag_processor.bundle_refresh_check_interval": "2",
        "dag_processor.parsing_processes": "1",
        "dag_processor.refresh_interval": "3",
        "database.sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}",
        "logging.trigger_log_server_port": str(layout.ports["airflow-trigger-log"]),
        "logging.worker_log_server_port": str(layout.ports["airflow-log"]),
        "usage_data_collection.enabled": "False",
        # On a busy machine the API server's first answer may take longer than the default of 5; after a few of these a
        # task fails before it has begun, and waits for its retry.
        "workers.execution_api_timeout": "60",
    }
    path = os.pathsep.join([str(installed / "bin"), os.environ["PATH"]])
    return {"AIRFLOW_HOME": str(home), "PATH": path, **_variables(options)}


def _variables(options: Mapping[str, str]) -> dict[str, str]:
    """Return Airflow's options, `<section>.<name>`, as the environment variables that set them."""
    return {f"AIRFLOW__{name.upper().replace('.', '__', 1)}": value for name, value in options.items()}
