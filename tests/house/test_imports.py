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

# Recognised without being depended on, or used by tests only.
STRANGERS = ["hypothesis", "pydantic", "pytest", "sqlite3", "unittest"]

# Opened with the first store, loaded with the first schema.
LATER = ["apsw", "jsonschema_rs", "msgspec", "asyncio"]

# Our own rooms that only adapters and tools enter.
ROOMS = ["lash.cli", "lash.service", "lash.testing", "lash.providers"]


def _loaded_after(statement: str) -> set[str]:
    """Every module that a fresh interpreter holds after `statement`, beyond what it starts with."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def after_import() -> set[str]:
    """What `import lash` loads."""
    return _loaded_after("import lash")


@pytest.fixture(scope="module")
def after_first_use() -> set[str]:
    """What the names of the daily path load."""
    return _loaded_after("import lash; lash.StandardCore, lash.tool, lash.Store")


@pytest.mark.parametrize("module", [*EXTRAS, *STRANGERS, *LATER, *ROOMS])
def test_importing_lash_leaves_a_module_unloaded(after_import: set[str], module: str) -> None:
    assert "lash" in after_import
    assert module not in after_import


@pytest.mark.parametrize("module", [*EXTRAS, *STRANGERS, *ROOMS])
def test_naming_a_core_still_leaves_a_module_unloaded(after_first_use: set[str], module: str) -> None:
    assert "lash.core" in after_first_use
    assert module not in after_first_use
