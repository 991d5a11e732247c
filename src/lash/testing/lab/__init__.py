"""The lab: one agent test, every crash (docs/how-to/test-crashes.md)."""

from lash.testing.lab.lab import Lab as Lab
from lash.testing.lab.life import Life as Life
from lash.testing.lab.power import ProcessKilled as ProcessKilled
from lash.testing.lab.report import KillPoint as KillPoint
from lash.testing.lab.report import LabReport as LabReport
from lash.testing.lab.report import LabVerdict as LabVerdict
from lash.testing.lab.report import Outcome as Outcome
from lash.testing.lab.report import WorkLost as WorkLost
