"""Effects: scopes, envelopes, outcomes, the journal's decision, waits, and the host port."""

from lash.effects.waits import Accepted as Accepted
from lash.effects.waits import AlreadyResolved as AlreadyResolved
from lash.effects.waits import AwaitEventKey as AwaitEventKey
from lash.effects.waits import MalformedWaitKey as MalformedWaitKey
from lash.effects.waits import ResolvedErr as ResolvedErr
from lash.effects.waits import ResolvedOk as ResolvedOk
from lash.effects.waits import TimedOut as TimedOut
from lash.effects.waits import UnknownOrRevoked as UnknownOrRevoked
from lash.effects.waits import WaitCancelled as WaitCancelled
from lash.effects.waits import WaitError as WaitError
