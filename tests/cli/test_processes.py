"""Background work from terminals: commands over a store, and real `lash worker` processes that are really killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

import lash
from lash.testing import ScriptedModel

Cli = Callable[..., Result]

# Longer than any machine needs; what never comes fails all the same.
SOON_S = 40

APP = '''
import asyncio
from pathlib import Path

import lash
from lash.testing import ScriptedModel

HERE = Path(__file__).parent


@lash.tool(approve=True)
async def wipe(what: str) -> str:
    """Wipes something, if it may."""
    return f"wiped {what}"


@lash.tool
async def crawl(pages: int) -> int:
    """Visits pages, once it may."""
    with (HERE / "log").open("a") as log:
        log.write("begun\\n")
    while not (HERE / "go").exists():
        await asyncio.sleep(0.02)
    return pages


def core(store: str) -> lash.StandardCore:
    """The agent."""
    return lash.StandardCore(
        model=ScriptedModel([]),
        tools=[crawl, wipe],
        store=store,
        lease_timings=lash.LeaseTimings(ttl_ms=2_000, renew_ms=500),
    )
'''


class Terminal:
    """A folder with an app and a store, and the commands that people type in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = str(folder / "agent.db")
        (folder / "crawler.py").write_text(APP)
        self._children: list[subprocess.Popen[str]] = []

    def spawn(self, *line: str, folder: Path | None = None) -> subprocess.Popen[str]:
        """A command that goes on."""
        child = subprocess.Popen(
            [sys.executable, "-m", "lash.cli.main", *line, "--store", self.store],
            cwd=folder or self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._children.append(child)
        return child

    def worker(self) -> subprocess.Popen[str]:
        """A worker that is at work."""
        child = self.spawn("worker", "--app", "crawler:core")
        assert child.stderr is not None
        assert "runs processes of crawler:core" in child.stderr.readline()
        return child

    def begun(self, times: int) -> None:
        """Returns when the tool has begun so often."""
        deadline = time.monotonic() + SOON_S
        log = self.folder / "log"
        while not log.exists() or log.read_text().count("begun") < times:
            assert time.monotonic() < deadline, f"the tool never began for the {times}th time"
            time.sleep(0.02)

    def let_go(self) -> None:
        """Lets the tool end."""
        (self.folder / "go").touch()

    def close(self) -> None:
        """Ends what still runs."""
        for child in self._children:
            child.kill()
            child.communicate()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A folder to work in."""
    with contextlib.closing(Terminal(tmp_path)) as made:
        yield made


@pytest.fixture
def start(cli: Cli, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    """Starts the crawl under an id."""
    monkeypatch.syspath_prepend(str(terminal.folder))
    monkeypatch.delitem(sys.modules, "crawler", raising=False)

    def run(process_id: str) -> Result:
        line = ["processes", "start", "crawl", "--app", "crawler:core", "--args", '{"pages": 3}', "--id", process_id]
        return cli(*line, "--store", terminal.store)

    return run


def shown(cli: Cli, terminal: Terminal, process_id: str) -> dict[str, object]:
    """How a process stands."""
    result = cli("processes", "show", process_id, "--store", terminal.store, "--json")
    process: dict[str, object] = json.loads(result.stdout)["process"]
    return process


# workers


def test_a_worker_that_is_killed_is_taken_over_by_another(
    cli: Cli, terminal: Terminal, start: Callable[[str], Result]
) -> None:
    assert start("c").stdout == "c\n"
    assert shown(cli, terminal, "c")["started_at_ms"] is None  # starting runs nothing

    first = terminal.worker()
    terminal.begun(1)
    first.send_signal(signal.SIGKILL)
    first.wait(SOON_S)
    follower = terminal.spawn("processes", "events", "c", "-f", "--json")
    terminal.worker()
    terminal.begun(2)
    terminal.let_go()

    told, _ = follower.communicate(timeout=SOON_S)
    assert [json.loads(line)["event_type"] for line in told.splitlines()] == ["process.completed"]
    process = shown(cli, terminal, "c")
    assert (process["status"], process["outcome"]) == ("completed", {"type": "success", "value": 3})


def test_sigterm_lets_running_work_end(cli: Cli, terminal: Terminal, start: Callable[[str], Result]) -> None:
    start("c")
    worker = terminal.worker()
    terminal.begun(1)

    worker.send_signal(signal.SIGTERM)
    assert worker.stderr is not None
    assert "draining, 1 running" in worker.stderr.readline()
    start("late")
    terminal.let_go()
    _, said = worker.communicate(timeout=SOON_S)

    assert (worker.returncode, said) == (0, "lash: drained\n")
    assert shown(cli, terminal, "c")["status"] == "completed"
    assert shown(cli, terminal, "late")["started_at_ms"] is None


def test_a_second_signal_leaves_the_work_to_others(
    cli: Cli, terminal: Terminal, start: Callable[[str], Result]
) -> None:
    start("c")
    worker = terminal.worker()
    terminal.begun(1)

    worker.send_signal(signal.SIGTERM)
    assert worker.stderr is not None
    worker.stderr.readline()
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=SOON_S)
    assert worker.returncode == 128 + signal.SIGTERM
    assert "left to other workers" in said
    assert shown(cli, terminal, "c")["status"] == "running"

    terminal.let_go()
    terminal.worker()
    follower = terminal.spawn("processes", "events", "c", "-f")
    told, _ = follower.communicate(timeout=SOON_S)
    assert "process.completed" in told


def test_a_cancel_from_another_terminal_stops_the_run(
    cli: Cli, terminal: Terminal, start: Callable[[str], Result]
) -> None:
    start("c")
    terminal.worker()
    terminal.begun(1)

    cancelled = cli("processes", "cancel", "c", "--reason", "enough", "--store", terminal.store)
    follower = terminal.spawn("processes", "events", "c", "-f")
    told, _ = follower.communicate(timeout=SOON_S)

    assert cancelled.stdout == "c is asked to stop\n"
    assert '{"reason":"enough"}' in told
    assert shown(cli, terminal, "c")["status"] == "cancelled"


def test_a_tool_in_the_background_waits_for_its_approval(cli: Cli, terminal: Terminal) -> None:
    line = ["processes", "start", "wipe", "--app", "crawler:core", "--args", '{"what": "disk"}', "--id", "w", "--wait"]
    waiting = terminal.spawn(*line)
    terminal.worker()
    deadline = time.monotonic() + SOON_S
    pending: list[dict[str, str]] = []
    while not pending:
        assert time.monotonic() < deadline, "nobody was asked"
        pending = json.loads(cli("approvals", "ls", "--store", terminal.store, "--json").stdout)

    listed = cli("approvals", "ls", "--store", terminal.store, COLUMNS="200").stdout
    approved = cli("approvals", "approve", pending[0]["id"], "--store", terminal.store)
    told, _ = waiting.communicate(timeout=SOON_S)

    assert ("process w" in listed, pending[0]["process_id"]) == (True, "w")
    assert approved.stdout == "wipe in process w is approved\n"
    assert told == "wiped disk\n"


def test_the_result_of_a_start_may_be_waited_for(terminal: Terminal) -> None:
    terminal.let_go()
    terminal.worker()

    line = ["processes", "start", "crawl", "--app", "crawler:core", "--args", '{"pages": 3}', "--wait"]
    waiting = terminal.spawn(*line)
    told, _ = waiting.communicate(timeout=SOON_S)

    assert (waiting.returncode, told) == (0, "3\n")


def test_a_worker_needs_an_app(cli: Cli) -> None:
    result = cli("worker")

    assert result.exit_code == 2
    assert "--app" in result.stderr


def test_the_example_does_as_its_docstring_says(cli: Cli, terminal: Terminal) -> None:
    root = Path(__file__).parents[2]
    app = ["--app", "examples.night_reports:core"]
    terminal.spawn("worker", *app, folder=root)

    line = ["start", "write_report", *app, "--args", '{"topic": "tides"}', "--wake", "desk", "--wait"]
    reader = terminal.spawn("processes", *line, folder=root)
    told, failed = reader.communicate(timeout=SOON_S)
    assert (json.loads(told), failed) == ({"pages": 3, "topic": "tides"}, "")

    deadline = time.monotonic() + SOON_S
    while "Your report is ready." not in cli("sessions", "show", "desk", "--store", terminal.store).output:
        assert time.monotonic() < deadline, "the session never spoke"


# external work and signals


def test_an_approval_comes_from_another_terminal(cli: Cli, terminal: Terminal) -> None:
    waiting_script = f"""
import asyncio, lash
from lash.testing import ScriptedModel

async def deploy():
    async with lash.StandardCore(model=ScriptedModel([]), store={terminal.store!r}) as core:
        handle = await core.processes.start(lash.External("deploy", signals=["approve"]), id="deploy-7")
        print("waiting", flush=True)
        approval = await handle.wait_signal("approve")
        await core.processes.complete(handle.id, {{"approved by": approval["by"]}})

asyncio.run(deploy())
"""
    script = subprocess.Popen([sys.executable, "-c", waiting_script], stdout=subprocess.PIPE, text=True)
    try:
        assert script.stdout is not None
        assert script.stdout.readline() == "waiting\n"
        wrong = cli("processes", "signal", "deploy-7", "aprove", "--store", terminal.store)
        sent = cli("processes", "signal", "deploy", "approve", "--payload", '{"by": "ada"}', "--store", terminal.store)
        script.wait(SOON_S)
    finally:
        script.kill()
        script.communicate()

    assert (wrong.exit_code, "it takes: approve" in wrong.stderr) == (1, True)
    assert sent.stdout == "deploy-7 has signal approve number 1\n"
    assert shown(cli, terminal, "deploy-7")["outcome"] == {"type": "success", "value": {"approved by": "ada"}}


def test_external_work_is_started_signalled_and_ended_by_hand(cli: Cli, tmp_path: Path) -> None:
    where = ["--store", str(tmp_path / "agent.db")]
    cli("processes", "start", "deploy", "--external", "--signal", "approve", "--id", "d1", *where)
    cli("processes", "start", "deploy", "--external", "--args", '{"to": "test"}', "--id", "d2", *where)
    cli("processes", "start", "deploy", "--external", "--id", "d3", *where)
    cli("processes", "start", "deploy", "--external", "--id", "other", *where)

    said = [
        cli("processes", "complete", "d1", "--value", '{"ok": true}', *where).stdout,
        cli("processes", "fail", "d2", "no disk", *where).stdout,
        cli("processes", "abandon", "d3", "--reason", "gone", *where).stdout,
    ]
    listed = json.loads(cli("processes", "ls", "--all", "--json", *where).stdout)
    running = cli("processes", "ls", *where).stdout
    one = cli("processes", "show", "d2", *where).stdout

    assert said == ["d1 is completed\n", "d2 is failed\n", "d3 is abandoned\n"]
    assert [found["status"] for found in listed] == ["completed", "failed", "abandoned", "running"]
    assert listed[0]["signals"] == ["approve"]
    assert ("other" in running, "d1" in running) == (True, False)
    assert "no disk" in one
    assert "process.failed" in one


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (["show", "nobody"], 1, "`lash processes ls --all`"),
        (["show", "d"], 1, "type more of it"),
        (["complete", "d1", "--value", "{"], 2, "is not JSON"),
        (["signal", "d1", "approve", "--payload", "yes"], 2, "quote it for the shell"),
        (["start", "crawl"], 2, "--app is missing"),
        (["start", "x", "--external", "--args", "[1]"], 2, "no JSON object"),
        (["start", "crawl", "--app", "crawler:core", "--signal", "go"], 2, "--external"),
        (["ls", "--status", "done"], 2, "abandoned"),
        (["cancel", "d3"], 1, "is already terminal"),
        (["complete", "d3", "--value", "1"], 1, "is already terminal"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    cli: Cli, tmp_path: Path, line: list[str], code: int, says: str
) -> None:
    where = ["--store", str(tmp_path / "agent.db")]

    async def fill() -> None:
        async with lash.StandardCore(model=ScriptedModel([]), store=where[1]) as core:
            for process_id in ("d1", "d2", "d3"):
                await core.processes.start(lash.External("deploy", signals=["approve"]), id=process_id)
            await core.processes.fail("d3", "no")

    asyncio.run(fill())

    result = cli("processes", *line, *where)

    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert result.stderr.strip().count("\n") == 0


def test_a_store_that_is_not_there_is_a_configuration_error(cli: Cli, tmp_path: Path) -> None:
    result = cli("processes", "ls", "--store", str(tmp_path / "none.db"))

    assert result.exit_code == 3
    assert not (tmp_path / "none.db").exists()


def test_nothing_to_list_is_said(cli: Cli, settled_store: str) -> None:
    assert "no process is running" in cli("processes", "ls", "--store", settled_store).stdout
    assert "no process in" in cli("processes", "ls", "-a", "--store", settled_store).stdout
    assert json.loads(cli("processes", "ls", "--store", settled_store, "--json").stdout) == []


# triggers


def test_events_and_schedules_are_listed_emitted_and_cancelled(cli: Cli, tmp_path: Path) -> None:
    where = ["--store", str(tmp_path / "agent.db")]

    async def fill() -> None:
        async with lash.StandardCore(model=ScriptedModel([]), store=where[1]) as core:
            await core.triggers.subscribe("mail.received", lash.External("file mail"), wake="desk")
            await core.triggers.every("0 9 * * 1-5", tz="Europe/Athens", start=lash.External("stand up"), key="standup")

    asyncio.run(fill())

    emitted = cli("triggers", "emit", "mail.received", "--key", "m-1", "--payload", '{"from": "ada"}', *where)
    again = json.loads(
        cli(
            "triggers", "emit", "mail.received", "--key", "m-1", "--payload", '{"from": "ada"}', *where, "--json"
        ).stdout
    )
    conflict = cli("triggers", "emit", "mail.received", "--key", "m-1", "--payload", "7", *where)
    listed = json.loads(cli("triggers", "ls", *where, "--json").stdout)
    table = cli("triggers", "ls", *where, COLUMNS="200").stdout
    delivered = json.loads(cli("triggers", "deliveries", *where, "--json").stdout)
    processes = json.loads(cli("processes", "ls", *where, "--json").stdout)

    assert "1 started" in emitted.stdout
    assert again["replayed"] is True
    assert (conflict.exit_code, "m-1" in conflict.stderr) == (1, True)
    assert [found["source_type"] for found in listed["subscriptions"]] == ["mail.received", "clock.schedule"]
    assert listed["schedules"][0]["spec"] == {"kind": "cron", "cron": "0 9 * * 1-5", "tz": "Europe/Athens"}
    assert ("0 9 * * 1-5 Europe/Athens" in table, "stand up" in table, "desk" in table) == (True, True, True)
    assert [found["state"] for found in delivered] == ["started"]
    assert [(found["label"], found["wakes"]) for found in processes] == [("file mail", "desk")]

    handle = listed["subscriptions"][0]["handle"]
    assert cli("triggers", "cancel", handle, *where).stdout == f"{handle} is cancelled\n"
    assert cli("triggers", "cancel", "standup", *where).exit_code == 0
    missing = cli("triggers", "cancel", "nothing", *where)
    assert (missing.exit_code, "`lash triggers ls`" in missing.stderr) == (1, True)
    assert "no triggers" in cli("triggers", "ls", *where).stdout
    assert len(json.loads(cli("triggers", "ls", "--all", *where, "--json").stdout)["schedules"]) == 1


def test_an_emit_needs_the_key_of_its_event(cli: Cli, settled_store: str) -> None:
    result = cli("triggers", "emit", "mail.received", "--store", settled_store)

    assert result.exit_code == 2
    assert "--key" in result.stderr


# programs


def test_a_program_in_a_file_is_started_and_shows_where_it_stands(
    cli: Cli, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(terminal.folder))
    monkeypatch.delitem(sys.modules, "crawler", raising=False)
    source = """
    process other() { }
    process main(n: int) signals { stop: any } { for i in range(n) { tools.crawl({ pages: i }) }  wait_signal("stop") }
    """
    (terminal.folder / "job.lang").write_text(source)
    (terminal.folder / "go").touch()
    line = ["processes", "start", str(terminal.folder / "job.lang"), "--lang", "--process", "main", "--id", "j"]
    assert cli(*line, "--app", "crawler:core", "--args", '{"n": 2}', "--store", terminal.store).stdout == "j\n"
    terminal.worker()
    deadline = time.monotonic() + SOON_S
    # What only reads is recorded a moment after it was done.
    while (process := shown(cli, terminal, "j"))["waits_for"] is None or process["last_place"] != "crawl #2":
        assert time.monotonic() < deadline, process
        time.sleep(0.05)

    assert process["label"] == "main"
    assert process["signals"] == ["stop"]
    assert str(process["module_ref"]).startswith("lashlang:v1:")
    refused = cli(*line, "--app", "crawler:core", "--args", '{"n": "x"}', "--store", terminal.store)
    assert refused.exit_code != 0
    assert "argument `n`: expected int, got string" in refused.stderr


def test_a_process_in_doubt_says_what_it_waits_for(cli: Cli, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = str(tmp_path / "agent.db")

    async def leave_a_payment_half_done() -> None:
        began = asyncio.Event()

        @lash.tool(repeat="never")
        async def pay() -> None:
            """Pays, and never comes back."""
            began.set()
            await asyncio.Event().wait()

        async with lash.StandardCore(model=ScriptedModel([]), tools=[pay], store=store) as core:
            await core.processes.start(pay, id="p")
            await asyncio.wait_for(began.wait(), SOON_S)
            assert await asyncio.to_thread(doubts, cli, store) == []  # it runs
            await core.worker.drain(0)
        async with lash.StandardCore(model=ScriptedModel([]), tools=[pay], store=store) as core:
            async with asyncio.timeout(SOON_S):
                while not core.recovery.in_doubt:  # noqa: ASYNC110 - another program would look as well
                    await asyncio.sleep(0.01)

    asyncio.run(leave_a_payment_half_done())

    assert doubts(cli, store) == ["process:p:tool:pay:attempt:1"]
    assert "in doubt" in cli("processes", "show", "p", "--store", store).stdout
    assert "process p waits for core.settle" in caplog.text


def doubts(cli: Cli, store: str) -> object:
    """What is said to be in doubt of the process `p`."""
    return json.loads(cli("processes", "show", "p", "--store", store, "--json").stdout)["process"]["in_doubt"]
