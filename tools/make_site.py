"""Builds the documentation site into build/site: `make docs`, or python tools/make_site.py [FOLDER].

The pages of docs/, the README and its neighbours, model cards, notebooks and the commands' help are laid out below a
folder, with links that fit there. Zensical makes the site of them. A dead link fails it, and so does whatever a page would
fetch from elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from check_site import faults

REPOSITORY = Path(__file__).parents[1]
ROOT_PAGES = ("README", "RESULTS", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")
CARDS = PurePosixPath("src/lamnet/pretrained")
# Code is left as it is; a link's target is a path in the repository, with an anchor or without.
LINK = re.compile(
    r"^```.*?^```|`[^`\n]+`|(!?)\[((?:`[^`]*`|[^][])*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)", re.DOTALL | re.M
)


def main(folder: Path) -> None:
    """Lay out the pages in FOLDER/pages, build FOLDER/site of them, check it."""
    pages, site = folder / "pages", folder / "site"
    for old in (pages, site):
        shutil.rmtree(old, ignore_errors=True)
    lay_out(pages)
    shutil.copyfile(REPOSITORY / "zensical.toml", folder / "zensical.toml")
    zensical = Path(sys.executable).with_name("zensical")
    if subprocess.run([zensical, "build", "--strict", "--clean"], cwd=folder, check=False).returncode:
        sys.exit(f"{pages}: zensical refused what stands above")
    if found := list(faults(site)):
        sys.exit("\n".join(found))
    sys.stdout.write(f"{site / 'index.html'}\n")


def lay_out(target: Path) -> None:
    """Write all pages, and the pictures and tables that they show, below a folder."""
    places = dict(_places())
    for source, place in places.items():
        file = target / place
        file.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix == ".md":
            file.write_text(_linked(_text(REPOSITORY / source), source, places), encoding="utf-8")
        else:
            shutil.copyfile(REPOSITORY / source, file)
    (target / "models" / "index.md").write_text(_list_of_cards(places), encoding="utf-8")
    (target / "commands.md").write_text(_commands(), encoding="utf-8")


def _places() -> Iterator[tuple[PurePosixPath, PurePosixPath]]:
    """Return the place of each file of the repository in the site."""
    for name in ROOT_PAGES:
        yield PurePosixPath(f"{name}.md"), PurePosixPath("index.md" if name == "README" else f"{name.lower()}.md")
    yield PurePosixPath("integrations/comfyui/README.md"), PurePosixPath("comfyui.md")
    for path in sorted((REPOSITORY / CARDS).glob("*.md")):
        yield CARDS / path.name, PurePosixPath("models", path.name)
    for path in sorted((REPOSITORY / "docs").rglob("*")):
        source = PurePosixPath(path.relative_to(REPOSITORY).as_posix())
        place = source.relative_to("docs")
        if path.suffix == ".ipynb":
            yield source, place.with_suffix(".md")
        elif path.is_file() and path.suffix != ".py":
            yield source, place.with_name("index.md") if path.name == "README.md" else place


def _text(path: Path) -> str:
    """A page's Markdown; that of a notebook is made of its cells."""
    text = path.read_text(encoding="utf-8")
    return _of_notebook(json.loads(text)) if path.suffix == ".ipynb" else text


def _linked(text: str, source: PurePosixPath, places: Mapping[PurePosixPath, PurePosixPath]) -> str:
    """A page with links that fit the site; what the site has not is named without a link.

    Exits where the repository has no such file.
    """

    def one(found: re.Match[str]) -> str:
        mark, label, target, anchor = found.groups()
        if target is None:
            return found[0]
        path = PurePosixPath(normpath(source.parent / target))
        if not (REPOSITORY / path).exists():
            sys.exit(f"{source}: links to {target}, which is not there")
        place = (
            PurePosixPath("models/index.md") if path == CARDS else places.get(path) or places.get(path / "README.md")
        )
        if place is None:
            return label
        return f"{mark}[{label}]({relpath(place, places[source].parent)}{anchor or ''})"

    return LINK.sub(one, text)


def _of_notebook(notebook: Mapping[str, list[dict[str, object]]]) -> str:
    parts: list[str] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"]) if isinstance(cell["source"], list) else str(cell["source"])
        parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
    return "\n\n".join(parts) + "\n"


def _list_of_cards(places: Mapping[PurePosixPath, PurePosixPath]) -> str:
    names = [place.stem for place in places.values() if place.parent.name == "models"]
    cards = "\n".join(f"- [{name.replace('_', ' ')}]({name}.md)" for name in names)
    return f"# Models that ship\n\nEach has a card: how it was trained, on what, and what it reaches.\n\n{cards}\n"


def _commands() -> str:
    """The help of every command."""
    from lamnet.cli.main import app

    text = app.generate_docs().replace("```console", "```sh").replace("# lamnet\n", "# Commands\n", 1)
    text = re.sub(r"^## Table of Contents$.*?(?=^\*\*Commands\*\*:)", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\[(`--help-recipe`)\]\(#[\w-]+\)", r"\1", text)  # whose heading makes another anchor


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else REPOSITORY / "build")
