# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""From the line reader's columns to a line's cells: peaks, a grid through them, and what each cell holds.

The grid is bent a little by perspective, never more: characters of an MRZ are evenly spaced (Doc 9303-3 §4.2).
Everything here is in columns; no Python object is touched while the GIL is released.
"""

from libc.math cimport fabs, floor, ceil, fmax, fmin, rint, sqrt
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc, qsort

import numpy as np

cdef enum:
    MIN_PEAKS = 8  # fewer fix no grid
    QUADRATIC_FROM = 21  # peaks that fix a bend as well
    BESIDE = 8  # gaps on each side of a hole that tell how many characters are missing in it
    MAX_COLUMNS = 1 << 16

cdef double MIN_INK = 0.35  # from here a column holds a character
cdef double JOINED = 2.1  # nearer peaks are one character whose columns disagree
cdef double SINGLE = 0.6  # of the middle gap: from here to the next a gap parts neighbours
cdef double HOLE = 1.4
cdef double MIN_PITCH = 2.6
cdef double MAX_PITCH = 9.0
cdef double MIN_SLOPE = 2.4  # the fitted pitch may stray a little further
cdef double MAX_SLOPE = 9.5
cdef double MAX_BEND = 0.55  # change of the pitch along the line, as a share of it: a page tilted by 20 degrees, seen closely
cdef double NEAR_GRID = 0.3  # of the pitch: a peak further off is none
cdef double REACH = 0.42  # of the pitch: columns of a cell
cdef double INNER = 0.36  # of the pitch: columns that say whether a cell is empty

cdef struct Grid:
    double start, pitch, bend, residual
    int first, last


cdef int _rising(const void *a, const void *b) noexcept nogil:
    cdef double x = (<const double *>a)[0], y = (<const double *>b)[0]
    return (x > y) - (x < y)


cdef double _median(double *values, int count) noexcept nogil:
    """Sorts `values`."""
    qsort(values, count, sizeof(double), _rising)
    return (values[(count - 1) // 2] + values[count // 2]) / 2


cdef int _peaks(const float[:, ::1] shares, double *peaks) noexcept nogil:
    """Centres of the runs of columns that hold one character; how many."""
    cdef int classes = <int>shares.shape[1] - 1, columns = <int>shares.shape[0]
    cdef int count = 0, best, previous = -1, at, c
    cdef float ink
    cdef double moment = 0, mass = 0, centre
    for at in range(columns + 1):
        best = -1
        ink = 0
        if at < columns:
            ink = <float>1.0 - shares[at, classes]
            if ink > <float>MIN_INK:
                best = 0
                for c in range(1, classes):
                    if shares[at, c] > shares[at, best]:
                        best = c
        if best != previous:
            if previous >= 0:
                centre = moment / mass
                if count and centre - peaks[count - 1] < JOINED:
                    peaks[count - 1] = (peaks[count - 1] + centre) / 2
                else:
                    peaks[count] = centre
                    count += 1
            moment = mass = 0
            previous = best
        moment += at * <double>ink
        mass += ink
    return count


cdef void _least_squares(
    const double *peaks, const int *index, const uint8_t *keep, int count, int degree, Grid *grid
) noexcept nogil:
    """A line or a parabola through the peaks that are kept, by orthogonal polynomials."""
    cdef double n = 0, mean = 0, sxx = 0, sxxx = 0, sxy = 0, sy = 0, u, q, skew, sqq = 0, sqy = 0
    cdef int i
    for i in range(count):
        if keep[i]:
            n += 1
            mean += index[i]
            sy += peaks[i]
    mean /= n
    sy /= n
    for i in range(count):
        if keep[i]:
            u = index[i] - mean
            sxx += u * u
            sxxx += u * u * u
            sxy += u * (peaks[i] - sy)
    grid.bend = 0
    grid.pitch = sxy / sxx
    grid.start = sy - grid.pitch * mean
    if degree < 2:
        return
    skew = sxxx / sxx
    for i in range(count):
        if keep[i]:
            u = index[i] - mean
            q = u * u - skew * u - sxx / n
            sqq += q * q
            sqy += q * (peaks[i] - sy - grid.pitch * u)
    grid.bend = sqy / sqq
    grid.start += grid.bend * (mean * mean + skew * mean - sxx / n)
    grid.pitch -= grid.bend * (2 * mean + skew)


cdef double _single_gap(const double *peaks, int first, int last, double middle, int *count) noexcept nogil:
    """Mean of the gaps from peak `first` to `last` that no character is missing in, and how many they are."""
    cdef double total = 0, gap
    cdef int i
    count[0] = 0
    for i in range(first, last):
        gap = peaks[i + 1] - peaks[i]
        if SINGLE * middle < gap < HOLE * middle:
            total += gap
            count[0] += 1
    return total / count[0] if count[0] else 0


cdef bint _gentle(const Grid *grid, int last) noexcept nogil:
    """Whether the pitch changes no more from the first cell to the `last` than perspective makes it."""
    return fabs(2 * grid.bend * last) <= MAX_BEND * (grid.pitch + grid.bend * last)


cdef bint _fit(const double *peaks, int count, double *gaps, int *index, uint8_t *keep, Grid *grid) noexcept nogil:
    """False where no grid goes through most peaks."""
    cdef int i, kept, round, near = 0
    cdef double middle, pitch, gap, beside, error, squares
    for i in range(count - 1):
        gaps[i] = peaks[i + 1] - peaks[i]
    middle = _median(gaps, count - 1)
    while near < count - 1 and gaps[near] < 1.6 * middle:
        near += 1
    middle = _median(gaps, near)
    # Peaks stand on whole columns, so the median gap is off by up to half a column; the mean of the single ones isn't.
    pitch = _single_gap(peaks, 0, count - 1, middle, &near)
    if not MIN_PITCH < pitch < MAX_PITCH:
        return False
    # Count cells along the line with a pitch that may drift: across a hole by what it is on both sides of it.
    index[0] = 0
    for i in range(count):
        keep[i] = 1
        if i:
            gap = peaks[i] - peaks[i - 1]
            index[i] = index[i - 1] + 1
            if gap > HOLE * pitch:
                beside = _single_gap(peaks, max(0, i - 1 - BESIDE), min(count - 1, i + BESIDE), middle, &near)
                index[i] = index[i - 1] + <int>fmax(1, rint(gap / (beside if near >= BESIDE else pitch)))
    kept = count
    for round in range(3):
        _least_squares(peaks, index, keep, count, 2 if kept >= QUADRATIC_FROM else 1, grid)
        if not MIN_SLOPE < grid.pitch < MAX_SLOPE or not _gentle(grid, index[count - 1]):
            _least_squares(peaks, index, keep, count, 1, grid)
        kept = 0
        squares = 0
        for i in range(count):
            error = fabs(peaks[i] - (grid.start + (grid.pitch + grid.bend * index[i]) * index[i]))
            squares += fmin(error / grid.pitch, 0.5) ** 2
            keep[i] = error < NEAR_GRID * grid.pitch
            if keep[i]:
                if not kept:
                    grid.first = index[i]
                grid.last = index[i]
                kept += 1
        if kept < fmax(MIN_PEAKS, 0.6 * count):
            return False
    grid.residual = sqrt(squares / count)
    return True


cdef void _gather(
    const float[:, ::1] shares, const Grid *grid, float[:, ::1] cells, float[::1] presence, double[::1] centres,
    double *sums,
) noexcept nogil:
    """What each cell holds: its columns' shares, those near its centre counting more."""
    cdef int classes = <int>cells.shape[1], columns = <int>shares.shape[0]
    cdef int cell, at, c, number
    cdef double local, distance, weight, mass, total, ink
    for cell in range(<int>cells.shape[0]):
        number = grid.first - 1 + cell
        centres[cell] = grid.start + (grid.pitch + grid.bend * number) * number
        local = grid.pitch + 2 * grid.bend * number
        mass = total = 0
        presence[cell] = 0
        for c in range(classes):
            sums[c] = 0
        for at in range(
            <int>fmax(0, floor(centres[cell] - REACH * local)),
            <int>fmin(columns, ceil(centres[cell] + REACH * local) + 1),
        ):
            distance = fabs(at - centres[cell]) / local
            if distance > REACH:
                continue
            ink = <float>1.0 - shares[at, classes]
            if distance < INNER and ink > presence[cell]:
                presence[cell] = <float>ink
            weight = (1 - distance / REACH) * (0.02 + ink)
            mass += weight
            for c in range(classes):
                sums[c] += weight * shares[at, c]
        for c in range(classes):
            sums[c] /= fmax(mass, 1e-9)
            total += sums[c]
        for c in range(classes):
            cells[cell, c] = <float>(sums[c] / fmax(total, 1e-9))


def fit(const float[:, ::1] shares):
    """(shares, presence, centres, pitch, residual) of a line's cells, or None where no regular row stands.

    `shares` (columns, classes + 1) are each column's, the last class being no character. The result's are (cells,
    classes) float32, (cells,) float32 and (cells,) float64; one cell before the first character and one behind the
    last come along. ValueError for more than 65536 columns.
    """
    cdef int columns = <int>min(shares.shape[0], MAX_COLUMNS + 1), classes = <int>shares.shape[1] - 1, count
    if classes < 1 or columns > MAX_COLUMNS:
        raise ValueError("no columns of a line")
    cdef Grid grid = Grid(0, 0, 0, 0, 0, 0)
    cdef bint fits = False
    # Peaks, their gaps and a cell's sums; their numbers; whether they are kept.
    cdef double *peaks = <double *>malloc(
        (2 * columns + classes) * sizeof(double) + columns * (sizeof(int) + sizeof(uint8_t))
    )
    if peaks == NULL:
        raise MemoryError("no memory for a line's peaks")
    cdef double *sums = peaks + 2 * columns
    cdef int *index = <int *>(sums + classes)
    try:
        with nogil:
            count = _peaks(shares, peaks)
            if count >= MIN_PEAKS:
                fits = _fit(peaks, count, peaks + columns, index, <uint8_t *>(index + columns), &grid)
        if not fits:
            return None
        size = grid.last - grid.first + 3
        cells = np.empty((size, classes), np.float32)
        presence = np.empty(size, np.float32)
        centres = np.empty(size, np.float64)
        _gather(shares, &grid, cells, presence, centres, sums)
        # In the middle of the line: what perspective does to its ends cancels out there.
        return cells, presence, centres, grid.pitch + grid.bend * (grid.first + grid.last), grid.residual
    finally:
        free(peaks)
