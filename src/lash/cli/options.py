"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_DEBUG: Final = "lash.debug"


def _set_debug(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.find_root().meta[_DEBUG] = True


def is_debug(ctx: click.Context) -> bool:
    """Whether a traceback is wanted."""
    return ctx.find_root().meta.get(_DEBUG) is True


def debug_option(command: F) -> F:
    """`--debug`, before or after the command's name."""
    return click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )(command)


def json_option(command: F) -> F:
    """`--json`, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON value, for programs.")(command)


def store_option(command: F) -> F:
    """A store that must be named."""
    return click.option(
        "--store",
        envvar="LASH_STORE",
        show_envvar=True,
        required=True,
        metavar="WHERE",
        help="A path or postgresql://…",
    )(command)


def optional_store_option(text: str) -> Callable[[F], F]:
    """A store that may be named, with its own help."""
    return click.option("--store", envvar="LASH_STORE", show_envvar=True, metavar="WHERE", help=text)
