"""A fuzzing target: any text parses, links and runs, or ends in a language error.

    pip install atheris
    PYTHONPATH=src:tests python tests/lashlang/fuzz_lashlang.py -max_len=512 -timeout=20 corpus/

Any other exception, a crash, or a step past the budgets is a finding. Add the
program to tests/lashlang/adversarial.py before fixing it.
"""

from __future__ import annotations

import sys

from lash.lashlang import (
    IMPROVED,
    Budgets,
    Execution,
    LanguageError,
    Limits,
    Refused,
    compile_body,
)
from lashlang.running import drive, linked

_BUDGETS = Budgets(instructions=50_000, active_ms=2_000, limits=Limits(memory_bytes=32 * 1024 * 1024))


def one_input(data: bytes) -> None:
    """Runs one program."""
    try:
        module = linked(data.decode("utf-8", "replace"))
    except LanguageError:
        return
    body = compile_body(module.artifact, None, IMPROVED)
    drive(Execution(body, budgets=_BUDGETS), lambda _request: Refused("no host"))


def main() -> None:
    """Starts the fuzzer."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
