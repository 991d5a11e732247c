"""`--app module:attribute`: the host's own core, as with an ASGI server."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from pathlib import Path

import lash
from lash.cli.failure import BadOption


class AppNotLoaded(lash.ConfigurationError):
    """The module or attribute that `--app` names cannot be had, or is no core."""

    code = "app_not_loaded"


def core_of(
    app: str | None, store: str | None, model: str | None, mode: str | None = None, *, is_conversation: bool = False
) -> lash.LashCore:
    """The host's own core, or without `--app` one made from `--model`, `--mode` and `--store`. Raises `BadOption`.

    In a conversation in RLM mode an answer without a program ends the turn as well.
    """
    if app is not None:
        if mode is not None:
            raise BadOption(f"--mode {mode}: the core {app} has its own mode; leave --mode out")
        return load_app(app, store)
    if model is None:
        raise BadOption(
            "--app and --model are missing; name your own core, --app module:core, or a model, --model openai:…"
        )
    where = store or os.environ.get("LASH_STORE") or ":memory:"
    try:
        if mode == "rlm":
            from lash.protocols.rlm.options import Ending, ProseOrSubmit, RlmConfig

            ending = Ending(ProseOrSubmit()) if is_conversation else Ending()
            return lash.RlmCore(model=model, store=where, rlm=RlmConfig(ending=ending))
        return lash.StandardCore(model=model, store=where)
    except lash.InvalidArgument as error:
        raise BadOption(f"--model: {error.message}") from error


def load_app(name: str, store: str | None) -> lash.LashCore:
    """The core that `name` stands for: a core, or a function that makes one.

    A function that takes `store` gets the one given here. Modules are also looked for
    in the working directory. Raises `AppNotLoaded` and `BadOption`.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise BadOption(f"--app {name!r} is no module:attribute; write for example --app my_agent:core")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise AppNotLoaded(f"--app {name!r} cannot be loaded: {error}; check name and working directory") from error
    if isinstance(found, lash.LashCore):
        if store is not None:
            raise BadOption(
                f"--store {store!r}: the core {name} has its own store; leave --store and LASH_STORE out, "
                "or let --app name a function that takes store="
            )
        return found
    made = _make(name, found, store)
    if not isinstance(made, lash.LashCore):
        raise AppNotLoaded(f"--app {name!r} is {type(made).__name__}, not a core; name a lash.StandardCore")
    return made


def _make(name: str, factory: object, store: str | None) -> object:
    if not callable(factory):
        return factory
    takes_store = "store" in inspect.signature(factory).parameters
    if store is not None and not takes_store:
        raise BadOption(f"--store {store!r}: {name} takes no store=; leave --store and LASH_STORE out")
    try:
        return factory(store=store) if store is not None else factory()
    except lash.LashError:
        raise
    except Exception as error:
        raise AppNotLoaded(f"--app {name!r} failed: {error}; run again with --debug for the traceback") from error
