# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Text kernels of the MRZ: classify, check digits and alphabets, one MRZ or many in one call.

`Kernel` is told the layouts by `edged.core.layouts`, so every position is written down once, in Python; it copies
them into flat C tables, after which its methods touch no Python object and release the GIL. Text goes in as `bytes`:
a typed memoryview would cost three times as much for a call this short.

Source of the rules: ICAO Doc 9303-3 §4.9 (check digits), 9303-4 to -7 (layouts).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memset

cdef enum:
    INVALID = 255

cdef enum Rule:
    PLAIN = 0
    EMPTY_MAY_BE_FILLER = 1
    NUMBER_MAY_CONTINUE = 2

# Character values of Doc 9303-3 §4.9; INVALID for everything outside the alphabet.
cdef uint8_t VALUE[256]
cdef uint8_t WEIGHT[3]
WEIGHT[:] = [7, 3, 1]


cdef void _fill_values() noexcept nogil:
    cdef int i
    memset(VALUE, INVALID, 256)
    for i in range(10):
        VALUE[48 + i] = i
    for i in range(26):
        VALUE[65 + i] = 10 + i
    VALUE[60] = 0  # '<'


_fill_values()


cdef inline bint _digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef int _classify(const uint8_t *text, Py_ssize_t length) noexcept nogil:
    """The layout of joined lines, from their length and first characters; every length belongs to one shape."""
    if length == 88:
        return MRVA if text[0] == b"V" else TD3
    if length == 72:
        if text[0] == b"V":
            return MRVB
        return FRA_ID if memcmp(text, b"IDFRA", 5) == 0 else TD2
    if length == 90:
        if text[0] == b"C":
            if memcmp(text, b"C<CHN", 5) == 0:
                return PRC_HOME_RETURN
            # A TD1 card has letters and fillers where the card permits have a number: C1USA is no permit.
            if (text[1] == b"R" or text[1] == b"T" or text[1] == b"F") and (
                _digit(text[2]) or _digit(text[3]) or _digit(text[4])
            ):
                return PRC_CARD
        return TD1
    if length == 30 and text[0] == b"C" and (text[1] == b"S" or text[1] == b"D"):
        return PRC_PERMIT
    return UNKNOWN


cdef inline bint _values(const uint8_t *text, Py_ssize_t length, uint8_t *values) noexcept nogil:
    """Fill `values`; False when a character lies outside the alphabet."""
    cdef Py_ssize_t i
    cdef uint8_t seen = 0
    for i in range(length):
        values[i] = VALUE[text[i]]
        seen |= values[i] & 0x80  # only INVALID has the high bit
    return seen == 0


cdef inline int _weigh(const uint8_t *values, int start, int stop, int *phase) noexcept nogil:
    """The weighted sum of one span; `phase` carries the place in 7, 3, 1 from span to span."""
    cdef int i, total = 0, p = phase[0]
    for i in range(start, stop):
        total += values[i] * WEIGHT[p]
        p = 0 if p == 2 else p + 1
    phase[0] = p
    return total


cdef bint _number_continues(
    const Check *check, const uint8_t *text, const uint8_t *values, int total, int phase
) noexcept nogil:
    """A long document number (Doc 9303-5 §4.2.2.1 note j): its rest and check digit open the optional data.

    Issuers differ on whether the filler in the check digit's place is weighed: either way is accepted.
    """
    cdef int stop = check.more_start
    cdef int without_filler, with_filler, expected
    while stop < check.more_stop and text[stop] != b"<":
        stop += 1
    stop -= 1  # the last character is the check digit
    if stop <= check.more_start or text[check.position - 1] == b"<" or not _digit(text[stop]):
        return False
    expected = values[stop]
    with_filler = (phase + 1) % 3
    without_filler = phase
    if (total + _weigh(values, check.more_start, stop, &without_filler)) % 10 == expected:
        return True
    return (total + _weigh(values, check.more_start, stop, &with_filler)) % 10 == expected


cdef bint _holds(const Check *check, const uint8_t *text, const uint8_t *values) noexcept nogil:
    cdef int i, phase = 0, total = 0
    for i in range(check.spans):
        total += _weigh(values, check.start[i], check.stop[i], &phase)
    if _digit(text[check.position]):
        return total % 10 == values[check.position]
    if text[check.position] != b"<":
        return False
    if check.rule == EMPTY_MAY_BE_FILLER:
        for i in range(check.start[0], check.stop[0]):
            if text[i] != b"<":
                return False
        return True
    if check.rule == NUMBER_MAY_CONTINUE:
        return _number_continues(check, text, values, total, phase)
    return False


cdef int _failing(const Layout *layout, const uint8_t *text, const uint8_t *values) noexcept nogil:
    cdef int i, failing = 0
    for i in range(layout.checks):
        if not _holds(&layout.check[i], text, values):
            failing |= 1 << i
    return failing


cdef uint32_t _misplaced(const Tables *tables, const Layout *layout, const uint8_t *text) noexcept nogil:
    cdef int i
    cdef uint32_t fields = 0, astray = 0
    for i in range(layout.length):
        astray |= (tables.alphabets[text[i]] & layout.alphabet[i]) == 0
    if astray:
        for i in range(layout.length):
            if not tables.alphabets[text[i]] & layout.alphabet[i]:
                fields |= (<uint32_t>1) << layout.field[i]
    return fields


def check_digit(bytes text not None):
    """The check digit of `text`, 0 to 9, or -1 when a character lies outside `A`–`Z`, `0`–`9`, `<`."""
    cdef const uint8_t *characters = <const uint8_t *>PyBytes_AS_STRING(text)
    cdef Py_ssize_t i, length = len(text)
    cdef unsigned long long total = 0
    cdef int phase = 0
    cdef uint8_t value
    for i in range(length):
        value = VALUE[characters[i]]
        if value == INVALID:
            return -1
        total += value * WEIGHT[phase]
        phase = 0 if phase == 2 else phase + 1
    return <int>(total % 10)


@cython.auto_pickle(False)
@cython.final
cdef class Kernel:
    """The layouts, compiled; immutable once made, so threads may share it."""

    def __cinit__(self, alphabets, layouts):
        """Copy the tables; ValueError when one breaks a bound of this module.

        `alphabets`: character sets. `layouts`, in the order of `MrzFormat`, each a pair: for every position (index
        of its alphabet, index of its field); for every check digit (position, rule, spans it covers, span in which
        a long document number continues). Positions and spans count in the joined lines.
        """
        cdef Layout *layout
        cdef Check *check
        cdef int format_code, i, j
        memset(&self.tables, 0, sizeof(Tables))
        if len(alphabets) > MAX_ALPHABETS or len(layouts) != MAX_FORMATS - 1:
            raise ValueError("too many alphabets, or not the layouts this kernel classifies")
        for i, characters in enumerate(alphabets):
            for character in characters.encode("ascii"):
                self.tables.alphabets[<uint8_t>character] |= (<uint32_t>1) << i
        for format_code, (positions, checks) in enumerate(layouts, 1):
            layout = &self.tables.layout[format_code]
            if len(positions) > MAX_TEXT or len(checks) > MAX_CHECKS:
                raise ValueError("layout too large")
            layout.length = len(positions)
            layout.checks = len(checks)
            for i, (alphabet, field) in enumerate(positions):
                if not (0 <= alphabet < MAX_ALPHABETS and 0 <= field < MAX_FIELDS):
                    raise ValueError("alphabet or field out of range")
                layout.alphabet[i] = (<uint32_t>1) << <int>alphabet
                layout.field[i] = field
            for i, (position, rule, spans, more) in enumerate(checks):
                check = &layout.check[i]
                if len(spans) > MAX_SPANS:
                    raise ValueError("too many spans")
                for start, stop in (*spans, more, (position, position + 1)):
                    if not 0 <= start <= stop <= layout.length:
                        raise ValueError("span outside the layout")
                check.position, check.rule, check.spans = position, rule, len(spans)
                for j, (start, stop) in enumerate(spans):
                    check.start[j], check.stop[j] = start, stop
                check.more_start, check.more_stop = more

    def classify(self, bytes text not None):
        """The format code (from 1) of joined lines, 0 when their shape is no layout's."""
        return _classify(<const uint8_t *>PyBytes_AS_STRING(text), len(text))

    def check(self, bytes text not None):
        """(format code, failing check digits, misplaced fields) of one MRZ, its lines joined.

        The last two are bit sets over the layout's checks and fields. The format code is 0 when the shape is no
        layout's, -1 when a character lies outside the alphabet; nothing is judged then.
        """
        cdef int failing = 0
        cdef uint32_t misplaced = 0
        cdef int format_code = self.judge(
            <const uint8_t *>PyBytes_AS_STRING(text), len(text), &failing, &misplaced
        )
        return format_code, failing, misplaced

    cdef int judge(
        self, const uint8_t *text, Py_ssize_t length, int *failing, uint32_t *misplaced
    ) noexcept nogil:
        """`check` without Python: returns the format code, fills the bit sets when something is judged."""
        cdef uint8_t values[MAX_TEXT]
        cdef int format_code = _classify(text, length)
        cdef const Layout *layout = &self.tables.layout[format_code]
        if format_code == UNKNOWN:
            return UNKNOWN
        if not _values(text, length, values):
            return -1
        failing[0] = _failing(layout, text, values)
        misplaced[0] = _misplaced(&self.tables, layout, text)
        return format_code

    def check_many(self, bytes records not None):
        """Classify and check many MRZs: one a line of `records`, its own lines joined; a last newline is optional.

        Returns two bytes a record: the format code (0: unknown shape, or a character outside the alphabet) and the
        bit set of failing check digits. Releases the GIL while it works.
        """
        cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(records)
        cdef const uint8_t *end = start + len(records)
        cdef Py_ssize_t count
        with nogil:
            count = _count_records(start, end)
        found = PyBytes_FromStringAndSize(NULL, 2 * count)
        cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(found)
        with nogil:
            _check_records(&self.tables, start, end, out)
        return found


cdef Py_ssize_t _count_records(const uint8_t *at, const uint8_t *end) noexcept nogil:
    cdef Py_ssize_t count = 0
    cdef const uint8_t *newline
    while at < end:
        count += 1
        newline = <const uint8_t *>memchr(at, 10, end - at)
        if newline == NULL:
            break
        at = newline + 1
    return count


cdef void _check_records(
    const Tables *tables, const uint8_t *at, const uint8_t *end, uint8_t *out
) noexcept nogil:
    cdef uint8_t values[MAX_TEXT]
    cdef const uint8_t *newline
    cdef int format_code
    while at < end:
        newline = <const uint8_t *>memchr(at, 10, end - at)
        if newline == NULL:
            newline = end
        format_code = _classify(at, newline - at)
        if format_code != UNKNOWN and _values(at, newline - at, values):
            out[0] = format_code
            out[1] = _failing(&tables.layout[format_code], at, values)
        else:
            out[0] = 0
            out[1] = 0
        out += 2
        at = newline + 1
