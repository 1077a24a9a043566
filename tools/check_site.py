"""Finds what is wrong with a built site: links and pictures that lead nowhere, and what a page fetches from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

IN_CSS = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


class Link(NamedTuple):
    """Target of a tag, and whether the browser fetches it by itself."""

    target: str
    fetched: bool


class _Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag points at, and its name as an anchor."""
        attributes = {name: value or "" for name, value in attrs}
        self.anchors |= {attributes[name] for name in ("id", "name") if name in attributes}
        fetched = tag != "a" and attributes.get("rel") not in ("canonical", "prev", "next")
        self.links += [Link(attributes[name], fetched) for name in ("href", "src") if name in attributes]


def faults(site: Path) -> Iterator[str]:
    """Yield a line for each fault of a site: its file, and the link as it stands there."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path, page in pages.items():
        if path.name != "404.html":  # which any address may show
            yield from (f"{path.relative_to(site)}: {fault}" for fault in _faults_of(path, page, pages))
    for path in site.rglob("*.css"):
        for found in IN_CSS.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)}: fetches {found}"


def _faults_of(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    for link in page.links:
        parts = urlsplit(link.target)
        if parts.scheme in ("data", "mailto"):
            continue
        if parts.scheme or parts.netloc:
            if link.fetched:
                yield f"fetches {link.target}"
            continue
        target = path.parent.joinpath(unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            yield f"links to {link.target}, which is not there"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            yield f"links to {link.target}, an anchor which is not there"
