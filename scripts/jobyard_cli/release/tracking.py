"""What each pod of a team with an MLflow server has in its environment, as `mlflow` in values/team.yaml says.

MLflow's client reads all of it itself, so that any image with MLflow logs to the right place, under the right tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard.contract import COMMIT_MACRO, IMAGE_MACRO, is_image_address

URI = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
CONTEXT = "MLFLOW_RUN_CONTEXT"
"""Tags of every run, as a JSON object: mlflow.tracking.context.system_environment_context."""
VARIABLES = (URI, EXPERIMENT, CONTEXT)
TAGS = {
    "jobyard.job": "ti.dag_id",
    "jobyard.task": "ti.task_id",
    "jobyard.run_id": "run_id",
    "jobyard.try_number": "ti.try_number | string",
    "jobyard.commit": f"{COMMIT_MACRO}()",
    "jobyard.data_interval_start": "data_interval_start.isoformat()",
    "jobyard.data_interval_end": "data_interval_end.isoformat()",
    "mlflow.source.name": "ti.dag_id ~ '/' ~ ti.task_id",
    "mlflow.source.type": "'JOB'",
    "mlflow.source.git.commit": f"{COMMIT_MACRO}()",
}
"""Tags by name, each an expression of a template. MLflow's pages show those that begin with `mlflow.`."""


def tracking_variables(mlflow: Mapping[str, Any], team: str, image: str, *, has_items: bool) -> dict[str, str]:
    """Return the environment of a task's pod that a team with an MLflow server has.

    `mlflow` is the part of values/team.yaml. A task `has_items` if it has a `foreach`: then one of them is a tag.
    """
    return {
        EXPERIMENT: mlflow.get("experiment", team),
        CONTEXT: _context(image, has_items=has_items),
        URI: mlflow["trackingUri"],
    }


def _context(image: str, *, has_items: bool) -> str:
    """Return the template of the tags: what a run is of is known when it runs."""
    tags = {**TAGS, "jobyard.image": f"'{image}'" if is_image_address(image) else f"{IMAGE_MACRO}('{image}')"}
    if has_items:
        tags["jobyard.item"] = "item | string"
    pairs = ", ".join(f"'{name}': {expression}" for name, expression in sorted(tags.items()))
    return f"{{{{ macros.json.dumps({{{pairs}}}) }}}}"
