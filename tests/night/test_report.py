"""The Markdown of a night, and the program that is built for it."""

from __future__ import annotations

import pytest
from night.built_karpenter import _shortened
from night.cost import Machines
from night.report import grown, table
from night.scenario import ROOT, catalogue

SOURCE = """\
package disruption

import (
	"time"
)

const pollingPeriod = 10 * time.Second

const (
	base = 1 * time.Second
	most = 9
)

var window = max(2*batch, 10*time.Second)
"""


def test_a_table_has_a_column_for_each_of_its_head() -> None:
    assert (
        table("| | a | b |", [["x", "1", "2"], ["y", "3", "4"]])
        == "| | a | b |\n|---|---|---|\n| x | 1 | 2 |\n| y | 3 | 4 |"
    )


def test_more_teams_cost_more() -> None:
    lines = grown(catalogue(), Machines.read(ROOT), (1, 10)).splitlines()
    assert lines[0] == "| teams | jobs | bound, dollars | a machine a team: all day | in the night alone |"
    one, ten = (line.split(" | ") for line in lines[2:])
    assert (one[0], one[1], ten[1]) == ("| 1", "10", "100")
    assert all(float(few.rstrip(" |")) < float(many.rstrip(" |")) for few, many in zip(one[2:], ten[2:], strict=True))


def test_fixed_times_of_karpenter_become_shorter() -> None:
    shortened = _shortened(SOURCE, ["pollingPeriod", "base"], ["10*time.Second"])
    assert 'import (\n\t"sigs.k8s.io/karpenter/pkg/pace"\n\t"time"\n)' in shortened
    assert "const (\n\tmost = 9\n)" in shortened
    assert "var window = max(2*batch, pace.Of(10*time.Second))" in shortened
    assert "\nvar pollingPeriod = pace.Of(10 * time.Second)\n" in shortened
    assert shortened.endswith("\nvar base = pace.Of(1 * time.Second)\n")


@pytest.mark.parametrize(("constants", "expressions"), [(["other"], []), ([], ["3 * time.Second"])])
def test_a_time_that_karpenter_no_longer_has_is_seen(constants: list[str], expressions: list[str]) -> None:
    with pytest.raises(AssertionError):
        _shortened(SOURCE, constants, expressions)
