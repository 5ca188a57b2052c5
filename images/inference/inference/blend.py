"""Several models blended into one: its weights are learned on patients that none of them has learned from."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from scipy.optimize import nnls

from inference.model import Model

BOOSTER, BLEND = ".ubj", ".zip"
"""How the name of a model's object ends: one booster, or several blended."""
WEIGHTS = "weights.json"


@dataclass(frozen=True)
class Blend:
    """A model whose probability is the weighted mean of its members'; the weights are at least 0 and sum to 1."""

    members: list[xgb.Booster]
    weights: list[float]

    def predict(self, data: xgb.DMatrix) -> np.ndarray:
        """The probability for each row, as a booster's own."""
        scores = np.array([member.predict(data) for member in self.members])
        return np.asarray(np.asarray(self.weights) @ scores)

    def save(self) -> bytes:
        """The members and their weights as one object, so that no reader sees half of them; the same each time."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            # Without a time of its own, an entry has a fixed one.
            archive.writestr(zipfile.ZipInfo(WEIGHTS), json.dumps(self.weights))
            for number, member in enumerate(self.members):
                archive.writestr(zipfile.ZipInfo(f"{number}.ubj"), bytes(member.save_raw("ubj")))
        return content.getvalue()

    @classmethod
    def load(cls, content: bytes) -> Blend:
        """The model that `save` made the content of."""
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            weights = json.loads(archive.read(WEIGHTS))
            members = [load_booster(archive.read(f"{number}.ubj")) for number in range(len(weights))]
        return cls(members, weights)


def load_model(key: str, content: bytes) -> Model:
    """The model in an object's content: several blended or a single one, as the object's key says."""
    return Blend.load(content) if key.endswith(BLEND) else load_booster(content)


def load_booster(content: bytes) -> xgb.Booster:
    """The booster that `save_raw` made the content of."""
    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    return booster


def learn_weights(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The weights of the members whose weighted mean is nearest to the labels; at least 0, and their sum is 1.

    `scores` has a row a patient and a column a member. Non-negative least squares, made to sum to one: M. J. van der
    Laan, E. C. Polley and A. E. Hubbard, Super Learner, Statistical Applications in Genetics and Molecular Biology
    6(1), 2007.
    """
    weights, _ = nnls(scores, labels.astype("float64"))
    total = weights.sum()
    if total == 0:
        # No member says anything: as good as each other.
        return np.full(scores.shape[1], 1 / scores.shape[1])
    return np.asarray(weights / total)
