"""The benchmarks' modules, after everything else that can be imported."""

import sys

from tests.support.paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))
