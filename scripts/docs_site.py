"""A hook of mkdocs: pages that lie outside docs/ are part of the site, and links lead to them.

README, CHANGELOG and so on are read where they are. A link to a file that is no page (a program,
a licence) becomes plain text; a link to nothing stays a link, so that the strict build fails.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import reference  # a script beside this one

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "project/readme.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "benchmarks/README.md": "project/benchmarks.md",
}
_LINK = re.compile(r"\[([^\]\n]*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages from outside, and the reference."""
    from mkdocs.structure.files import File

    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
    for name, text in reference.pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as they are written in the repository, made to lead to pages of the site."""
    del config, files
    place = str(page.file.src_uri)
    source = next((outside for outside, inside in OUTSIDE.items() if inside == place), f"docs/{place}")

    def relinked(found: re.Match[str]) -> str:
        text, link = found.groups()
        path, mark, anchor = link.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return found.group()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        inside = OUTSIDE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if inside is not None:
            return f"[{text}]({posixpath.relpath(inside, posixpath.dirname(place) or '.')}{mark}{anchor})"
        return text if (ROOT / target).exists() else found.group()

    return _LINK.sub(relinked, markdown)
