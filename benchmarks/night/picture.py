"""Draws a night: machines, pods and the queue of each node group, over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from night.series import Series

COLOURS = {
    "default": "#4c78a8",
    "high-cpu": "#f58518",
    "high-memory": "#54a24b",
    "gpu": "#b279a2",
    "graviton": "#72b7b2",
}
"""Of Tableau's palette of ten."""
SIZE = (9.0, 7.5)
"""Inches."""
DOTS = 110
"""Of an inch."""
SETTINGS: Any = {"font.family": "sans-serif", "font.size": 10}


def draw(sides: dict[str, Series], file: Path) -> None:
    """Write a PNG: a column for each side, with the same scale in each row."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        panels = figure.subplots(3, len(sides), sharex=True, sharey="row", squeeze=False)
        for column, (title, shown) in enumerate(sides.items()):
            hours = [minute / 60 for minute in shown.minutes]
            rows = {"machines": shown.machines, "pods that run": shown.pods, "pods that wait": shown.waiting}
            for row, (name, groups) in enumerate(rows.items()):
                panel = panels[row][column]
                colours = [COLOURS[group] for group in groups]
                panel.stackplot(hours, *groups.values(), labels=[*groups], colors=colours, step="post", linewidth=0)
                panel.spines[["top", "right"]].set_visible(False)
                panel.set_ylim(bottom=0)
                if column == 0:
                    panel.set_ylabel(name)
            panels[0][column].set_title(title)
            panels[2][column].set_xlabel("hours after midnight")
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png", dpi=DOTS)
