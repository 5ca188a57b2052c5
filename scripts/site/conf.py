"""Sphinx's settings for the documentation site; scripts/build_site.py names the folder of the pages."""

from __future__ import annotations

from pathlib import Path

from pygments.lexers.special import TextLexer  # type: ignore[import-untyped]
from sphinx.application import Sphinx

project = "Jobyard"
author = "The Jobyard contributors"
copyright = author
extensions = ["myst_parser"]
highlight_language = "text"
# Examples of mistakes are not always valid YAML.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_title = "Jobyard"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["jobyard.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
# Headings get the names that GitHub and GitLab give them, so that a link works on all three.
myst_heading_anchors = 4


def setup(app: Sphinx) -> None:
    """Show graphs as text: their program would come from another server."""
    app.add_lexer("mermaid", TextLexer)
