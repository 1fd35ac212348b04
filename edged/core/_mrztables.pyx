# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What `edged.core._mrzparse` knows about layouts, codes and numbers, in C's own form; immutable once made.

Everything comes from Python's tables: nothing about a layout is written here but its fields' names.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from edged._identity cimport hidden
from edged.core._fastmrz cimport MAX_TEXT

cdef enum:
    NONE = -1


@cython.auto_pickle(False)
@cython.final
cdef class Codes:
    """Known states and nationalities: their names by place, plain and behind the fence, and where one stands."""

    def __cinit__(self, codes):
        """ValueError when there are too many, or one has not 1 to 3 characters."""
        cdef int index
        packed = sorted((int.from_bytes(code.ljust(3, "<").encode("ascii"), "big"), code) for code in codes)
        if len(packed) > MAX_CODES or any(not 0 < len(code) <= 3 for code in codes):
            raise ValueError("too many codes, or one of more than three characters")
        self.count = len(packed)
        self.names = [code for _, code in packed]
        self.values = [hidden(code) for _, code in packed]
        for index, (value, _) in enumerate(packed):
            self.packed[index] = value

    cdef int find(self, const uint8_t *text) noexcept nogil:
        """The place of a three-letter code among the known ones, or NONE."""
        cdef uint32_t wanted = (
            (<uint32_t>text[0] << 16) | (<uint32_t>text[1] << 8) | text[2]
        )
        cdef int low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) // 2
            if self.packed[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < self.count and self.packed[low] == wanted else NONE


@cython.auto_pickle(False)
@cython.final
cdef class NumberForms:
    """The numbers of the PRC's card permits, as far as their form is known."""

    def __cinit__(self, numbers):
        """ValueError when there are too many, or a code or form has not the permits' widths."""
        cdef int index, at
        if len(numbers) > MAX_NUMBERS:
            raise ValueError("too many forms of numbers")
        self.count = len(numbers)
        for index, (code, positions) in enumerate(numbers.items()):
            if len(code) != 2 or len(positions) != MAX_NUMBER:
                raise ValueError("a document code has two characters, its numbers nine")
            self.forms[index].code[0], self.forms[index].code[1] = code.encode("ascii")
            for at, allowed in enumerate(positions):
                for character in allowed.encode("ascii"):
                    self.forms[index].symbols[at] |= (<uint64_t>1) << symbol_of(character)

    cdef bint usual(self, const uint8_t *code, const uint8_t *number) noexcept nogil:
        """Whether a number has the form that is known for its document code."""
        cdef int index, at
        for index in range(self.count):
            if self.forms[index].code[0] == code[0] and self.forms[index].code[1] == code[1]:
                for at in range(MAX_NUMBER):
                    if not self.forms[index].symbols[at] >> symbol_of(number[at]) & 1:
                        return False
                return True
        return False


cdef int _learn_place(Place *place, object spans, str name) except -1:
    place.start, place.stop = spans.get(name, (0, 0))
    return 0


cdef int learn_places(Places *places, object judge) except -1:
    cdef Place check
    spans = judge.layout.spans
    places.lines, places.width = judge.layout.lines, judge.layout.width
    if places.lines * places.width > MAX_TEXT:
        raise ValueError("layout too large")
    places.fatal = judge.fatal
    places.long_numbers = judge.long_numbers
    for letter in judge.first_letters:
        places.first_letters |= (<uint32_t>1) << (<int>ord(letter) - 65)
    _learn_place(&places.state, spans, "issuing_state")
    _learn_place(&places.name, spans, "name")
    _learn_place(&places.surname, spans, "surname")
    _learn_place(&places.given_names, spans, "given_names")
    _learn_place(&places.number, spans, "document_number")
    _learn_place(&places.nationality, spans, "nationality")
    _learn_place(&places.birth, spans, "birth_date")
    _learn_place(&places.expiry, spans, "expiry_date")
    _learn_place(&places.sex, spans, "sex")
    _learn_place(&places.optional_data, spans, "optional_data")
    _learn_place(&places.chinese_name, spans, "chinese_name")
    _learn_place(&places.omitted_characters, spans, "omitted_characters")
    _learn_place(&places.omitted_letters, spans, "omitted_letters")
    _learn_place(&places.birth_century, spans, "birth_century")
    _learn_place(&places.expiry_century, spans, "expiry_century")
    _learn_place(&check, spans, "document_number_check")
    places.number_check = check.start
    return 0
