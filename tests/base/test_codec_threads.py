"""Shapes that several threads meet for the first time at one moment."""

from __future__ import annotations

import subprocess
import sys

# The types of `Inner` are looked up after `Outer` is known to msgspec and before it is known completely.
TWO_THREADS = """
import threading, time
import msgspec
from lash.base.codec import from_json

arrived, may_go, asked = threading.Event(), threading.Event(), threading.Event()

def slow():
    arrived.set()
    may_go.wait(20)
    return int

class Inner(msgspec.Struct, frozen=True):
    value: "slow()" = 0

class Outer(msgspec.Struct, frozen=True):
    inner: Inner | None = None
    number: int = 0

found = []

def first():
    found.append(from_json({"inner": {"value": 1}, "number": 2}, Outer))

def second():
    asked.set()
    found.append(from_json({"inner": {"value": 1}, "number": 2}, Outer))

threads = [threading.Thread(target=first), threading.Thread(target=second)]
threads[0].start()
arrived.wait(20)
threads[1].start()
asked.wait(20)
time.sleep(0.2)
may_go.set()
for thread in threads:
    thread.join()
assert found == [Outer(Inner(1), 2)] * 2, found
"""


def test_two_threads_may_meet_a_shape_at_one_moment() -> None:
    done = subprocess.run([sys.executable, "-c", TWO_THREADS], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
