"""Cores: the composition that a host application builds once.

- `core`: `LashCore`, its life and its doors. `modes`: cores that preset their execution mode.
- `options`: what a core is configured with. `plan`: the same, checked, with its defaults.
- `opened`: the parts of a core while it is open.
- `models`: the models that it reaches. `parts`: small parts that a core is put together from.
"""

from lash.core.core import LashCore
from lash.core.models import MissingModel
from lash.core.modes import RlmCore, StandardCore
from lash.core.opened import DurableStorePeerRequired
from lash.core.options import CoreOptions
from lash.core.parts import SessionDeleteReport
from lash.models.provider import Provider
from lash.runtime.engine import CoreClosed

__all__ = [
    "CoreClosed",
    "CoreOptions",
    "DurableStorePeerRequired",
    "LashCore",
    "MissingModel",
    "Provider",
    "RlmCore",
    "SessionDeleteReport",
    "StandardCore",
]
