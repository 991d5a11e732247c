"""Testing helpers, part of the product: they speak the same ports as production."""

from lash.testing.clock import VirtualClock as VirtualClock
from lash.testing.lab import Lab as Lab
from lash.testing.lab import LabReport as LabReport
from lash.testing.lab import Life as Life
from lash.testing.script import Calls as Calls
from lash.testing.script import Fails as Fails
from lash.testing.script import Says as Says
from lash.testing.script import Step as Step
from lash.testing.script import Thinks as Thinks
from lash.testing.script import calls as calls
from lash.testing.script import cell as cell
from lash.testing.script import fails as fails
from lash.testing.script import says as says
from lash.testing.script import thinks as thinks
from lash.testing.scripted import ScriptedModel as ScriptedModel
from lash.testing.scripted import UnconsumedSteps as UnconsumedSteps
from lash.testing.scripted import UnexpectedModelCall as UnexpectedModelCall
from lash.testing.store_faults import StoreFaults as StoreFaults
