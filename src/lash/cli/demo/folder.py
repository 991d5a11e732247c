"""Reading a folder of any size within bounds: what a tool of the demo may see of it.

Nothing here follows a symbolic link, leaves the file system it started on, opens
anything but a regular file that has content, or reads more than a fixed amount; what
cannot be read is counted, never raised. The order is by name, so that two reads of an
unchanged folder give the same answer.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

# Enough to be interesting, little enough that a home directory takes under a second.
MAX_FILES: Final = 2_000
MAX_FOLDERS: Final = 1_000
MAX_ENTRIES_PER_FOLDER: Final = 5_000
MAX_BYTES_PER_FILE: Final = 256 * 1024
MAX_BYTES_IN_ALL: Final = 16 * 1024 * 1024

SKIPPED: Final = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", ".idea", ".cache", ".stamps", ".services"),
        *("node_modules", "site-packages", "__pycache__", "dist", "build", "target"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"),
    }
)
LANGUAGES: Final = {
    ".c": "C",
    ".cpp": "C++",
    ".css": "CSS",
    ".go": "Go",
    ".h": "C",
    ".html": "HTML",
    ".java": "Java",
    ".js": "JavaScript",
    ".json": "JSON",
    ".md": "Markdown",
    ".py": "Python",
    ".rb": "Ruby",
    ".rs": "Rust",
    ".sh": "Shell",
    ".sql": "SQL",
    ".toml": "TOML",
    ".ts": "TypeScript",
    ".txt": "Text",
    ".yaml": "YAML",
    ".yml": "YAML",
}
_MARKER = re.compile(rb"\b(TODO|FIXME|XXX|HACK)\b")


@dataclass(frozen=True, slots=True)
class File:
    """A regular file; `shown` is its path below the folder, always printable."""

    path: str
    shown: str
    size: int


@dataclass(slots=True)
class Survey:
    """What was found. `is_capped` means that there is more than the bounds allow."""

    files: list[File] = field(default_factory=list)
    folders: int = 0
    unreadable: int = 0
    is_capped: bool = False


def survey(folder: Path) -> Survey:
    """The files below `folder`, up to the bounds."""
    found = Survey()
    waiting = [os.fspath(folder)]
    device = folder.stat().st_dev
    while waiting:
        if found.folders >= MAX_FOLDERS or len(found.files) >= MAX_FILES:
            found.is_capped = True
            break
        here = waiting.pop()
        try:
            with os.scandir(here) as entries:
                listed = list(islice(entries, MAX_ENTRIES_PER_FOLDER + 1))
        except OSError:
            found.unreadable += 1
            continue
        found.folders += 1
        if len(listed) > MAX_ENTRIES_PER_FOLDER:
            found.is_capped = True
        below: list[str] = []
        for entry in sorted(listed[:MAX_ENTRIES_PER_FOLDER], key=lambda one: one.name):
            _sort_in(entry, folder, device, found, below)
        waiting += reversed(below)
    return found


def _sort_in(entry: os.DirEntry[str], folder: Path, device: int, found: Survey, below: list[str]) -> None:
    try:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SKIPPED and entry.stat(follow_symlinks=False).st_dev == device:
                below.append(entry.path)
        elif entry.is_file(follow_symlinks=False):
            if len(found.files) >= MAX_FILES:
                found.is_capped = True
                return
            size = entry.stat(follow_symlinks=False).st_size
            found.files.append(File(entry.path, printable(os.path.relpath(entry.path, folder)), size))
    except OSError:
        found.unreadable += 1


def printable(path: str) -> str:
    """A path as text that can be stored and shown, whatever bytes its name holds."""
    return os.fsencode(path).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Content:
    """The start of a text file; None when it could not be read, b"" when it is binary or too much."""

    file: File
    text: bytes | None


def contents(files: list[File]) -> Iterator[Content]:
    """The text of each file, within the bounds."""
    left = MAX_BYTES_IN_ALL
    for file in files:
        if file.size == 0:
            # Among them what a kernel shows as files: reading such a one may wait for ever.
            yield Content(file, b"")
            continue
        try:
            with open(file.path, "rb") as stream:
                data = stream.read(min(MAX_BYTES_PER_FILE, left))
        except OSError:
            yield Content(file, None)
            continue
        left -= len(data)
        yield Content(file, b"" if b"\0" in data[:8192] else data)


@dataclass(slots=True)
class Lines:
    """Lines by language, and how many files could not be read."""

    by_language: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_language.values())


def count_lines(files: list[File]) -> Lines:
    """Lines of text files by language, the largest first."""
    counted = Lines()
    for content in contents(files):
        language = LANGUAGES.get(os.path.splitext(content.file.path)[1].lower(), "other")
        if content.text is None:
            counted.unreadable += 1
        elif content.text:
            lines = content.text.count(b"\n") + (not content.text.endswith(b"\n"))
            counted.by_language[language] = counted.by_language.get(language, 0) + lines
    counted.by_language = dict(sorted(counted.by_language.items(), key=lambda item: (-item[1], item[0])))
    return counted


@dataclass(slots=True)
class Markers:
    """TODO and its relatives: how many, and where the first ones are."""

    counts: dict[str, int] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)


def find_markers(files: list[File], halfway: Callable[[], None], places: int = 3) -> Markers:
    """Markers in text files. `halfway` is called once, in the middle of the work."""
    found = Markers()
    middle = len(files) // 2
    for number, content in enumerate(contents(files)):
        if number == middle:
            halfway()
        for match in _MARKER.finditer(content.text or b""):
            word = match[1].decode()
            found.counts[word] = found.counts.get(word, 0) + 1
            if len(found.places) < places:
                line = (content.text or b"").count(b"\n", 0, match.start()) + 1
                found.places.append(f"{content.file.shown}:{line}")
    if not files:
        halfway()
    return found


@dataclass(frozen=True, slots=True)
class Large:
    """One of the largest files; the digest is of its first bytes, None when it cannot be read."""

    shown: str
    size: int
    digest: str | None


def hash_largest(files: list[File], limit: int) -> list[Large]:
    """The largest files with a digest of what is read of them."""
    chosen = sorted(files, key=lambda file: (-file.size, file.shown))[: max(0, min(limit, 10))]
    return [Large(file.shown, file.size, _digest(file)) for file in chosen if file.size > 0]


def _digest(file: File) -> str | None:
    try:
        with open(file.path, "rb") as stream:
            return hashlib.sha256(stream.read(MAX_BYTES_PER_FILE)).hexdigest()[:16]
    except OSError:
        return None
