"""JSON as a type.

`Json` is what may enter a store, a hash or a wire. Integers and floats are
different values (`1` is not `1.0`), and only strings are keys.
"""

from __future__ import annotations

from typing import TypeAlias, Union

Json: TypeAlias = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]
JsonObject: TypeAlias = dict[str, Json]
