"""The prices of machines: `values/prices.yaml`, by instance type and capacity type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

NANODOLLARS = 10**9
"""In one dollar."""

CAPACITY_TYPES = ("on-demand", "spot")
HIGHEST = 10_000
"""Dollars an hour that a price is below: amounts of a day then fit 64 bits."""

MIB = 2**20


class PricesError(ValueError):
    """The file of prices is not as `values/prices.schema.json` has it."""


@dataclass(frozen=True)
class Machine:
    """What an instance type has, and costs an hour."""

    cpu: float
    """Cores."""

    memory: int
    """Bytes."""

    gpu: int
    hourly: Mapping[str, int]
    """Nanodollars by capacity type; a capacity type that AWS does not offer is missing."""


Prices = Mapping[str, Machine]
"""Machines by instance type."""


def hourly(prices: Prices, instance_type: str | None, capacity_type: str | None) -> int | None:
    """Return the price of a machine in nanodollars an hour, or None if it is not known."""
    machine = prices.get(instance_type or "")
    return machine.hourly.get(capacity_type or "") if machine else None


def load(file: Path) -> Prices:
    """Read a file of prices.

    Raises:
        PricesError: the file is not as its schema has it.
        OSError: the file can't be read.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise PricesError(f"{file} must be YAML: {error}") from error
    return parse(document)


def parse(document: Any) -> Prices:
    """Return the machines of a document, as YAML or JSON give it.

    Raises:
        PricesError: it is not as its schema has it.
    """
    entries = document.get("instanceTypes") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise PricesError("prices must have a mapping 'instanceTypes'")
    return {str(name): _machine(str(name), entry) for name, entry in entries.items()}


def _machine(name: str, entry: Any) -> Machine:
    if not isinstance(entry, dict):
        raise PricesError(f"{name} must be a mapping; got {entry!r}")
    prices = {kind: nanodollars(name, entry[kind]) for kind in CAPACITY_TYPES if kind in entry}
    try:
        return Machine(float(entry["cpu"]), int(entry["memory"]) * MIB, int(entry.get("gpu", 0)), prices)
    except (KeyError, TypeError, ValueError) as error:
        raise PricesError(f"{name} must have 'cpu' and 'memory' as numbers") from error


def nanodollars(name: str, dollars: Any) -> int:
    """Return a price that is written in dollars, as an integer of nanodollars.

    Raises:
        PricesError: it is not a decimal number as text, below 10,000 and with at most nine decimals.
    """
    rule = f"a price of {name} must be dollars as text, such as '0.1008', with at most nine decimals"
    if not isinstance(dollars, str):
        raise PricesError(f"{rule}; got {dollars!r}")
    try:
        amount = Decimal(dollars)
    except InvalidOperation as error:
        raise PricesError(f"{rule}; got {dollars!r}") from error
    if not amount.is_finite() or not 0 <= amount < HIGHEST or amount * NANODOLLARS % 1:
        raise PricesError(f"{rule}, from 0 to {HIGHEST}; got {dollars!r}")
    return int(amount * NANODOLLARS)
