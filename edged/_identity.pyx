# cython: language_level=3
"""What `edged.identity` offers, compiled: a parsed MRZ makes half a dozen of these, half a million times a second."""

cimport cython
from types import GenericAlias

from edged.errors import IdentityLeakError


@cython.auto_pickle(False)
cdef class Identity:
    """Base of everything that holds raw identity: can't be printed, pickled, copied or serialised.

    `repr` gives the type's name alone, so that a debugger or an assertion message can't leak; everything that
    would turn the value into text or bytes raises `IdentityLeakError`.
    """

    def __repr__(self):
        return f"<{type(self).__name__}: identity withheld>"

    def _refuse(self, how):
        raise IdentityLeakError(f"{type(self).__name__} holds raw identity and can't be {how}")

    def __str__(self):
        self._refuse("turned into text")

    def __format__(self, _spec):
        self._refuse("formatted")

    def __bytes__(self):
        self._refuse("turned into bytes")

    def __reduce__(self):
        self._refuse("pickled or copied")

    def __reduce_ex__(self, _protocol):
        self._refuse("pickled or copied")

    def __getstate__(self):
        self._refuse("pickled or copied")

    def __copy__(self):
        self._refuse("copied")

    def __deepcopy__(self, _memo):
        self._refuse("copied")


@cython.auto_pickle(False)
@cython.final
cdef class Sensitive(Identity):
    """One raw value (a name, a number, a date, an image) behind `reveal()`."""

    def __init__(self, value):
        self._value = value

    def reveal(self):
        """The raw value, for judging and de-identifying in memory. Never store or send what this returns."""
        return self._value

    def __eq__(self, other):
        return isinstance(other, Sensitive) and bool(self._value == (<Sensitive>other)._value)

    def __hash__(self):
        return hash(self._value)

    @classmethod
    def __class_getitem__(cls, item):
        return GenericAlias(cls, item)
