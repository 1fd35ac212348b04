# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The names of `edged.core.mrz_names`, compiled: fillers, the PRC's GA code, the 区位码 of 1999.

Everything works on MRZ text as bytes, from `start` to `stop`; nothing here keeps what it saw.
"""

import codecs

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t

cdef enum:
    MAX_NAME = 44  # a line of the widest layout; no field is longer
    GA_LETTERS = 16  # A to P, one for each nibble
    ROWS = 94  # of GB 2312, and cells in a row
    NONE = -1

cdef object _GBK = codecs.getdecoder("gbk")
cdef object _GB2312 = codecs.getdecoder("gb2312")


cdef str words_of(const uint8_t *raw, int start, int stop):
    """Components parted by one space."""
    cdef char text[MAX_NAME]
    cdef int i, length = 0
    cdef bint gap = False
    if stop - start > MAX_NAME:
        raise ValueError("no name is longer than a line")
    for i in range(start, stop):
        if raw[i] == b"<":
            gap = length > 0
        else:
            if gap:
                text[length] = b" "
                length += 1
                gap = False
            text[length] = raw[i]
            length += 1
    return PyUnicode_DecodeASCII(text, length, NULL)


cdef int name_parts(
    const uint8_t *raw, int start, int stop, int *primary_stop, int *secondary_start
) noexcept nogil:
    """Where the first `<<` parts a name, and where the name ends (the result), without its trailing fillers."""
    cdef int i
    while stop > start and raw[stop - 1] == b"<":
        stop -= 1
    primary_stop[0] = stop
    secondary_start[0] = stop
    for i in range(start, stop - 1):
        if raw[i] == b"<" and raw[i + 1] == b"<":
            primary_stop[0] = i
            secondary_start[0] = i + 2
            break
    return stop


cdef str ga_of(const uint8_t *raw, int start, int stop):
    """The Chinese name in GA code; None when the text is no GA code, or codes no character."""
    cdef uint8_t coded[MAX_NAME]
    cdef int i, length
    while stop > start and raw[stop - 1] == b"<":
        stop -= 1
    length = stop - start
    if length == 0 or length % 4 or length > MAX_NAME:
        return None
    for i in range(length):
        if not 0 <= raw[start + i] - 65 < GA_LETTERS:
            return None
    for i in range(length // 2):
        coded[i] = ((raw[start + 2 * i] - 65) << 4) | (raw[start + 2 * i + 1] - 65)
    return _decode(coded, length // 2, _GBK)


cdef str quwei_of(const uint8_t *raw, int start, int stop):
    """The Chinese name in 区位码; None when it is none."""
    cdef uint8_t coded[MAX_NAME]
    cdef int i, length, number
    while stop > start and raw[stop - 1] == b"<":
        stop -= 1
    length = stop - start
    if length == 0 or length % 4 or length > MAX_NAME:
        return None
    for i in range(start, stop):
        if not 48 <= raw[i] <= 57:
            return None
    for i in range(length // 2):
        number = 10 * (raw[start + 2 * i] - 48) + raw[start + 2 * i + 1] - 48
        if number > ROWS:
            return None
        coded[i] = 160 + number
    return _decode(coded, length // 2, _GB2312)


cdef str _decode(const uint8_t *coded, int length, object decoder):
    """Two bytes a character; a pair that stands for none, or for two of one byte, spoils the name."""
    cdef str name
    try:
        name = decoder(PyBytes_FromStringAndSize(<const char *>coded, length))[0]
    except UnicodeDecodeError:
        return None
    return name if 2 * len(name) == length else None


cdef int count_of(uint8_t letter) noexcept nogil:
    """A count coded as one letter, A for none; NONE for anything else."""
    return letter - 65 if 65 <= letter < 65 + GA_LETTERS else NONE


cdef bytes _characters(str raw):
    """As kernels want it; what is no ASCII is no character of any code either, nor is `?`."""
    return raw.encode("ascii", "replace")


def decode_ga(str raw not None):
    """See `mrz_names`."""
    cdef bytes text = _characters(raw)
    return ga_of(<const uint8_t *>PyBytes_AS_STRING(text), 0, len(text))


def decode_quwei(str raw not None):
    """See `mrz_names`."""
    cdef bytes text = _characters(raw)
    return quwei_of(<const uint8_t *>PyBytes_AS_STRING(text), 0, len(text))
