"""JSON as a type.

`Json` is what may enter a store, a hash or a wire. Integers and floats are
different values (`1` is not `1.0`), and only strings are keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
else:
    # The struct codec cannot follow a recursive alias and carries `Any` untouched;
    # the canonical encoder checks the tree.
    Json = Any

JsonObject: TypeAlias = dict[str, Json]
