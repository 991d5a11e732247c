"""The keys of recorded effects as people call them: those of programs."""

from __future__ import annotations

import pytest

from lash.cli.effect_keys import parse_key
from lash.cli.explain import EffectFact, Row, next_steps
from lash.machine.llm import LlmResponse, TextPart
from lash.machine.values import LlmAnswered

SITE = "resource_operation:47f85ca5a8e553704df0ccfd"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (f"0:exec_code:3:{SITE}:1:attempt:1", "orders.total"),
        (f"0:exec_code:3:{SITE}:12:attempt:2", "orders.total #2"),
        (f"0:exec_code:3:{SITE}:1:total:attempt:1:sleep", "pause before #2"),
        (f"0:exec_code:3:{SITE}:1:attempt:1:wait", "completion of orders.total"),
        (f"1:exec_code:7:{SITE}:1:approval:wait", "word about orders.total"),
        (f"1:exec_code:7:{SITE}:1:result", "result of orders.total"),
        ("2:exec_code:9:sleep:0", "cell 3: sleep 1"),
        ("0:exec_code:3:start:child_process:478daf9bebc37e44c87cc039:1", "cell 1: start of a process"),
        ("0:exec_code:3:read:docs", "cell 1: read of docs"),
        ("0:exec_code:3:expired", "cell 1: end of its time"),
    ],
)
def test_an_effect_of_a_program_has_a_name(key: str, name: str) -> None:
    parsed = parse_key(key)

    assert parsed is not None
    assert parsed.named("orders.total") == name
    assert parsed.site == (SITE if SITE in key else None)


def test_a_turn_in_the_middle_of_a_program_goes_on_with_it() -> None:
    key = "0:llm_call:2"
    answer = LlmAnswered(2, LlmResponse([TextPart("Now.\n```lashlang\nsubmit 1\n```")]))

    steps = next_steps([Row(EffectFact(key, "model call 1", "recorded", 1, 0, 1), parse_key(key), answer)])

    assert steps == ["the program of model call 1: what is recorded of it is answered from the record"]
