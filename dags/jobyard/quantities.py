"""Kubernetes quantities, for the library and the command line: as numbers, and sizes as the API server writes them.

The API server normalises quantities (`1024Mi` becomes `1Gi`), and Argo CD would show the difference as drift.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from math import ceil

_BINARY = {"Ti": 2**40, "Gi": 2**30, "Mi": 2**20, "Ki": 2**10}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS: Mapping[str, int | Decimal] = {"": 1, "m": Decimal("0.001"), **_DECIMAL, **_BINARY}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?")


def parse_quantity(value: str | int | float) -> Decimal:
    """Return a quantity as a number: cores for CPU, bytes for memory.

    Raises:
        ValueError: the value is not a quantity.
    """
    number = _parsed(str(value))
    if number is None:
        raise ValueError(f"{value!r} is not a quantity")
    return number


# The same few quantities are in most tasks.
@lru_cache(maxsize=1024)
def _parsed(text: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text)
    return None if match is None else Decimal(match[1]) * _UNITS[match[2] or ""]


def canonical_memory(value: str | int | float) -> str:
    """Return a size in the largest binary unit of which it is a multiple: `1024Mi` is `1Gi`; otherwise in bytes."""
    size = ceil(parse_quantity(value))
    for unit, factor in _BINARY.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
