"""Effect hosts: inline, recording, journaled."""

from lash.hosts.choice import HostChoice, HostParts, Inline, Journal
from lash.hosts.inline import InlineEffectHost
from lash.hosts.journal import JournaledEffectHost
from lash.hosts.recording import EffectRecord, RecordingEffectHost

__all__ = [
    "EffectRecord",
    "HostChoice",
    "HostParts",
    "Inline",
    "InlineEffectHost",
    "Journal",
    "JournaledEffectHost",
    "RecordingEffectHost",
]
