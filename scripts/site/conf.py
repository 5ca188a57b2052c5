"""Sphinx's settings for the documentation site; scripts/build_site.py names the folder of the pages."""

from __future__ import annotations

from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "Jobyard"
author = "The Jobyard contributors"
copyright = author
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Jobyard"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["jobyard.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
# GitHub's and GitLab's names of headings, so that a link works on all three. A link to a heading that does not exist is a warning.
myst_heading_anchors = 4


def setup(app: Sphinx) -> None:
    """Show graphs as text: their program would come from another server."""
    app.add_lexer("mermaid", TextLexer)
