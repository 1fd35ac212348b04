"""Types that hold raw identity and refuse every way out but one.

Raw identity (MRZ text, names, numbers, page images) lives in memory for one inspection. These types are
the fence: `reveal()` is the only way to the value, so a search for that word finds every place where raw
identity is touched. It sits below `core` and `privacy` because both handle such values.

`Identity` is the base of whatever holds raw identity: it can't be printed, pickled, copied or serialised, and
`repr` gives the type's name alone. `Sensitive` is one raw value. Both are compiled (`edged/_identity.pyx`).
"""

from typing import Any, NoReturn, Protocol, TypeVar

from edged._identity import Identity, Sensitive
from edged.errors import IdentityLeakError

__all__ = ["Identity", "Sensitive", "wipe", "withheld"]


class _Overwritable(Protocol):
    """A numpy array, which this module needn't know."""

    @property
    def flags(self) -> Any: ...

    def fill(self, value: Any, /) -> None: ...


def wipe(buffer: _Overwritable) -> bool:
    """Overwrite an array with zeros; whether it could be: one over somebody else's constant bytes can't."""
    if not buffer.flags.writeable:
        return False
    buffer.fill(0)
    return True


_Held = TypeVar("_Held", bound=type)


def withheld(kind: _Held) -> _Held:
    """Decorator of a named tuple or dataclass that holds raw identity on its way: no `repr`, no pickle, no copy."""

    def named(self: Any) -> str:
        return f"<{type(self).__name__}: identity withheld>"

    def refused(self: Any, _protocol: object = None) -> NoReturn:
        raise IdentityLeakError(f"{type(self).__name__} can't be written out")

    for name, way in (
        ("__repr__", named),
        ("__str__", named),
        ("__reduce_ex__", refused),
        ("__reduce__", refused),
    ):
        setattr(kind, name, way)
    return kind
