"""Types that hold raw identity and refuse every way out but one.

Raw identity (MRZ text, names, numbers, page images) lives in memory for one inspection. These types are
the fence: `reveal()` is the only way to the value, so a search for that word finds every place where raw
identity is touched. It sits below `core` and `privacy` because both handle such values.
"""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar, final

from edged.errors import IdentityLeakError

T = TypeVar("T")


class Identity:
    """Base of everything that holds raw identity: can't be printed, pickled, copied or serialised.

    `repr` gives the type's name alone, so that a debugger or an assertion message can't leak; everything that
    would turn the value into text or bytes raises `IdentityLeakError`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: identity withheld>"

    def _refuse(self, how: str) -> NoReturn:
        raise IdentityLeakError(f"{type(self).__name__} holds raw identity and can't be {how}")

    def __str__(self) -> NoReturn:  # noqa: PLE0307 - refusing is the point
        self._refuse("turned into text")

    def __format__(self, _spec: str) -> NoReturn:
        self._refuse("formatted")

    def __bytes__(self) -> NoReturn:  # noqa: PLE0308 - refusing is the point
        self._refuse("turned into bytes")

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        self._refuse("pickled or copied")

    def __getstate__(self) -> NoReturn:
        self._refuse("pickled or copied")

    def __copy__(self) -> NoReturn:
        self._refuse("copied")

    def __deepcopy__(self, _memo: Any) -> NoReturn:
        self._refuse("copied")


@final
class Sensitive(Identity, Generic[T]):
    """One raw value (a name, a number, a date, an image) behind `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The raw value, for judging and de-identifying in memory. Never store or send what this returns."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sensitive) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(self._value)
