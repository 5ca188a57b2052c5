"""Quantities that a person writes, in the canonical form of the API server, besides sizes (`jobyard.quantities`)."""

from __future__ import annotations

from math import ceil

from jobyard.contract import DISK
from jobyard.quantities import canonical_memory, parse_quantity


def canonical_cpu(value: str | int | float) -> str:
    """Return whole cores, or millicores rounded up: `0.5` and `500m` are `500m`, `12000m` is `12`."""
    millicores = ceil(parse_quantity(value) * 1000)
    cores, rest = divmod(millicores, 1000)
    if rest:
        return f"{millicores}m"
    return str(cores)


def disk_of(scratch: str | int | float | None) -> str:
    """Return the disk space that a pod with this scratch space requests."""
    return canonical_memory(str(parse_quantity(DISK) + parse_quantity(scratch or 0)))
