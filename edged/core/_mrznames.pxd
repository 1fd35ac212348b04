from libc.stdint cimport uint8_t


cdef str words_of(const uint8_t *raw, int start, int stop)
cdef int name_parts(const uint8_t *raw, int start, int stop, int *primary_stop, int *secondary_start) noexcept nogil
cdef str ga_of(const uint8_t *raw, int start, int stop)
cdef str quwei_of(const uint8_t *raw, int start, int stop)
cdef int count_of(uint8_t letter) noexcept nogil
