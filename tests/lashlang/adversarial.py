"""Programs that try to reach Python, to confuse the compiler or to forge authority.

Generated from families so that each trick is tried in every position; what all
of them must do is in test_adversarial.py.
"""

from __future__ import annotations

DUNDERS = (
    "__class__",
    "__dict__",
    "__globals__",
    "__builtins__",
    "__import__",
    "__mro__",
    "__subclasses__",
    "__init__",
    "__code__",
    "__getattribute__",
    "__reduce__",
    "__doc__",
    "__slots__",
    "gi_frame",
    "f_globals",
    "f_locals",
)
PYTHON_WORDS = (
    "eval",
    "exec",
    "open",
    "compile",
    "getattr",
    "setattr",
    "globals",
    "locals",
    "vars",
    "type",
    "object",
    "lambda",
    "import",
    "def",
    "class",
    "yield_",
    "None",
    "True",
    "self",
    "nonlocal",
    "global",
    "del",
    "assert",
    "async",
    "with",
    "try",
    "except",
    "raise",
    "pass",
    "is",
)
GENERATED = (
    "m",
    "c",
    "d",
    "n",
    "due",
    "cap",
    "text_room",
    "read",
    "write",
    "items",
    "body",
    "t1",
    "t2",
    "f1",
    "K1",
    "K2",
    "r1",
    "comp1",
    "v_x",
    "own_v_x",
    "UNSET",
    "UNFINISHED",
    "NAMESPACE",
    "add",
    "concat",
    "index",
    "field",
    "save",
    "get",
    "append",
    "truthy",
    "unwrap",
    "await_value",
    "fn_f",
    "gen_f",
    "try_f",
    "never",
    "inf",
)
FORMATS = (
    "{0.__class__}",
    "{0[a]}",
    "{!r}",
    "{0!s}",
    "{:>10}",
    "{__class__}",
    "{0.a}",
    "{a}",
    "{ }",
    "{0:x}",
    "%s",
    "{}{",
    "${x}",
    "{0}{",
    "}{",
    "{{}",
)
LOOKALIKES = ("ａ", "а", "ｅval", "ｐrint", "x\u200b", "\u202ex", "ﬁ", "ℯ", "𝐱", "é", "x\u0301", "١", "Ⅷ", "\ufeffx")
HOSTILE_JSON = (
    '{"__class__": "x"}',
    '{"__resource__": true, "type": "Tools", "alias": "tools"}',
    '{"$lash_process": true, "module_ref": "lashlang:v1:sha256:00"}',
    '{"$lash_type": {"type": {"$ref": "#"}}}',
    '{"$lash_host_descriptor_type": "timer.Schedule", "$lash_host_descriptor_value": {}}',
    '{"__handle__": "process", "id": "p1"}',
    '{"type": "image", "id": 1, "label": 2, "size": "x"}',
    '{"$lash.trigger.event": true}',
    '{"__lashlang_snapshot_projected__": true, "name": "x", "type_name": "y"}',
    "[" * 150 + "]" * 150,
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1" * 5000,
    '"\\ud800"',
    '"\\u0000"',
    '{"a":1,"a":2}',
    "[1,]",
    "// x\n1",
    "0x10",
    "01",
    "'x'",
    "\ufeff1",
)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def corpus() -> list[str]:
    """Every program."""
    programs: list[str] = []
    for name in DUNDERS:
        programs += [
            f"x = {{}}\nsubmit x.{name}",
            f'submit "text".{name}',
            f"x = [1]\nsubmit x[{_quoted(name)}]",
            f"x = {{}}\nx.{name} = 1\nsubmit x.{name}",
            f"{name} = 1\nsubmit {name}",
            f"submit {name}()",
            f"submit tools.{name}({{}})",
            f"submit tools.{name}",
            f"process p({name}: any) {{ finish {name} }}\nsubmit await start p({name}: 1)",
        ]
    for word in PYTHON_WORDS:
        programs += [
            f"{word} = 1\nsubmit {word}",
            f'submit {word}("1")',
            f"for {word} in [1] {{ x = {word} }}\nsubmit x",
        ]
    for name in GENERATED:
        programs += [
            f"submit {name}",
            f"{name} = [1]\n{name} = push({name}, 2)\n{name}[0] = {name}\nsubmit len({name})",
            f"fn {name}(n) {{ return n }}\nsubmit {name}(1)",
            f"submit [{name} for {name} in [1, 2]]",
        ]
    for template in FORMATS:
        programs += [f"submit format({_quoted(template)}, {{ a: 1 }})", f"submit format({_quoted(template)})"]
    for name in LOOKALIKES:
        programs += [f"{name} = 1", f"submit {{ {_quoted(name)}: 1 }}[{_quoted(name)}]", f"submit {name}(1)"]
    for text in HOSTILE_JSON:
        programs += [
            f"x = json_parse({_quoted(text)})\nsubmit to_string(x)",
            f"x = json_parse({_quoted(text)})\nsubmit await x",
            f"x = json_parse({_quoted(text)})\nr = await x.echo({{ value: 1 }})\nsubmit r",
            f"process p(m: Tools) {{ finish 1 }}\nsubmit await start p(m: json_parse({_quoted(text)}))",
            f"submit validate(1, json_parse({_quoted(text)}))",
        ]
    programs += [
        'x = { __resource__: true, type: "Tools", alias: "tools" }\nsubmit await x.echo({ value: 1 })',
        'x = { "$lash.trigger.event": true }\nsubmit x',
        'submit { "$lash.trigger.event": true }',
        "tools = { echo: 1 }\nsubmit await tools.echo({})",
        'submit "\\u0041"',
        'submit "\x00"',
        "x\x00 = 1",
        "submit 1;import os",
        "submit `1`",
        "submit (yield 1)",
        "submit lambda: 1",
        "submit [].append(1)",
        'submit "{}".format(1)',
        "submit x := 1",
        "submit *[1]",
        "submit 1 if 1 else 2",
        "@property\nsubmit 1",
    ]
    return programs
