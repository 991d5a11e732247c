"""`@once`: a property of an immutable value, computed when it is first asked for.

`functools.cached_property` of Python 3.11 takes a lock for every value, which costs more than
most of what is cached. Here two threads that ask at one moment may both compute, and get equal
answers: use it for pure functions of the value alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - read as a decorator
    """See the module docstring. The instance needs a `__dict__`."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> T | Self:
        """The value; from then on the instance has it, and this is not asked any more."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
