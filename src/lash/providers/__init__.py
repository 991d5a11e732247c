"""Model wires: one module per dialect, each a `Provider` that makes one attempt.

`OpenAIResponses` speaks OpenAI's own dialect, `OpenAIChat` the Chat Completions that
many servers understand. Both need the extra `openai`; retries, timeouts and
cancellation are `models/call.py`'s.
"""

from lash.providers.openai_chat import OpenAIChat as OpenAIChat
from lash.providers.openai_client import MissingApiKey as MissingApiKey
from lash.providers.openai_client import MissingBaseUrl as MissingBaseUrl
from lash.providers.openai_responses import OpenAIResponses as OpenAIResponses
