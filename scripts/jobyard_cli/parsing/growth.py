"""How the memory of a task grows after an OOM: `{memory: x2, at_most: 32Gi}`, or `+4Gi` as an amount."""

from __future__ import annotations

import re
from decimal import Decimal

from jobyard.entries import OnOom
from jobyard.limits import MEMORY_PERCENT
from jobyard.quantities import canonical_memory

from jobyard_cli.parsing.documents import Written

_GROWTH = re.compile(r"x(?P<factor>\d\.?\d*)|\+(?P<amount>.+)")


def parse_growth(stated: Written) -> OnOom:
    """Return an `on_oom` as a release has it.

    Raises:
        ValueError: it is malformed, which the schema reports.
    """
    match = _GROWTH.fullmatch(str(stated.get("memory")))
    if match is None:
        raise ValueError(f"{stated.get('memory')!r} is neither a factor, such as x2, nor an amount, such as +4Gi")
    growth = OnOom(percent=None, add=None, at_most=canonical_memory(str(stated.get("at_most"))))
    if match["factor"]:
        growth["percent"] = _percent(match["factor"])
    else:
        growth["add"] = canonical_memory(match["amount"])
    return growth


def _percent(factor: str) -> int:
    percent = int(Decimal(factor) * 100)
    least, most = MEMORY_PERCENT
    if not least <= percent <= most:
        raise ValueError(f"x{factor} is not a factor from x1.1 to x4")
    return percent
