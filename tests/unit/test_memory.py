"""More memory after an OOM: what the next pod asks for."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobyard.entries import OnOom, Resources
from jobyard.memory import more_memory, next_memory
from jobyard.quantities import canonical_memory, parse_quantity
from jobyard_cli.parsing.growth import parse_growth

MEBIBYTE = 2**20
sizes = st.one_of(
    st.integers(1, 2**45).map(str),
    st.builds("{}{}".format, st.integers(1, 9_999), st.sampled_from(["Ki", "Mi", "Gi", "k", "M", "G"])),
    st.builds("{}.{}Gi".format, st.integers(0, 99), st.integers(1, 999)),
)


def growing(percent: int | None = None, add: str | None = None, at_most: str = "32Gi") -> OnOom:
    return OnOom(percent=percent, add=add, at_most=at_most)


growths = st.one_of(
    st.builds(growing, percent=st.integers(110, 400), at_most=sizes),
    st.builds(growing, add=sizes, at_most=sizes),
)


def amount(quantity: str) -> int:
    return ceil(parse_quantity(quantity))


@pytest.mark.parametrize(
    ("current", "on_oom", "expected"),
    [
        ("16Gi", growing(percent=200), "32Gi"),
        ("16Gi", growing(add="4Gi"), "20Gi"),
        ("1Gi", growing(percent=150), "1536Mi"),
        # 1.1 times 1 Gi are 1126.4 Mi.
        ("1Gi", growing(percent=110), "1127Mi"),
        ("1000000000", growing(percent=150), "1431Mi"),
        ("1Mi", growing(add="1"), "2Mi"),
        # The bound is the bound, whether it is in whole Mi or not.
        ("20Gi", growing(percent=200), "32Gi"),
        ("1Gi", growing(percent=200, at_most="1500000000"), "1500000000"),
        ("32Gi", growing(percent=200), None),
        ("33Gi", growing(add="1Gi"), None),
        # 2^53 is where a float would lose the last byte.
        ("9007199254740993", growing(add="1", at_most="9007199254740994"), "9007199254740994"),
        # No check lets these pass; they must not start the same pod again.
        ("1Gi", growing(), None),
        ("1Gi", growing(add="0"), None),
    ],
)
def test_the_next_amount(current: str, on_oom: OnOom, expected: str | None) -> None:
    assert next_memory(current, on_oom) == expected


@given(current=sizes, on_oom=growths)
def test_each_amount_is_more_than_the_last_and_no_more_than_was_said(current: str, on_oom: OnOom) -> None:
    following = next_memory(current, on_oom)
    size, most = amount(current), amount(on_oom["at_most"])
    if following is None:
        assert size >= most
        return
    grown = amount(following)
    assert following == canonical_memory(following)
    assert size < grown <= most
    wanted = size + amount(on_oom["add"]) if on_oom["add"] else size * (on_oom["percent"] or 0) / 100
    if grown < most:
        assert grown % MEBIBYTE == 0
        assert wanted - 1 <= grown < wanted + MEBIBYTE + 1
    else:
        assert wanted + MEBIBYTE + 1 > most


@given(memory=sizes, ratio=st.integers(100, 200), on_oom=growths)
def test_request_and_limit_grow_until_the_limit_is_at_most_and_stay_in_proportion(
    memory: str, ratio: int, on_oom: OnOom
) -> None:
    limit = str(amount(memory) * ratio // 100)
    resources = Resources(requests={"cpu": "1", "memory": memory}, limits={"memory": limit, "ephemeral-storage": "2Gi"})
    more = more_memory(resources, on_oom)
    assert resources["limits"]["memory"] == limit
    assert (more is None) == (amount(limit) >= amount(on_oom["at_most"]))
    if more is None:
        return
    new_request, new_limit = amount(more["requests"]["memory"]), amount(more["limits"]["memory"])
    # charts/bounds refuses a limit of more than twice the request.
    assert amount(memory) < new_request <= new_limit <= 2 * new_request
    assert (more["requests"]["cpu"], more["limits"]["ephemeral-storage"]) == ("1", "2Gi")


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        ({"memory": "1Gi"}, {}, ({"memory": "2Gi"}, {})),
        ({}, {"memory": "1Gi"}, ({}, {"memory": "2Gi"})),
        ({}, {}, None),
    ],
)
def test_a_release_written_by_hand_may_lack_one_of_them(requests: Any, limits: Any, expected: Any) -> None:
    more = more_memory(Resources(requests=requests, limits=limits), growing(percent=200))
    assert (more and (more["requests"], more["limits"])) == expected


@pytest.mark.parametrize(
    ("written", "percent", "add"),
    [
        ("x2", 200, None),
        ("x1.1", 110, None),
        ("x1.15", 115, None),
        ("x2.3", 230, None),
        ("x4.00", 400, None),
        ("+4Gi", None, "4Gi"),
        ("+512Mi", None, "512Mi"),
        ("+1.5Gi", None, "1536Mi"),
        ("+1G", None, "1000000000"),
    ],
)
def test_how_a_job_says_it(written: str, percent: int | None, add: str | None) -> None:
    assert parse_growth({"memory": written, "at_most": "32768Mi"}) == growing(percent, add)


@pytest.mark.parametrize(
    "written", ["x1", "x1.09", "x4.01", "x", "2", 2, "4Gi", "+", "+4GB", "x2Gi", "X2", "x-2", None]
)
def test_what_is_no_growth_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"neither a factor|is not a factor|is not a quantity"):
        parse_growth({"memory": written, "at_most": "32Gi"})


@pytest.mark.parametrize("at_most", [None, "lots", [], "32GB"])
def test_a_bound_that_is_no_size_is_refused(at_most: object) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_growth({"memory": "x2", "at_most": at_most})
