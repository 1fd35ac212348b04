# cython: language_level=3, boundscheck=False, wraparound=False
"""What a parsed MRZ is made of in C; `edged.core._mrzparse` fills it. -1 stands for None in what C holds."""

cimport cython
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memcmp

cdef enum:
    NONE = -1


@cython.auto_pickle(False)
cdef class Parsed(Identity):
    """The fields of `edged.core.mrz.Mrz` that are worked out when it is made; made by `Parser` alone."""

    @property
    def _text(self):
        return PyUnicode_DecodeASCII(<const char *>self.text, self.length, NULL)

    @property
    def _omitted(self):
        return None if self.omitted == NONE else self.omitted

    @property
    def _omitted_letters(self):
        return None if self.omitted_letters == NONE else self.omitted_letters

    def __eq__(self, other):
        cdef Parsed that
        if not isinstance(other, Parsed):
            return False
        that = <Parsed>other
        return (
            self.length == that.length
            and memcmp(self.text, that.text, self.length) == 0
            and self._today == that._today
        )

    def __hash__(self):
        return hash(self._text)
