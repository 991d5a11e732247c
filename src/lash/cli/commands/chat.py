"""`lash chat`: a conversation."""

from __future__ import annotations

import asyncio
import sys

import click

from lash.cli.options import debug_option


@click.command()
@click.option("--app", envvar="LASH_APP", show_envvar=True, metavar="MODULE:ATTRIBUTE", help="Your core.")
@click.option("--model", envvar="LASH_MODEL", show_envvar=True, metavar="PROVIDER:ID", help="A model, or another one.")
@click.option("--mode", type=click.Choice(["standard", "rlm"]), help="With --model: rlm lets the model write programs.")
@click.option("--store", metavar="WHERE", help="A path or postgresql://…; without one nothing is kept.")
@click.option("--session", "session_id", metavar="ID", help="The session; a new one by default.")
@debug_option
def chat(app: str | None, model: str | None, mode: str | None, store: str | None, session_id: str | None) -> None:
    """Talk with an agent; /help lists what can be typed.

    What is typed while a turn runs is queued. Ctrl-C cancels the turn, a second one leaves
    (exit code 130). A kill loses nothing: the same --session and store go on. When stdin
    is a pipe: lines in, answers out, exit code 1 if a turn failed.
    """
    from lash.cli.apps import core_of
    from lash.cli.chat.conversation import fresh_id

    core = core_of(app, store, model, mode, is_conversation=True)
    # With an app of its own, the model is what this session uses; else it is the core's already.
    code = asyncio.run(_chat(core, session_id or fresh_id("chat"), model if app is not None else None))
    click.get_current_context().exit(code)


async def _chat(core: object, session_id: str, model: str | None) -> int:
    import lash
    from lash.cli.chat.conversation import Conversation

    assert isinstance(core, lash.LashCore)
    async with core:
        conversation = await Conversation.begin(core, session_id, model)
        if sys.stdin.isatty() and sys.stdout.isatty() and sys.platform != "win32":
            from lash.cli.chat.talk import Talk

            return await Talk(core, conversation).run()
        from lash.cli.chat.script import Script

        return await Script(core, conversation).run()
