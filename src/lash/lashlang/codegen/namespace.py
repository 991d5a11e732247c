"""The only names that generated code can reach.

Generated functions run with this dictionary as their globals and without
Python's builtins. They contain no attribute access, no imports and no other
calls, so a program can reach a value only through what is listed here; a test
reads the generated trees and holds that up.
"""

from __future__ import annotations

from itertools import count, islice
from math import inf
from typing import Final, NoReturn

from lash.lashlang.codegen import attempts
from lash.lashlang.errors import BudgetExceeded, RuntimeFailure
from lash.lashlang.syntax.types import TypeExpr
from lash.lashlang.values import access, lazy, operators, ownership, quick, slices
from lash.lashlang.values.awaiting import await_value
from lash.lashlang.values.builtins import BUILTINS, arity_error, json_parse, range_, range_bounds
from lash.lashlang.values.coercion import exact_to_float, truthy
from lash.lashlang.values.kinds import LazyValue, Value, kind_name
from lash.lashlang.values.markers import UNFINISHED, UNSET, Marker
from lash.lashlang.values.meter import Meter
from lash.lashlang.values.more_builtins import MORE_BUILTINS, sort, sort_by
from lash.lashlang.values.schema import Schema, find_problem, schema_of, type_value_schema
from lash.lashlang.values.text import show_number

# A frame of Python per call: far below its limit of 1,000, whatever called us.
CALL_DEPTH: Final = 400
_EXACT: Final = 2**53


class OutOfFuel(Exception):
    """A fast call has run long enough; it is pure and will be run again slowly."""


def quick_sort(meter: Meter, items: Value) -> Value:
    """`sort(l)` in a fast call: a large one is left to the slow call, which works in slices."""
    if slices.is_large(items):
        raise OutOfFuel
    return sort(meter, items)


def quick_sort_by(meter: Meter, items: Value, key: Value) -> Value:
    """`sort_by(l, key)` in a fast call."""
    if slices.is_large(items):
        raise OutOfFuel
    return sort_by(meter, items, key)


def quick_json_parse(meter: Meter, text: Value) -> Value:
    """`json_parse(s)` in a fast call."""
    if slices.is_large(text):
        raise OutOfFuel
    return json_parse(meter, text)


def unknown_name(name: str) -> NoReturn:
    """Fails as reading an unset variable does."""
    raise RuntimeFailure(f"unknown name `{name}`")


def readonly(name: str) -> NoReturn:
    """Fails as assigning a read-only binding does."""
    raise RuntimeFailure(f"`{name}` is a read-only projected binding")


def as_list(value: Value) -> list[Value]:
    """The list a `for` iterates."""
    if type(value) is list:
        return value
    raise RuntimeFailure("`for` expects a list")


def _each(bounds: tuple[int, int, int]) -> object:
    numbers = range(*bounds)
    low, high, step = bounds
    if -_EXACT < low < _EXACT and -_EXACT < high < _EXACT and -_EXACT < step < _EXACT:
        # Sums of doubles this small are exact, and faster than converting.
        return islice(count(float(low), float(step)), len(numbers))
    return map(float, numbers)


def each_1(end: Value) -> object:
    """The numbers of `range(end)`, one at a time."""
    return _each(range_bounds(0.0, end, 1.0))


def each_2(start: Value, end: Value) -> object:
    """The numbers of `range(start, end)`, one at a time."""
    return _each(range_bounds(start, end, 1.0))


def each_3(start: Value, end: Value, step: Value) -> object:
    """The numbers of `range(start, end, step)`, one at a time."""
    return _each(range_bounds(start, end, step))


def range_1(meter: Meter, end: Value) -> list[Value]:
    """`range(end)`."""
    return range_(meter, end)


def range_2(meter: Meter, start: Value, end: Value) -> list[Value]:
    """`range(start, end)`."""
    return range_(meter, start, end, count=2)


def range_3(meter: Meter, start: Value, end: Value, step: Value) -> list[Value]:
    """`range(start, end, step)`."""
    return range_(meter, start, end, step, count=3)


def type_value(shape: TypeExpr, known: dict[str, Schema], *named: tuple[str, Value]) -> Value:
    """A type value whose references are variables."""
    schemas = known | {name: type_value_schema(value, name) for name, value in named}
    return {"$lash_type": schema_of(shape, schemas)}


def save(variables: dict[str, Value], names: tuple[str, ...], *values: Value | Marker) -> None:
    """Writes a cell's variables back when it ends, however it ends."""
    held = zip(names, values, strict=True)
    variables.update({name: value for name, value in held if not isinstance(value, Marker)})


def item_limit(meter: Meter) -> int:
    """How many items one value may hold."""
    return meter.items


def text_room(meter: Meter) -> int:
    """How long a text may be for another short append."""
    return meter.text_chars - 4096


def due_list(meter: Meter) -> list[bool]:
    """The list that is non-empty when the driver should get a turn."""
    return meter.due


def counted(meter: Meter, items: list[Value]) -> list[Value]:
    """A list that a comprehension made, if it is not too long."""
    if len(items) > 512:
        meter.check_items(len(items))
        meter.allocate(len(items) * 64)
    return items


def branch(meter: Meter, site: int, test: bool) -> bool:
    """Reports the arm that a branch takes; gives its test back."""
    sites = meter.sites
    if sites is not None:
        sites.branch(site, "then" if test else "else")
    return test


def step_started(meter: Meter, site: int) -> None:
    """Reports the start of a labelled step."""
    if meter.sites is not None:
        meter.sites.step_started(site)


def step_completed(meter: Meter, site: int) -> None:
    """Reports the end of a labelled step."""
    if meter.sites is not None:
        meter.sites.step_completed(site)


def out_of_fuel() -> NoReturn:
    """Leaves a fast call."""
    raise OutOfFuel


def give_way(meter: Meter) -> None:
    """Asks for a turn of the driver."""
    if not meter.due:
        meter.due.append(True)


def too_deep() -> NoReturn:
    """Fails a call that is nested too deep."""
    raise BudgetExceeded("depth", f"function calls nested deeper than {CALL_DEPTH}; use a loop")


def check_value(value: Value, schema: Schema, what: str, wanted: str) -> Value:
    """`value`, if it fits a declared type."""
    if find_problem(value, schema, "$", 0) is not None:
        raise RuntimeFailure(f"{what}: expected {wanted}, got {kind_name(value)}")
    # Generated code takes a checked number for a float.
    return exact_to_float(value) if type(value) is int else value


NAMESPACE: Final[dict[str, object]] = {
    "__builtins__": {},
    "type": type,
    "len": len,
    "float": float,
    "str": str,
    "list": list,
    "dict": dict,
    "inf": inf,
    "get": dict.get,
    "record_get": dict.get,
    "append": list.append,
    "extend": list.extend,
    "UNSET": UNSET,
    "UNFINISHED": UNFINISHED,
    "OutOfFuel": OutOfFuel,
    "BudgetExceeded": BudgetExceeded,
    "unknown_name": unknown_name,
    "readonly": readonly,
    "as_list": as_list,
    "each_1": each_1,
    "each_2": each_2,
    "each_3": each_3,
    "range_1": range_1,
    "range_2": range_2,
    "range_3": range_3,
    "type_value": type_value,
    "save": save,
    "item_limit": item_limit,
    "text_limit": text_room,
    "due_list": due_list,
    "counted": counted,
    "out_of_fuel": out_of_fuel,
    "give_way": give_way,
    "held_back": attempts.held_back,
    "given_up": attempts.given_up,
    "went_well": attempts.went_well,
    "too_deep": too_deep,
    "check_value": check_value,
    "arity_error": arity_error,
    "branch": branch,
    "step_started": step_started,
    "step_completed": step_completed,
    "lazy_field": lazy.lazy_field,
    "lazy_index": lazy.lazy_index,
    "materialize": lazy.materialize,
    "read_whole": lazy.read_whole,
    "read_besides": lazy.read_besides,
    "kept_field": lazy.kept_field,
    "meets_lazy": lazy.meets_lazy,
    "field_of": lazy.field_of,
    "item_of": lazy.item_of,
    "HOLDERS": lazy.HOLDERS,
    "LazyValue": LazyValue,
    "read_lazy": lazy.read_lazy,
    "lazy_truth": lazy.lazy_truth,
    "lazy_render": lazy.lazy_render,
    "quick_sort": quick_sort,
    "quick_sort_by": quick_sort_by,
    "quick_json_parse": quick_json_parse,
    "sliced_sort": slices.sliced_sort,
    "sliced_sort_by": slices.sliced_sort_by,
    "sliced_json_parse": slices.sliced_json_parse,
    **{f"quick_{name}": function for name, function in quick.QUICK.items()},
    **{f"sliced_{name}": function for name, function in quick.SLICED.items()},
    "show_number": show_number,
    "truthy": truthy,
    "await_value": await_value,
    "add": operators.add,
    "concat": operators.concat,
    "subtract": operators.subtract,
    "multiply": operators.multiply,
    "divide": operators.divide,
    "remainder": operators.remainder,
    "negate": operators.negate,
    "equal": operators.equal,
    "unequal": operators.unequal,
    "less": operators.less,
    "less_equal": operators.less_equal,
    "greater": operators.greater,
    "greater_equal": operators.greater_equal,
    "unwrap": operators.unwrap,
    "field": access.field,
    "index": access.index,
    "own": access.own,
    "index_number": access.index_number,
    "store_number": access.store_number,
    "concat_number": operators.concat_number,
    "store_field": access.store_field,
    "store_index": access.store_index,
    "fresh_registry": ownership.fresh_registry,
    "release": ownership.release,
    "store_path": ownership.store_path,
    "push_at_path": ownership.push_at_path,
    **{f"b_{name}": function for name, function in {**BUILTINS, **MORE_BUILTINS}.items()},
}
