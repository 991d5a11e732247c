"""Errors of plugins, by the moment at which they failed."""

from __future__ import annotations

from lash.base.errors import LashError


class PluginError(LashError):
    """A plugin failed. `code` is the plugin's own when it gave one."""

    code = "plugin"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class PluginRegistrationError(PluginError):
    """Plugins do not fit together: a name or an exclusive role is taken twice."""

    code = "plugin_registration"


class PluginInvokeError(PluginError):
    """A hook raised, or returned what its place does not allow."""

    code = "plugin_invoke"


class PluginSnapshotError(PluginError):
    """A plugin's stored state could not be written or read."""

    code = "plugin_snapshot"


class PluginSessionError(PluginError):
    """Work on a session failed on behalf of a plugin."""

    code = "plugin_session"

    def __str__(self) -> str:
        return f"plugin session error: {self.message}"
