"""A decorated function becomes a tool and stays a function."""

from __future__ import annotations

import asyncio
import contextvars
import re
import threading
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import msgspec
import pydantic
import pytest

from lash.base.canonical import canonical_json
from lash.base.json import JsonObject
from lash.lashlang.syntax.lexer import RESERVED
from lash.protocols.rlm.executor import HISTORY
from lash.tools import (
    DuplicateTool,
    PreparedToolCall,
    Retry,
    Tool,
    ToolCallOutput,
    ToolContext,
    ToolDefinitionError,
    ToolExecution,
    ToolSet,
    tool,
)
from lash.tools.decorator import NO_MODULES
from lash.tools.definition import PreserveProjectedRefs
from lash.tools.projected import NoProjectedValues

NO_JSON = object()


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Note:
    title: str
    tags: list[str] = field(default_factory=list)


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Filter(TypedDict):
    field: str
    limit: NotRequired[int]


class Order(pydantic.BaseModel):
    number: int
    placed: date = date(2020, 1, 1)


@dataclass
class Cat:
    meows: int


@dataclass
class Dog:
    barks: int


def context(**changes: Any) -> ToolContext:
    values: dict[str, Any] = {"session_id": "s", "turn_id": "t", "tool_call_id": "c", "tool_name": "x"}
    return ToolContext(**{**values, **changes})


async def run(subject: Tool[..., Any], args: JsonObject) -> Any:
    call = PreparedToolCall("c", subject.definition.id, subject.name, args)
    return await subject.execute(ToolExecution(call, context()))


def properties(subject: Tool[..., Any]) -> JsonObject:
    found = subject.definition.contract.input_schema["properties"]
    assert isinstance(found, dict)
    return found


class TestTheSchema:
    def test_comes_from_hints_and_docstring(self) -> None:
        @tool
        async def lookup_order(order_id: int, verbose: bool = False) -> dict[str, int]:
            """Look an order up by its number.

            Slow on Mondays.

            Args:
                order_id: The number on the receipt.
                verbose: Say more,
                    much more.
            """
            return {"id": order_id}

        definition = lookup_order.definition
        assert definition.id == "tool:lookup_order"
        assert definition.manifest.description == "Look an order up by its number."
        assert definition.contract.input_schema == {
            "type": "object",
            "properties": {
                "order_id": {"type": "integer", "description": "The number on the receipt."},
                "verbose": {"type": "boolean", "description": "Say more, much more.", "default": False},
            },
            "required": ["order_id"],
            "additionalProperties": False,
        }
        assert definition.contract.output_schema == {"type": "object", "additionalProperties": {"type": "integer"}}
        assert definition.signature == "lookup_order({ order_id: int, verbose?: bool = false }) -> dict[str, int]"

    def test_names_the_definitions_of_classes(self) -> None:
        @tool
        def save(note: Note, where: Point | None = None) -> Note:
            return note

        schema = save.definition.contract.input_schema
        assert isinstance(schema["$defs"], dict)
        assert set(schema["$defs"]) == {"Note", "Point"}
        assert save.definition.signature.startswith("save({ note: { title: str, tags?: list[str]")

    def test_takes_descriptions_from_annotated(self) -> None:
        @tool
        def wait(seconds: Annotated[int, "How long to wait"], times: Annotated[int, msgspec.Meta(ge=1)] = 1) -> None:
            """Wait."""

        assert properties(wait) == {
            "seconds": {"type": "integer", "description": "How long to wait"},
            "times": {"type": "integer", "minimum": 1, "default": 1},
        }

    def test_says_that_dates_are_dates(self) -> None:
        @tool
        def between(start: datetime, end: date | None = None) -> None: ...

        assert properties(between)["start"] == {"type": "string", "format": "date-time"}

    def test_a_union_of_two_classes_is_any_of_them(self) -> None:
        @tool
        def pet(animal: Cat | Dog) -> str:
            return type(animal).__name__

        assert pet.definition.signature == "pet({ animal: { meows: int } | { barks: int } }) -> str"

    @pytest.mark.parametrize(
        "doc",
        [
            "Parameters\n----------\nleft : int\n    The left one.\nright\n    The right\n    one.\n\nNotes\n-----\n.",
            ":param left: The left one.\n:param int right: The right\n    one.\n:returns: the sum",
            "Args:\n    left (int): The left one.\n    right: The right\n        one.\n\nReturns:\n    The sum.",
        ],
    )
    def test_reads_three_manners_of_docstring(self, doc: str) -> None:
        def add(left: int, right: int) -> int:
            return left + right

        add.__doc__ = f"Add.\n\n{doc}"

        subject = tool(add)

        assert subject.definition.manifest.description == "Add."
        assert properties(subject) == {
            "left": {"type": "integer", "description": "The left one."},
            "right": {"type": "integer", "description": "The right one."},
        }


class TestArguments:
    async def test_arrive_as_the_types_of_the_hints(self) -> None:
        seen: list[object] = []

        @tool
        async def take(
            note: Note,
            point: Point,
            only: Filter,
            order: Order,
            colour: Colour,
            when: datetime,
            pair: tuple[int, str],
            names: set[str],
            level: Literal["low", "high"],
            orders: list[Order],
            maybe: Optional[int] = None,  # noqa: UP045  # both spellings are in the wild
        ) -> None:
            seen.extend([note, point, only, order, colour, when, pair, names, level, orders, maybe])

        await run(
            take,
            {
                "note": {"title": "n"},
                "point": {"x": 1},
                "only": {"field": "f"},
                "order": {"number": 3, "placed": "2024-02-03"},
                "colour": "red",
                "when": "2024-02-03T04:05:06Z",
                "pair": [1, "a"],
                "names": ["a"],
                "level": "low",
                "orders": [{"number": 1}],
            },
        )

        assert seen[:2] == [Note("n"), Point(1)]
        assert seen[2:5] == [{"field": "f"}, Order(number=3, placed=date(2024, 2, 3)), Colour.RED]
        assert isinstance(seen[5], datetime)
        assert seen[6:] == [(1, "a"), {"a"}, "low", [Order(number=1)], None]

    async def test_an_integral_float_is_an_integer(self) -> None:
        @tool
        async def twice(n: int) -> int:
            return n * 2

        result = await run(twice, {"n": 3.0})

        assert result == 6
        assert type(result) is int

    async def test_unions_decode_to_the_first_class_that_fits(self) -> None:
        @tool
        def pet(animal: Cat | Dog) -> str:
            return type(animal).__name__

        assert await run(pet, {"animal": {"barks": 1}}) == "Dog"

    async def test_what_only_the_type_knows_is_refused_with_its_path(self) -> None:
        @tool
        def place(order: Order) -> str:
            return "ok"

        output = await run(place, {"order": {"number": 1, "placed": "not a day"}})

        assert isinstance(output, ToolCallOutput)
        assert output.error is not None
        assert output.error.code == "invalid_tool_args"
        assert "$.order.placed" in output.error.message

    async def test_omitted_ones_take_the_default_of_the_function(self) -> None:
        @tool
        def f(a: int, b: list[int] = [1], /, *, c: str = "x") -> list[Any]:  # noqa: B006
            return [a, b, c]

        assert await run(f, {"a": 1}) == [1, [1], "x"]
        assert await run(f, {"a": 1, "c": "y"}) == [1, [1], "y"]

    async def test_the_context_comes_first_and_is_not_in_the_schema(self) -> None:
        @tool
        async def who(ctx: ToolContext, polite: bool = True) -> str:
            return f"{ctx.session_id} {polite}"

        assert list(properties(who)) == ["polite"]
        assert await run(who, {}) == "s True"


class TestRunning:
    async def test_a_sync_function_runs_in_a_thread_with_the_context_variables(self) -> None:
        variable = contextvars.ContextVar("variable", default="unset")

        @tool
        def where() -> tuple[bool, str]:
            return threading.current_thread() is threading.main_thread(), variable.get()

        variable.set("set")

        assert await run(where, {}) == (False, "set")

    async def test_the_loop_goes_on_while_a_sync_function_blocks(self) -> None:
        entered, release = threading.Event(), threading.Event()

        @tool
        def block() -> bool:
            entered.set()
            return release.wait(5)

        running = asyncio.create_task(run(block, {}))
        assert await asyncio.to_thread(entered.wait, 5)
        release.set()

        assert await running is True

    async def test_a_tool_is_still_the_function(self) -> None:
        @tool
        async def greet(name: str) -> str:
            """Greet."""
            return f"hello {name}"

        assert await greet("you") == "hello you"
        assert greet.__name__ == "greet"
        assert greet.__doc__ == "Greet."
        assert repr(greet) == "<tool greet({ name: str }) -> str>"

    async def test_a_bound_method_and_a_callable_object_are_tools_too(self) -> None:
        class Desk:
            def __init__(self) -> None:
                self.notes: list[str] = []

            async def add(self, text: str) -> int:
                self.notes.append(text)
                return len(self.notes)

            async def __call__(self, text: str) -> str:
                return text

        desk = Desk()

        assert await run(tool(desk.add), {"text": "a"}) == 1
        assert await run(tool(name="desk")(desk), {"text": "b"}) == "b"
        assert desk.notes == ["a"]

    async def test_a_partial_is_a_tool_under_a_name_of_its_own(self) -> None:
        async def scale(value: int, *, factor: int) -> int:
            return value * factor

        double = tool(name="double")(partial(scale, factor=2))

        assert await run(double, {"value": 4}) == 8

    async def test_classes_local_to_a_function_are_found(self) -> None:
        @dataclass
        class Local:
            n: int

        @tool
        def take(local: Local) -> int:
            return local.n

        assert await run(take, {"local": {"n": 4}}) == 4


class TestOptions:
    def test_reach_the_manifest(self) -> None:
        @tool(
            name="add-note",
            description="Adds.",
            module="notes",
            repeat="never",
            retry=Retry(2, 10, 20),
            timeout=1.5,
            scheduling="serial",
        )
        def add(text: str) -> None:
            """Not this."""

        manifest = add.definition.manifest
        assert (manifest.name, manifest.id, manifest.description) == ("add-note", "tool:add-note", "Adds.")
        assert (manifest.repeat, manifest.retry, manifest.timeout_ms) == ("never", Retry(2, 10, 20), 1500)
        assert manifest.scheduling == "serial"
        assert manifest.bindings == {"lashlang": {"module": "notes", "operation": "add-note"}}

    def test_an_idempotent_tool_is_tried_three_times_unless_told_otherwise(self) -> None:
        @tool(repeat="idempotent")
        def put() -> None: ...

        @tool
        def get() -> None: ...

        assert put.definition.manifest.retry.attempts == 3
        assert get.definition.manifest.retry.attempts == 1

    def test_an_option_of_a_later_release_does_not_exist(self) -> None:
        with pytest.raises(TypeError, match="remote"):
            tool(remote=True)  # type: ignore[call-overload]

    def test_who_is_asked_before_a_call_is_part_of_the_manifest(self) -> None:
        @tool(approve=True, approval_timeout=1.5)
        def always() -> None: ...

        @tool(approve=lambda args, _ctx: args["amount"] > 100)
        def sometimes(amount: int) -> None: ...

        @tool
        def never() -> None: ...

        assert [each.definition.manifest.approve for each in (always, sometimes, never)] == [
            "always",
            "predicate",
            "never",
        ]
        assert always.definition.manifest.approval_timeout_ms == 1500

    @pytest.mark.parametrize(
        "options",
        [
            {"repeat": "Never"},
            {"scheduling": "one by one"},
            {"timeout": "3"},
            {"timeout": float("nan")},
            {"approve": "always"},
            {"approve": None},
            {"retry": 3},
            {"cancel": "yes"},
            {"approve": True, "approval_timeout": float("inf")},
        ],
        ids=repr,
    )
    def test_an_option_of_a_wrong_kind_is_refused_where_it_is_written(self, options: dict[str, object]) -> None:
        (name, value), *_ = list(options.items())[-1:]
        with pytest.raises(ToolDefinitionError, match=rf"tool f\(\): {name}={re.escape(repr(value))}"):

            @tool(**options)  # type: ignore[call-overload, untyped-decorator]
            async def f() -> None: ...

    def test_a_deadline_for_an_approval_that_nobody_is_asked_for_is_refused(self) -> None:
        with pytest.raises(ToolDefinitionError, match="approval_timeout=3"):

            @tool(approval_timeout=3)
            def f() -> None: ...

    def test_a_field_for_references_is_one_of_the_parameters(self) -> None:
        @tool(preserve_projected_refs_in_field="rows")
        def f(rows: object) -> None: ...

        assert f.definition.manifest.argument_projection == PreserveProjectedRefs("rows")
        with pytest.raises(ToolDefinitionError, match="preserve_projected_refs_in_field='row' names no parameter"):
            tool(preserve_projected_refs_in_field="row")(f.__wrapped__)

    async def test_a_reference_is_resolved_only_where_something_is_projected(self) -> None:
        reference: JsonObject = {"__projection_ref__": {"kind": "file", "key": "a"}}
        plain: JsonObject = {"__projection_ref__": "a word", "rows": [reference]}

        assert await context().resolve_projected(plain) == plain
        with pytest.raises(NoProjectedValues, match=r"tool x was given a reference to file:a"):
            await context().resolve_projected([1, reference])


class TestBadDefinitions:
    def test_a_parameter_without_a_hint_is_named(self) -> None:
        def f(a: int, b) -> None: ...  # type: ignore[no-untyped-def]

        with pytest.raises(ToolDefinitionError, match=r"tool f\(\), parameter 'b': it has no type hint; annotate it"):
            tool(f)

    def test_a_method_is_to_be_bound_first(self) -> None:
        def method(self: Any, a: int) -> None: ...

        del method.__annotations__["self"]

        with pytest.raises(ToolDefinitionError, match=r"lash\.tool\(instance\.method\)"):
            tool(method)

    def test_star_arguments_have_no_schema(self) -> None:
        def f(*args: int) -> None: ...
        def g(**options: int) -> None: ...

        with pytest.raises(ToolDefinitionError, match=r"parameter 'args': \*args has no schema"):
            tool(f)
        with pytest.raises(ToolDefinitionError, match=r"parameter 'options': \*\*options has no schema"):
            tool(g)

    @pytest.mark.parametrize("kind", [complex, type, threading.Thread])
    def test_a_type_without_json_is_refused(self, kind: Any) -> None:
        def f(a: int) -> None: ...

        f.__annotations__["a"] = kind
        with pytest.raises(
            ToolDefinitionError, match=r"parameter 'a': type .* has no JSON form .* use JSON's own types"
        ):
            tool(f)

    def test_a_return_type_without_json_is_refused(self) -> None:
        def f() -> threading.Thread:
            raise NotImplementedError

        with pytest.raises(ToolDefinitionError, match="parameter 'return'"):
            tool(f)

    def test_a_hint_that_is_not_there_at_run_time_is_named(self) -> None:
        def f(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

        with pytest.raises(ToolDefinitionError, match="parameter 'a': the type hint names 'Missing'"):
            tool(f)

    def test_a_default_without_json_is_refused(self) -> None:
        def f(a: Any = NO_JSON) -> None: ...

        with pytest.raises(ToolDefinitionError, match="parameter 'a': the default"):
            tool(f)

    def test_the_context_must_come_first(self) -> None:
        def f(a: int, ctx: ToolContext) -> None: ...

        with pytest.raises(ToolDefinitionError, match="parameter 'ctx': ToolContext must come first"):
            tool(f)

    def test_names_that_no_model_can_call_are_refused(self) -> None:
        with pytest.raises(ToolDefinitionError, match="not one that models can call"):
            tool(lambda: None)
        with pytest.raises(ToolDefinitionError, match="module='My Orders'"):
            tool(module="My Orders")(nothing_much)

    def test_a_module_that_programs_read_as_a_word_is_refused(self) -> None:
        assert RESERVED | {HISTORY} == NO_MODULES
        for module in ("if", "history.of"):
            with pytest.raises(ToolDefinitionError, match="choose another"):
                tool(module=module)(nothing_much)

    def test_approve_is_a_decision_or_a_function(self) -> None:
        with pytest.raises(ToolDefinitionError, match="approve='always'; give True"):
            tool(approve="always")(nothing_much)  # type: ignore[call-overload]

    def test_generators_classes_and_tools_are_not_functions_to_decorate(self) -> None:
        def f() -> Any:
            yield 1

        with pytest.raises(ToolDefinitionError, match="generator"):
            tool(f)
        with pytest.raises(ToolDefinitionError, match="class"):
            tool(Note)
        with pytest.raises(ToolDefinitionError, match="tool already"):
            tool(tool(nothing_much))

    def test_two_tools_of_one_name_in_a_set_are_refused(self) -> None:
        one = tool(name="same")(nothing_much)
        two = tool(name="same")(nothing_else)

        with pytest.raises(DuplicateTool, match=r"nothing_much and by .*nothing_else"):
            ToolSet([one, two])

    def test_a_plain_function_in_a_set_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ToolDefinitionError, match=r"decorate it with @lash\.tool"):
            ToolSet([nothing_much])  # type: ignore[list-item]


def nothing_much() -> None:
    """A function to make tools of."""


def nothing_else() -> None:
    """Another one."""


def test_a_prefix_names_the_tools_of_a_set() -> None:
    subject = ToolSet([tool(name="add")(nothing_much)], prefix="notes")

    (manifest,) = subject.tool_manifests()

    assert (manifest.id, manifest.name) == ("tool:notes_add", "notes_add")
    assert subject.resolve_contract("notes_add") is not None
    assert subject.resolve_contract("add") is None


class TestDefaults:
    def test_are_plain_json_in_the_schema(self) -> None:
        @dataclass
        class Box:
            size: tuple[int, int] = (1, 2)

        BOX = Box()  # noqa: N806

        @tool
        def draw(
            pair: tuple[int, int] = (3, 4), colour: Colour = Colour.RED, box: Box = BOX, day: date = date(2024, 1, 2)
        ) -> None: ...

        schema = draw.definition.contract.input_schema

        assert [field["default"] for field in properties(draw).values() if isinstance(field, dict)] == [
            [3, 4],
            "red",
            {"size": [1, 2]},
            "2024-01-02",
        ]
        canonical_json(schema)

    def test_that_no_store_can_keep_are_refused(self) -> None:
        @dataclass
        class Limits:
            upper: float = float("inf")

        def direct(upper: float = float("inf")) -> None: ...
        def inside(limits: Limits) -> None: ...

        with pytest.raises(ToolDefinitionError, match="parameter 'upper': the default inf"):
            tool(direct)
        with pytest.raises(ToolDefinitionError, match="parameter 'limits'"):
            tool(inside)


class TestMoreTypes:
    async def test_a_path_is_text_both_ways(self) -> None:
        @tool
        def parent(path: Path, other: Path | None = None) -> Path:
            return path.parent

        assert properties(parent)["path"] == {"type": "string", "format": "path"}
        assert ToolCallOutput.ok(await run(parent, {"path": "a/b"})) == ToolCallOutput.ok("a")
        assert isinstance(await run(parent, {"path": 3}), ToolCallOutput)

    async def test_a_pydantic_constraint_on_a_plain_type_holds(self) -> None:
        @tool
        def wait(seconds: Annotated[int, pydantic.Field(ge=1, description="How long")]) -> int:
            return seconds

        assert properties(wait)["seconds"] == {"type": "integer", "minimum": 1, "description": "How long"}
        assert isinstance(await run(wait, {"seconds": 0}), ToolCallOutput)

    async def test_a_pydantic_model_inside_a_dataclass_is_decoded(self) -> None:
        @dataclass
        class Basket:
            orders: list[Order]

        @tool
        def count(basket: Basket) -> int:
            return sum(order.number for order in basket.orders)

        assert await run(count, {"basket": {"orders": [{"number": 2}, {"number": 3}]}}) == 5

    async def test_a_recursive_dataclass_is_a_schema_with_a_reference(self) -> None:
        @tool
        def depth(tree: Tree) -> int:
            return 1 + max((0, *(len(child.children) for child in tree.children)))

        assert await run(depth, {"tree": {"children": [{"children": [{}]}]}}) == 2
        canonical_json(depth.definition.contract.input_schema)
        assert "any" in depth.definition.signature

    async def test_a_tool_of_a_prefixed_set_is_run_by_its_id(self) -> None:
        subject = ToolSet([tool(name="echo")(echo)], prefix="p")
        call = PreparedToolCall("c", "tool:p_echo", "renamed_since", {"value": 1})

        assert await subject.execute(ToolExecution(call, context())) == 1


@dataclass
class Tree:
    children: list[Tree] = field(default_factory=list)


def echo(value: Any) -> Any:
    """Echo."""
    return value
