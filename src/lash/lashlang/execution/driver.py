"""One driver for cells, processes and replays, without IO.

`Execution` runs a compiled body: `start()` and `resume(answer)` give the next
`Step`. It turns what the body yields into typed requests, counts occurrences,
reports observations, keeps the budgets, and gives errors their spans. The same
answers always lead to the same requests.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from lash.base.clock import Clock, SystemClock
from lash.lashlang.codegen.attempts import SLOTS
from lash.lashlang.codegen.bodies import FILENAME, CompiledBody
from lash.lashlang.codegen.functions import TURN_STEPS
from lash.lashlang.errors import BudgetExceeded, RuntimeFailure
from lash.lashlang.execution import effects
from lash.lashlang.execution.budgets import DEFAULT_BUDGETS, Budgets, Spent, logical_sizes
from lash.lashlang.execution.effects import Answer, Answered
from lash.lashlang.execution.handing import Large, Slices
from lash.lashlang.execution.outcomes import Breath, Continued, Faulted, Finished, Step
from lash.lashlang.execution.protocol import BodyProtocol, Pending, Settled, Thrown
from lash.lashlang.tracking.observations import Observer, SiteCounter
from lash.lashlang.values.kinds import TOO_DEEP, Value
from lash.lashlang.values.meter import Meter

# Other tasks wait at most twice this long between two operations.
BREATH_S: Final = 0.005
_NOTHING: Final = Answered(None)


class Execution:
    """One run of one body.

    For a cell, `variables` is changed in place when the run ends, however it
    ends; `projected` names are visible and read-only. For a process `arguments`
    binds the parameters.
    """

    def __init__(
        self,
        body: CompiledBody,
        *,
        variables: dict[str, Value] | None = None,
        projected: dict[str, Value] | None = None,
        arguments: dict[str, Value] | None = None,
        budgets: Budgets = DEFAULT_BUDGETS,
        spent: Spent | None = None,
        observer: Observer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.body = body
        self.budgets = budgets
        self.spent = spent if spent is not None else Spent()
        self._clock = clock if clock is not None else SystemClock()
        self._meter = Meter(budgets.limits, exact=body.dialect.exact_integers, ordered=body.dialect.insertion_order)
        counter = SiteCounter(body.sites, observer)
        self._meter.sites = counter
        self._protocol = BodyProtocol(body, counter, self.budgets, self.spent)
        self._generator = self._begin(variables, projected, arguments)
        self._pending: Pending | None = None
        self._measuring: Iterator[int] | None = None
        self._measured = 0
        self._converting: Slices[effects.Request] | Slices[Settled] | None = None
        self._since = 0.0
        self.is_done = False

    def _begin(
        self,
        variables: dict[str, Value] | None,
        projected: dict[str, Value] | None,
        arguments: dict[str, Value] | None,
    ) -> Generator[object, object, None]:
        fuel = self._meter.fuel
        fuel += [0] * (SLOTS * len(self.body.artifact.canonical_ir.functions()))
        if self.body.entry.kind == "main":
            kept = variables if variables is not None else {}
            visible = {**kept, **projected} if projected else kept
            made: Generator[object, object, None] = self.body.function(self._meter, fuel, visible, kept)
            return made
        given = arguments or {}
        values = [given.get(param.name) for param in self.body.parameters]
        return self.body.function(self._meter, fuel, *values)  # type: ignore[no-any-return]

    def start(self) -> Step:
        """Runs until the first request, breath or outcome."""
        return self._advance(None)

    def resume(self, answer: Answer = _NOTHING) -> Step:
        """Continues with the answer to the last request (none after a `Breath`)."""
        if self._converting is not None:
            return self._convert(self._converting)
        pending, self._pending = self._pending, None
        if pending is None:
            return self._advance(TURN_STEPS)
        try:
            answered = self._protocol.settle(pending, answer)
        except Large:
            return self._convert(self._settled_in_slices(pending, answer))
        except Thrown as thrown:
            return self._throw(thrown.error)
        except RuntimeFailure as error:
            return self._throw(error)
        return self._answered(answered)

    def _answered(self, answered: Settled) -> Step:
        if answered.outcome is not None:
            self.close()
            return answered.outcome
        return self._advance(answered.value)

    def _asked_in_slices(self, message: tuple[object, ...]) -> Slices[effects.Request]:
        self._pending, request = yield from self._protocol.request_in_slices(message)
        return request

    def _settled_in_slices(self, pending: Pending, answer: Answer) -> Slices[Settled]:
        return (yield from self._protocol.settle_in_slices(pending, answer))

    def _convert(self, work: Slices[effects.Request] | Slices[Settled]) -> Step:
        """Goes on with converting a large value, on its way out or in."""
        self._converting = work
        self._since = self._clock.monotonic()
        try:
            while True:
                next(work)
                if self._clock.monotonic() - self._since > BREATH_S:
                    return Breath()
        except StopIteration as end:
            made: Settled | effects.Request = end.value
        except Thrown as thrown:
            made = Settled(error=thrown.error)
        except RuntimeFailure as error:
            made = Settled(error=error)
        finally:
            self._charge_time()
        self._converting = None
        if not isinstance(made, Settled):
            return made
        return self._answered(made) if made.error is None else self._throw(made.error)

    def close(self) -> None:
        """Stops here, as a cancellation does: a cell keeps what it has assigned."""
        self.is_done = True
        if self._converting is not None:
            self._converting.close()
        self._generator.close()

    def _throw(self, error: RuntimeFailure) -> Step:
        self._since = self._clock.monotonic()
        try:
            self._generator.throw(error)
        except RuntimeFailure as caught:
            return self._fault(caught)
        finally:
            self._charge_time()
        raise AssertionError("a lashlang body caught an error")

    def _advance(self, value: object) -> Step:
        self._since = self._clock.monotonic()
        send = self._generator.send
        try:
            if self._measuring is not None and not self._measure():
                return Breath()
            message = send(value)
            while type(message) is int:
                if self._tick(message):
                    return Breath()
                message = send(TURN_STEPS)
        except StopIteration:
            self.is_done = True
            return Continued() if self.body.entry.kind == "main" else Finished(None)
        except Thrown as thrown:
            return self._throw(thrown.error)
        except RuntimeFailure as error:
            return self._fault(error)
        except RecursionError as error:
            failure = RuntimeFailure(TOO_DEEP)
            failure.__traceback__ = error.__traceback__
            return self._fault(failure)
        except MemoryError as error:
            exceeded = self._meter.out_of_memory()
            exceeded.__traceback__ = error.__traceback__
            return self._fault(exceeded)
        finally:
            self._charge_time()
        return self._ask(message)  # type: ignore[arg-type]

    def _ask(self, message: tuple[object, ...]) -> Step:
        try:
            self._pending, request = self._protocol.request(message)
        except Large:
            return self._convert(self._asked_in_slices(message))
        except Thrown as thrown:
            return self._throw(thrown.error)
        except RuntimeFailure as error:
            return self._throw(error)
        return request

    def _charge_time(self) -> None:
        now = self._clock.monotonic()
        self.spent.active_ms += (now - self._since) * 1000
        self._since = now

    def _tick(self, allocated: int) -> bool:
        """Looks around; whether it is time for a breath."""
        spent, budgets, meter = self.spent, self.budgets, self._meter
        meter.due.clear()
        # Below zero stand the steps that fast calls took since the last turn.
        spent.instructions += TURN_STEPS - min(0, meter.fuel[0])
        meter.fuel[0] = 0
        meter.allocated += allocated
        if meter.allocated > meter.measure_at:
            self._measuring = logical_sizes(self._live())
            if not self._measure():
                return True
        if budgets.instructions is not None and spent.instructions > budgets.instructions:
            text = f"instruction budget of {budgets.instructions} exceeded; do less work per run"
            raise Thrown(BudgetExceeded("instructions", text))
        elapsed = self._clock.monotonic() - self._since
        if budgets.active_ms is not None and spent.active_ms + elapsed * 1000 > budgets.active_ms:
            text = f"active time budget of {budgets.active_ms} ms exceeded; do less work per run"
            raise Thrown(BudgetExceeded("active_time", text))
        return elapsed > BREATH_S

    def _measure(self) -> bool:
        """Goes on measuring live memory; whether it is done. The body waits meanwhile."""
        for size in self._measuring or ():
            self._measured = size
            if self._clock.monotonic() - self._since > BREATH_S:
                return False
        self._measuring = None
        try:
            self._meter.measured(self._measured)
        except BudgetExceeded as error:
            raise Thrown(error) from None
        return True

    def _live(self) -> list[object]:
        values: list[object] = []
        generator: object = self._generator
        while isinstance(generator, Generator):
            frame = getattr(generator, "gi_frame", None)
            if frame is None:
                break
            values.extend(frame.f_locals.values())
            generator = getattr(generator, "gi_yieldfrom", None)
        return values

    def _fault(self, error: RuntimeFailure) -> Faulted:
        self._generator.close()
        self.is_done = True
        trace, line = error.__traceback__, 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == FILENAME:
                line = trace.tb_lineno
            trace = trace.tb_next
        if error.span is None and 0 < line <= len(self.body.spans):
            error.span = self.body.spans[line - 1]
            error.statement = self.body.statements[line - 1]
        return Faulted(error)
