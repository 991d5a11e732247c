"""A memory bomb ends in a typed error before the process grows far past the budget."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_BUDGET_MIB = 32
# The interpreter with lash loaded, and the constant part of any budget.
_BASE_MIB = 96
# The high-water mark of this program alone: `ru_maxrss` would carry over that of the process that started it.
_RUN = """
import re, sys
from pathlib import Path
from lash.cli.lang import lang
try:
    lang(["run", sys.argv[1], "--memory-mib", sys.argv[2], "--active-ms", "600000"], prog_name="lash lang")
finally:
    print("peak", int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
_ENDINGS = ("memory budget of", "exceeds the limit of")
_BOMBS = {
    "doubling": 's = "ab"\nwhile true { s = s + s }',
    "texts": 's = join(range(200000), ",")\nxs = []\nwhile true { xs = push(xs, s + "x") }',
    "items": "xs = []\nwhile true { xs = push(xs, 1) }",
    "records": "xs = []\nwhile true { xs = push(xs, [{ a: i } for i in range(1000)]) }",
    "nested records": "xs = []\nwhile true { xs = push(xs, [{ a: { b: i }, c: [] } for i in range(1000)]) }",
    "fields": 'd = {}\ni = 0\nwhile true { d["k" + i] = { a: range(20) }\n i = i + 1 }',
    "range": "xs = []\nwhile true { xs = push(xs, range(100000)) }",
    "split": 's = join(range(100000), ",")\nxs = []\nwhile true { xs = push(xs, split(s, ",")) }',
    "join": 'r = [join(range(2000), ",") for i in range(60)]\nxs = []\nwhile true { xs = push(xs, join(r, ",")) }',
    "format": 's = join(range(50000), ",")\nxs = []\nwhile true { xs = push(xs, format("{}{}", s, s)) }',
    "json": 's = "[" + join(["{\\"a\\":1}" for i in range(20000)], ",") + "]"\n'
    "xs = []\nwhile true { xs = push(xs, json_parse(s)) }",
    "function": "fn f(n) { xs = []\n while true { xs = push(xs, [[i] for i in range(1000)]) }\n return xs }\nx = f(1)",
}


@pytest.mark.parametrize("name", _BOMBS)
def test_a_memory_bomb_ends_in_a_typed_error(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb.lash"
    file.write_text(_BOMBS[name])

    ended = subprocess.run(
        [sys.executable, "-c", _RUN, str(file), str(_BUDGET_MIB)], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert any(text in ended.stderr.splitlines()[0] for text in _ENDINGS), ended.stderr
    assert int(ended.stdout.split()[-1]) < _BASE_MIB + 1.5 * _BUDGET_MIB
