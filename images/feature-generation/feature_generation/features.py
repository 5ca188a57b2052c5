"""What a feature is: pure functions from a table of raw rows to a table of features."""

from __future__ import annotations

import numpy as np
import pandas as pd

KEY = "patient_id"
LABEL = "diagnosis"
POSITIVE = "malignant"
TRAITS = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)
MEASUREMENTS = tuple(
    [f"mean_{trait}" for trait in TRAITS]
    + [f"{trait}_error" for trait in TRAITS]
    + [f"worst_{trait}" for trait in TRAITS]
)
"""Ten traits of a cell nucleus: their mean over the picture, its standard error, and the mean of the three largest."""


class RowsError(Exception):
    """Raw rows that no feature can be made of; the message says which and why."""


def validate(raw: pd.DataFrame) -> None:
    """Refuse rows that would make wrong features.

    Raises:
        RowsError: columns are missing, there is no row, a patient occurs twice, or a measurement is not a number.
    """
    missing = [name for name in (KEY, *MEASUREMENTS) if name not in raw.columns]
    if missing:
        raise RowsError(f"lacks the columns {', '.join(missing)}")
    if raw.empty:
        raise RowsError("has no rows")
    if (twice := raw[KEY][raw[KEY].duplicated()]).size:
        raise RowsError(f"has patient {twice.iloc[0]} more than once (row {twice.index[0] + 2})")
    for name in MEASUREMENTS:
        wrong = pd.to_numeric(raw[name], errors="coerce").isna()
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise RowsError(f"row {row + 2}: {name} is {raw[name].iloc[row]!r}, not a number")


def make_features(raw: pd.DataFrame) -> pd.DataFrame:
    """One row a patient: the measurements, how far the worst lies above the mean, and areas on a log scale.

    `raw` has columns `patient_id`, the 30 `MEASUREMENTS` and perhaps `diagnosis`, which becomes `label` (1 malignant,
    0 benign).

    Raises:
        RowsError: see `validate`.
    """
    validate(raw)
    measurements = raw[list(MEASUREMENTS)].astype("float64")
    columns: dict[str, pd.Series] = {KEY: raw[KEY].astype(str)}
    columns |= {name: measurements[name] for name in MEASUREMENTS}
    for trait in TRAITS:
        mean = measurements[f"mean_{trait}"]
        # A trait can be 0 in every cell; the ratio is then 1: the worst is as the mean.
        columns[f"{trait}_worst_to_mean"] = (measurements[f"worst_{trait}"] / mean.where(mean > 0)).fillna(1.0)
    for which in ("mean", "worst"):
        columns[f"log_{which}_area"] = pd.Series(np.log1p(measurements[f"{which}_area"]))
    if LABEL in raw.columns and raw[LABEL].notna().all():
        columns["label"] = (raw[LABEL] == POSITIVE).astype("int8")
    return pd.DataFrame(columns)
