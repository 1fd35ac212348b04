# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The dates of `edged.core.mrz_dates`, compiled. -1 stands for None in everything that C holds."""

cimport cython
from cpython.datetime cimport PyDate_Check, date_day, date_month, date_new, date_year, import_datetime
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memcmp, memcpy

from edged._identity cimport Identity

import_datetime()

cdef enum:
    LONGEST = 6  # YYMMDD
    HORIZON = 50
    NONE = -1

EXPIRY_HORIZON = HORIZON

cdef enum Trouble:
    FINE = 0
    MALFORMED = 1
    IMPOSSIBLE = 2
    FUTURE = 3

cdef int[13] DAYS = [31, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

# Reason codes by `Trouble`: they are written in mrz_dates.py, among the sentences' other users.
cdef tuple TROUBLES = (None, None, None, None)


def name_troubles(tuple codes not None):
    """Say once which reason codes stand for malformed, impossible and future dates."""
    global TROUBLES
    if len(codes) != 3:
        raise ValueError("one code each for malformed, impossible and future dates")
    TROUBLES = (None, *codes)


@cython.auto_pickle(False)
@cython.final
cdef class MrzDate(Identity):
    """One date, as printed and as meant; made by `birth_date` and `expiry_date`.

    Attributes:
        raw: the characters: `YYMMDD`, or `YYMM` on the French identity card's date of issue.
        year, month, day: numbers, the year with its century; None when unknown or not made of digits.
        date: None when any part is unknown or the date can't be.
        problem: reason code of why the date can't be, or None: "mrz.date_malformed" (a part is neither two
            digits nor two fillers), "mrz.date_impossible" (30 February), "mrz.birth_in_future".
        complete: whether no part is unknown; the date may be impossible all the same.
    """

    @property
    def raw(self):
        return PyUnicode_DecodeASCII(self.characters, self.length, NULL)

    @property
    def year(self):
        return None if self.year_or_none == NONE else self.year_or_none

    @property
    def month(self):
        return None if self.month_or_none == NONE else self.month_or_none

    @property
    def day(self):
        return None if self.day_or_none == NONE else self.day_or_none

    @property
    def date(self):
        return date_new(self.year_or_none, self.month_or_none, self.day_or_none) if self.exists else None

    @property
    def problem(self):
        return TROUBLES[self.trouble]

    @property
    def complete(self):
        return _all_digits(self.characters, 0, self.length)

    def __eq__(self, other):
        cdef MrzDate that
        if not isinstance(other, MrzDate):
            return False
        that = <MrzDate>other
        return (
            self.length == that.length
            and self.year_or_none == that.year_or_none
            and memcmp(self.characters, that.characters, self.length) == 0
        )

    def __hash__(self):
        return hash((self.raw, self.year_or_none))


cdef bint _all_digits(const char *raw, int start, int stop) noexcept nogil:
    cdef int i
    for i in range(start, stop):
        if not 48 <= raw[i] <= 57:
            return False
    return stop > start


cdef int _part(const char *raw, int length, int start) noexcept nogil:
    """Two digits as a number, or NONE."""
    if start + 2 > length or not _all_digits(raw, start, start + 2):
        return NONE
    return 10 * (raw[start] - 48) + raw[start + 1] - 48


cdef bint _malformed(const char *raw, int length) noexcept nogil:
    """Whether a part is neither two digits nor two fillers."""
    cdef int at
    for at in range(0, length, 2):
        if _part(raw, length, at) == NONE and not (
            at + 2 <= length and raw[at] == b"<" and raw[at + 1] == b"<"
        ):
            return True
    return False


cdef bint _exists(int year, int month, int day) noexcept nogil:
    cdef bint leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (
        1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= DAYS[month] + (1 if month == 2 and leap else 0)
    )


cdef bint _may_exist(int month, int day) noexcept nogil:
    """Whether a date with unknown parts may exist in some year."""
    if month != NONE and not 1 <= month <= 12:
        return False
    return day == NONE or 1 <= day <= (31 if month == NONE else DAYS[month] + (1 if month == 2 else 0))


cdef MrzDate _made(const char *raw, int length, int year):
    cdef MrzDate made = MrzDate.__new__(MrzDate)
    memcpy(made.characters, raw, length)
    made.length = length
    made.year_or_none = year
    made.month_or_none = _part(raw, length, 2)
    made.day_or_none = _part(raw, length, 4)
    if year != NONE and made.month_or_none != NONE and made.day_or_none != NONE:
        made.exists = _exists(year, made.month_or_none, made.day_or_none)
        made.trouble = FINE if made.exists else IMPOSSIBLE
    elif not _may_exist(made.month_or_none, made.day_or_none):
        made.trouble = IMPOSSIBLE
    elif _malformed(raw, length):
        made.trouble = MALFORMED
    return made


cdef bint _after(const Day *today, int year, int month, int day) noexcept nogil:
    """Whether the date certainly lies after `today`; unknown parts get the benefit of the doubt."""
    if year != today.year or month == NONE:
        return year > today.year
    if month != today.month or day == NONE:
        return month > today.month
    return day > today.day


cdef MrzDate birth_of(const char *raw, int length, const Day *today, int century):
    """See `mrz_dates.birth_date`; a `century` of NONE is none."""
    cdef int year = _part(raw, length, 0)
    cdef MrzDate made
    if year == NONE:
        return _made(raw, length, NONE)
    year += 100 * (today.year // 100 if century == NONE else century)
    if not _after(today, year, _part(raw, length, 2), _part(raw, length, 4)):
        return _made(raw, length, year)
    if century == NONE:
        return _made(raw, length, year - 100)
    made = _made(raw, length, year)
    made.exists = False
    if made.trouble == FINE:
        made.trouble = FUTURE
    return made


cdef MrzDate expiry_of(const char *raw, int length, const Day *today, int century):
    """See `mrz_dates.expiry_date`; a `century` of NONE is none."""
    cdef int year = _part(raw, length, 0)
    cdef int latest
    if year == NONE:
        return _made(raw, length, NONE)
    if century != NONE:
        return _made(raw, length, 100 * century + year)
    latest = today.year + HORIZON
    return _made(raw, length, latest - (latest - year) % 100)


cdef Day day_of(object today) except *:
    """A `datetime.date` in C's own numbers; TypeError for anything else."""
    cdef Day day
    if not PyDate_Check(today):
        raise TypeError("today is a datetime.date")
    day.year, day.month, day.day = date_year(today), date_month(today), date_day(today)
    return day


cdef bytes _characters(str raw):
    if len(raw) > LONGEST or not raw.isascii():
        raise ValueError("a printed date has six characters of the MRZ's alphabet at most")
    return raw.encode("ascii")


cdef int _century(object century) except -2:
    if century is None:
        return NONE
    if not 0 <= century <= 99:
        raise ValueError("a century has two digits")
    return century


def birth_date(str raw not None, today, century=None):
    cdef bytes characters = _characters(raw)
    cdef Day day = day_of(today)
    return birth_of(characters, len(characters), &day, _century(century))


def expiry_date(str raw not None, today, century=None):
    cdef bytes characters = _characters(raw)
    cdef Day day = day_of(today)
    return expiry_of(characters, len(characters), &day, _century(century))
