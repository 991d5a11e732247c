"""Ranked text search over the tools of a catalog. Pure: the same catalog and query give the same answer.

A tool is a small document of weighted fields; the score is BM25 over their words. A word
of the query that only begins a word of the tool (or the other way round) counts half.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lash.tools.catalog import NO_KEYWORDS, ToolKeywords
from lash.tools.definition import ToolDefinition

WEIGHTS = {"name": 4.0, "alias": 4.0, "namespace": 2.0, "description": 1.0, "parameter": 0.5}
PARTIAL = 0.5
MIN_PREFIX = 3
EXACT_NAME = 100.0
SMALL_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "i", "in", "it", "of", "on", "or", "the", "to", "with")
)
# BM25: how soon a repeated word stops counting, and how much long documents are held back.
K1 = 1.2
B = 0.5

_RUNS = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?!s$)[a-z])")


@dataclass(frozen=True, slots=True)
class Searchable:
    """A tool that may be found."""

    definition: ToolDefinition
    keywords: ToolKeywords = NO_KEYWORDS


def words_of(text: str) -> list[str]:
    """The words of a text or an identifier, folded: `listOpen_PRs` gives list, open, pr."""
    return [_stem(piece.casefold()) for run in _RUNS.findall(text) for piece in _CAMEL.split(run) if piece]


def search(tools: Sequence[Searchable], query: str) -> list[Searchable]:
    """The tools that have anything to do with the query, best first; equal ones in their own order."""
    asked = list(dict.fromkeys(words_of(query)))
    wanted = [word for word in asked if word not in SMALL_WORDS] or asked
    documents = [_document(tool) for tool in tools]
    if not wanted or not documents:
        return []
    average = sum(sum(document.values()) for document in documents) / len(documents)
    counts = [[_count(word, document) for word in wanted] for document in documents]
    rarity = [_rarity(len(tools), sum(row[place] > 0 for row in counts)) for place in range(len(wanted))]
    scored: list[tuple[float, int]] = []
    for number, (tool, document, row) in enumerate(zip(tools, documents, counts, strict=True)):
        held = K1 * (1 - B + B * sum(document.values()) / average)
        score = sum(idf * count * (K1 + 1) / (count + held) for idf, count in zip(rarity, row, strict=True))
        if _is_named(tool, query):
            score += EXACT_NAME
        if score > 0:
            scored.append((-score, number))
    return [tools[number] for _, number in sorted(scored)]


def _document(tool: Searchable) -> dict[str, float]:
    definition, keywords = tool.definition, tool.keywords
    found: dict[str, float] = {}
    for field, text in (
        ("name", definition.name),
        ("alias", " ".join(keywords.aliases)),
        ("namespace", keywords.namespace),
        ("description", definition.manifest.description),
        ("parameter", " ".join(definition.compact.parameters)),
    ):
        for word in words_of(text):
            found[word] = found.get(word, 0.0) + WEIGHTS[field]
    # A tool without a word is never found; it must not be divided by either.
    return found or {"": 1.0}


def _count(word: str, document: dict[str, float]) -> float:
    exact = document.get(word)
    if exact is not None:
        return exact
    return PARTIAL * max((weight for other, weight in document.items() if _begins(word, other)), default=0.0)


def _begins(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= MIN_PREFIX and long.startswith(short)


def _rarity(total: int, containing: int) -> float:
    return math.log(1 + (total - containing + 0.5) / (containing + 0.5))


def _is_named(tool: Searchable, query: str) -> bool:
    asked = query.strip().casefold()
    return asked in (tool.definition.name.casefold(), *(alias.casefold() for alias in tool.keywords.aliases))


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 2 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
