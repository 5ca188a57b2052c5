"""Pure functions: from the results of several trainings to the best of them."""

from __future__ import annotations

import json
from typing import Any


class CandidatesError(Exception):
    """Results that no model can be chosen by; the message says why."""


def best(candidates: str) -> dict[str, Any]:
    """Of a JSON list of what `train` leaves (`model`, `auc` and more), the one of the largest AUC, of equals the first.

    Raises:
        CandidatesError: it is not such a list, or it is empty.
    """
    chosen: dict[str, Any] = max(results_of(candidates), key=lambda result: result["auc"])
    return chosen


def results_of(candidates: str) -> list[dict[str, Any]]:
    """The results in a JSON list of what `train` leaves.

    Raises:
        CandidatesError: it is not such a list, or it is empty.
    """
    try:
        results = json.loads(candidates)
    except ValueError as error:
        raise CandidatesError(f"--candidates must be JSON: {error}") from error
    if not isinstance(results, list) or not results:
        raise CandidatesError("--candidates must be a list with at least one result of a training task")
    for number, result in enumerate(results, start=1):
        if not (isinstance(result, dict) and isinstance(result.get("model"), str) and _is_number(result.get("auc"))):
            raise CandidatesError(
                f"candidate {number} must have a 'model' (a string) and an 'auc' (a number); got {result}"
            )
    return results


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
