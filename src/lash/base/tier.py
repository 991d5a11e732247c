"""What a part promises to keep when its process dies."""

from __future__ import annotations

from typing import Literal, TypeAlias

# inline: correct within one OS process, no promise after it dies.
# durable: what was acknowledged survives process death and reopening.
# A fact that a part reports, never a flag somebody sets (durability.md P3).
DurabilityTier: TypeAlias = Literal["inline", "durable"]
