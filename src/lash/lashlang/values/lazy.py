"""Lazy values: read-only bindings that the host answers for, read by read (§3.11).

A field or index of a lazy value is another lazy value with a longer path; only
an operation asks. A host that cannot answer an operation answers nothing, and
then the whole value is fetched and the ordinary rule applies. Lists and records
keep lazy values unread until something looks at all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Final

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.access import field, index
from lash.lashlang.values.coercion import as_text
from lash.lashlang.values.json_form import to_json
from lash.lashlang.values.kinds import LazyValue, Resource, Value, kind_name
from lash.lashlang.values.meter import Meter
from lash.lashlang.values.text import lazy_text

Request = tuple[object, ...]
Reply = tuple[bool, Value]
# Values in which something lazy may be.
HOLDERS: Final = frozenset((list, dict, LazyValue))
# Parts looked at between two looks around: about 5 ms.
_SLICE: Final = 50_000
# Builtins that look at a container and not at what is in it.
OUTER_ONLY: Final = frozenset(("len", "empty", "keys", "values", "slice", "push", "reverse"))

# The builtins that a host may answer without handing the value over.
READS: Final = {
    "len": "Len",
    "empty": "Empty",
    "contains": "Contains",
    "find": "Find",
    "grep_text": "GrepText",
    "keys": "Keys",
    "values": "Values",
    "starts_with": "StartsWith",
    "ends_with": "EndsWith",
    "split": "Split",
    "join": "Join",
    "trim": "Trim",
    "slice": "Slice",
    "push": "Push",
    "to_int": "ToNumber",
    "to_float": "ToNumber",
    "json_parse": "JsonParse",
}


_ANSWERS: Final[dict[str, tuple[type, ...]]] = {
    "Len": (float,),
    "Empty": (bool,),
    "Contains": (bool,),
    "StartsWith": (bool,),
    "EndsWith": (bool,),
    "Find": (float, type(None)),
    "Keys": (list,),
    "Values": (list,),
    "Split": (list,),
    "GrepText": (list,),
    "Push": (list,),
    "Join": (str,),
    "Trim": (str,),
    "Slice": (str, list),
}


def _fits(operation: str, result: Value) -> bool:
    """Whether an answer is of the kind that the builtin gives: generated code relies on it."""
    if operation in _ANSWERS and type(result) not in _ANSWERS[operation]:
        return False
    if operation in {"Keys", "Split"} and type(result) is list:
        return all(type(item) is str for item in result)
    return True


def lazy_field(value: Value, name: str) -> Value:
    """`x.name`, still lazy."""
    assert isinstance(value, LazyValue)
    return LazyValue(f"{value.name}.{name}", value.type_name, value.descriptor, (*value.path, name))


def lazy_index(value: Value, key: Value) -> Value:
    """`x[key]`, still lazy."""
    assert isinstance(value, LazyValue)
    step = to_json(key)
    shown = f'"{key}"' if isinstance(key, str) else as_text(key)
    plain = step if isinstance(step, str | int) else as_text(key)
    return LazyValue(f"{value.name}[{shown}]", value.type_name, value.descriptor, (*value.path, plain))


def field_of(value: Value, name: str) -> Value:
    """`x.name` of what may be lazy."""
    return lazy_field(value, name) if type(value) is LazyValue else field(value, name)


def item_of(value: Value, key: Value) -> Value:
    """`x[key]` of what may be lazy."""
    return lazy_index(value, key) if type(value) is LazyValue else index(value, key)


def meets_lazy(value: Value, *path: tuple[bool, Value]) -> bool:
    """Whether an assignment through `path` comes upon a lazy value on its way."""
    for is_field, key in path:
        if type(value) is LazyValue:
            return True
        if type(value) is not dict and (is_field or type(value) is not list):
            return False
        try:
            value = field(value, str(key)) if is_field else index(value, key)
        except RuntimeFailure:
            # The assignment says what is wrong.
            return False
    return type(value) is LazyValue


def materialize(value: Value) -> Generator[Request, Reply, Value]:
    """The whole value."""
    found, whole = yield ("read", value, "Materialize", ())
    if not found:
        assert isinstance(value, LazyValue)
        raise RuntimeFailure(lazy_text(value))
    return whole


def read_whole(value: Value) -> Generator[Request | int, Reply, Value]:
    """`value` with nothing lazy left in it; itself if there was nothing.

    A container that is shared stays shared, so what is small in memory is walked
    once, whatever its size would be when written out.
    """
    if type(value) is LazyValue:
        return (yield from materialize(value))
    found: list[LazyValue] = []
    holders: set[int] = set()
    yield from _search(value, found, holders)
    if not found:
        return value
    read: dict[int, Value] = {}
    for item in found:
        if id(item) not in read:
            read[id(item)] = yield from materialize(item)
    return (yield from _replaced(value, read, holders))


def kept_field(fields: Mapping[str, str], receiver: Value) -> str | None:
    """The field in which an operation of the module `receiver` gets references."""
    return fields.get(receiver.alias) if isinstance(receiver, Resource) else None


def read_besides(value: Value, field: str | None) -> Generator[Request | int, Reply, Value]:
    """`read_whole`, with references at the roots of `field`: itself, or what is directly in its list or record.

    Where the host has no reference for a lazy value, it is read as ever.
    """
    if field is not None and type(value) is dict and field in value:
        root = value[field]
        kept = yield from _referenced(root) if type(root) is LazyValue else _referenced_in(root)
        if kept is not root:
            value = {**value, field: kept}
    return (yield from read_whole(value))


def _referenced(value: Value) -> Generator[Request, Reply, Value]:
    """The host's reference to a lazy value; the value itself where there is none."""
    found, reference = yield ("read", value, "Reference", ())
    return reference if found else value


def _referenced_in(holder: Value) -> Generator[Request | int, Reply, Value]:
    """A list or record with references to what is lazy in it; itself if nothing is."""
    if type(holder) is not list and type(holder) is not dict:
        return holder
    found: list[tuple[int | str, LazyValue]] = []
    entries = enumerate(holder) if type(holder) is list else holder.items()  # type: ignore[union-attr]
    for count, (key, item) in enumerate(entries, 1):
        if type(item) is LazyValue:
            found.append((key, item))
        if count % _SLICE == 0:
            yield 0
    if not found:
        return holder
    made: Value = holder.copy()
    for key, item in found:
        made[key] = yield from _referenced(item)  # type: ignore[index]
    return made


def _search(value: Value, found: list[LazyValue], holders: set[int]) -> Generator[int, object, None]:
    """Collects what is lazy in `value`, in source order, and the containers above it."""
    seen: dict[int, bool] = {}
    stack: list[tuple[Value, Iterator[Value]]] = []
    since = 0

    def enter(item: Value) -> None:
        seen[id(item)] = False
        stack.append((item, iter(item if type(item) is list else item.values())))  # type: ignore[union-attr]

    enter(value)
    while stack:
        holder, rest = stack[-1]
        for item in rest:
            since += 1
            kind = type(item)
            if kind is LazyValue:
                found.append(item)  # type: ignore[arg-type]
                holders.add(id(holder))
            elif kind is list or kind is dict:
                if id(item) not in seen:
                    enter(item)
                    break
                if id(item) in holders:
                    holders.add(id(holder))
        else:
            stack.pop()
            if stack and id(holder) in holders:
                holders.add(id(stack[-1][0]))
        if since > _SLICE:
            since = 0
            yield 0


def _replaced(value: Value, read: dict[int, Value], holders: set[int]) -> Generator[int, object, Value]:
    """`value` with copies of the `holders` above what was read."""
    made: dict[int, Value] = {}
    open_: list[Value] = [value]
    while open_:
        holder = open_[-1]
        parts = holder if type(holder) is list else list(holder.values())  # type: ignore[union-attr]
        waits = [part for part in parts if id(part) in holders and id(part) not in made]
        if waits:
            open_ += waits
            continue
        open_.pop()
        if id(holder) in made:
            continue
        known = [read[id(part)] if type(part) is LazyValue else made.get(id(part), part) for part in parts]
        made[id(holder)] = known if type(holder) is list else dict(zip(holder, known, strict=True))  # type: ignore[arg-type]
        yield 0
    return made[id(value)]


def read_lazy(
    meter: Meter, operation: str, function: Callable[..., Value], value: Value, *args: Value
) -> Generator[Request, Reply, Value]:
    """`function(value, …)`, answered by the host where it can."""
    found, result = yield ("read", value, operation, args)
    if found:
        if operation == "ToNumber":
            return function(meter, result)
        if not _fits(operation, result):
            raise RuntimeFailure(f"host answered `{operation}` with {kind_name(result)}")
        return result
    return function(meter, (yield from materialize(value)), *args)


def lazy_truth(truthy: Callable[[Value], bool], value: Value) -> Generator[Request, Reply, bool]:
    """Whether the value is true."""
    found, result = yield ("read", value, "Truthy", ())
    return truthy(result if found else (yield from materialize(value)))


def lazy_render(value: Value) -> Generator[Request, Reply, Value]:
    """What `print` shows; a value that nobody answers for says so."""
    for operation in ("Render", "Materialize"):
        found, result = yield ("read", value, operation, ())
        if found:
            return result
    assert isinstance(value, LazyValue)
    return lazy_text(value)
