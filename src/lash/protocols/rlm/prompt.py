"""placeholder"""

from __future__ import annotations

from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.host.surface import surface_lines
from lash.protocols.rlm.options import PromptFeatures
from lash.tools.catalog import ToolCatalog


def execution_prompt(environment: HostEnvironment, features: PromptFeatures) -> str:
    return "Write one fenced lashlang block."


def tools_prompt(catalog: ToolCatalog, environment: HostEnvironment) -> str:
    return "\n".join(surface_lines(environment))
