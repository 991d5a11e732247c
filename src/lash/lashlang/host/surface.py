"""The host surface as a model is told it: one line per operation (specification §10).

It is made from the same environment that the linker uses, so it cannot promise
what does not link.
"""

from __future__ import annotations

from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.syntax.types import key_text, type_text


def surface_lines(environment: HostEnvironment) -> list[str]:
    """`await PATH.OP(INPUT)? -> OUTPUT` lines, then data types, constructors and trigger sources."""
    catalog = environment.resources
    lines: list[str] = []
    for path, module in catalog.module_instances.items():
        types = catalog.resource_types[module.resource_type]
        for operation in module.operations:
            type_ = types[operation]
            call = f"await {path}.{key_text(operation)}({type_text(type_.input)})?"
            lines.append(f"{call} -> {type_text(type_.output)}")
    for name, data in catalog.named_data_types.items():
        lines.append(f"type {name} = {type_text(data.type)}")
    for path, made in catalog.value_constructors.items():
        event = catalog.trigger_sources.get(made.type_name)
        result = made.type_name if event is None else f"TriggerSource<{event.name}>"
        lines.append(f"{path}({type_text(made.input)}) -> {result}")
    return lines
