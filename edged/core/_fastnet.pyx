# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Stacks of convolutions and ReLUs over grey strips, on one core and without the GIL.

The arithmetic is `_fastnet.h`; here the weights are laid out for it, once, and every call gets its own memory,
so that any number of threads may use one `Net`.
"""

cimport cython
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uintptr_t
from libc.stdlib cimport free, malloc

import numpy as np

cdef extern from "_fastnet.h" nogil:
    enum:
        FN_POINTS
    ctypedef struct fn_layer:
        int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w
        int inputs "in"
        int outputs "out"
        int relu, points
        const float *weights
        const float *bias
    ctypedef struct fn_shape:
        int height, width, channels
    ctypedef struct fn_isa:
        const char *name
        int lanes, vectors
        void (*convolve)(const fn_layer *, const fn_shape *, float *, const fn_shape *, float *, float *) noexcept nogil
        void (*strip)(const uint8_t *, const fn_shape *, float *) noexcept nogil
        void (*softmax)(const fn_shape *, const float *, int, float *) noexcept nogil
    fn_shape fn_input(const fn_layer *, int height, int width)
    ptrdiff_t fn_size(const fn_shape *)
    ptrdiff_t fn_scratch(const fn_layer *, const fn_shape *)
    void fn_clear_padding(const fn_shape *, float *)
    int fn_isas(const fn_isa **)

cdef enum:
    MAX_LAYERS = 16
    MAX_CHANNELS = 256  # what the softmax has room for; the arithmetic has no limit of its own
    MAX_SIDE = 16384  # of a strip: 128 MiB of activations in the shipped network, and sums of squares fit 32 bits
    ALIGN = 64  # a cache line, and the longest vector

_NEVER = np.float32(-1e30)  # logit of the channels that only fill up the last eight
_AT = np.array([0.0, 1.0, -1.0, 2.0, -2.0])
_SCALE = np.array([6.0, -4.0, -4.0, 1.0, 1.0]) / 24.0


def isas():
    """Names of the instruction sets this CPU can run, best first."""
    cdef const fn_isa *found[3]
    return tuple([found[i].name.decode() for i in range(fn_isas(found))])


def _eights(count):
    return (count + 7) // 8 * 8


def _to_points(weights):
    """(out, in, kh, kw) to (6, kh, in, out): kernel rows at Winograd's points, in double."""
    width = weights.shape[3]
    rows = _SCALE[:, None] * _AT[:, None] ** np.arange(width)
    rows = np.vstack([rows, np.eye(width)[width - 1 :]])
    return np.einsum("pk,ochk->phco", rows, weights.astype(np.float64))


def _aligned(values):
    """A float32 copy that starts at a cache line."""
    room = np.empty(values.size + ALIGN // 4, np.float32)
    start = -(room.ctypes.data // 4) % (ALIGN // 4)
    room = room[start : start + values.size]
    room[:] = values.ravel()
    return room


@cython.final
cdef class Net:
    """One network, ready to run: layers of (weights (out, in, kh, kw), bias (out,), stride, padding, relu), the pairs
    (vertical, horizontal).

    `isa` picks one of `isas()`, the best by default. Raises ValueError where the layers don't follow each other.
    """

    cdef fn_layer layer[MAX_LAYERS]
    cdef fn_isa isa
    cdef int layers
    cdef readonly int classes, height
    cdef list kept

    def __cinit__(self, layers, int height, str isa=""):
        cdef const fn_isa *found[3]
        cdef int count = fn_isas(found), i
        names = isas()
        if isa and isa not in names:
            raise ValueError(f"this CPU has no {isa}")
        self.isa = found[names.index(isa) if isa else 0][0]
        if not 0 < len(layers) <= MAX_LAYERS:
            raise ValueError("a network has 1 to 16 layers")
        self.kept = []
        self.layers = 0
        self.height = height
        inputs = 1
        for weights, bias, stride, padding, relu in layers:
            last = self.layers + 1 == len(layers)
            self._add(weights, bias, stride, padding, relu, inputs, last)
            inputs = weights.shape[0]
            height = (height + 2 * padding[0] - weights.shape[2]) // stride[0] + 1
            if height < 1:
                raise ValueError("the strip is too low for the network")
        if height != 1:
            raise ValueError("the network leaves more than one row")
        self.classes = inputs

    def _add(self, weights, bias, stride, padding, relu, inputs, last):
        outputs, channels, kernel_h, kernel_w = weights.shape
        if (
            channels != inputs
            or bias.shape != (outputs,)
            or not 0 < outputs <= MAX_CHANNELS
            or not all(0 < size <= 16 for size in (kernel_h, kernel_w, *stride))
            or not all(0 <= size < kernel for size, kernel in zip(padding, (kernel_h, kernel_w), strict=True))
        ):
            raise ValueError(f"layer {self.layers} does not follow from the one before")
        cdef fn_layer *layer = &self.layer[self.layers]
        layer.kernel_h, layer.kernel_w = kernel_h, kernel_w
        layer.stride_h, layer.stride_w = stride
        layer.pad_h, layer.pad_w = padding
        layer.inputs = 1 if self.layers == 0 else _eights(inputs)
        layer.outputs = _eights(outputs)
        layer.relu = bool(relu)
        layer.points = FN_POINTS if stride[1] == 1 and kernel_w in (3, 5) and inputs >= 16 else 0
        cdef int lanes = self.isa.lanes
        full = (layer.outputs + lanes - 1) // lanes * lanes
        packed = _to_points(weights) if layer.points else weights.transpose(2, 3, 1, 0)[None]
        packed = np.pad(packed, [(0, 0)] * (packed.ndim - 2) + [(0, layer.inputs - inputs), (0, full - outputs)])
        packed = packed.reshape(packed.shape[0], -1, full)
        block = lanes * self.isa.vectors
        packed = [packed[:, :, at : at + block].reshape(len(packed), -1) for at in range(0, full, block)]
        packed = _aligned(np.concatenate(packed, axis=1))
        biases = np.full(full, _NEVER if last else 0, np.float32)
        biases[:outputs] = bias
        biases = _aligned(biases)
        self.kept += [packed, biases]
        layer.weights = <const float *><uintptr_t>packed.ctypes.data
        layer.bias = <const float *><uintptr_t>biases.ctypes.data
        self.layers += 1

    def probabilities(self, const uint8_t[:, :, ::1] strips):
        """(N, height, W) grey strips to (N, columns, classes) float32: each column's shares of 1.

        Raises ValueError for another height, or a width that leaves no column.
        """
        if self.layers == 0 or strips.shape[1] != self.height or not 0 < strips.shape[2] <= MAX_SIDE:
            raise ValueError("strips of another height or width than the network's")
        cdef int columns = self._columns(<int>strips.shape[2])
        if columns < 1:
            raise ValueError("strips too narrow for the network")
        result = np.empty((strips.shape[0], columns, self.classes), np.float32)
        cdef float[:, :, ::1] out = result
        cdef int failed = 0
        if strips.shape[0]:
            with nogil:
                failed = self._run(&strips[0, 0, 0], strips.shape[0], <int>strips.shape[2], &out[0, 0, 0])
        if failed:
            raise MemoryError("no memory for the network's activations")
        return result

    cdef int _columns(self, int width) noexcept nogil:
        cdef int i
        for i in range(self.layers):
            width += 2 * self.layer[i].pad_w - self.layer[i].kernel_w
            if width < 0:
                return 0
            width = width // self.layer[i].stride_w + 1
        return width

    cdef int _run(self, const uint8_t *strips, Py_ssize_t count, int width, float *to) noexcept nogil:
        cdef fn_shape shape[MAX_LAYERS + 1]
        cdef fn_layer *layer
        cdef fn_layer none
        cdef ptrdiff_t even = 0, odd = 0, scratch = 0, size
        cdef int i, height = self.height, columns = width
        for i in range(self.layers):
            layer = &self.layer[i]
            shape[i] = fn_input(layer, height, columns)
            scratch = max(scratch, fn_scratch(layer, &shape[i]))
            height = (height + 2 * layer.pad_h - layer.kernel_h) // layer.stride_h + 1
            columns = (columns + 2 * layer.pad_w - layer.kernel_w) // layer.stride_w + 1
        none.inputs = self.layer[self.layers - 1].outputs
        none.points = none.pad_h = none.pad_w = 0
        shape[self.layers] = fn_input(&none, height, columns)
        for i in range(self.layers + 1):
            size = (fn_size(&shape[i]) + ALIGN // 4 - 1) // (ALIGN // 4) * (ALIGN // 4)
            if i % 2:
                odd = max(odd, size)
            else:
                even = max(even, size)
        cdef void *memory = malloc(sizeof(float) * (even + odd + scratch) + ALIGN)
        if memory == NULL:
            return -1
        cdef float *data[2]
        data[0] = <float *>((<uintptr_t>memory + ALIGN - 1) // ALIGN * ALIGN)
        data[1] = data[0] + even
        cdef Py_ssize_t n
        for n in range(count):
            fn_clear_padding(&shape[0], data[0])
            self.isa.strip(strips + n * self.height * width, &shape[0], data[0])
            for i in range(self.layers):
                fn_clear_padding(&shape[i + 1], data[(i + 1) % 2])
                self.isa.convolve(
                    &self.layer[i], &shape[i], data[i % 2], &shape[i + 1], data[(i + 1) % 2], data[1] + odd
                )
            self.isa.softmax(&shape[self.layers], data[self.layers % 2], self.classes, to + n * columns * self.classes)
        free(memory)
        return 0
