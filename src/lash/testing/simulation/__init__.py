"""Deterministic simulation: hosts, crashes, pauses and failing stores in one process, decided by a seed.

```python
from lash.testing.simulation import simulate

simulate(200)  # raises with a program that replays the shortest failing script
```

Read next: `simulation.py` (a world), `director.py` (how a script is played), `loop.py` (why it is deterministic),
`laws.py` (what must hold), and docs/how-to/simulate.md.
"""

from lash.testing.simulation.hosts import MakeCore as MakeCore
from lash.testing.simulation.hosts import Place as Place
from lash.testing.simulation.loop import SimulationStuck as SimulationStuck
from lash.testing.simulation.shrink import SimulationFailed as SimulationFailed
from lash.testing.simulation.shrink import replay_program as replay_program
from lash.testing.simulation.shrink import shrink as shrink
from lash.testing.simulation.shrink import simulate as simulate
from lash.testing.simulation.simulation import Simulation as Simulation
from lash.testing.simulation.simulation import SimulationReport as SimulationReport
from lash.testing.simulation.steps import Answer as Answer
from lash.testing.simulation.steps import Cancel as Cancel
from lash.testing.simulation.steps import ClockSet as ClockSet
from lash.testing.simulation.steps import Close as Close
from lash.testing.simulation.steps import Crash as Crash
from lash.testing.simulation.steps import Emit as Emit
from lash.testing.simulation.steps import Enqueue as Enqueue
from lash.testing.simulation.steps import Every as Every
from lash.testing.simulation.steps import Fork as Fork
from lash.testing.simulation.steps import Leave as Leave
from lash.testing.simulation.steps import Open as Open
from lash.testing.simulation.steps import Order as Order
from lash.testing.simulation.steps import Pause as Pause
from lash.testing.simulation.steps import Report as Report
from lash.testing.simulation.steps import Reset as Reset
from lash.testing.simulation.steps import Run as Run
from lash.testing.simulation.steps import Settle as Settle
from lash.testing.simulation.steps import Start as Start
from lash.testing.simulation.steps import Step as Step
from lash.testing.simulation.steps import Stop as Stop
from lash.testing.simulation.steps import StoreFails as StoreFails
from lash.testing.simulation.steps import StoreSlow as StoreSlow
from lash.testing.simulation.steps import Task as Task
from lash.testing.simulation.steps import Wait as Wait
from lash.testing.simulation.steps import Withdraw as Withdraw

__all__ = [
    "Answer",
    "Cancel",
    "ClockSet",
    "Close",
    "Crash",
    "Emit",
    "Enqueue",
    "Every",
    "Fork",
    "Leave",
    "MakeCore",
    "Open",
    "Order",
    "Pause",
    "Place",
    "Report",
    "Reset",
    "Run",
    "Settle",
    "Simulation",
    "SimulationFailed",
    "SimulationReport",
    "SimulationStuck",
    "Start",
    "Step",
    "Stop",
    "StoreFails",
    "StoreSlow",
    "Task",
    "Wait",
    "Withdraw",
    "replay_program",
    "shrink",
    "simulate",
]
