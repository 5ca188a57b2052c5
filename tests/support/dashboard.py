"""What Grafana's dashboard asks of Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.support.paths import ROOT

FILE = ROOT / "charts" / "platform" / "files" / "grafana-dashboard.json"
VARIABLES = {"$team": "team-.+", "$__range": "1h", "$__rate_interval": "1m"}
"""What Grafana puts in where a query has one of these."""


def expressions() -> Iterator[str]:
    """Yield the query of every panel, as Grafana sends it."""
    for panel in json.loads(FILE.read_text())["panels"]:
        for target in panel["targets"]:
            yield _filled(target["expr"])


def metrics() -> set[str]:
    """Return the name of each metric that a panel shows."""
    return {name for one in expressions() for name in re.findall(r"\b((?:container|kube)_\w+)(?=[{\[)])", one)}


def _filled(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query
