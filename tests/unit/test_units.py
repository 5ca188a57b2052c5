"""Durations and Kubernetes quantities."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobyard.quantities import canonical_memory, parse_quantity
from jobyard_cli.parsing.durations import parse_duration
from jobyard_cli.parsing.quantities import canonical_cpu


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400), ("0s", 0)]
)
def test_a_duration_is_a_sum_of_its_parts(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "1w", "-5m", "5M", "1.5h", "5m "])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="must be 90s, 5m, 2h, 1d or a sum such as 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("asked", "written"),
    [("500m", "500m"), (0.5, "500m"), ("12000m", "12"), (2, "2"), ("0.0001", "1m"), ("1.5", "1500m")],
)
def test_cpu_is_written_as_the_api_server_would(asked: str | float, written: str) -> None:
    assert canonical_cpu(asked) == written


@pytest.mark.parametrize(
    ("asked", "written"),
    [("1024Mi", "1Gi"), ("1536Mi", "1536Mi"), ("1G", "1000000000"), ("0.5Gi", "512Mi"), (1024, "1Ki"), ("0", "0")],
)
def test_memory_is_written_as_the_api_server_would(asked: str | int, written: str) -> None:
    assert canonical_memory(asked) == written


@given(number=st.integers(0, 10**6), unit=st.sampled_from(["", "m", "Ki", "Mi", "Gi", "k", "M", "G"]))
def test_writing_a_quantity_anew_never_asks_for_less_and_for_no_more_than_one_unit_more(number: int, unit: str) -> None:
    asked = parse_quantity(f"{number}{unit}")
    assert 0 <= parse_quantity(canonical_memory(f"{number}{unit}")) - asked < 1
    assert 0 <= parse_quantity(canonical_cpu(f"{number}{unit}")) - asked < Decimal("0.001")
    assert canonical_memory(canonical_memory(f"{number}{unit}")) == canonical_memory(f"{number}{unit}")


@pytest.mark.parametrize("text", ["", "two", "4GB", "4 Gi", "-1", "1e3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)
