from libc.stdint cimport int8_t, int16_t, uint8_t

from edged._identity cimport Identity


cdef struct Day:
    int year
    int month
    int day


cdef class MrzDate(Identity):
    cdef char characters[6]
    cdef uint8_t length
    cdef int8_t month_or_none, day_or_none
    cdef int16_t year_or_none
    cdef uint8_t trouble
    cdef bint exists


cdef MrzDate birth_of(const char *raw, int length, const Day *today, int century)
cdef MrzDate expiry_of(const char *raw, int length, const Day *today, int century)
cdef Day day_of(object today) except *
