"""The index lists every page."""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_every_page_is_listed_in_the_index():
    index = (DOCS / "index.md").read_text()
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
