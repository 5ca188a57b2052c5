"""Measured amounts as Kubernetes' quantities, rounded up, and money."""

from __future__ import annotations

from math import ceil

from jobyard.quantities import canonical_memory

from jobyard_cli.parsing.quantities import canonical_cpu

MIB = 2**20
GIB = 2**30
NANODOLLARS = 10**9


def cpu(cores: float) -> str:
    """Return cores in canonical form: `2`, or `1450m`; a hundredth of a millicore is noise of the arithmetic."""
    return canonical_cpu(f"{cores:.5f}")


def memory(size: float) -> str:
    """Return bytes in canonical form: `4Gi`, or whole mebibytes: `3175Mi`."""
    return canonical_memory(f"{ceil(size / MIB)}Mi")


def short_memory(size: float) -> str:
    """Return bytes for a sentence: `3.1Gi`, and in canonical form below one gibibyte, and where that is exact."""
    text = memory(size)
    if size < GIB or text.endswith("Gi"):
        return text
    return f"{size / GIB:.1f}Gi".replace(".0Gi", "Gi")


def dollars(nanodollars: int) -> str:
    """Return an amount of money to the cent: `$41.20`, `-$3.10`."""
    cents = round(nanodollars * 100 / NANODOLLARS)
    amount = f"${abs(cents) / 100:,.2f}"
    if cents < 0:
        return f"-{amount}"
    return amount
