"""The second act on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from rich.console import Console
from rich.text import Text

from lash.base.canonical import canonical_json
from lash.cli.chat.programs import program_text
from lash.cli.demo.programs import IN_TWO_PLACES
from lash.cli.demo.second_act import Died, Woken
from lash.cli.demo.second_facts import ProgramsSeen, ProgramsVerdict
from lash.cli.demo.show import counted, fact_line, process_line
from lash.cli.output import shortened


def opening(screen: Console) -> None:
    """What is about to happen."""
    screen.print()
    screen.print(Text.assemble(("Second act", "bold"), "  now the model writes programs. This is one of them:"))
    screen.print(program_text(IN_TWO_PLACES, is_whole=True))
    screen.print()


def narrate(screen: Console, fact: Died | Woken) -> None:
    """One process, as soon as it is dead or has been woken."""
    match fact:
        case Died(death=death, told=told, found=found, ran=ran, ran_again=again):
            starts = f"goes on: {found} recorded effects found, {again} ran again"
            process_line(screen, death.process, death.pid, "starts the turn" if death.process == 1 else starts)
            if ran:
                screen.print(f"    executes {counted(ran)}", soft_wrap=True)
            recorded = f" ({len(death.rows)} recorded{', the turn committed' if death.is_committed else ''})"
            screen.print(Text.assemble(("    SIGKILL  ", "bold red"), told, (recorded, "dim")), soft_wrap=True)
        case Woken(process=process, pid=pid, found=found, ran=ran):
            process_line(screen, process, pid, f"goes on: {found} recorded effects found; the background process ends")
            screen.print("    is woken by it, and answers with two programs more", soft_wrap=True)
            screen.print(f"    executes {counted(ran)}", soft_wrap=True)
        case _:
            assert_never(fact)


def values(screen: Console, seen: ProgramsSeen) -> None:
    """What the turns submitted."""
    screen.print()
    screen.print("What the programs submitted", style="bold")
    for turn in seen.turns:
        who = "asked" if turn.woken_by is None else "woken"
        name = "Overview" if turn.woken_by is None else "Report"
        said = f"{name} {canonical_json(turn.value)}"
        room = max(20, screen.width - 10)
        screen.print(Text.assemble((f"  {who:<7} ", "cyan"), shortened(said, room)), no_wrap=True)


def verdict(screen: Console, found: ProgramsVerdict) -> None:
    """The facts, each with its mark."""
    twice = ", ".join(found.executed_twice) or "none"
    fact_line(
        screen, found.kills == 3, f"{found.kills} processes died of SIGKILL; {found.effects_recorded} effects recorded"
    )
    fact_line(
        screen,
        found.recorded_effects_executed_again == 0 and len(found.executed_twice) <= 1,
        f"{found.recorded_effects_executed_again} recorded effects executed again "
        f"(executed twice: {twice}, killed in its middle)",
    )
    fact_line(screen, found.lost == 0, f"{found.lost} recorded effects lost")
    for one in found.sleeps:
        who = "the background process" if one.is_background else "the program"
        across = f"{one.kills} kill{'' if one.kills == 1 else 's'}"
        said = f"{who} slept across {across}: it kept its due time, and went on {one.late_ms} ms after it"
        fact_line(screen, one.is_kept, said)
    fact_line(screen, found.is_woken, "the background process went on after the restart, and woke the session")
    fact_line(
        screen,
        found.turns_committed == 2 and found.is_typed,
        f"{found.turns_committed} turns committed, each with a value of its type",
    )
    fact_line(screen, found.asked_again_for_nothing, "asked again with the same turn id: the same value, 0 executions")


def picture(screen: Console, path: Path) -> None:
    """Where the picture is."""
    screen.print()
    screen.print(Text.assemble("Programs and process as a picture: ", (str(path), "bold")), soft_wrap=True)
