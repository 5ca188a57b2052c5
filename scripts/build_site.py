"""Builds the documentation site from docs/, and fails on every warning: `make site`.

Sphinx with MyST reads Markdown as git hosts do (CommonMark with tables), so that a page looks the same on a git host
and on the site. It checks every link between pages, headings included, and needs no network. Zensical reads Markdown
by other rules: a list right after a paragraph, or one within a list, would need other text.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sphinx.cmd.build import build_main

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ROOT / "scripts" / "site"
TARGET = ROOT / "build" / "site"
PICTURES = ROOT / "docs" / "pictures"
NAVIGATION: dict[str, tuple[str, ...]] = {
    "Tutorial": ("first-job", "tutorial"),
    "How-to guides": (
        "install",
        "workflows",
        "run",
        "notebook",
        "mlflow",
        "runs",
        "ingestion",
        "import-crontab",
        "import-dag-factory",
        "local-platform",
        "one-team",
        "queues",
        "secrets",
        "pipelines",
        "metrics",
        "adding-a-field",
    ),
    "Reference": ("job", "values", "rules", "plan", "sync", "usage", "sampling", "iam", "glossary"),
    "Explanation": ("pods", "bounds", "threat-model", "scanners", "night"),
    "Project": ("CONTRIBUTING", "CHANGELOG", "SECURITY"),
}
"""Section to its pages, in order."""
GENERATED_LATER = frozenset(["adding-a-field", "rules"])
"""Pages that may not exist yet."""
FROM_THE_TOP = NAVIGATION["Project"]
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


class SiteError(Exception):
    """The pages and the navigation do not fit together."""


def main(target: Path = TARGET) -> int:
    """Sphinx's exit code; 0 if it built every page without a warning.

    Raises:
        SiteError: a page is missing in the navigation, or the other way round.
    """
    with tempfile.TemporaryDirectory(prefix="jobyard-site-") as folder:
        pages = Path(folder)
        _stage(pages)
        shutil.rmtree(target, ignore_errors=True)
        options = ["-q", "-W", "--keep-going", "-E", "-d", str(pages / ".doctrees"), "-c", str(SETTINGS)]
        return build_main([*options, "-b", "html", str(pages), str(target)])


def pages_of(docs: Path = ROOT / "docs") -> dict[str, list[str]]:
    """Section to its pages that exist.

    Raises:
        SiteError: a page is missing in the navigation, or the other way round.
    """
    existing = {file.stem for file in docs.glob("*.md")}.union(FROM_THE_TOP)
    named = {"index"}.union(*NAVIGATION.values())
    if unnamed := existing - named:
        raise SiteError(
            f"NAVIGATION in scripts/build_site.py must name every page; missing: {', '.join(sorted(unnamed))}"
        )
    if missing := named - existing - GENERATED_LATER:
        raise SiteError(f"NAVIGATION in scripts/build_site.py names missing pages: {', '.join(sorted(missing))}")
    found = {}
    for section, pages in NAVIGATION.items():
        found[section] = [page for page in pages if page in existing]
    return found


def _stage(folder: Path) -> None:
    """Copy the pages, with links that lead out of the site as plain text, and the navigation in the first page."""
    for file in (ROOT / "docs").glob("*.md"):
        (folder / file.name).write_text(localized(file.read_text(encoding="utf-8"), "docs"), encoding="utf-8")
    shutil.copytree(PICTURES, folder / PICTURES.name)
    for name in FROM_THE_TOP:
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
        (folder / f"{name}.md").write_text(localized(text, ""), encoding="utf-8")
    with (folder / "index.md").open("a", encoding="utf-8") as index:
        index.write("".join(_toctrees()))


def _toctrees() -> Iterator[str]:
    for section, pages in pages_of().items():
        entries = "\n".join(pages)
        yield f"\n```{{toctree}}\n:hidden:\n:caption: {section}\n\n{entries}\n```\n"


def localized(text: str, folder: str) -> str:
    """The page with each link to a page of the site relative to it, and each other link to a file as its text alone."""

    def replace(link: re.Match[str]) -> str:
        words, path, anchor = link[1], link[2], link[3] or ""
        target = (ROOT / folder / path).resolve()
        if not target.exists() or target.parent == PICTURES:
            return link[0]
        if target.parent == ROOT / "docs" or target in {ROOT / f"{name}.md" for name in FROM_THE_TOP}:
            return f"[{words}]({target.name}{anchor})"
        return words if target.is_relative_to(ROOT) else link[0]

    return LINK.sub(replace, text)


if __name__ == "__main__":
    sys.exit(main())
