"""Errors of tool authors and of the people who assemble tools.

```
LashError
├── ToolDefinitionError     a function cannot become a tool as written (the author)
├── DuplicateTool           two sources offer one name (the assembler)
├── UnknownTool             an authority list names a tool that nobody offers
└── ToolStateConflict       an edited tool state is older than the current one
```

Nothing here is raised while a turn runs: what goes wrong in a call is a value
(`tools/result.py`) that the model can read.
"""

from __future__ import annotations

from lash.base.errors import ConfigurationError, LashError


class ToolDefinitionError(ConfigurationError, TypeError):
    """A function cannot become a tool as it is written; raised by the decorator.

    The message names the function, the parameter if there is one, and the remedy.
    """

    code = "tool_definition"

    def __init__(self, function: str, problem: str, remedy: str, *, parameter: str | None = None) -> None:
        where = f"tool {function}()" if parameter is None else f"tool {function}(), parameter {parameter!r}"
        super().__init__(f"{where}: {problem}; {remedy}")
        self.function = function
        self.parameter = parameter
        self.problem = problem
        self.remedy = remedy


class DuplicateTool(ConfigurationError):
    """Two sources offer a tool under one name; the model could not tell them apart."""

    code = "duplicate_tool"

    def __init__(self, what: str, first: str, second: str) -> None:
        super().__init__(f"tool {what} is offered by {first} and by {second}; rename one, or give its ToolSet a prefix")
        self.what = what
        self.first = first
        self.second = second


class UnknownTool(ConfigurationError):
    """A tool authority names a tool that no source offers."""

    code = "unknown_tool"

    def __init__(self, names: list[str], known: list[str]) -> None:
        super().__init__(f"tool access names {', '.join(names)}; the sources offer {', '.join(known) or 'no tools'}")
        self.names = names


class ToolStateConflict(LashError):
    """A tool state was edited from an older generation than the one in force; read it again."""

    code = "tool_state_conflict"

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"generation mismatch: expected {expected}, actual {actual}")
        self.expected = expected
        self.actual = actual
