"""The later language features that a host may switch on.

They add to the language without changing what existing programs mean or what
they are called. Label annotations belong to the reference; the rest is off
unless the host says otherwise, and always off under `COMPAT`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class LanguageFeatures:
    """Which optional parts of the language programs may use."""

    label_annotations: bool = False
    functions: bool = False
    comprehensions: bool = False
    membership: bool = False
    more_builtins: bool = False

    def names(self) -> tuple[str, ...]:
        """The features that are on."""
        return tuple(item.name for item in fields(self) if getattr(self, item.name))

    def as_json(self) -> dict[str, bool]:
        """The JSON form: the reference's key always, later ones only when on."""
        return {"label_annotations": self.label_annotations} | {
            name: True for name in self.names() if name != "label_annotations"
        }


ALL_FEATURES: Final = LanguageFeatures(True, True, True, True, True)
NO_FEATURES: Final = LanguageFeatures()
