"""Who is measured, in which environment, with which command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / "peers"

# What the project's own environment is called: its contender is us.
OURS = "lash"


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that holds one contender and nothing else."""

    name: str
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contender:
    """One script and the workloads it can run."""

    name: str
    environment: Environment | None
    script: Path
    workloads: frozenset[str]
    options: tuple[str, ...] = ()
    needs_postgres: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """What W7 imports, and where it is installed. Weighed is what a user installs."""

    who: str
    environment: Environment | None
    statement: str
    is_weighed: bool = True


def _set(*workloads: str) -> frozenset[str]:
    return frozenset(workloads)


LASH = Environment(OURS, ())
FLOOR = Environment("floor", ("asyncpg==0.32.0", "orjson==3.13.0"))
LANGGRAPH = Environment("langgraph", ("langgraph==1.2.22", "langgraph-checkpoint-sqlite==3.1.2", "aiosqlite==0.22.1"))
OPENAI_AGENTS = Environment("openai-agents", ("openai-agents==0.24.0",))
DBOS = Environment("dbos", ("pydantic-ai-slim[dbos]==2.68.0", "dbos==3.4.0", "psycopg[binary]==3.3.9"))
ABSURD = Environment("absurd", ("absurd-sdk==0.5.1", "absurdctl==0.5.1", "psycopg[binary]==3.3.9"))
PROCRASTINATE = Environment("procrastinate", ("procrastinate==3.10.0", "psycopg[binary,pool]==3.3.9"))

CONTENDERS = (
    Contender("floor", FLOOR, PEERS / "floor.py", _set("W1", "W2", "W3", "W4"), needs_postgres=True),
    Contender("lash", None, HERE / "ours.py", _set("W1", "W2", "W3", "W4"), needs_postgres=True),
    Contender("floor", FLOOR, PEERS / "floor_jobs.py", _set("W5"), needs_postgres=True),
    Contender("lash", None, HERE / "jobs.py", _set("W5"), needs_postgres=True),
    Contender("langgraph", LANGGRAPH, PEERS / "peer_langgraph.py", _set("W1", "W2", "W3", "W4")),
    Contender("openai-agents", OPENAI_AGENTS, PEERS / "peer_openai_agents.py", _set("W1", "W2", "W4")),
    Contender("dbos", DBOS, PEERS / "peer_dbos.py", _set("W1", "W2", "W4", "W5"), ("--sqlite",)),
    Contender("dbos", DBOS, PEERS / "peer_dbos.py", _set("W1", "W2", "W3", "W5"), ("--wal",)),
    Contender("dbos", DBOS, PEERS / "peer_dbos.py", _set("W1", "W2", "W3", "W5"), ("--postgres",), needs_postgres=True),
    Contender("absurd", ABSURD, PEERS / "peer_absurd.py", _set("W3", "W5"), needs_postgres=True),
    Contender("procrastinate", PROCRASTINATE, PEERS / "peer_procrastinate.py", _set("W5"), needs_postgres=True),
)

IMPORTS = (
    Import("asyncio", None, "import asyncio", is_weighed=False),
    Import("lash", LASH, "import lash"),
    Import("lash with a core", LASH, "import lash; lash.StandardCore", is_weighed=False),
    Import("LangGraph", LANGGRAPH, "import langgraph.graph"),
    Import("OpenAI Agents", OPENAI_AGENTS, "import agents"),
    Import("Pydantic AI + DBOS", DBOS, "import pydantic_ai, dbos"),
    Import("Absurd", ABSURD, "import absurd_sdk"),
)
