"""Many sessions that stream, with observers that come and go: nothing is lost inside the window, every gap is typed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from face.places import Place

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "observation.py"


@pytest.fixture(scope="module")
def scene() -> ModuleType:
    """The benchmark's own scene."""
    spec = importlib.util.spec_from_file_location("observation_scene", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


async def test_observers_that_come_back_in_time_miss_no_token(durable: Place, scene: ModuleType) -> None:
    store = await durable.open_store()
    report = await scene.stream_to_visitors(store, sessions=20, turns=2, tokens=60, pause_s=0.001)

    assert report.tokens == 20 * 2 * 60
    assert report.returns > 20
    assert (report.lost, report.wrong, dict(report.gaps)) == (0, 0, {})


async def test_observers_that_come_too_late_get_a_typed_gap_and_the_whole_sum(
    durable: Place, scene: ModuleType
) -> None:
    store = await durable.open_store()
    report = await scene.stream_to_visitors(store, sessions=10, turns=3, tokens=60, pause_s=0.001, max_events=3)

    assert sum(report.gaps.values()) > 0
    assert set(report.gaps) <= {"evicted", "lagged"}
    assert (report.lost, report.wrong) == (0, 0)
