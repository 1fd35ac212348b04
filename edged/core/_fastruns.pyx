# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Encoded runs in bytes, found and decoded where their alphabet stands; and which of many strings may stand in bytes.

What is decoded comes as one text of pieces with a separator between them, beside where each piece begins in it and in
the bytes that were searched (memory views of 64-bit numbers). Nothing here knows what the bytes mean, or whose they are.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

cdef enum:
    BASE64_LEAST = 6  # characters: four octets, and shorter values are not searched for
    HEX_LEAST = 8
    BASE45_LEAST = 9
    UTF16_LEAST = 4
    WRAPPED_LEAST = 40  # characters of a line of wrapped base64
    PARTED_LEAST = 11  # four octets and three signs between them
    SIGN = 1
    NONE = 255
    FEWEST_BITS = 12  # of a table of marks: 4 KiB lie in the nearest cache
    MOST_BITS = 20
    SPARSE = 64  # places for each mark: one octet in so many is looked at twice

cdef uint64_t FACTOR = 0x9E3779B97F4A7C15  # Knuth's multiplicative hashing: 2**64 over the golden ratio

cdef uint8_t BASE64[256]
cdef uint8_t HEX[256]
cdef uint8_t PARTED[256]
cdef uint8_t BASE45[256]
cdef uint8_t TEXT[256]
cdef uint8_t ESCAPES[256]


cdef void _fill(uint8_t *table, bytes alphabet):
    memset(table, NONE, 256)
    cdef Py_ssize_t value
    for value in range(len(alphabet)):
        table[<uint8_t>alphabet[value]] = value


_fill(BASE64, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
BASE64[45], BASE64[95] = 62, 63  # base64url's "-" and "_"
_fill(HEX, b"0123456789abcdef")
for _value in range(10, 16):
    HEX[65 + _value - 10] = _value
memset(PARTED, NONE, 256)
for _value in range(256):
    if HEX[_value] != NONE:
        PARTED[_value] = 0
for _value in (0x20, 0x3A, 0x2C, 0x2D):
    PARTED[_value] = SIGN
_fill(BASE45, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")  # RFC 9285 §4.2
memset(TEXT, 0, 256)
for _value in (9, 10, 13, *range(32, 127)):
    TEXT[_value] = 1
memset(ESCAPES, 0, 256)
for _value in (0x25, 0x5C, 0x26, 0xC2, 0xE2, 0xE3, 0xEF):
    ESCAPES[_value] = 1


cdef class _Pieces:
    """Pieces, one behind the other."""

    cdef uint8_t *data
    cdef int64_t *positions
    cdef int64_t *starts
    cdef Py_ssize_t length, room, count, places
    cdef bytes separator

    def __cinit__(self, bytes separator):
        self.separator = separator
        self.length = self.count = 0
        self.room, self.places = 256, 32
        self.data = <uint8_t *>malloc(self.room)
        self.positions = <int64_t *>malloc(self.places * sizeof(int64_t))
        self.starts = <int64_t *>malloc(self.places * sizeof(int64_t))
        if self.data == NULL or self.positions == NULL or self.starts == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.data)
        free(self.positions)
        free(self.starts)

    cdef uint8_t *begin(self, Py_ssize_t start, Py_ssize_t most) except NULL:
        """Where a piece of at most so many octets is to be written; `length` is moved by whoever wrote it."""
        cdef Py_ssize_t gap = len(self.separator) if self.count else 0
        cdef Py_ssize_t needed = self.length + gap + most
        cdef void *moved
        if needed > self.room:
            moved = realloc(self.data, 2 * needed)
            if moved == NULL:
                raise MemoryError
            self.data = <uint8_t *>moved
            self.room = 2 * needed
        if self.count == self.places:
            moved = realloc(self.positions, 2 * self.places * sizeof(int64_t))
            if moved == NULL:
                raise MemoryError
            self.positions = <int64_t *>moved
            moved = realloc(self.starts, 2 * self.places * sizeof(int64_t))
            if moved == NULL:
                raise MemoryError
            self.starts = <int64_t *>moved
            self.places *= 2
        if gap:
            memcpy(self.data + self.length, <const uint8_t *>self.separator, gap)
            self.length += gap
        self.positions[self.count] = self.length
        self.starts[self.count] = start
        self.count += 1
        return self.data + self.length

    cdef object found(self):
        """(data, positions, starts); None where there is no piece."""
        if not self.count:
            return None
        size = self.count * sizeof(int64_t)
        return (
            PyBytes_FromStringAndSize(<char *>self.data, self.length),
            memoryview(PyBytes_FromStringAndSize(<char *>self.positions, size)).cast("q"),
            memoryview(PyBytes_FromStringAndSize(<char *>self.starts, size)).cast("q"),
        )


cdef inline bint _next_run(
    const uint8_t[::1] data, const uint8_t *table, Py_ssize_t least, Py_ssize_t *begin, Py_ssize_t *stop
) noexcept:
    """The next run of at least so many of an alphabet, from `stop` on, where none goes on; False: there is none.

    Looks at one octet in `least` where there is none.
    """
    cdef Py_ssize_t at = stop[0], end = data.shape[0], first, last
    while at + least <= end:
        if table[data[at + least - 1]] == NONE:
            at += least
            continue
        first = last = at + least - 1
        while first > at and table[data[first - 1]] != NONE:
            first -= 1
        last += 1
        while last < end and table[data[last]] != NONE:
            last += 1
        if last - first >= least:
            begin[0], stop[0] = first, last
            return True
        at = last + 1
    return False


cdef inline Py_ssize_t _from_base64(const uint8_t *text, Py_ssize_t length, uint8_t *out) noexcept nogil:
    """Octets written; `length` isn't 1 more than a multiple of 4."""
    cdef Py_ssize_t at = 0, written = 0
    cdef uint32_t word
    while at + 4 <= length:
        word = (
            <uint32_t>BASE64[text[at]] << 18 | <uint32_t>BASE64[text[at + 1]] << 12
            | <uint32_t>BASE64[text[at + 2]] << 6 | BASE64[text[at + 3]]
        )
        out[written] = word >> 16
        out[written + 1] = word >> 8 & 255
        out[written + 2] = word & 255
        at += 4
        written += 3
    if at < length:
        word = <uint32_t>BASE64[text[at]] << 18 | <uint32_t>BASE64[text[at + 1]] << 12
        out[written] = word >> 16
        written += 1
        if at + 3 == length:
            word |= <uint32_t>BASE64[text[at + 2]] << 6
            out[written] = word >> 8 & 255
            written += 1
    return written


def base64(const uint8_t[::1] data, bytes separator):
    """Every run of either alphabet, decoded at each of its four alignments; and whether wrapped lines may be there."""
    cdef list phases = [_Pieces(separator) for _ in range(4)]
    cdef _Pieces pieces
    cdef Py_ssize_t at = 0, begin = 0, end = data.shape[0], length
    cdef int phase
    cdef bint wrapped = False
    while _next_run(data, BASE64, BASE64_LEAST, &begin, &at):
        if at - begin >= WRAPPED_LEAST and at < end and data[at] in (10, 13, 92):  # a line's end, or one escaped
            wrapped = True
        for phase in range(4):
            length = at - begin - phase
            if length % 4 == 1:  # one character holds no octet
                length -= 1
            if length >= BASE64_LEAST:
                pieces = <_Pieces>phases[phase]
                pieces.length += _from_base64(&data[begin + phase], length, pieces.begin(begin, length))
    return [(<_Pieces>one).found() for one in phases], wrapped


def hexadecimal(const uint8_t[::1] data, bytes separator):
    """Every run, decoded at both alignments; and whether octets with signs between them may be there."""
    cdef _Pieces pieces = _Pieces(separator)
    cdef Py_ssize_t at = 0, begin = 0, length, place
    cdef int phase
    cdef uint8_t *out
    while _next_run(data, HEX, HEX_LEAST, &begin, &at):
        for phase in range(2):
            length = (at - begin - phase) // 2
            out = pieces.begin(begin, length)
            for place in range(length):
                out[place] = HEX[data[begin + phase + 2 * place]] << 4 | HEX[data[begin + phase + 2 * place + 1]]
            pieces.length += length
    return pieces.found(), _separated(data)


cdef bint _separated(const uint8_t[::1] data) noexcept:
    """Whether four octets in hexadecimal may stand there with a sign between each two."""
    cdef Py_ssize_t at = 0, begin = 0
    while _next_run(data, PARTED, PARTED_LEAST, &begin, &at):
        while begin + PARTED_LEAST <= at:
            if PARTED[data[begin + 2]] & PARTED[data[begin + 5]] & PARTED[data[begin + 8]] == SIGN and (
                (PARTED[data[begin]] | PARTED[data[begin + 1]] | PARTED[data[begin + 3]] | PARTED[data[begin + 4]]) == 0
            ):
                return True
            begin += 1
    return False


def base45(const uint8_t[::1] data, bytes separator):
    """Every run, decoded at each of its three alignments; what can't be base45 parts it with 0xFF."""
    cdef list phases = [_Pieces(separator) for _ in range(3)]
    cdef _Pieces pieces
    cdef Py_ssize_t at = 0, begin = 0, place, stop, written
    cdef int phase
    cdef uint32_t number
    cdef uint8_t *out
    while _next_run(data, BASE45, BASE45_LEAST, &begin, &at):
        for phase in range(3):
            pieces = <_Pieces>phases[phase]
            out = pieces.begin(begin, at - begin)
            written = 0
            stop = at - (at - begin - phase) % 3
            place = begin + phase
            while place < stop:
                number = BASE45[data[place]] + 45 * BASE45[data[place + 1]]
                if number + 2025 * BASE45[data[place + 2]] < 1 << 16:
                    number += 2025 * BASE45[data[place + 2]]
                    out[written] = number >> 8
                    out[written + 1] = number & 255
                    written += 2
                else:  # two are the last octet of an odd number of them; what follows belongs to something else
                    if number < 1 << 8:
                        out[written] = number
                        written += 1
                    out[written] = 255
                    written += 1
                place += 3
            if at - stop == 2:
                number = BASE45[data[stop]] + 45 * BASE45[data[stop + 1]]
                if number < 1 << 8:
                    out[written] = number
                    written += 1
            pieces.length += written
    return [(<_Pieces>one).found() for one in phases]


def utf16(const uint8_t[::1] data, bytes separator):
    """ASCII in UTF-16, either way round."""
    cdef _Pieces pieces = _Pieces(separator)
    cdef Py_ssize_t at = 0, end = data.shape[0] - 1, count, place
    cdef int high
    cdef uint8_t *out
    while at < end:
        if data[at + 1] == 0 and TEXT[data[at]]:
            high = 1
        elif data[at] == 0 and TEXT[data[at + 1]]:
            high = 0
        else:
            at += 1
            continue
        count = 1
        while at + 2 * count < end and data[at + 2 * count + high] == 0 and TEXT[data[at + 2 * count + 1 - high]]:
            count += 1
        if count < UTF16_LEAST:
            at += 1
            continue
        out = pieces.begin(at, count)
        for place in range(count):
            out[place] = data[at + 2 * place + 1 - high]
        pieces.length += count
        at += 2 * count
    return pieces.found()


def escapes(const uint8_t[::1] data):
    """Where an escape, or a sign of Unicode that parts letters, may begin: every one that does is among them."""
    cdef list found = []
    cdef Py_ssize_t at, end = data.shape[0] - 1
    cdef uint8_t first, second, third
    for at in range(end):
        first = data[at]
        if not ESCAPES[first]:
            continue
        second = data[at + 1]
        third = data[at + 2] if at + 1 < end else 0
        if first == 37:  # %
            if HEX[second] == NONE or HEX[third] == NONE:
                continue
        elif first == 92:  # backslash
            if second != 92 and second != 120 and second != 117:
                continue
        elif first == 38:  # &
            if second != 35:
                continue
        elif first == 0xC2:
            if second not in (0xA0, 0xAD, 0xB7):
                continue
        elif first == 0xE2:
            if not (second == 0x80 and third & 0xC0 == 0x80 or second == 0x81 and 0xA0 <= third <= 0xAF):
                continue
        elif first == 0xE3:
            if not (second == 0x80 and 0x80 <= third <= 0x82 or second == 0x83 and third == 0xBB):
                continue
        elif second != 0xBB or third != 0xBF:
            continue
        found.append(at)
    return found


def compressed(const uint8_t[::1] data):
    """Where a gzip member, a zlib stream or a ZIP member may begin: three lists; of zlib, what can't is left out."""
    cdef list gzip = [], zlib = [], zip_ = []
    cdef Py_ssize_t at, end = data.shape[0]
    cdef uint8_t first
    for at in range(end - 1):
        first = data[at]
        if first & 15 == 8 and first < 0x80:
            # RFC 1950 §2.2: check bits, no preset dictionary
            if not data[at + 1] & 0x20 and (first << 8 | data[at + 1]) % 31 == 0 and _may_be_deflated(data, at + 2):
                zlib.append(at)
        elif first == 0x1F:
            if at + 2 < end and data[at + 1] == 0x8B and data[at + 2] == 8:
                gzip.append(at)
        elif first == 0x50:
            if at + 3 < end and data[at + 1] == 0x4B and data[at + 2] == 3 and data[at + 3] == 4:
                zip_.append(at)
    return gzip, zlib, zip_


cdef bint _may_be_deflated(const uint8_t[::1] data, Py_ssize_t at) noexcept:
    """Whether a block that gives anything may begin here (RFC 1951 §3.2.3 to §3.2.7)."""
    cdef Py_ssize_t end = data.shape[0]
    cdef int kind
    if at + 1 >= end:
        return False
    kind = data[at] >> 1 & 3
    if kind == 0:
        return at + 5 <= end and data[at + 1] == data[at + 3] ^ 255 and data[at + 2] == data[at + 4] ^ 255
    if kind == 2:
        return data[at] >> 3 <= 29 and data[at + 1] & 31 <= 29
    return kind == 1


cdef class Beginnings:
    """The first eight octets of long strings, the first four of short ones."""

    cdef uint8_t *marked4
    cdef uint8_t *marked8
    cdef int shift
    cdef set keys
    cdef uint8_t kept[256]
    cdef uint8_t moves[256]  # bits by which the word moves on: none where the octet doesn't count

    def __cinit__(self, keys4, keys8, bytes lowered, bytes dropped):
        """`keys4` and `keys8`: as big-endian numbers. `lowered`: 256 octets, what each one counts as; `dropped` don't."""
        cdef uint64_t key
        cdef int bits = FEWEST_BITS
        while bits < MOST_BITS and (1 << bits) < SPARSE * max(len(keys4), len(keys8)):
            bits += 1
        self.shift = 64 - bits
        self.marked4 = <uint8_t *>calloc(1 << bits, 1)
        self.marked8 = <uint8_t *>calloc(1 << bits, 1)
        if self.marked4 == NULL or self.marked8 == NULL:
            raise MemoryError
        for at in range(256):
            self.kept[at] = 0 if at in dropped else lowered[at]
            self.moves[at] = 0 if at in dropped else 8
        for key in keys4:
            self.marked4[key * FACTOR >> self.shift] = 1
        for key in keys8:
            self.marked8[key * FACTOR >> self.shift] = 1
        self.keys = {(4, key) for key in keys4} | {(8, key) for key in keys8}

    def __dealloc__(self):
        free(self.marked4)
        free(self.marked8)

    cdef Py_ssize_t _next(
        self, const uint8_t *data, Py_ssize_t at, Py_ssize_t end, uint64_t *held, bint *short, bint *long_
    ) noexcept nogil:
        """Behind the next octet at which a key may end; which of both lengths it may be. `end` where there is none."""
        cdef const uint8_t *kept = self.kept
        cdef const uint8_t *moves = self.moves
        cdef const uint8_t *marked4 = self.marked4
        cdef const uint8_t *marked8 = self.marked8
        cdef int shift = self.shift
        cdef uint64_t word = held[0]
        short[0] = long_[0] = False
        while at < end:
            word = word << moves[data[at]] | kept[data[at]]
            at += 1
            if marked4[(word & 0xFFFFFFFFULL) * FACTOR >> shift] | marked8[word * FACTOR >> shift]:
                short[0] = marked4[(word & 0xFFFFFFFFULL) * FACTOR >> shift]
                long_[0] = marked8[word * FACTOR >> shift]
                break
        held[0] = word
        return at

    def found(self, const uint8_t[::1] data):
        """{(4 or 8, key)} of those that stand in the bytes, as they count."""
        cdef set found = set()
        cdef uint64_t word = 0
        cdef Py_ssize_t at = 0, end = data.shape[0]
        cdef bint short, long_
        while at < end:
            at = self._next(&data[0], at, end, &word, &short, &long_)
            if short and (4, word & 0xFFFFFFFFULL) in self.keys:
                found.add((4, word & 0xFFFFFFFFULL))
            if long_ and (8, word) in self.keys:
                found.add((8, word))
        return found
