"""Everything that can be wrong with a program, from its text to its last step.

```
LanguageError
├── ParseError            the text is not a program                    (offset)
├── LinkError             the program does not fit the host            (span or None)
├── RuntimeFailure        the program went wrong while running         (span or None)
│   └── BudgetExceeded    … by asking for more than it was given       (budget)
├── ArtifactError         stored bytes are not the module they claim to be
│   ├── ArtifactCodecError    … they are no module at all
│   └── ArtifactHashMismatch  … a reference does not follow from the contents
├── CatalogError          a host described itself inconsistently
└── SourceError           a tree cannot be printed as source
```

Positions are byte offsets into the UTF-8 source, half-open.
"""

from __future__ import annotations

from typing import TypeAlias

from lash.base.errors import LashError

Span: TypeAlias = tuple[int, int]


class LanguageError(LashError):
    """Base of every lashlang error. `str(error)` is exactly the specified text."""

    code = "lashlang"


class ParseError(LanguageError):
    """The text is not a program; `offset` is where reading stopped."""

    code = "lashlang.parse"

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


class LinkError(LanguageError):
    """The program does not fit the host it was linked against.

    `span` is the enclosing declaration (`None` in the main block), as in the
    reference; `at` is the offending expression.
    """

    code = "lashlang.link"

    def __init__(self, text: str, span: Span | None = None, at: Span | None = None) -> None:
        super().__init__(text)
        self.span = span
        self.at = at


class RuntimeFailure(LanguageError):
    """The program went wrong while it ran; assignments already made stay made.

    `span` is the expression that failed and `statement` the top-level statement
    around it; both are filled in by the driver.
    """

    code = "lashlang.runtime"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.span: Span | None = None
        self.statement: Span | None = None


class BudgetExceeded(RuntimeFailure):
    """The program asked for more than its budget; `budget` names which one."""

    code = "lashlang.budget"

    def __init__(self, budget: str, text: str) -> None:
        super().__init__(text)
        self.budget = budget


class ArtifactError(LanguageError):
    """Stored bytes are not the module they claim to be; nothing was loaded."""

    code = "lashlang.artifact"


class ArtifactCodecError(ArtifactError):
    """The bytes are no module, or the module has no bytes."""

    code = "lashlang.artifact_codec"


class ArtifactHashMismatch(ArtifactError):
    """The reference in `field` is not that of the contents."""

    code = "lashlang.artifact_hash_mismatch"

    def __init__(self, field: str, expected: str, actual: str) -> None:
        super().__init__(f"module artifact {field} mismatch: expected {expected}, got {actual}")
        self.field = field
        self.expected = expected
        self.actual = actual


class CatalogError(LanguageError):
    """A host description contradicts itself; fix the catalog."""

    code = "lashlang.catalog"


class SourceError(LanguageError):
    """A tree built by hand has no source form."""

    code = "lashlang.source"
