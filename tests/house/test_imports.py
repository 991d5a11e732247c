"""`import lash` stays light: what it must leave alone until somebody asks.

How long it takes is printed by the benchmark W7, never asserted here.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

# Extras, servers and tools: whoever does not use them must not pay for them,
# and whoever has not installed them must be able to import us.
EXTRAS = [
    "anthropic",
    "asyncpg",
    "click",
    "google",
    "hypercorn",
    "mcp",
    "obstore",
    "openai",
    "opentelemetry",
    "restate",
    "rich",
    "starlette",
    "uvicorn",
]

# Recognised without being depended on; used by tests only; or opened with the first store or schema.
OTHERS = ["apsw", "hypothesis", "jsonschema_rs", "pydantic", "pytest", "sqlite3", "unittest"]

# Our own rooms that only adapters and tools enter.
ROOMS = ["lash.cli", "lash.service", "lash.testing", "lash.stores", "lash.providers"]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Every module that a fresh interpreter holds after `import lash`."""
    program = "import sys; before = set(sys.modules); import lash; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", [*EXTRAS, *OTHERS, *ROOMS])
def test_importing_lash_leaves_a_module_unloaded(loaded: set[str], module: str) -> None:
    assert "lash" in loaded
    assert module not in loaded
