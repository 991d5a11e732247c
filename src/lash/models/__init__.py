"""Models: what is known of them, the provider port, failures and their classification.

Implement `Provider` (`provider.py`) to reach a model, raise `ProviderFailure`
(`failure.py`) when that fails; `call_model` (`call.py`) does the rest.
"""

from lash.machine.capability import InvalidModelVariant as InvalidModelVariant
from lash.machine.capability import ModelCapability as ModelCapability
from lash.models.call import FailedAttempt as FailedAttempt
from lash.models.call import ModelCall as ModelCall
from lash.models.call import ModelCallLeft as ModelCallLeft
from lash.models.call import call_model as call_model
from lash.models.failure import ProviderFailure as ProviderFailure
from lash.models.failure import classify as classify
from lash.models.limits import RateLimiter as RateLimiter
from lash.models.limits import RateLimits as RateLimits
from lash.models.provider import CacheRetention as CacheRetention
from lash.models.provider import Provider as Provider
from lash.models.provider import ProviderOptions as ProviderOptions
from lash.models.provider import ProviderWrapper as ProviderWrapper
from lash.models.provider import RateLimited as RateLimited
from lash.models.provider import Reliability as Reliability
from lash.models.provider import StreamSink as StreamSink
from lash.models.reconcile import Streamed as Streamed
from lash.models.reconcile import reconcile as reconcile
from lash.models.reconcile import text_to_emit as text_to_emit
from lash.models.resolver import ModelSpec as ModelSpec
from lash.models.resolver import UnknownProvider as UnknownProvider
from lash.models.resolver import parse_model_name as parse_model_name
from lash.models.resolver import resolve_model as resolve_model
from lash.models.retry import ModelRetry as ModelRetry
from lash.models.spec import ModelFacts as ModelFacts
