"""What the README and the pages of the documentation show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_blocks import ROOT, parse

import groupstore

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#\s]*)(#[^)\s]*)?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_code_blocks_do_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run from top to bottom in an empty folder, every block works and gives what is shown."""
    monkeypatch.chdir(tmp_path)
    document = parse(page)
    try:
        for example in document.examples():
            example.evaluate()
    finally:
        for value in document.namespace.values():
            if isinstance(value, groupstore.Store):
                value.close()


def anchor(heading: str) -> str:
    """The fragment that GitHub and MyST make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    return {f"#{anchor(heading)}" for heading in HEADING.findall(text)}


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("*.md")), *PAGES[1:]], ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link into the repository names a file that is there, and a heading that it has."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for name, fragment in LINK.findall(text):
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{name}: no such file"
        assert not fragment or fragment in anchors(target), f"{name}{fragment}: no such heading"


def test_the_front_page_lists_every_page() -> None:
    """The site's contents are made of the front page's links, so that no page is left out."""
    front = ROOT / "docs" / "index.md"
    listed = {name for name, _ in LINK.findall(front.read_text(encoding="utf-8"))}
    pages = {page.relative_to(front.parent).as_posix() for page in PAGES[1:] if page != front}
    assert pages <= listed


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n").split("|")]


def test_readme_has_the_figures_of_the_benchmarks() -> None:
    """Each figure of the README's table is the ratio in the benchmarks' section of that name."""
    measured = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    header, _, *rows = text.partition("a test compares them. -->\n")[2].split("\n\n")[0].split("\n")
    _, *works = cells(header)
    for row in rows:
        name, *shown = cells(row)
        sections = [measured.partition(f"\n### {work}\n")[2] for work in works]
        lines = [re.search(rf"^\| {name} \|.*$", section, re.MULTILINE) for section in sections]
        assert shown == [cells(line[0])[3] for line in lines if line], name
