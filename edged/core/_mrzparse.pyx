# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""From the lines of an MRZ to typed fields behind the identity fence, in one call.

`Parser` is told everything about layouts, codes and rules by `edged.core.mrz`; nothing about a layout is written here
but which field means what. What is unusual about a document (a character out of place, an unknown code, a gap in a
name) is only *noticed* here; what it is called is decided by the layout's judge, in Python.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.list cimport PyList_AsTuple
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from edged._identity cimport Sensitive, hidden
from edged.core._fastmrz cimport MAX_FORMATS, MAX_TEXT, Format, Kernel
from edged.core._mrzdate cimport Day, birth_of, day_of, expiry_of
from edged.core._mrzfields cimport Parsed
from edged.core._mrznames cimport count_of, ga_of, name_parts, quwei_of, words_of
from edged.core._mrztables cimport SYMBOLS, Codes, NumberForms, Place, Places, learn_places, symbol_of

from edged.verdict import Result

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void *PyUnicode_DATA(object text)
    bint PyUnicode_CheckExact(object text)
    bint PyList_CheckExact(object text)
    bint PyTuple_CheckExact(object text)

cdef enum:
    MAX_LONG = 32  # a long number at its longest: 9 characters and TD1's optional data
    NONE = -1

cdef object FAILED = Result.FAILED
cdef tuple NOTHING = ()


cdef inline bint _filled(const uint8_t *text, Place place) noexcept nogil:
    """Whether a field holds anything but fillers."""
    cdef int i
    for i in range(place.start, place.stop):
        if text[i] != b"<":
            return True
    return False


cdef inline str _stripped(const uint8_t *text, int start, int stop):
    while stop > start and text[stop - 1] == b"<":
        stop -= 1
    return PyUnicode_DecodeASCII(<const char *>text + start, stop - start, NULL)


cdef bint _gap(const uint8_t *text, Place place) noexcept nogil:
    """Whether a name is empty or has fillers where none belong; see `mrz_names.has_gap`."""
    cdef int primary_stop, secondary_start, i
    cdef int stop = name_parts(text, place.start, place.stop, &primary_stop, &secondary_start)
    if primary_stop == place.start or text[place.start] == b"<":
        return True
    if secondary_start < stop and text[secondary_start] == b"<":
        return True
    for i in range(secondary_start, stop - 1):
        if text[i] == b"<" and text[i + 1] == b"<":
            return True
    return False


@cython.auto_pickle(False)
@cython.final
cdef class Parser:
    """Makes MRZs; immutable once made but for the document codes it has met, which are no identity."""

    cdef Kernel kernel
    cdef type made
    cdef object document_class
    cdef tuple judges, formats, fine, outcomes, states, nationalities
    cdef list document_codes
    cdef Sensitive empty, male, female, unspecified
    cdef Places places[MAX_FORMATS]
    cdef Codes codes
    cdef NumberForms numbers
    cdef Place cf_name, cf_nationality

    def __cinit__(
        self, Kernel kernel not None, type made not None, tuple judges not None, codes, numbers, document_class,
        cf_name, cf_nationality,
    ):
        """ValueError when a table breaks a bound of this module.

        `made`: the subclass of `Parsed` to make. `judges`, in the order of `MrzFormat`: each layout's judge.
        `codes`: known states and nationalities, without fillers. `numbers`: document code to the characters that
        its numbers hold, position by position. `document_class`: of (format, document code). `cf_name` and
        `cf_nationality`: spans of the one document whose layout depends on its code.
        """
        if not issubclass(made, Parsed) or len(judges) != MAX_FORMATS - 1:
            raise ValueError("no subclass of Parsed, or not the layouts this parser knows")
        self.kernel, self.made, self.judges, self.document_class = kernel, made, judges, document_class
        self.formats = tuple(judge.layout.format for judge in judges)
        self.fine = tuple(judge.fine for judge in judges)
        self.outcomes = tuple(judge.outcomes for judge in judges)
        self.empty, self.male, self.female = hidden(""), hidden("M"), hidden("F")
        self.unspecified = hidden("X")
        self.states = tuple(judge.implied_state for judge in judges)
        self.nationalities = tuple(
            hidden(judge.implied_nationality) if judge.implied_nationality else None for judge in judges
        )
        self.document_codes = [None] * len(judges)
        self.codes, self.numbers = Codes(codes), NumberForms(numbers)
        for code, judge in enumerate(judges, 1):
            learn_places(&self.places[code], judge)
        self.cf_name.start, self.cf_name.stop = cf_name
        self.cf_nationality.start, self.cf_nationality.stop = cf_nationality

    def parse(self, lines, today):
        """The MRZ of these lines (a list or tuple of str); None when they are none, or no plain strings.

        TypeError when `today` is no date.
        """
        cdef Day day = day_of(today)
        cdef uint8_t text[MAX_TEXT]
        cdef int failing, code, length
        cdef uint32_t misplaced
        cdef tuple kept
        if PyTuple_CheckExact(lines):
            kept = <tuple>lines
        elif PyList_CheckExact(lines):
            kept = PyList_AsTuple(lines)
        else:
            return None
        length = _gather(kept, text)
        if length == 0:
            return None
        code = self.kernel.judge(text, length, &failing, &misplaced)
        if code <= 0:
            return None
        return self._make(kept, text, length, code, failing, misplaced, &day, today)

    cdef Parsed _make(
        self, tuple lines, const uint8_t *text, int length, int code, int failing, uint32_t misplaced,
        const Day *day, object today,
    ):
        cdef const Places *places = &self.places[code]
        cdef object judge = self.judges[code - 1]
        cdef Parsed made = <Parsed>(<PyTypeObject *>self.made).tp_new(self.made, <PyObject *>NOTHING, NULL)
        cdef bint odd = misplaced != 0
        made._today = today
        made._layout = judge.layout
        made.format = self.formats[code - 1]
        made.length = length
        memcpy(made.text, text, length)
        made.lines = hidden(lines)
        made.document_code, made.document_class = self._document_code(code, text)
        odd |= self._issuer(made, places, code)
        odd |= self._names(made, places)
        self._number(made, places)
        odd |= not _filled(text, places.number)
        if code == Format.PRC_PERMIT or code == Format.PRC_CARD:
            odd |= not self.numbers.usual(text, text + places.number.start)
        odd |= self._sex(made, places)
        if places.first_letters:
            odd |= text[1] == b"V" or not 65 <= text[0] <= 90 or not places.first_letters >> (text[0] - 65) & 1
        self._coded(made, places, code)
        odd |= made.unreadable
        odd |= _dates(made, places, day)
        made.check_digits = (<list>self.outcomes[code - 1])[failing]
        made.check_digits_ok = not failing & places.fatal
        made.field_checks = self.fine[code - 1]
        made.fields_ok = True
        if odd:
            made.field_checks = judge.fields(
                made._text, misplaced, made.birth_date, made.expiry_date, made.unreadable
            )
            made.fields_ok = not any([check.result is FAILED for check in made.field_checks])
        made.reasons = NOTHING
        if odd or failing:
            made.reasons = tuple(
                [
                    check.reason
                    for check in (*made.check_digits, *made.field_checks)
                    if check.reason is not None
                ]
            )
        made.valid = made.check_digits_ok and made.fields_ok
        return made

    cdef tuple _document_code(self, int code, const uint8_t *text):
        """(document code, document class), remembered: there are few codes, and 37 × 37 at most."""
        cdef list known = self.document_codes[code - 1]
        cdef int index = SYMBOLS * symbol_of(text[0]) + symbol_of(text[1])
        cdef object found
        if known is None:
            known = self.document_codes[code - 1] = [None] * (SYMBOLS * SYMBOLS)
        found = known[index]
        if found is None:
            printed = _stripped(text, 0, 2)
            found = known[index] = (printed, self.document_class(self.formats[code - 1], printed))
        return <tuple>found

    cdef int _issuer(self, Parsed made, const Places *places, int code) except -1:
        """Fill issuing state and nationality; whether one is unknown."""
        cdef bint odd = False
        cdef int index
        cdef Place place
        made.issuing_state = self.states[code - 1]
        if places.state.stop:
            index = self.codes.find(made.text + places.state.start)
            odd |= index == NONE
            made.issuing_state = (
                self.codes.names[index]
                if index != NONE
                else _stripped(made.text, places.state.start, places.state.stop)
            )
        made.nationality = self.nationalities[code - 1]
        place = places.nationality
        if code == Format.PRC_CARD and made.text[1] == b"F":
            place = self.cf_nationality
        elif made.nationality is not None:
            return odd
        index = self.codes.find(made.text + place.start)
        made.nationality = (
            self.codes.values[index]
            if index != NONE
            else self._hidden(_stripped(made.text, place.start, place.stop))
        )
        return odd or index == NONE and places.nationality.stop > 0

    cdef int _names(self, Parsed made, const Places *places) except -1:
        """Fill surname and given names; whether there is no name where one belongs, or an odd one."""
        cdef int stop, primary_stop, secondary_start
        cdef Place place = places.name
        if place.stop:
            stop = name_parts(made.text, place.start, place.stop, &primary_stop, &secondary_start)
            made.surname = self._hidden(words_of(made.text, place.start, primary_stop))
            made.given_names = self._hidden(words_of(made.text, secondary_start, stop))
            return _gap(made.text, place)
        place = places.given_names
        made.given_names = self._hidden(words_of(made.text, place.start, place.stop))
        place = places.surname
        made.surname = self._hidden(words_of(made.text, place.start, place.stop))
        return place.stop > 0 and _gap(made.text, place)

    cdef inline Sensitive _hidden(self, str value):
        return self.empty if not value else hidden(value)

    cdef int _number(self, Parsed made, const Places *places) except -1:
        """Fill document number and optional data, a long number put together (Doc 9303-5 §4.2.2.1 note j)."""
        cdef char number[MAX_LONG]
        cdef const uint8_t *text = made.text
        cdef Place place = places.optional_data
        cdef int rest = place.start, width = places.number.stop - places.number.start
        if places.long_numbers and text[places.number_check] == b"<" and text[places.number.stop - 1] != b"<":
            while rest < place.stop and text[rest] != b"<":
                rest += 1
        if rest - place.start < 2:
            made.document_number = self._hidden(_stripped(text, places.number.start, places.number.stop))
            made.optional_data = self._hidden(_stripped(text, place.start, place.stop))
            return 0
        memcpy(number, text + places.number.start, width)
        memcpy(number + width, text + place.start, rest - 1 - place.start)
        made.document_number = hidden(PyUnicode_DecodeASCII(number, width + rest - 1 - place.start, NULL))
        made.optional_data = self._hidden(_stripped(text, min(rest + 1, place.stop), place.stop))
        return 0

    cdef int _sex(self, Parsed made, const Places *places) except -1:
        """Fill the sex; whether it is an odd letter."""
        cdef uint8_t sex
        if not places.sex.stop:
            made.sex = self.empty
            return False
        sex = made.text[places.sex.start]
        if sex == b"M":
            made.sex = self.male
        elif sex == b"F":
            made.sex = self.female
        elif sex == b"<" or sex == b"X":
            made.sex = self.unspecified
        else:
            made.sex = hidden(chr(sex))
        return sex == b"X"

    cdef int _coded(self, Parsed made, const Places *places, int code) except -1:
        """What only the PRC's documents say: Chinese name, omissions, centuries (GA/T 704.14-2015)."""
        cdef const uint8_t *text = made.text
        cdef Place place = places.chinese_name
        made.omitted = made.omitted_letters = made.birth_century = made.expiry_century = NONE
        if code == Format.TD3:
            if memcmp(text + places.state.start, b"CHN", 3) == 0:
                _passport(made, text + places.optional_data.start)
        elif code == Format.PRC_CARD:
            made.birth_century = _century(text[places.birth_century.start], b"B", b"C")
            if text[1] == b"F":  # where it counts omitted characters isn't known
                made._chinese_name = ga_of(text, self.cf_name.start, self.cf_name.stop)
                made.unreadable = made._chinese_name is None and _filled(text, self.cf_name)
                return 0
            made._chinese_name = ga_of(text, place.start, place.stop)
            made.unreadable = made._chinese_name is None
            made.omitted = count_of(text[places.omitted_characters.start])
            made.omitted_letters = count_of(text[places.omitted_letters.start])
        elif code == Format.PRC_HOME_RETURN:
            made._chinese_name = quwei_of(text, place.start, place.stop)
            made.unreadable = made._chinese_name is None
            if 48 <= text[places.omitted_characters.start] <= 57:
                made.omitted = text[places.omitted_characters.start] - 48
            made.birth_century = _century(text[places.birth_century.start], b"1", b"2")
            made.expiry_century = _century(text[places.expiry_century.start], b"1", b"2")
        return 0


cdef inline int _century(uint8_t printed, uint8_t nineteen, uint8_t twenty) noexcept nogil:
    return 19 if printed == nineteen else 20 if printed == twenty else NONE


cdef int _passport(Parsed made, const uint8_t *data) except -1:
    """Three characters, how many more there are, the last digit of the birth's century (19xx: 9).

    Hong Kong and Macao print an identity number there, or nothing.
    """
    if count_of(data[12]) == NONE or not 48 <= data[13] <= 57:
        return 0
    made._chinese_name = ga_of(data, 0, 12)
    if made._chinese_name is not None:
        made.omitted = count_of(data[12])
        made.birth_century = _century(data[13], b"9", b"0")
    return 0


cdef int _dates(Parsed made, const Places *places, const Day *day) except -1:
    """Fill the dates; whether one is no day."""
    cdef Place place = places.birth
    made.birth_date = birth_of(
        <const char *>made.text + place.start, place.stop - place.start, day, made.birth_century
    )
    place = places.expiry
    if not place.stop:
        return not made.birth_date.exists
    made.expiry_date = expiry_of(
        <const char *>made.text + place.start, place.stop - place.start, day, made.expiry_century
    )
    return not made.birth_date.exists or not made.expiry_date.exists


cdef int _gather(tuple lines, uint8_t *text) except -1:
    """Join the lines into `text`; their length, or 0 when they are no layout's shape or no plain ASCII."""
    cdef Py_ssize_t count = PyTuple_GET_SIZE(lines), width, at
    cdef object line
    if not 1 <= count <= 3:
        return 0
    width = 0
    for at in range(count):
        line = <object>PyTuple_GET_ITEM(lines, at)
        if not PyUnicode_CheckExact(line) or not PyUnicode_IS_COMPACT_ASCII(line):
            return 0
        if at == 0:
            width = PyUnicode_GET_LENGTH(line)
            if not (width == 44 and count == 2 or width == 36 and count == 2 or width == 30 and count != 2):
                return 0
        elif PyUnicode_GET_LENGTH(line) != width:
            return 0
        memcpy(text + at * width, PyUnicode_DATA(line), width)
    return <int>(count * width)
