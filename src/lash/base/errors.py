"""The root of the error tree.

```
LashError                       everything lash raises on purpose; has a stable `code`
├── NotCanonical                a value that cannot enter a hash or a store
├── InvalidArgument             the caller passed something unusable
├── ConfigurationError          the parts of a core do not fit together
├── LashRuntimeError            a failure of the runtime itself, by code
│   └── EffectControllerError   … of the effect machinery (effects/errors.py)
├── PluginError                 … of a plugin (plugins/errors.py)
├── StoreError                  … of a store (sessions/errors.py, stores/errors.py)
└── …                           one class per situation a caller can act on
```

Callers match on classes and codes, never on text. A message says what is
wrong, shows the value, and ends with the remedy.
"""

from __future__ import annotations


class LashError(Exception):
    """Base of every error that lash raises on purpose.

    `code` is stable across releases; the text is not.
    """

    code: str = "lash_error"
    # Whether it says that the work goes on elsewhere or later. Then nothing that ran inside has failed,
    # and nobody on the way may turn it into an outcome.
    is_interruption: bool = False

    @property
    def message(self) -> str:
        """The text without the code."""
        return str(self.args[0]) if self.args else self.code


class NotCanonical(LashError):
    """A value holds something that JSON cannot carry exactly."""

    code = "not_canonical"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be stored: {reason}; pass plain JSON values")
        self.path = path
        self.reason = reason


class InvalidArgument(LashError, ValueError):
    """An argument is unusable as given; nothing was done."""

    code = "invalid_argument"


class ConfigurationError(LashError):
    """The parts of a core do not fit together; the message names the option to set."""

    code = "configuration"


class MissingExtra(ConfigurationError, ImportError):
    """An optional part of lash needs a library that is not installed."""

    code = "missing_extra"

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs an extra: pip install 'lash-runtime[{extra}]'")
        self.extra = extra


class LashRuntimeError(LashError):
    """A failure of the runtime, told apart by `code`; renders `{code}: {message}`.

    Unknown codes are legal and round-trip unchanged (docs/spec/runtime.md §3.11).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
