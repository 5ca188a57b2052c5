"""How MLflow loads a version that `tracking` has registered: `mlflow.pyfunc.load_model("models:/<name>@champion")`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from inference.blend import load_model
from inference.model import Model, predict
from inference.tracking import MODEL, POINTER


@dataclass(frozen=True)
class Loaded:
    """A model with its features."""

    model: Model
    features: list[str]

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """What the job's own `predict` returns: `patient_id`, `probability` and `prediction`, a row a patient.

        Raises:
            TableError: the table's features are not those that the model was trained on.
        """
        return predict(self.model, self.features, table)


def _load_pyfunc(folder: str) -> Loaded:
    """The model in a folder, which MLflow calls by this name."""
    pointer = json.loads(Path(folder, POINTER).read_text())
    return Loaded(load_model(pointer["model"], Path(folder, MODEL).read_bytes()), pointer["features"])
