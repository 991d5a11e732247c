"""A model server that is not ours: LLMock, from the registry, in a place of its own.

It speaks all four dialects, checks what it is sent, breaks on request, and says
afterwards what the client did wrong.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_INSTALLED = Path(__file__).parents[2] / ".services/models/bin/llmock"
_PATIENCE_S = 60


def find_model_server() -> Path | None:
    """The program: what `LLMOCK_BIN` names, what setup installed, or what is on the path."""
    if named := os.environ.get("LLMOCK_BIN"):
        return Path(named)
    if _INSTALLED.exists():
        return _INSTALLED
    on_path = shutil.which("llmock")
    return None if on_path is None else Path(on_path)


@contextmanager
def model_server(program: Path, log: Path) -> Iterator[str]:
    """Runs the server on a free port of loopback; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, process, log)
            yield url
        finally:
            process.terminate()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/_llmock/requests"):
                return
        except URLError:
            time.sleep(0.05)
    raise RuntimeError(f"the model server did not start: {log.read_text()[-2_000:]}")
