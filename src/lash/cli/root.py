"""The group of all commands: loads each when it is asked for, and turns errors into exit codes.

Exit codes: 0 done, 1 the work failed, 2 usage, 3 store or configuration. An error is
one line, what, value and remedy; `--debug` adds the traceback.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

import click

from lash.cli.failure import INTERRUPTED, USAGE, exit_code, one_line
from lash.cli.options import debug_option, is_debug

_COMMANDS: Final = {
    "demo": "lash.cli.commands.demo:demo",
    "run": "lash.cli.commands.run:run",
    "chat": "lash.cli.commands.chat:chat",
    "sessions": "lash.cli.commands.sessions:sessions",
    "turns": "lash.cli.commands.turns:turns",
    "processes": "lash.cli.commands.processes:processes",
    "triggers": "lash.cli.commands.triggers:triggers",
    "worker": "lash.cli.commands.worker:worker",
    "approvals": "lash.cli.commands.approvals:approvals",
    "store": "lash.cli.commands.store:store",
    "trace": "lash.cli.commands.trace:trace",
    "doctor": "lash.cli.commands.doctor:doctor",
    "lang": "lash.cli.lang:lang",
}


class Root(click.Group):
    """`lash`: commands by name, loaded when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        del ctx
        return [name for name, home in _COMMANDS.items() if _is_there(home)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        del ctx
        home = _COMMANDS.get(cmd_name)
        if home is None or not _is_there(home):
            return None
        module, _, attribute = home.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what it raises becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException):
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo("lash: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            raise  # whoever read us has seen enough; click ends quietly
        except Exception as error:
            if is_debug(ctx):
                click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
            click.echo(f"lash: {one_line(error)}", err=True)
            ctx.exit(exit_code(error))

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Runs and exits, as a program does."""
        extra["standalone_mode"] = False
        try:
            code = super().main(args, *rest, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(USAGE)
        except click.ClickException as error:
            where = getattr(error, "ctx", None)
            path = where.command_path if where is not None else "lash"
            click.echo(f"{path}: {_sentence(error)}; see `{path} --help`", err=True)
            sys.exit(USAGE)
        except (KeyboardInterrupt, click.Abort):
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def _is_there(home: str) -> bool:
    return importlib.util.find_spec(home.partition(":")[0]) is not None


def _sentence(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"lash {version('lash-runtime')}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@debug_option
def root() -> None:
    """A durable runtime for LLM agents.

    Start with `lash demo`: it needs no key.
    """
