"""What the pages show is what happens: their code and commands are run, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_code_and_commands_of_the_page(name: str, blocks: ModuleType, tmp_path: Path) -> None:
    page = ROOT / name
    if missing := blocks.missing_modules(page):
        pytest.skip(f"{name} needs {', '.join(missing)}: pip install 'neuromorph[all]'")
    failures = blocks.check(page, tmp_path)
    assert not failures, "\n".join(f"{name}:{f.block.line}: {f.message}" for f in failures)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings(name: str) -> None:
    page = ROOT / name
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        path, _, anchor = (link[0] or link[1]).partition("#")
        if path.startswith(("http://", "https://")):
            continue
        target = (page.parent / path) if path else page
        assert target.exists(), f"{name} links to {path}"
        if anchor:
            assert anchor in anchors(target), f"{name} links to {path}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Names of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", NAMES)
def test_every_fence_has_a_language(name: str, blocks: ModuleType) -> None:
    """A fence without a language would be code that nobody runs."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(re.findall(r"^```", text, flags=re.MULTILINE)) == 2 * len(blocks.blocks(ROOT / name))


class TestBlocks:
    """The checker itself finds what is wrong."""

    @pytest.fixture
    def page(self, tmp_path: Path) -> Path:
        return tmp_path / "page.md"

    @pytest.mark.parametrize(
        "text",
        [
            "```python\nx = 1 / 0\n```\n",
            "```python\nprint(1)\n```\n\n```output\n2\n```\n",
            "```console\n$ neuromorph targets\nno such target\n```\n",
            "<!-- exit: 1 -->\n```console\n$ neuromorph targets\n```\n",
        ],
    )
    def test_a_wrong_page_fails(self, page: Path, blocks: ModuleType, text: str) -> None:
        page.write_text(text)
        assert len(blocks.check(page, page.parent)) == 1

    def test_a_right_page_passes(self, page: Path, blocks: ModuleType) -> None:
        page.write_text("```python\nx = 1\n```\n\n```python\nprint('a', x, 7)\n```\n\n```output\na ... 7\n```\n")
        assert blocks.check(page, page.parent) == []
