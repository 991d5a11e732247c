"""The entry point of `lash`.

Loads before click does, so that an installation without the extra answers in one line.
"""

from __future__ import annotations

import importlib.util
import sys


def main() -> None:
    """Runs the command line with the arguments of the process."""
    if any(importlib.util.find_spec(name) is None for name in ("click", "rich")):
        from lash.base.errors import MissingExtra

        sys.stderr.write(f"lash: {MissingExtra('cli', 'the command line').message}\n")
        sys.exit(3)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows another one; no output dies of it.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    from lash.cli.root import root

    root.main(prog_name="lash")


if __name__ == "__main__":
    main()
