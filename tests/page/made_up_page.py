"""Writes the page of twelve made-up teams into a folder, for `make screenshots` and for a look at a change."""

from __future__ import annotations

import sys
from pathlib import Path

from jobyard_metrics.page import Settings, files

from tests.page.drawn_history import Drawing, draw

SETTINGS = Settings(
    environment="prod", airflow_url="https://airflow.example.com", argocd_url="https://argocd.example.com"
)


def write_made_up_page(folder: Path) -> None:
    """Write the page's files below a folder."""
    for name, body in files(draw(), Drawing.newest, SETTINGS).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


if __name__ == "__main__":
    write_made_up_page(Path(sys.argv[1]))
