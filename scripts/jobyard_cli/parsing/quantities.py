"""Kubernetes quantities: compare them as numbers, and write them in the canonical form of the API server.

The API server normalises quantities (`12000m` becomes `12`), and Argo CD would show the difference as drift.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from math import ceil

from jobyard.contract import DISK

_BINARY = {"Ti": 2**40, "Gi": 2**30, "Mi": 2**20, "Ki": 2**10}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS: Mapping[str, int | Decimal] = {"": 1, "m": Decimal("0.001"), **_DECIMAL, **_BINARY}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?")


def parse_quantity(value: str | int | float) -> Decimal:
    """Return a quantity as a number: cores for CPU, bytes for memory.

    Raises:
        ValueError: the value is not a quantity.
    """
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a quantity")
    return Decimal(match[1]) * _UNITS[match[2] or ""]


def canonical_cpu(value: str | int | float) -> str:
    """Return whole cores, or millicores rounded up: `0.5` and `500m` are `500m`, `12000m` is `12`."""
    millicores = ceil(parse_quantity(value) * 1000)
    cores, rest = divmod(millicores, 1000)
    if rest:
        return f"{millicores}m"
    return str(cores)


def canonical_memory(value: str | int | float) -> str:
    """Return a size in the largest binary unit of which it is a multiple: `1024Mi` is `1Gi`; otherwise in bytes."""
    size = ceil(parse_quantity(value))
    for unit, factor in _BINARY.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def disk_of(scratch: str | int | float | None) -> str:
    """Return the disk space that a pod with this scratch space requests."""
    return canonical_memory(str(parse_quantity(DISK) + parse_quantity(scratch or 0)))
