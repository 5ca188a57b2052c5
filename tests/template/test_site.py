"""The documentation site: builds without a warning, has every page and a search, and its links lead somewhere."""

from __future__ import annotations

from pathlib import Path

import build_site
import pytest
from build_site import SiteError, localized, pages_of


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    assert build_site.main(target) == 0
    return target


def test_every_page_is_in_the_navigation_and_the_search(site: Path) -> None:
    pages = [page for section in pages_of().values() for page in section]
    front, index = (site / "index.html").read_text(), (site / "searchindex.js").read_text()
    assert len(pages) > 12
    assert [page for page in pages if f'href="{page}.html"' not in front] == []
    assert [page for page in pages if f'"{page}"' not in index] == []


def test_no_link_leads_out_of_the_site(site: Path) -> None:
    texts = {file.name: file.read_text() for file in site.glob("*.html")}
    assert [name for name, text in texts.items() if 'href="../' in text or '.md"' in text] == []


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    texts = [file.read_text() for file in site.glob("*.html")]
    assert [
        text for text in texts if 'src="http' in text or '<link rel="stylesheet" type="text/css" href="http' in text
    ] == []


def test_a_broken_link_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"Tutorial": ("page",)}
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Index\n\nSee [the page](page.md#not-a-heading).\n")
    (tmp_path / "docs" / "page.md").write_text("# Page\n\nText.\n")
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    monkeypatch.setattr(build_site, "NAVIGATION", broken)
    monkeypatch.setattr(build_site, "FROM_THE_TOP", ())
    monkeypatch.setattr(build_site, "pages_of", lambda: broken)
    assert build_site.main(tmp_path / "site") == 1


@pytest.mark.parametrize(
    ("text", "folder", "expected"),
    [
        ("[the page](plan.md#warnings)", "docs", "[the page](plan.md#warnings)"),
        ("[how](../CONTRIBUTING.md)", "docs", "[how](CONTRIBUTING.md)"),
        ("[`argocd/`](../argocd) has it", "docs", "`argocd/` has it"),
        ("[glossary](docs/glossary.md)", "", "[glossary](glossary.md)"),
        ("[it](https://example.com/x.md)", "docs", "[it](https://example.com/x.md)"),
        ("[gone](gone.md)", "docs", "[gone](gone.md)"),
    ],
)
def test_links_lead_to_pages_or_are_text(text: str, folder: str, expected: str) -> None:
    assert localized(text, folder) == expected


def test_a_page_that_nothing_names_is_an_error(tmp_path: Path) -> None:
    for section in (*build_site.NAVIGATION.values(), ("index", "new")):
        for page in section:
            (tmp_path / f"{page}.md").touch()
    with pytest.raises(SiteError, match="must name every page; missing: new"):
        pages_of(tmp_path)
