"""Kubernetes' quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from jobyard_metrics.values import number

_SUFFIXES = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}


def quantity(value: Any) -> float | None:
    """Return the number that a quantity stands for, such as 0.5 for `500m`; null for anything else."""
    written = str(value)[:64].strip()
    suffix = next((suffix for suffix in _SUFFIXES if written.endswith(suffix)), "")
    try:
        found = Decimal(written.removesuffix(suffix)) * _SUFFIXES.get(suffix, Decimal(1))
        return number(float(found)) if found.is_finite() and found >= 0 else None
    except (InvalidOperation, OverflowError):
        return None
