/* Convolution stacks on one core: the arithmetic of _fastnet.pyx.
 *
 * Activations are rows of pixels of channels, float32, channels a multiple of 8, with the next layer's padding around
 * them as zeros, so that what one output sees of an input row is one run of floats. A tile of output pixels by output
 * channels is kept in registers while the run goes by.
 *
 * A kernel 3 or 5 wide that moves by 1 is done by Winograd's minimal filtering along the row, F(4,3) or F(2,5): six
 * columns go in as their values at six points, four (two) come out, for half the multiplications. (S. Winograd,
 * "Arithmetic Complexity of Computations", 1980; A. Lavin, S. Gray, arXiv:1509.09308.)
 *
 * The code is compiled once for each instruction set below; which one runs is asked of the CPU.
 */
#ifndef EDGED_FASTNET_H
#define EDGED_FASTNET_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    FN_POINTS = 6,    /* of Winograd's filtering: 0, 1, -1, 2, -2 and infinity */
    FN_BLOCK = 12,    /* Winograd tiles done together: their values at six points stay in the first caches */
};

typedef struct {
    int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int in, out;           /* channels as stored */
    int relu, points;      /* points: FN_POINTS, or 0 for the plain way */
    const float *weights;  /* [points][channel block][kernel row][run][channels of the block] */
    const float *bias;     /* [out], rounded up to whole vectors */
} fn_layer;

/* What lies between two layers: `at` is the first pixel inside the padding, in floats. */
typedef struct {
    int height, width, channels;
    int pad_h, pad_w, columns; /* columns: width with padding and what a last Winograd tile reads past it */
} fn_shape;

static inline ptrdiff_t fn_row(const fn_shape *s) { return (ptrdiff_t)s->columns * s->channels; }
static inline ptrdiff_t fn_size(const fn_shape *s) { return (s->height + 2 * s->pad_h) * fn_row(s); }
static inline float *fn_pixel(const fn_shape *s, float *data, int y, int x)
{
    return data + (y + s->pad_h) * fn_row(s) + (ptrdiff_t)(x + s->pad_w) * s->channels;
}
static inline int fn_step(const fn_layer *l) { return FN_POINTS + 1 - l->kernel_w; } /* columns a Winograd tile gives */
static inline int fn_tiles(const fn_layer *l, int width) { return (width + fn_step(l) - 1) / fn_step(l); }

/* The shape of a layer's input, whose width within the padding is `width`. */
static inline fn_shape fn_input(const fn_layer *l, int height, int width)
{
    fn_shape s = {height, width, l->in, l->pad_h, l->pad_w, width + 2 * l->pad_w};
    if (l->points) {
        int reach = fn_tiles(l, s.columns - l->kernel_w + 1) * fn_step(l) + l->kernel_w - 1;
        s.columns = reach > s.columns ? reach : s.columns;
    }
    return s;
}

/* Floats a Winograd layer needs beside its input and output. */
static inline ptrdiff_t fn_scratch(const fn_layer *l, const fn_shape *in)
{
    if (!l->points)
        return 0;
    return (ptrdiff_t)FN_POINTS * 2 * FN_BLOCK * ((ptrdiff_t)(in->height + 2 * l->pad_h) * l->in + l->out);
}

/* Zeros around the pixels, which every writer leaves alone. */
static void fn_clear_padding(const fn_shape *s, float *data)
{
    size_t row = sizeof(float) * fn_row(s);
    ptrdiff_t left = (ptrdiff_t)s->pad_w * s->channels, right = left + (ptrdiff_t)s->width * s->channels;
    memset(data, 0, row * s->pad_h);
    for (int y = s->pad_h; y < s->pad_h + s->height; y++) {
        memset(data + y * fn_row(s), 0, sizeof(float) * left);
        memset(data + y * fn_row(s) + right, 0, sizeof(float) * (fn_row(s) - right));
    }
    memset(data + (s->pad_h + s->height) * fn_row(s), 0, row * s->pad_h);
}

typedef struct {
    const char *name;
    int lanes, vectors; /* floats of a vector; vectors of a channel block */
    void (*convolve)(const fn_layer *, const fn_shape *in, float *from, const fn_shape *out, float *to, float *scratch);
    void (*strip)(const uint8_t *grey, const fn_shape *, float *to);
    void (*softmax)(const fn_shape *, const float *logits, int classes, float *to);
} fn_isa;

/* Registers: pixels x vectors accumulators, a vector of each channel group, and one broadcast. */
#define FN_TITLE "baseline"
#define FN_NAME(name) fn_##name##_baseline
#define FN_TARGET
#define FN_LANES 4
#if defined(__aarch64__)
#define FN_VECTORS 4
#define FN_PIXELS(vectors) ((vectors) == 4 ? 5 : (vectors) == 3 ? 6 : (vectors) == 2 ? 9 : 12)
#else
#define FN_VECTORS 2
#define FN_PIXELS(vectors) ((vectors) == 2 ? 4 : 8)
#endif
#include "_fastnet_isa.h"

#if defined(__x86_64__)
#define FN_TITLE "avx2"
#define FN_NAME(name) fn_##name##_avx2
#define FN_TARGET __attribute__((target("avx2,fma")))
#define FN_LANES 8
#define FN_VECTORS 2
#define FN_PIXELS(vectors) ((vectors) == 2 ? 6 : 12)
#include "_fastnet_isa.h"

#define FN_TITLE "avx512"
#define FN_NAME(name) fn_##name##_avx512
#define FN_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx2,fma")))
#define FN_LANES 16
#define FN_VECTORS 4
#define FN_PIXELS(vectors) ((vectors) == 4 ? 6 : (vectors) == 3 ? 8 : 12)
#include "_fastnet_isa.h"
#endif

/* Instruction sets this build and this CPU have, best first. */
static int fn_isas(const fn_isa *found[3])
{
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        found[n++] = &fn_isa_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        found[n++] = &fn_isa_avx2;
#endif
    found[n++] = &fn_isa_baseline;
    return n;
}

#endif
