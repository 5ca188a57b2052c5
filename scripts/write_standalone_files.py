"""Copies into charts/team what bounds a team under the platform: the chart makes it by itself where it is `standalone`.

charts/team is copied into each team's repository, where the platform's charts are not, and links do not outlive every
way there. So it has copies, of whole files, that a person changes in the platform's charts alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOUNDS = ("limitranges", "namespaces", "networkpolicies", "resourcequotas")


def copies() -> Iterator[tuple[Path, str]]:
    """Each file, with the text it must have."""
    for name in BOUNDS:
        source = f"charts/bounds/templates/{name}.yaml"
        note = f"{{{{- /* Copied by `make docs` from {source}: change it there. */ -}}}}\n"
        yield ROOT / "charts" / "team" / "templates" / f"{name}.yaml", note + _text(source)
    for name, source in (
        ("clusterroles.yaml", "charts/platform/templates/clusterroles.yaml"),
        ("bounds.yaml", "charts/bounds/values.yaml"),
    ):
        yield (
            ROOT / "charts" / "team" / "files" / name,
            f"# Copied by `make docs` from {source}: change it there.\n{_text(source)}",
        )


def _text(source: str) -> str:
    return (ROOT / source).read_text(encoding="utf-8")


def main() -> None:
    """Write the files."""
    for file, text in copies():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
