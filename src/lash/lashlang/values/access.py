"""Reading fields and items, and storing into them.

The `store_*` functions change their container in place: generated code calls
them only on containers it owns, after `own` made a private copy (see
codegen/ownership.py).
"""

from __future__ import annotations

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.coercion import as_index, as_text
from lash.lashlang.values.kinds import Image, Value, kind_name
from lash.lashlang.values.meter import ITEM_BYTES, Meter
from lash.lashlang.values.operators import SMALL_LIST

_IMAGE_FIELDS = frozenset(("id", "label", "size", "width", "height"))


def field(value: Value, name: str) -> Value:
    """`x.name`: null when absent or on null."""
    if type(value) is dict:
        return value.get(name)
    if value is None:
        return None
    if isinstance(value, Image):
        found: Value = getattr(value, name) if name in _IMAGE_FIELDS else None
        return found
    raise RuntimeFailure(f"can't read `.{name}` from {kind_name(value)}")


def index(value: Value, key: Value) -> Value:
    """`x[key]`: null when out of range, absent, or on null."""
    kind = type(value)
    if kind is list or kind is str:
        at = int(key) if type(key) is float and key.is_integer() else as_index(key)
        size = len(value)  # type: ignore[arg-type]
        return value[at] if -size <= at < size else None  # type: ignore[index]
    if kind is dict:
        return value.get(key if type(key) is str else as_text(key))  # type: ignore[union-attr]
    if value is None:
        return None
    raise RuntimeFailure(f"can't index {kind_name(value)}")


def index_number(value: Value, key: float) -> Value:
    """`index` with a key that is known to be a number."""
    if type(value) is list:
        try:
            at = int(key)
            if at == key:
                return value[at]
        except IndexError:
            return None
        except (OverflowError, ValueError):
            pass
    return index(value, key)


def store_number(meter: Meter, container: Value, key: float, value: Value) -> None:
    """`store_index` with a key that is known to be a number."""
    if type(container) is list:
        try:
            at = int(key)
            if at == key:
                container[at] = value
                return
        except (IndexError, OverflowError, ValueError):
            pass
    store_index(meter, container, key, value)


def store_field(meter: Meter, container: Value, name: str, value: Value) -> None:
    """The last step `.name` of an assignment."""
    if type(container) is not dict:
        raise _bad_field(container, name)
    if len(container) >= SMALL_LIST and name not in container:
        grow(meter, len(container))
    container[name] = value


def store_index(meter: Meter, container: Value, key: Value, value: Value) -> None:
    """The last step `[key]` of an assignment."""
    if type(container) is dict:
        name = key if type(key) is str else as_text(key)
        if len(container) >= SMALL_LIST and name not in container:
            grow(meter, len(container))
        container[name] = value
    elif type(container) is list:
        container[list_position(container, key)] = value
    else:
        raise _bad_index(container)


def own(meter: Meter, value: Value) -> Value:
    """A private copy of a container; anything else is itself."""
    if type(value) is list or type(value) is dict:
        size = len(value)
        if size > SMALL_LIST:
            meter.allocate(size * ITEM_BYTES)
        return value.copy()
    return value


def list_position(container: list[Value], key: Value) -> int:
    """Where an assignment index points; there is no coercion here."""
    if type(key) is not float or not key.is_integer():
        raise RuntimeFailure("list assignment index must be an integer")
    at, size = int(key), len(container)
    if not -size <= at < size:
        raise RuntimeFailure("list assignment index out of bounds")
    return at


def grow(meter: Meter, size: int) -> None:
    """One more entry in a container of `size` entries."""
    meter.check_items(size + 1)
    meter.allocate(ITEM_BYTES)


def step_field(container: Value, name: str) -> Value:
    """What an inner step `.name` of an assignment leads to."""
    if type(container) is not dict:
        if isinstance(container, Image):
            raise RuntimeFailure("can't assign through image fields; images are immutable")
        raise RuntimeFailure(f"can't assign through `.{name}` on {kind_name(container)}")
    if name not in container:
        raise RuntimeFailure(f"can't assign through missing field `.{name}`")
    return container[name]


def step_index(container: Value, key: Value) -> tuple[str | int, Value]:
    """The position that an inner step `[key]` names, and what is there."""
    if type(container) is dict:
        name = key if type(key) is str else as_text(key)
        if name not in container:
            raise RuntimeFailure(f"can't assign through missing key `{name}`")
        return name, container[name]
    if type(container) is list:
        at = list_position(container, key)
        return at, container[at]
    if isinstance(container, Image):
        raise RuntimeFailure("can't assign through image fields; images are immutable")
    raise RuntimeFailure(f"can't assign through index on {kind_name(container)}")


def _bad_field(container: Value, name: str) -> RuntimeFailure:
    if isinstance(container, Image):
        return RuntimeFailure("can't assign image fields; images are immutable")
    return RuntimeFailure(f"can't assign `.{name}` on {kind_name(container)}")


def _bad_index(container: Value) -> RuntimeFailure:
    if isinstance(container, Image):
        return RuntimeFailure("can't assign image fields; images are immutable")
    return RuntimeFailure(f"can't assign index on {kind_name(container)}")
