"""The demo on a terminal: a line as each thing happens, then the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from rich.console import Console
from rich.text import Text

from lash.base.messages import Message
from lash.cli.demo.boundaries import Execution
from lash.cli.demo.evidence import EffectLine, Seen, Verdict, effect_lines
from lash.cli.demo.stage import Finished, Killed
from lash.cli.output import shortened, table


def opening(screen: Console, folder: Path) -> None:
    """What is about to happen, and what in it is staged."""
    screen.print(Text.assemble(("lash demo", "bold"), f"  an agent audits {folder}"))
    screen.print("The model is scripted and says so. Files, database, processes and every SIGKILL", style="dim")
    screen.print("are real. Each process gets the same turn id and no other hint.", style="dim")
    screen.print()


def narrate(screen: Console, fact: Killed | Finished) -> None:
    """One process, as soon as it is dead or done."""
    match fact:
        case Killed(kill=kill, replayed=replayed, ran=ran, ran_again=again):
            start = (
                "starts the turn"
                if kill.process == 1
                else f"resumes: {replayed} recorded effects replayed, {again} ran again"
            )
            process_line(screen, kill.process, kill.pid, start)
            if ran:
                screen.print(f"    executes {counted(ran)}", soft_wrap=True)
            recorded = "committed" if kill.turn_is_committed else f"{len(kill.recorded)} recorded"
            screen.print(
                Text.assemble(("    SIGKILL  ", "bold red"), kill.boundary.told, (f" ({recorded})", "dim")),
                soft_wrap=True,
            )
        case Finished(process=process, pid=pid, executions=executions):
            cost = "no model call, no tool" if executions == 0 else f"{executions} executions"
            process_line(screen, process, pid, f"asks again, twice: {cost}, the committed answer")
        case _:
            assert_never(fact)


def process_line(screen: Console, number: int, pid: int, what: str) -> None:
    """A process that begins."""
    screen.print(Text.assemble((f"  process {number}  ", "bold cyan"), what, (f"  pid {pid}", "dim")), soft_wrap=True)


def counted(ran: Sequence[Execution]) -> str:
    """What a process ran."""
    counts = Counter(execution.name for execution in ran if not execution.key.startswith("prompt:"))
    return ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items()) or "nothing new"


def effects(screen: Console, seen: Seen) -> None:
    """Every effect of the turn and its fate."""
    lines = effect_lines(seen)
    screen.print()
    screen.print("Every effect of the turn", style="bold")
    screen.print(
        table(
            ["effect", "executed", "process", "replayed", "killed"],
            [_row(line) for line in lines],
            right=["executed", "replayed"],
        )
    )
    if any(len(line.ran_in) > 1 for line in lines):
        screen.print(
            "Executed twice means killed before its outcome was recorded. publish_report sent\n"
            "the same idempotency key both times, so the outbox holds one report.",
            style="dim",
        )


def _row(line: EffectLine) -> list[object]:
    times = Text(str(len(line.ran_in)) if line.ran_in else "–", "yellow" if len(line.ran_in) > 1 else "")
    where = ", ".join(map(str, line.ran_in)) or "–"
    killed = Text(", ".join(line.killed_at), "red")
    return [line.name, times, where, f"{line.replayed}×" if line.replayed else "–", killed]


def conversation(screen: Console, seen: Seen) -> None:
    """What is committed."""
    screen.print()
    screen.print("The committed conversation", style="bold")
    for message in seen.next_messages:
        for who, said, style in _spoken(message):
            room = max(20, screen.width - 14)
            screen.print(Text.assemble((f"  {who:<11} ", "cyan"), (shortened(said, room), style)), no_wrap=True)


def _spoken(message: Message) -> list[tuple[str, str, str]]:
    spoken: list[tuple[str, str, str]] = []
    for part in message.parts:
        match part.kind:
            case "text" | "prose":
                spoken.append((message.role, part.content, ""))
            case "tool_call":
                spoken.append((message.role, f"→ {part.tool_name}({shortened(part.content, 60)})", "magenta"))
            case "tool_result":
                spoken.append(("tool", part.content, "dim"))
            case _:
                spoken.append((message.role, part.kind, "dim"))
    return spoken


def verdict(screen: Console, seen: Seen, found: Verdict) -> None:
    """The facts, each with its mark."""
    facts = [
        (found.kills >= 3, f"{found.kills} processes died of SIGKILL; {found.effects_recorded} effects recorded"),
        (
            found.recorded_effects_executed_again == 0,
            f"{found.recorded_effects_executed_again} recorded effects executed again",
        ),
        (found.lost == 0, f"{found.lost} recorded effects lost"),
        (
            found.turns_committed == 1 and found.duplicate_commits == 0 and found.turn_is_ok,
            f"{found.turns_committed} turn committed, {found.duplicate_commits} duplicate commits",
        ),
        (found.deliveries == 1, f"{found.deliveries} report in the outbox"),
        (
            found.asked_again_for_nothing,
            f"asked again with the same turn id: the same answer, {seen.executions_when_asked_again} executions",
        ),
        (found.next_request_valid, "the conversation is valid for a provider and went on"),
    ]
    screen.print()
    for is_kept, text in facts:
        fact_line(screen, is_kept, text)


def fact_line(screen: Console, is_kept: bool, text: str) -> None:
    """One fact, with its mark."""
    mark, style = ("✓", "green") if is_kept else ("✗", "bold red")
    screen.print(Text.assemble((f"  {mark} ", style), text), soft_wrap=True)


def closing(screen: Console, is_ok: bool, seconds: float) -> None:
    """Whether the promise was kept."""
    screen.print()
    if is_ok:
        screen.print(f"Nothing recorded was lost or repeated. ({seconds:.1f} s)", style="bold green")
    else:
        screen.print("The promise was not kept. Run again with --keep and --json, and report it.", style="bold red")


def kept(screen: Console, where: str, looks: Sequence[str]) -> None:
    """Where to look further."""
    screen.print()
    screen.print(Text(f"Kept: {where}"), soft_wrap=True)
    for line in looks:
        screen.print(Text(f"  {line}"), soft_wrap=True)
