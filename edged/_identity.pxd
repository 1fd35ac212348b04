cdef class Identity:
    pass


cdef class Sensitive(Identity):
    cdef object _value


cdef inline Sensitive hidden(object value):
    """`Sensitive(value)`, for kernels that make many."""
    cdef Sensitive made = Sensitive.__new__(Sensitive)
    made._value = value
    return made
