"""`lash run`: one turn of the host's own agent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lash.cli.options import debug_option, json_option

if TYPE_CHECKING:
    import lash
    from lash.base.json import JsonObject
    from lash.turn import TurnChoices


@click.command()
@click.argument("prompt")
@click.option("--app", envvar="LASH_APP", show_envvar=True, metavar="MODULE:ATTRIBUTE", help="Your core.")
@click.option("--model", envvar="LASH_MODEL", show_envvar=True, metavar="PROVIDER:ID", help="A model, or another one.")
@click.option("--mode", type=click.Choice(["standard", "rlm"]), help="With --model: how the agent acts.")
@click.option("--store", metavar="WHERE", help="For --model, or an --app that is a function taking store=.")
@click.option("--session", "session_id", metavar="ID", help="The session; a new one by default.")
@click.option("--turn-id", metavar="ID", help="Makes the turn idempotent: run it again and it goes on, or is answered.")
@click.option("--submit", "schema", metavar="SCHEMA", help="RLM mode: a JSON Schema for the value, or its file.")
@click.option("--max-turns", type=click.IntRange(min=1), metavar="N", help="At most so many answers of the model.")
@click.option("--stream", is_flag=True, help="Print the text as it comes; tool calls go to stderr.")
@json_option
@debug_option
def run(
    prompt: str,
    app: str | None,
    model: str | None,
    mode: str | None,
    store: str | None,
    session_id: str | None,
    turn_id: str | None,
    schema: str | None,
    max_turns: int | None,
    stream: bool,
    as_json: bool,
) -> None:
    """Run a turn with PROMPT and print what the agent says.

    Ctrl-C cancels the turn; a kill does not: run it again with the same --turn-id.
    """
    from lash.cli.apps import core_of
    from lash.cli.failure import BadOption

    if stream and as_json:
        raise BadOption("--stream and --json exclude each other; choose one")
    core = core_of(app, store, model, mode)
    other = model if app is not None else None
    choices: TurnChoices = {"turn_id": turn_id, "model": other, "max_turns": max_turns}
    if schema is not None:
        choices["submit"] = _schema_of(schema)
    result = asyncio.run(_run(core, session_id or _fresh_id(), prompt, choices, stream=stream, as_json=as_json))
    if not result.ok:
        result.raise_for_outcome()


async def _run(
    core: lash.LashCore, session_id: str, prompt: str, choices: TurnChoices, *, stream: bool, as_json: bool
) -> lash.TurnResult:
    async with core, core.session(session_id) as session:
        result = await (_streamed(session, prompt, choices) if stream else session.run(prompt, **choices))
    if as_json:
        _print_json(session_id, result)
    else:
        _print_text(session_id, result, is_told=stream)
    return result


async def _streamed(session: lash.Session, prompt: str, choices: TurnChoices) -> lash.TurnResult:
    from lash.cli.chat.face import harmless
    from lash.cli.chat.programs import printed_text, program_text
    from lash.cli.output import progress_console
    from lash.runtime import activity

    progress = progress_console()
    async with session.stream(prompt, **choices) as running:
        told = False
        async for item in running:
            match item.event:
                case activity.AssistantProseDelta(text=text):
                    click.echo(text, nl=False)
                    told = True
                case activity.ModelAttemptReset():
                    progress.print("the model call starts again; what it said so far is void", style="yellow")
                case activity.ModelRequestStarted() if told:
                    click.echo()
                    told = False
                case activity.CodeBlockStarted(code=code):
                    progress.print(program_text(harmless(code), is_whole=True))
                case activity.CodeBlockCompleted(output=output, error=error):
                    for printed in output:
                        progress.print(printed_text(harmless(printed), "▪"))
                    if error is not None:
                        progress.print(printed_text(harmless(error), "✗"), style="red")
                case activity.ToolCallStarted(name=name):
                    progress.print(f"→ {name}", style="dim")
                case _:
                    pass
        result = await running.result()
    if told:
        click.echo()
    elif result.text:  # a submitted value, or an answer from the commit
        click.echo(result.text)
    return result


def _print_text(session_id: str, result: lash.TurnResult, *, is_told: bool) -> None:
    from lash.cli.output import progress_console

    if not is_told and result.text:
        click.echo(result.text)
    replayed = ", answered from the commit" if result.replayed else ""
    progress_console().print(f"session {session_id}, turn {result.turn_id}{replayed}", style="dim")


def _print_json(session_id: str, result: lash.TurnResult) -> None:
    from lash.cli.output import print_json
    from lash.machine.outcome import outcome_name

    print_json(
        {
            "ok": result.ok,
            "session_id": session_id,
            "turn_id": result.turn_id,
            "outcome": outcome_name(result.outcome),
            "text": result.text,
            "value": result.value,
            "revision": result.revision,
            "replayed": result.replayed,
            "usage": result.usage,
            "tool_calls": [call.tool for call in result.tool_calls],
            "errors": [issue.message for issue in result.errors],
        }
    )


def _schema_of(given: str) -> JsonObject:
    """The schema that `--submit` spells or names. Raises `BadOption`."""
    from lash.base.canonical import parse_json
    from lash.cli.failure import BadOption

    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadOption(f"--submit {given!r} is neither a JSON object nor a file that can be read") from error
    try:
        found = parse_json(text)
    except ValueError as error:
        raise BadOption(f"--submit {given!r} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadOption(f'--submit {given!r} is no JSON object; write for example \'{{"type": "integer"}}\'')
    return found


def _fresh_id() -> str:
    import secrets

    return f"run-{secrets.token_hex(4)}"
