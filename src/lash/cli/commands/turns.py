"""`lash turns`: what is known of one turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from lash.cli.options import debug_option, json_option, store_option

if TYPE_CHECKING:
    from lash.cli.explain import EffectFact, Explanation


@click.group()
def turns() -> None:
    """Turns: what is recorded, what would run next, what is in doubt."""


@turns.command()
@click.argument("session_id", metavar="SESSION")
@click.argument("turn_id", metavar="TURN")
@store_option
@json_option
@debug_option
def explain(session_id: str, turn_id: str, store: str, as_json: bool) -> None:
    """Explain one turn of a session, settled or in flight."""
    from lash.cli.output import print_json
    from lash.cli.turn_facts import explain_turn

    explanation = asyncio.run(explain_turn(store, session_id, turn_id))
    if as_json:
        print_json(explanation)
    else:
        _show(explanation)


def _show(turn: Explanation) -> None:
    from lash.cli.output import console, facts, table

    screen = console()
    known: dict[str, object] = {"turn": f"{turn.turn_id} of session {turn.session_id}", "state": turn.state}
    if turn.outcome is not None:
        known["outcome"] = turn.outcome
    if turn.revision is not None:
        known["revision"] = turn.revision
    if turn.owner is not None:
        known["owner"] = f"{turn.owner} ({'holds its lease' if turn.owner_is_live else 'its lease has run out'})"
    if turn.cancel_requested:
        known["cancel"] = "requested"
    screen.print(facts(known))
    if turn.effects:
        screen.print()
        screen.print(
            table(
                ["effect", "status", "attempts", "took", "replayed"],
                [_row(effect) for effect in turn.effects],
                right=["attempts", "took"],
            )
        )
    for title, lines in (("would run next", turn.next), ("in doubt", turn.in_doubt)):
        if lines:
            screen.print(f"{title}:", style="bold")
            for line in lines:
                screen.print(f"  {line}", soft_wrap=True)


def _row(effect: EffectFact) -> list[object]:
    took = "–" if effect.duration_ms is None else f"{effect.duration_ms} ms"
    replayed = {True: "yes", False: "no", None: ""}[effect.replayed]
    return [effect.name, effect.status, effect.attempts, took, replayed]
