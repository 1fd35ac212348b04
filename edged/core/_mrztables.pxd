from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    MAX_CODES = 512  # known issuers and nationalities: about 290
    MAX_NUMBER = 9  # characters of a permit's number
    MAX_NUMBERS = 8  # document codes whose numbers have a known form: five
    SYMBOLS = 37  # 0 to 9, A to Z, <

cdef struct Place:
    int start
    int stop


# Where a layout has its fields; an absent one is empty.
cdef struct Places:
    int lines, width
    bint long_numbers
    uint32_t first_letters  # of usual document codes, as bits; 0: any
    int fatal
    Place state, name, surname, given_names, number, nationality, birth, expiry, sex, optional_data
    Place chinese_name, omitted_characters, omitted_letters, birth_century, expiry_century
    int number_check

# The form of a permit's number: the symbols each position may hold, as bits.
cdef struct NumberForm:
    uint8_t code[2]
    uint64_t symbols[MAX_NUMBER]


cdef class Codes:
    cdef int count
    cdef uint32_t packed[MAX_CODES]
    cdef readonly list names, values
    cdef int find(self, const uint8_t *text) noexcept nogil


cdef class NumberForms:
    cdef int count
    cdef NumberForm forms[MAX_NUMBERS]
    cdef bint usual(self, const uint8_t *code, const uint8_t *number) noexcept nogil


cdef inline int symbol_of(uint8_t character) noexcept nogil:
    """0 to 36 for `0`–`9`, `A`–`Z`, `<`; the character must be one of these."""
    if character <= 57:
        return character - 48
    return SYMBOLS - 1 if character == b"<" else character - 55


cdef int learn_places(Places *places, object judge) except -1
