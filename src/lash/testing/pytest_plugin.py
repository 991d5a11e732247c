"""Fixtures for tests of agents. Turn them on in your `conftest.py`:

```python
pytest_plugins = ["lash.testing.pytest_plugin"]
```

- `scripted(steps, …)` makes a `ScriptedModel`; a test that passed fails if steps are left over.
- `lash_store` is the path of a fresh SQLite file, `lash_clock` a `VirtualClock`.
- `lab(make, …)` makes a `Lab` over the stores of `--lash-stores` (default: `sqlite`).
- `store_faults` is a `StoreFaults`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lash.testing.clock import VirtualClock
from lash.testing.lab import Lab
from lash.testing.scripted import ScriptedModel
from lash.testing.store_faults import StoreFaults


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--lash-stores`."""
    parser.getgroup("lash").addoption(
        "--lash-stores",
        default="sqlite",
        help="where the lab kills, separated by commas: sqlite, postgresql://… (default: sqlite)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes whether the test itself passed: leftovers are only worth telling then."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


_PASSED = pytest.StashKey[bool]()


@pytest.fixture
def scripted(request: pytest.FixtureRequest) -> Iterator[Callable[..., ScriptedModel]]:
    """Makes scripted models that must be played to their end."""
    models: list[ScriptedModel] = []

    def make(*args: Any, **options: Any) -> ScriptedModel:
        models.append(ScriptedModel(*args, **options))
        return models[-1]

    yield make
    if request.node.stash.get(_PASSED, False):
        for model in models:
            model.assert_done()


@pytest.fixture
def lash_store(tmp_path: Path) -> str:
    """The path of a SQLite file that is not there yet."""
    return str(tmp_path / "agent.db")


@pytest.fixture
def lash_clock() -> VirtualClock:
    """A clock that stands still until the test moves it."""
    return VirtualClock()


@pytest.fixture
def store_faults() -> StoreFaults:
    """Rules for a store that fails."""
    return StoreFaults()


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Callable[..., Lab]:
    """Makes labs over the stores of the command line."""
    stores = [store.strip() for store in str(request.config.getoption("--lash-stores")).split(",") if store.strip()]

    def make(*args: Any, **options: Any) -> Lab:
        options.setdefault("stores", stores)
        return Lab(*args, **options)

    return make
