"""A transcript as one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape

from lash.runtime.export.transcript import Entry, Transcript

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
header p { opacity: .7; }
article { margin: 1rem 0; padding: .75rem 1rem; border-radius: .5rem; border: 1px solid #8884; }
article.user { background: #3b82f61a; }
article h2 { font-size: .8rem; margin: 0 0 .25rem; opacity: .7; text-transform: uppercase; letter-spacing: .04em; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
pre { overflow: auto; margin: 0; font-size: .85rem; }
.reasoning { font-style: italic; opacity: .8; }
hr { margin: 2rem 0; }
"""


def as_html(transcript: Transcript) -> str:
    """One document. Everything that came from outside is escaped."""
    title = f"Session {escape(transcript.session_id)}"
    model = f" · {escape(transcript.model)}" if transcript.model else ""
    usage = transcript.usage
    body = "\n".join(_article(entry) for entry in transcript.entries)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<header><h1>{title}</h1>\n<p>Revision {transcript.revision}{model} · "
        f"{usage.input_tokens} tokens in, {usage.output_tokens} out</p></header>\n{body}\n</body>\n</html>\n"
    )


def _article(entry: Entry) -> str:
    title, text, where = escape(entry.title), escape(entry.text), escape(entry.node_id)
    match entry.kind:
        case "text":
            inner = f'<h2>{title}</h2><div class="text">{text}</div>'
        case "reasoning":
            inner = f'<h2>{title}, thinking</h2><div class="text reasoning">{text}</div>'
        case "call":
            inner = f"<h2>→ {title}</h2><pre>{text}</pre>"
        case "result":
            inner = f"<h2>← {title}</h2><pre>{text}</pre>"
        case "code":
            inner = f"<h2>{title}</h2><pre>{text}</pre>"
        case "image":
            inner = f"<h2>image</h2><code>{title} {text}</code>"
        case "frame":
            return f'<hr id="{where}"><p>A new frame begins: {title}</p>'
    who = f" {title}" if entry.kind == "text" else ""
    return f'<article id="{where}" class="{entry.kind}{who}">{inner}</article>'
