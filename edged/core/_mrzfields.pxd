from libc.stdint cimport uint8_t

from edged._identity cimport Identity, Sensitive
from edged.core._fastmrz cimport MAX_TEXT
from edged.core._mrzdate cimport MrzDate


cdef class Parsed(Identity):
    cdef readonly object format, document_class, document_code, issuing_state
    cdef readonly Sensitive lines, surname, given_names, document_number, nationality, sex, optional_data
    cdef readonly MrzDate birth_date, expiry_date
    cdef readonly tuple check_digits, field_checks, reasons
    cdef readonly bint check_digits_ok, fields_ok, valid
    cdef readonly object _layout, _today
    cdef readonly str _chinese_name
    cdef int omitted, omitted_letters
    cdef int birth_century, expiry_century
    cdef bint unreadable
    cdef int length
    cdef uint8_t text[MAX_TEXT]
