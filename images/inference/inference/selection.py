"""Pure functions: from the results of several trainings to the best of them."""

from __future__ import annotations

import json
from typing import Any


class CandidatesError(Exception):
    """Results that no model can be chosen by; the message says why."""


def best(candidates: str) -> dict[str, Any]:
    """Of a JSON list of what `train` leaves (`model`, `auc` and more), the one of the largest AUC, of equals the first.

    Raises:
        CandidatesError: it is no such list, or it is empty.
    """
    try:
        results = json.loads(candidates)
    except ValueError as error:
        raise CandidatesError(f"the candidates are no JSON: {error}") from error
    if not isinstance(results, list) or not results:
        raise CandidatesError("the candidates are no list with results of trainings in it")
    for number, result in enumerate(results, start=1):
        if not (isinstance(result, dict) and isinstance(result.get("model"), str) and _is_number(result.get("auc"))):
            raise CandidatesError(f"candidate {number} is no training's result, which has a model and an auc: {result}")
    chosen: dict[str, Any] = max(results, key=lambda result: result["auc"])
    return chosen


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
