"""A transcript as Markdown."""

from __future__ import annotations

import re

from lash.runtime.export.transcript import Entry, Transcript


def as_markdown(transcript: Transcript) -> str:
    """One document: a heading per speaker, fenced blocks for calls, results and code."""
    model = f" · {transcript.model}" if transcript.model else ""
    usage = transcript.usage
    blocks = [
        f"# Session {transcript.session_id}",
        f"Revision {transcript.revision}{model} · {usage.input_tokens} tokens in, {usage.output_tokens} out",
    ]
    speaker = ""
    for entry in transcript.entries:
        if entry.kind == "text" and entry.title != speaker:
            speaker = entry.title
            blocks.append(f"## {speaker.capitalize()}")
        blocks.append(_block(entry))
        if entry.kind in ("result", "frame"):
            speaker = ""
    return "\n\n".join(blocks) + "\n"


def _block(entry: Entry) -> str:
    match entry.kind:
        case "text":
            return entry.text
        case "reasoning":
            return "\n".join(f"> {line}" for line in entry.text.splitlines())
        case "call":
            return f"**→ {entry.title}**\n\n{_fenced(entry.text, 'json')}"
        case "result":
            return f"**← {entry.title}**\n\n{_fenced(entry.text)}"
        case "code":
            return f"**{entry.title}**\n\n{_fenced(entry.text)}"
        case "image":
            return f"*image: {entry.title} ({entry.text})*"
        case "frame":
            return f"---\n\n*A new frame begins: {entry.title}*"


def _fenced(text: str, language: str = "") -> str:
    """The text in a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
