"""One model call as the runtime makes it: attempts, waits, timeouts, cancellation.

What comes back is always a value, because it will be recorded: a response, or the
error that the machine ends the turn with. Three things are not recorded and pass
through as exceptions: cancellation of the driving task, `ModelCallLeft`, and
interpreter exits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from lash.base.cancel import CancelReason, CancelToken
from lash.base.canonical import canonical_json_bytes
from lash.base.clock import Clock, SystemClock
from lash.base.codec import DecodeError, from_json, to_json
from lash.base.errors import NotCanonical
from lash.base.stopping import TaskStop
from lash.effects.errors import TransientEffectError
from lash.machine.llm import (
    AttemptReset,
    LlmCallError,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    RetryStatus,
)
from lash.models.failure import ProviderFailure, of_exception
from lash.models.provider import Provider, Reliability, StreamSink, limiter_of
from lash.models.reconcile import Streamed, reconcile
from lash.models.retry import retry_delay
from lash.models.text import readable
from lash.models.waiting import unless_cancelled


class ModelCallLeft(TransientEffectError):
    """This process left a running model call to whoever continues the turn; nothing was recorded."""

    code = "model_call_left"


class FailedAttempt(msgspec.Struct, frozen=True):
    """Evidence of an attempt that came to nothing, and how long was waited after it."""

    attempt: int
    kind: str
    message: str
    status: int | None
    elapsed_ms: int
    streamed_parts: int
    waited_ms: int | None = None


class ModelCall(msgspec.Struct, frozen=True):
    """What came of a call, how many attempts it took, and which of them failed.

    The place of the session's next request counts attempts, not calls (decisions 23).
    """

    result: LlmResponse | LlmCallError
    attempts: int = 1
    failed: list[FailedAttempt] = []


Randomness: TypeAlias = Callable[[], float]


async def call_model(
    provider: Provider,
    request: LlmRequest,
    *,
    stream: StreamSink | None = None,
    cancel: CancelToken | None = None,
    clock: Clock | None = None,
    randomness: Randomness = lambda: 0.0,
) -> ModelCall:
    """Asks until there is an answer or trying again makes no sense.

    Before another attempt the stream hears `RetryStatus`, and `AttemptReset` when
    something was streamed that is void now. A requested cancel is an `LlmCallError`
    with code `cancelled`; a lost lease or a shutdown raises `ModelCallLeft`.
    """
    cancel = cancel or CancelToken()
    clock = clock or SystemClock()
    policy = provider.options.reliability
    limiter = limiter_of(provider)
    failed: list[FailedAttempt] = []
    attempt = 1
    while True:
        watched = _Watched(stream, clock)
        failure: ProviderFailure
        permit = None
        spent = 0
        started = clock.monotonic()
        try:
            if limiter is not None:
                permit = limiter.permit(clock)
                waiting = permit.acquire(_limit_teller(stream, attempt, policy.retry.attempts))
                if (reason := await unless_cancelled(waiting, cancel)) is not None:
                    return ModelCall(_cancelled(reason, attempt), attempt, failed)
            started = clock.monotonic()
            ended = await _attempt(provider, _placed(request, attempt), watched, cancel, clock, policy)
            if isinstance(ended, LlmResponse):
                spent = ended.usage.total_tokens
                return ModelCall(ended, attempt, failed)
            return ModelCall(_cancelled(ended, attempt), attempt, failed)
        except ModelCallLeft:
            raise
        except Exception as error:
            failure = of_exception(error)
        finally:
            if permit is not None:
                permit.release(spent or watched.streamed.usage.total_tokens)
        delay_ms = retry_delay(failure, policy.retry, attempt, randomness())
        streamed = len(watched.streamed.parts())
        elapsed_ms = round((clock.monotonic() - started) * 1_000)
        failed.append(
            FailedAttempt(attempt, failure.kind, failure.message, failure.status, elapsed_ms, streamed, delay_ms)
        )
        if delay_ms is None:
            return ModelCall(failure.to_call_error(attempt), attempt, failed)
        if stream is not None:
            stream(RetryStatus(delay_ms / 1_000, attempt, policy.retry.attempts, failure.message))
        if delay_ms > 0 and (reason := await unless_cancelled(clock.sleep(delay_ms), cancel)) is not None:
            return ModelCall(_cancelled(reason, attempt), attempt, failed)
        if stream is not None and streamed:
            stream(AttemptReset())
        attempt += 1


def _limit_teller(stream: StreamSink | None, attempt: int, attempts: int) -> Callable[[int], None]:
    def tell(wait_ms: int) -> None:
        if stream is not None:
            stream(RetryStatus(wait_ms / 1_000, attempt, attempts, "waiting for a rate limit of this host"))

    return tell


class _Watched:
    """A stream sink that remembers what it heard, and when last."""

    __slots__ = ("_clock", "_sink", "last_heard", "streamed")

    def __init__(self, sink: StreamSink | None, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self.streamed = Streamed()
        self.last_heard = clock.monotonic()

    def __call__(self, event: LlmStreamEvent) -> None:
        self.last_heard = self._clock.monotonic()
        self.streamed.add(event)
        if self._sink is not None:
            self._sink(event)


async def _attempt(
    provider: Provider,
    request: LlmRequest,
    watched: _Watched,
    cancel: CancelToken,
    clock: Clock,
    policy: Reliability,
) -> LlmResponse | CancelReason:
    """One attempt: the response, or why it was cancelled. Raises what the provider raises."""
    if cancel.reason is not None:
        return cancel.reason
    stop = TaskStop()
    undo = cancel.on_cancel(lambda: stop.because("cancelled"))
    patience = _Patience(watched, clock, policy, stop)
    try:
        response = await provider.complete(request, watched, cancel)
    except asyncio.CancelledError:
        if stop.is_somebody_elses:
            raise
        if patience.failure is not None:
            raise patience.failure from None
        return _reason(cancel, provider)
    finally:
        undo()
        stop.take_back()
        await patience.end()
    # The same whether or not anybody watched: this is what gets recorded.
    return _storable(reconcile(watched.streamed, response))


def _reason(cancel: CancelToken, provider: Provider) -> CancelReason:
    if cancel.reason is None:
        raise ProviderFailure("unknown", f"provider {provider.kind} cancelled its own call")
    return cancel.reason


class _Patience:
    """Stops a call that has taken too long or been silent for too long."""

    __slots__ = ("_clock", "_policy", "_started", "_stop", "_task", "_timer", "_watched", "failure")

    def __init__(self, watched: _Watched, clock: Clock, policy: Reliability, stop: TaskStop) -> None:
        self._watched = watched
        self._clock = clock
        self._policy = policy
        self._stop = stop
        self._started = clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.failure: ProviderFailure | None = None
        if (policy.request_timeout_ms, policy.chunk_timeout_ms) == (None, None):
            return
        if isinstance(clock, SystemClock):
            self._look()
        else:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def end(self) -> None:
        """The call has ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _look(self) -> None:
        # On the system's clock a timer does, which costs nothing while all is well.
        left_ms = self._left_ms()
        if left_ms is not None:
            self._timer = asyncio.get_running_loop().call_later(left_ms / 1_000, self._look)

    async def _watch(self) -> None:
        while (left_ms := self._left_ms()) is not None:
            await self._clock.sleep(left_ms)

    def _left_ms(self) -> int | None:
        """How long the call still has; None when it was stopped."""
        now = self._clock.monotonic()
        waits: list[tuple[int, str]] = []
        policy = self._policy
        if policy.request_timeout_ms is not None:
            left = policy.request_timeout_ms - round((now - self._started) * 1_000)
            waits.append((left, f"no answer within {policy.request_timeout_ms} ms"))
        if policy.chunk_timeout_ms is not None:
            left = policy.chunk_timeout_ms - round((now - self._watched.last_heard) * 1_000)
            waits.append((left, f"nothing received for {policy.chunk_timeout_ms} ms"))
        left, reason = min(waits)
        if left > 0:
            return left
        self.failure = ProviderFailure("timeout", reason, retryable=True)
        self._stop.because("overdue")
        return None


def _placed(request: LlmRequest, attempt: int) -> LlmRequest:
    if attempt == 1:
        return request
    place = request.place
    moved = msgspec.structs.replace(place, model_call=place.model_call + attempt - 1)
    return msgspec.structs.replace(request, place=moved)


def _cancelled(reason: CancelReason, attempts: int) -> LlmCallError:
    if reason not in ("requested", "timeout"):
        raise ModelCallLeft(f"a model call was left: {reason}; the turn resumes elsewhere")
    return LlmCallError(
        "cancelled", "the model call was cancelled", "cancelled", terminal_reason="cancelled", attempts=attempts
    )


def _storable(response: LlmResponse) -> LlmResponse:
    """The response, if it can be recorded; what a provider made up out of broken bytes cannot."""
    try:
        json = to_json(response)
        canonical_json_bytes(json)
        from_json(json, LlmResponse)
    except (NotCanonical, DecodeError) as error:
        raise ProviderFailure("stream", readable(f"the response cannot be recorded: {error.message}")) from error
    return response
