"""What MLflow gets to know, where the team has a server: a run for each task that makes or compares models, and which
version of a model is the champion.

The environment says where the server is (`MLFLOW_TRACKING_URI`), in which experiment runs are
(`MLFLOW_EXPERIMENT_NAME`) and which tags they have (`MLFLOW_RUN_CONTEXT`); MLflow's client reads all of them itself.
What scores is in the data bucket, as without MLflow.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

URI = "MLFLOW_TRACKING_URI"
LOGIN = re.compile("(?<=://)[^/]*@")
"""The user and the password in an address."""
CHAMPION = "champion"
"""The alias of the version that scores."""
MODEL_TAG = "jobyard.model"
"""The tag of a version: the model's key in the data bucket."""
LOADED_WITH = ("pandas", "pyarrow", "scipy", "xgboost-cpu", "boto3")
"""What this package imports, which anyone who loads a version needs too."""
MODEL, POINTER = "model", "pointer.json"


class TrackingError(Exception):
    """The MLflow server does not answer, or refuses; the message says why."""


def is_tracked() -> bool:
    """Whether the team has an MLflow server."""
    return bool(os.environ.get(URI))


def log_run(name: str, parameters: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Log what a task was given and what it left as a run: its numbers as metrics, all else as tags.

    Raises:
        TrackingError: the server does not answer, or refuses.
    """
    import mlflow

    metrics = {name: float(value) for name, value in result.items() if _is_number(value)}
    tags = {f"jobyard.{name}": str(value) for name, value in result.items() if not _is_number(value)}
    with _errors(), mlflow.start_run(run_name=name, tags=tags):
        mlflow.log_params({name: str(value) for name, value in parameters.items()})
        mlflow.log_metrics(metrics)


def name_champion(name: str, pointer: Mapping[str, Any], content: bytes) -> str:
    """Register a model under a name and let the alias `champion` stand for it; the version's number.

    A model that is registered already, as when a task runs again, gets the alias alone.

    Raises:
        TrackingError: the server does not answer, or refuses.
    """
    from mlflow import MlflowClient

    with _errors():
        client = MlflowClient()
        version = _registered(client, name, pointer["model"]) or _register(client, name, pointer, content)
        client.set_registered_model_alias(name, CHAMPION, version)
    print(f"MLflow: {name} version {version} has the alias {CHAMPION}", flush=True)
    return version


def _registered(client: Any, name: str, model: str) -> str | None:
    """The number of the version that has this model."""
    versions: list[ModelVersion] = client.search_model_versions(f"name = '{name}' and tags.`{MODEL_TAG}` = '{model}'")
    return max((str(version.version) for version in versions), key=int, default=None)


def _register(client: Any, name: str, pointer: Mapping[str, Any], content: bytes) -> str:
    """Log the model in a run of its own, and make a version of it; the version's number."""
    import mlflow
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory() as folder, mlflow.start_run(run_name=f"register {pointer['dt']}"):
        Path(folder, MODEL).write_bytes(content)
        Path(folder, POINTER).write_text(json.dumps(dict(pointer)))
        logged = mlflow.pyfunc.log_model(
            name="model",
            loader_module="inference.loading",
            data_path=folder,
            code_paths=[str(Path(__file__).parent)],
            pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in LOADED_WITH],
        )
    made = mlflow.register_model(
        logged.model_uri, name, tags={MODEL_TAG: pointer["model"], "jobyard.day": pointer["dt"]}
    )
    return str(made.version)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@contextmanager
def _errors() -> Iterator[None]:
    """Turn MLflow's own exceptions into one of ours, in one line that has no password of the address."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        address = os.environ[URI]
        shown = LOGIN.sub("", address)
        message = " ".join(str(error).replace(address, shown).split())
        raise TrackingError(f"MLflow at {shown}: {message}") from error
