from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    MAX_FORMATS = 10  # nine layouts and 0, "unknown"
    MAX_CHECKS = 8  # the 1999 home-return permit has six, the most; failing ones are bits of one byte
    MAX_SPANS = 4  # the TD1 composite covers four spans, the most
    MAX_FIELDS = 32  # misplaced ones are bits of one uint32
    MAX_ALPHABETS = 32  # the ones a character belongs to are bits of one uint32
    MAX_TEXT = 90  # 3 x 30, the longest MRZ

# Format codes: positions in layouts.MrzFormat, from 1. Kernel is given them in this order.
cdef enum Format:
    UNKNOWN = 0
    TD1 = 1
    TD2 = 2
    TD3 = 3
    MRVA = 4
    MRVB = 5
    FRA_ID = 6
    PRC_PERMIT = 7
    PRC_CARD = 8
    PRC_HOME_RETURN = 9

cdef struct Check:
    int position
    int rule
    int spans
    int start[MAX_SPANS]
    int stop[MAX_SPANS]
    int more_start
    int more_stop

cdef struct Layout:
    int length
    int checks
    Check check[MAX_CHECKS]
    uint32_t alphabet[MAX_TEXT]
    uint8_t field[MAX_TEXT]

cdef struct Tables:
    Layout layout[MAX_FORMATS]
    uint32_t alphabets[256]

cdef class Kernel:
    cdef Tables tables
    cdef int judge(
        self, const uint8_t *text, Py_ssize_t length, int *failing, uint32_t *misplaced
    ) noexcept nogil
