"""What the model is told of the language and of its host (docs/spec/runtime.md §5.7).

It is put together from the environment that programs are linked against, so it never speaks
of what is not there. Every fenced example in it is a program that a test runs, and says in
`# ->` comments what it prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.host.surface import surface_lines
from lash.lashlang.syntax.types import key_text
from lash.protocols.rlm.options import PromptFeatures
from lash.protocols.rlm.surface import binding_of
from lash.tools.catalog import ToolCatalog
from lash.tools.compact import type_text
from lash.tools.definition import ToolDefinition

# What one prompt describes in full; a host with more tools has them listed by their paths.
MAX_DESCRIBED: Final = 100

_FRAME: Final = """You act by writing programs in lashlang. Each reply holds exactly one fenced block with the \
tag `lashlang`; \
what stands before it is your reasoning, and nothing may follow it. A block that holds three back quotes itself \
is opened and closed with four. The block runs at once, and you see what \
it printed in the next message. Keep blocks small and each to one purpose: look first, then compute, then submit. \
Variables live on in later blocks. `print value` shows a value to you, `submit value` ends the turn with it; \
a block does not have to submit. When a block fails, what it assigned before stays; mend the rest of it."""

_LANGUAGE: Final = """### Language

- Values: `null`, `true`, `false`, numbers, strings in double quotes, lists `[1, 2]`, records `{ key: 1, "any \
key": 2 }`.
- Strings: `"…"` with `\\n` and the like, `\"\"\"…\"\"\"` over several lines, `r\"\"\"…\"\"\"` with backslashes \
as they are. \
There is no interpolation: use `format("{} of {}", a, b)` or `+`.
- Assignment copies: `x = 1`, `r.a.b = 1`, `xs[0] = 1`, `counts[k] = counts[k] + 1`. A missing field, key or \
index is `null`.
- `null`, `false`, `0` and `""` count as false; empty lists and records count as true, so ask `empty(xs)`.
- `cond ? a : b` inside expressions. As statements: `if c { … } else if d { … } else { … }`, `for x in xs { … }`, \
`while c { … }`, `break`, `continue`. `submit` ends the turn, `break` only a loop.
- Comments start with `#`. There is no `return`, `elif`, `True`, `None`, `import`, `try`, lambda, f-string, \
`'…'` string or method.

```lashlang
counts = {}
for word in split("the cat and the dog and the bird", " ") {
  counts[word] = counts[word] + 1
}
big = []
for name in keys(counts) {
  if counts[name] > 1 { big = push(big, { name: name, times: counts[name] }) }
}
print big  # -> [{"name":"the","times":3},{"name":"and","times":2}]
print format("{} words, {} different", len(split("a b a", " ")), 2)  # -> 3 words, 2 different
```"""

_OPERATIONS: Final = """### Operations

- `await path.operation({ argument: value })` calls the host and gives `{ ok: true, value }` or `{ ok: false, \
error }`. \
With `?` after it, it gives the value itself, and a failure ends the block: `await path.operation({ … })?`. \
A field of the result: `(await path.operation({ … })?).field`.
- Only the paths listed under Host Surface exist. A path is no value: call it where it stands.
- Independent calls belong into one `await`: `await { a: path.one({ … })?, b: path.two({ … })? }` or a list of \
calls. \
They run together, and the result has the same shape.
- Keep what calls give in variables, and print only the part that you need to read."""

_SLEEP: Final = (
    """- `sleep for "2s"` (also `ms`, `m`, `h`) and `sleep until "2030-01-01T00:00:00Z"` wait, however long."""
)

_PROCESSES: Final = """### Background work

- `process name(a: str) { … finish value }` at top level declares a process. It sees only its parameters, and runs \
on its own: also when this turn is over, and after a restart.
- `h = start name(a: "x")` starts it and goes on. `await h` waits and gives `{ ok: true, value }` or `{ ok: false, \
error }`; `(await h)?` is the value. A list or record of handles is awaited together. `cancel h` asks it to stop.
- Keep handles in variables: a later block or turn can await them.
- Inside a process: `finish v`, `fail v`, `yield v` (tells whoever watches), `wake v` (tells this session, which reads \
it as an event). There is no `print` and no `submit`.

```lashlang
process greet(name: str) {
  finish format("hello {}", name)
}
h = start greet(name: "Ada")
both = await [start greet(name: "Bob"), start greet(name: "Cy")]
print [(await h)?, both[0].value, both[1].ok]  # -> ["hello Ada","hello Bob",true]
```"""

_SIGNALS: Final = """A process may wait for signals, and is sent them by its handle:

```lashlang
process approval(what: str) signals { decided: str } {
  finish [what, wait_signal("decided")]
}
h = start approval(what: "order 7")
signal_run(h, "decided", "yes")
print (await h)?  # -> ["order 7","yes"]
```"""

_TRIGGERS: Final = """### Triggers

- `t = await triggers.register({ source: …, target: name, inputs: { … }, name: "…" })?` starts the process `name` \
whenever something happens to the source. Sources are the constructors with the result `TriggerSource` under Host \
Surface. `inputs` gives every parameter of the process: `trigger.event` is what happened, any other value is the same \
every time.
- `await triggers.list({ target: name })?` finds them again (also by `name`, `source_type`, `enabled`; `{}` is all), \
`await triggers.cancel({ handle: t })?` ends one. What it started goes on."""

_LABELS: Final = """### Labels

`@label(title: "…")` before a statement names the step for people who watch. It changes nothing else.

```lashlang
@label(title: "Add up")
total = 1 + 2
print total  # -> 3
```"""

_FUNCTIONS: Final = """### Functions

```lashlang
fn area(w: float, h: float) -> float { return w * h }
print area(2, 3)  # -> 6
```"""

_COMPREHENSIONS: Final = """### Comprehensions

```lashlang
print [x * x for x in range(5) if x > 1]  # -> [4,9,16]
```"""

_MEMBERSHIP: Final = """### Membership

```lashlang
print "a" in ["a", "b"]  # -> true
```"""

_BUILTINS: Final = """### Builtins

| Function | Result |
|---|---|
| `len(x)` `empty(x)` | size of a string, list, record or null |
| `keys(r)` `values(r)` | lists, in the order of insertion |
| `contains(h, n)` | substring, equal item, or key |
| `starts_with(s, p)` `ends_with(s, p)` `trim(s)` `split(s, sep)` `join(l, sep)` | text |
| `find(s, n[, start])` | index or null |
| `grep_text(s, n)` | a record `{ line, text, match, start, end }` for each line that holds `n` |
| `slice(x, a, b)` | part of a string or list; null bounds are the ends, negative ones count from the end |
| `push(l, v)` `range(end)` `range(a, b[, step])` | lists |
| `ceil_div(a, b)` `floor_div(a, b)` `to_int(x)` `to_float(x)` `to_string(x)` | numbers and text |
| `json_parse(s)` `format(t, …)` | data |"""

_MORE_BUILTINS: Final = """| `sort(l)` `sort_by(l, key)` `sum(l)` `min` `max` `unique(l)` `reverse(x)` | lists |
| `replace(s, a, b)` `lower(s)` `upper(s)` | text |"""

_TYPES: Final = """### Types as values

`Type { … }` is a type; `validate(v, T)` gives `v` or ends the block with what is wrong. \
Types: `str int float bool dict any null list[T] enum["a", "b"] { a: str, b: int? } A | B`; `?` after a field \
makes it optional.

```lashlang
Person = Type { name: str, age: int? }
person = validate(json_parse("{\\"name\\": \\"Ada\\"}"), Person)
print person.name  # -> Ada
```"""

_PATTERNS: Final = """### Common patterns

Look at the shape of large data before you work on it, and filter in the program instead of printing everything:

```lashlang
text = "id,total\\n1,40\\n2,75\\n3,12"
rows = []
for line in slice(split(text, "\\n"), 1, null) {
  cells = split(line, ",")
  rows = push(rows, { id: to_int(cells[0]), total: to_int(cells[1]) })
}
print [len(rows), rows[0]]  # -> [3,{"id":1,"total":40}]
largest = null
for row in rows {
  if largest == null or row.total > largest.total { largest = row }
}
print largest  # -> {"id":2,"total":75}
```"""

_IMAGES: Final = """### Images

An image value has `id`, `label`, `size`, `width` and `height`. `print image` shows you the image itself in the \
next message."""

_DECOMPOSITION: Final = """### Large tasks

Split a large task into steps that each fit one block. Keep intermediate results in variables with telling names: \
they cost no context, and a later block can use them whole. Submit a variable, not a retyped copy of it."""

_CONTEXT: Final = """### Context

`history` is a read-only list of what was said and done in this frame: items are \
`{ kind: "message", id, role, content, attachments }` and \
`{ kind: "rlm_step", id, protocol_iteration, reasoning, code, output, images, error, final_output }`. \
Where an output was shortened, the text names the place of the whole, such as `history[3].output[0]`: \
read or search it there in a block.

```lashlang
print len(history) >= 0  # -> true
```"""

_CONTINUE: Final = """When the context is nearly full, or the rest of the work needs little of it, \
`await control.continue_as({ task: "…", seed: { name: value } })` goes on in a fresh frame: there, `task` is \
the first \
message and `seed` becomes its variables. Nothing else is carried over."""


def execution_prompt(environment: HostEnvironment, features: PromptFeatures) -> str:
    """The language as far as this host goes."""
    return "\n\n".join(_sections(environment, features))


def _sections(environment: HostEnvironment, features: PromptFeatures) -> Iterator[str]:
    abilities, language = environment.abilities, environment.language_features
    modules = environment.resources.module_instances
    yield _FRAME
    yield _LANGUAGE + (f"\n\n{_SLEEP}" if abilities.sleep else "")
    if modules:
        yield _OPERATIONS
    if abilities.processes:
        yield _PROCESSES + (f"\n\n{_SIGNALS}" if abilities.process_signals else "")
    if abilities.triggers and abilities.processes:
        yield _TRIGGERS
    if language.label_annotations:
        yield _LABELS
    if language.functions:
        yield _FUNCTIONS
    if language.comprehensions:
        yield _COMPREHENSIONS
    if language.membership:
        yield _MEMBERSHIP
    yield _BUILTINS + (f"\n{_MORE_BUILTINS}" if language.more_builtins else "")
    if features.common_patterns:
        yield _PATTERNS
    if features.type_literals:
        yield _TYPES
    if features.images:
        yield _IMAGES
    if features.decomposition:
        yield _DECOMPOSITION
    control = modules.get("control")
    can_continue = control is not None and "continue_as" in control.operations
    yield _CONTEXT + (f"\n\n{_CONTINUE}" if can_continue else "")


def tools_prompt(catalog: ToolCatalog, environment: HostEnvironment, concealed: frozenset[str] = frozenset()) -> str:
    """Every operation with its types and what it does; then data types, constructors and trigger sources.

    Nothing is said of tools that are `concealed`.
    """
    lines: list[str] = []
    definitions = sorted((one for one in catalog.definitions() if one.name not in concealed), key=_place)
    for definition in definitions[:MAX_DESCRIBED]:
        lines += _described(definition)
    if len(definitions) > MAX_DESCRIBED:
        paths = ", ".join(f"`{_path(definition)}`" for definition in definitions[MAX_DESCRIBED:])
        lines.append(f"Also: {paths}")
    lines += [line for line in surface_lines(environment) if not line.startswith("await ")]
    return "\n".join(lines)


def _place(definition: ToolDefinition) -> tuple[str, str]:
    bound = binding_of(definition.manifest)
    return bound.module_path, bound.operation


def _path(definition: ToolDefinition) -> str:
    bound = binding_of(definition.manifest)
    return f"{bound.module_path}.{key_text(bound.operation)}"


def _described(definition: ToolDefinition) -> list[str]:
    compact = definition.compact
    takes = type_text(definition.contract.input_schema)
    lines = [f"- `await {_path(definition)}({takes})? -> {compact.returns}`"]
    if compact.description:
        lines.append("  " + compact.description.strip().replace("\n", "\n  "))
    lines += [f"  - {field}" for field in compact.parameters if ": " in field.partition(": ")[2]]
    lines += [f"  Example arguments: {example}" for example in compact.examples]
    return lines
