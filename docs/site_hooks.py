"""MkDocs hooks: pages from outside ``docs/`` (studies, examples, contributing) become part of the site."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "examples/**/*.md", "experiments/*/**/*.md")
"""Pages of the repository that pages of the manual link to, or that these link to."""

LINK = re.compile(r"(\]\()([^)\s#]+)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages from outside, and every file that one of them links to."""
    pages = {path for pattern in OUTSIDE for path in ROOT.glob(pattern)}
    linked = {
        target
        for page in pages
        for _, link in LINK.findall(page.read_text())
        if (target := (page.parent / link).resolve()).is_file() and not target.is_relative_to(DOCS)
    }
    for path in sorted(pages | linked):
        place = path.relative_to(ROOT).as_posix()
        shown = InclusionLevel.NOT_IN_NAV
        files.append(File(place, str(ROOT), config.site_dir, config.use_directory_urls, inclusion=shown))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    source = Path(page.file.abs_src_path)

    def in_the_site(match: re.Match[str]) -> str:
        target = (source.parent / match[2]).resolve()
        if ":" in match[2] or not target.is_file():
            return match[0]
        return f"{match[1]}{'../' * page.file.src_uri.count('/')}{_place(target)}"

    return LINK.sub(in_the_site, markdown)


def _place(target: Path) -> str:
    """Where a file of the repository is in the site, which has the manual's pages at its top."""
    if target == ROOT / "README.md":
        return "index.md"
    return target.relative_to(DOCS if target.is_relative_to(DOCS) else ROOT).as_posix()
