"""Kubernetes quantities: compared as numbers, written in the one form the API server would write them.

The API server normalises what it is given (`12000m` becomes `12`), and Argo CD would show the difference as drift.
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import ceil

from jobyard.contract import DISK

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?")


def parse_quantity(value: str | int | float) -> Decimal:
    """The number that a quantity stands for: cores for CPU, bytes for memory.

    Raises:
        ValueError: it is no quantity.
    """
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{value!r} is no quantity")
    number, unit = Decimal(found[1]), found[2]
    if unit == "m":
        return number / 1000
    return number * (_BINARY | _DECIMAL).get(unit or "", 1)


def canonical_cpu(value: str | int | float) -> str:
    """Whole cores, or millicores rounded up: `0.5` and `500m` are `500m`, `12000m` is `12`."""
    millicores = ceil(parse_quantity(value) * 1000)
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def canonical_memory(value: str | int | float) -> str:
    """The largest binary unit that holds it whole: `1024Mi` is `1Gi`; bytes that fit none are written as bytes."""
    size = ceil(parse_quantity(value))
    for unit, factor in sorted(_BINARY.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def disk_of(scratch: str | int | float | None) -> str:
    """What a pod with that much scratch space asks of the disk."""
    return canonical_memory(str(parse_quantity(DISK) + parse_quantity(scratch or 0)))
