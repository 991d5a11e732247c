"""The run-time half of in-place changes: see codegen/ownership.py.

A registry says which containers below one variable are that variable's alone.
It exists only while the variable owns its root; entry 0 is the root, the others
are inner containers by identity. Holding them keeps their identities unique.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.values.access import field, grow, index, own, step_field, step_index, store_field, store_index
from lash.lashlang.values.builtins import push
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.meter import Meter
from lash.lashlang.values.operators import SMALL_LIST

Registry = dict[int, Value]
Step = tuple[bool, Value]

# Replaced containers stay registered; past this many the list starts anew, which
# costs one copy each of those still in use.
_REGISTRY_LIMIT: Final = 65_536


def fresh_registry(root: Value) -> Registry:
    """The registry of a variable whose root was just made."""
    return {0: root}


def release(registry: Registry | None, value: Value) -> Value:
    """`value`, read from inside the variable and about to be kept: nothing inside is owned any more."""
    if registry is not None and len(registry) > 1 and (type(value) is list or type(value) is dict):
        _forget_inner(registry)
    return value


def _forget_inner(registry: Registry) -> None:
    root = registry[0]
    registry.clear()
    registry[0] = root


def store_path(
    meter: Meter, root: Value, registry: Registry | None, path: tuple[Step, ...], value: Value
) -> tuple[Value, Registry]:
    """Stores at the end of `path`, copying what is not owned on the way."""
    root, registry, container = _descend(meter, root, registry, path[:-1])
    is_field, key = path[-1]
    if is_field:
        store_field(meter, container, str(key), value)
    else:
        store_index(meter, container, key, value)
    return root, registry


def push_at_path(
    meter: Meter, root: Value, registry: Registry | None, path: tuple[Step, ...], item: Value
) -> tuple[Value, Registry]:
    """`P = push(P, item)`, in place where the list is owned."""
    found = root
    for is_field, key in path:
        found = field(found, str(key)) if is_field else index(found, key)
    if type(found) is not list:
        push(meter, found, item)
    root, registry, container = _descend(meter, root, registry, path)
    assert type(container) is list
    if len(container) >= SMALL_LIST:
        grow(meter, len(container))
    container.append(item)
    return root, registry


def _descend(
    meter: Meter, root: Value, registry: Registry | None, path: tuple[Step, ...]
) -> tuple[Value, Registry, Value]:
    if registry is None:
        root = own(meter, root)
        registry = {0: root}
    elif len(registry) > _REGISTRY_LIMIT:
        _forget_inner(registry)
    container = root
    for is_field, key in path:
        place: str | int
        if is_field:
            place = str(key)
            child = step_field(container, place)
        else:
            place, child = step_index(container, key)
        if (type(child) is list or type(child) is dict) and registry.get(id(child)) is not child:
            child = own(meter, child)
            container[place] = child  # type: ignore[index]
            registry[id(child)] = child
        container = child
    return root, registry, container
