"""Model wires: one module per dialect, each a `Provider` that makes one attempt.

`OpenAIResponses` speaks OpenAI's own dialect, `OpenAIChat` the Chat Completions that
many servers understand, `AnthropicMessages` and `GoogleGemini` those of their makers.
Each needs the extra of its SDK (`openai`, `anthropic`, `google`). What they share is in
`wire.py` and `stream.py`; retries, timeouts, limits and cancellation are
`models/call.py`'s.
"""

from lash.providers.anthropic import AnthropicMessages as AnthropicMessages
from lash.providers.google import GoogleGemini as GoogleGemini
from lash.providers.openai_chat import OpenAIChat as OpenAIChat
from lash.providers.openai_client import MissingBaseUrl as MissingBaseUrl
from lash.providers.openai_responses import OpenAIResponses as OpenAIResponses
from lash.providers.wire import MissingApiKey as MissingApiKey
from lash.providers.wire import Wire as Wire
