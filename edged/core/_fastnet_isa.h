/* The part of _fastnet.h that is compiled for each instruction set: FN_TITLE, FN_NAME, FN_TARGET, FN_LANES, FN_VECTORS (of a full
 * channel block) and FN_PIXELS(vectors) say for which. Included several times on purpose. */

typedef float FN_NAME(vec) __attribute__((vector_size(4 * FN_LANES)));
typedef int32_t FN_NAME(ints) __attribute__((vector_size(4 * FN_LANES)));
#define VEC FN_NAME(vec)
#define INTS FN_NAME(ints)
#define LANES FN_LANES
#define INLINE static inline __attribute__((always_inline)) FN_TARGET
#define UNROLL _Pragma("GCC unroll 16")

INLINE VEC FN_NAME(load)(const float *from)
{
    VEC v;
    memcpy(&v, from, sizeof v);
    return v;
}
INLINE void FN_NAME(store)(float *to, VEC v) { memcpy(to, &v, sizeof v); }
INLINE VEC FN_NAME(all)(float value) { return value - (VEC){0}; }
INLINE VEC FN_NAME(positive)(VEC v) { return (VEC)((INTS)v & (INTS)(v > 0)); }
INLINE VEC FN_NAME(larger)(VEC a, VEC b)
{
    INTS which = a > b;
    return (VEC)(((INTS)a & which) | ((INTS)b & ~which));
}

/* Sums of `pixels` pixels by `vectors` vectors of channels. `step` is between the pixels' runs, `row` between the rows
 * of the kernel; `half` says that only half of the last vector is channels. */
INLINE void FN_NAME(tile)(int pixels, int vectors, const float *in, ptrdiff_t step, ptrdiff_t row, int rows,
                          ptrdiff_t run, const float *weights, const float *bias, int relu, int half, float *out,
                          ptrdiff_t out_step)
{
    VEC sum[16][4];
    UNROLL for (int n = 0; n < vectors; n++)
    {
        VEC first = bias ? FN_NAME(load)(bias + n * LANES) : (VEC){0};
        UNROLL for (int m = 0; m < pixels; m++) sum[m][n] = first;
    }
    for (int r = 0; r < rows; r++, in += row) {
        const float *p = in;
        for (ptrdiff_t k = 0; k < run; k++, p++, weights += vectors * LANES) {
            VEC w[4];
            UNROLL for (int n = 0; n < vectors; n++) w[n] = FN_NAME(load)(weights + n * LANES);
            UNROLL for (int m = 0; m < pixels; m++)
            {
                VEC x = FN_NAME(all)(p[m * step]);
                UNROLL for (int n = 0; n < vectors; n++) sum[m][n] += x * w[n];
            }
        }
    }
    UNROLL for (int m = 0; m < pixels; m++)
    {
        UNROLL for (int n = 0; n < vectors; n++)
        {
            VEC v = relu ? FN_NAME(positive)(sum[m][n]) : sum[m][n];
            if (half && n == vectors - 1)
                memcpy(out + m * out_step + n * LANES, &v, sizeof v / 2);
            else
                FN_NAME(store)(out + m * out_step + n * LANES, v);
        }
    }
}

/* `count` output pixels of one row and one channel block of `V` vectors: full tiles, the last one moved back over pixels
 * that are already done. */
#define FN_ROW(V)                                                                                                      \
    static FN_TARGET void FN_NAME(row##V)(int count, const float *in, ptrdiff_t step, ptrdiff_t row, int rows,         \
                                          ptrdiff_t run, const float *weights, const float *bias, int relu, int half,  \
                                          float *out, ptrdiff_t out_step)                                              \
    {                                                                                                                  \
        enum { M = FN_PIXELS(V) };                                                                                     \
        if (count < M) {                                                                                               \
            for (int x = 0; x < count; x++)                                                                            \
                FN_NAME(tile)(1, V, in + x * step, step, row, rows, run, weights, bias, relu, half,                    \
                              out + x * out_step, out_step);                                                           \
            return;                                                                                                    \
        }                                                                                                              \
        for (int at = 0; at < count; at += M) {                                                                        \
            int x = at + M <= count ? at : count - M;                                                                  \
            FN_NAME(tile)(M, V, in + x * step, step, row, rows, run, weights, bias, relu, half, out + x * out_step,    \
                          out_step);                                                                                   \
        }                                                                                                              \
    }
FN_ROW(1)
FN_ROW(2)
#if FN_VECTORS == 4
FN_ROW(3)
FN_ROW(4)
#endif
#undef FN_ROW

/* `count` pixels of a row, all channels. */
static FN_TARGET void FN_NAME(row)(int channels, int count, const float *in, ptrdiff_t step, ptrdiff_t row, int rows,
                                   ptrdiff_t run, const float *weights, const float *bias, int relu, float *out,
                                   ptrdiff_t out_step)
{
    for (int c = 0; c < channels; c += FN_VECTORS * LANES) {
        int left = channels - c;
        int vectors = left >= FN_VECTORS * LANES ? FN_VECTORS : (left + LANES - 1) / LANES;
        int half = left < vectors * LANES;
        const float *first = bias ? bias + c : NULL;
#define FN_ARGUMENTS count, in, step, row, rows, run, weights, first, relu, half, out + c, out_step
        switch (vectors) {
        case 1: FN_NAME(row1)(FN_ARGUMENTS); break;
        case 2: FN_NAME(row2)(FN_ARGUMENTS); break;
#if FN_VECTORS == 4
        case 3: FN_NAME(row3)(FN_ARGUMENTS); break;
        case 4: FN_NAME(row4)(FN_ARGUMENTS); break;
#endif
        }
#undef FN_ARGUMENTS
        weights += rows * run * vectors * LANES;
    }
}

/* Eight channels of six columns at Winograd's points; the vectors here are eight floats on every CPU, because channels
 * come in eights. */
typedef float FN_NAME(eight) __attribute__((vector_size(32)));
#define EIGHT FN_NAME(eight)

INLINE void FN_NAME(to_points)(const float *in, ptrdiff_t step, float *out, ptrdiff_t point)
{
    EIGHT d[6], t[6];
    UNROLL for (int i = 0; i < 6; i++) memcpy(&d[i], in + i * step, sizeof d[i]);
    EIGHT a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
    t[0] = 4 * d[0] - 5 * d[2] + d[4];
    t[1] = a + b;
    t[2] = a - b;
    t[3] = c + e;
    t[4] = c - e;
    t[5] = 4 * d[1] - 5 * d[3] + d[5];
    UNROLL for (int i = 0; i < 6; i++) memcpy(out + i * point, &t[i], sizeof t[i]);
}

/* And back: `columns` columns (4 or 2) of eight channels, the first `wanted` of which are stored. */
INLINE void FN_NAME(from_points)(const float *in, ptrdiff_t point, const float *bias, int relu, int columns, int wanted,
                                 float *out, ptrdiff_t step)
{
    EIGHT m[6], y[4], first;
    UNROLL for (int i = 0; i < 6; i++) memcpy(&m[i], in + i * point, sizeof m[i]);
    memcpy(&first, bias, sizeof first);
    EIGHT s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    y[0] = first + m[0] + s1 + s2;
    y[1] = first + d1 + 2 * d2;
    if (columns == 2) {
        y[1] += m[5];
    } else {
        y[2] = first + s1 + 4 * s2;
        y[3] = first + d1 + 8 * d2 + m[5];
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        if (i < columns && i < wanted) {
            EIGHT v = y[i];
            typedef int32_t mask __attribute__((vector_size(32)));
            if (relu)
                v = (EIGHT)((mask)v & (mask)(v > 0));
            memcpy(out + i * step, &v, sizeof v);
        }
    }
}

/* Winograd tiles `first` to `first + count` of every row. */
static FN_TARGET void FN_NAME(winograd_block)(const fn_layer *l, const fn_shape *in, float *from, const fn_shape *out,
                                              float *to, int first, int count, float *points, float *sums)
{
    int step = fn_step(l), rows = in->height + 2 * l->pad_h;
    ptrdiff_t point = (ptrdiff_t)count * l->in, row = FN_POINTS * point;
    for (int y = 0; y < rows; y++)
        for (int t = 0; t < count; t++) {
            const float *columns = from + y * fn_row(in) + (ptrdiff_t)(first + t) * step * l->in;
            for (int c = 0; c < l->in; c += 8)
                FN_NAME(to_points)(columns + c, l->in, points + y * row + (ptrdiff_t)t * l->in + c, point);
        }
    int lanes = (l->out + LANES - 1) / LANES * LANES;
    ptrdiff_t weights = (ptrdiff_t)l->kernel_h * l->in * lanes, sum = (ptrdiff_t)count * l->out;
    for (int y = 0; y < out->height; y++) {
        for (int p = 0; p < FN_POINTS; p++)
            FN_NAME(row)(l->out, count, points + y * l->stride_h * row + p * point, l->in, row, l->kernel_h, l->in,
                         l->weights + p * weights, NULL, 0, sums + p * sum, l->out);
        for (int t = 0; t < count; t++) {
            int x = (first + t) * step, wanted = out->width - x;
            float *pixel = fn_pixel(out, to, y, x), *at = sums + (ptrdiff_t)t * l->out;
            for (int c = 0; c < l->out; c += 8)
                if (step == 2)
                    FN_NAME(from_points)(at + c, sum, l->bias + c, l->relu, 2, wanted, pixel + c, out->channels);
                else
                    FN_NAME(from_points)(at + c, sum, l->bias + c, l->relu, 4, wanted, pixel + c, out->channels);
        }
    }
}

static FN_TARGET void FN_NAME(convolve)(const fn_layer *l, const fn_shape *in, float *from, const fn_shape *out,
                                        float *to, float *scratch)
{
    if (l->points) {
        int tiles = fn_tiles(l, out->width);
        float *sums = scratch + (ptrdiff_t)FN_POINTS * 2 * FN_BLOCK * (in->height + 2 * l->pad_h) * l->in;
        for (int at = 0, count; at < tiles; at += count) {
            count = tiles - at < 2 * FN_BLOCK ? tiles - at : FN_BLOCK;
            FN_NAME(winograd_block)(l, in, from, out, to, at, count, scratch, sums);
        }
        return;
    }
    for (int y = 0; y < out->height; y++)
        FN_NAME(row)(l->out, out->width, from + y * l->stride_h * fn_row(in), (ptrdiff_t)l->stride_w * l->in,
                     fn_row(in), l->kernel_h, (ptrdiff_t)l->kernel_w * l->in, l->weights, l->bias, l->relu,
                     fn_pixel(out, to, y, 0), out->channels);
}

/* Grey to zero mean and unit deviation, a deviation under 4 counting as 4: flat paper stays flat. */
static FN_TARGET void FN_NAME(strip)(const uint8_t *grey, const fn_shape *s, float *to)
{
    ptrdiff_t count = (ptrdiff_t)s->height * s->width;
    uint64_t sum = 0, squares = 0;
    for (int y = 0; y < s->height; y++) {
        uint32_t row_sum = 0, row_squares = 0; /* 65536 columns fit */
        for (int x = 0; x < s->width; x++) {
            uint32_t value = grey[(ptrdiff_t)y * s->width + x];
            row_sum += value;
            row_squares += value * value;
        }
        sum += row_sum;
        squares += row_squares;
    }
    double mean = (double)sum / count, variance = (double)squares / count - mean * mean;
    float deviation = variance > 16 ? (float)sqrt(variance) : 4.0f;
    float scale = 1 / deviation, shift = (float)mean;
    for (int y = 0; y < s->height; y++) {
        float *row = fn_pixel(s, to, y, 0);
        for (int x = 0; x < s->width; x++)
            row[x] = (grey[(ptrdiff_t)y * s->width + x] - shift) * scale;
    }
}

/* e to the v, v <= 0, to 2e-7 of the value; 0 below -87. */
INLINE VEC FN_NAME(power)(VEC v)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, in the low bits */
    v = FN_NAME(larger)(v, FN_NAME(all)(-88.0f));
    VEC shifted = v * 1.44269504f + magic, whole = shifted - magic;
    VEC r = v - whole * 0.693359375f + whole * 2.12194440e-4f;
    VEC e = ((((r * (1 / 720.f) + 1 / 120.f) * r + 1 / 24.f) * r + 1 / 6.f) * r + 0.5f) * r * r + r + 1;
    INTS exponent = ((INTS)shifted - 0x4b400000 + 127) << 23;
    return (VEC)((INTS)(e * (VEC)exponent) & (INTS)(v > -87.0f));
}

/* One row of pixels, `classes` of each as shares of 1. Channels past them hold what is surely smaller. */
static FN_TARGET void FN_NAME(softmax)(const fn_shape *s, const float *logits, int classes, float *to)
{
    enum { MOST = 256 };
    float values[MOST + 16];
    int lanes = (s->channels + LANES - 1) / LANES * LANES;
    for (int c = s->channels; c < lanes; c++)
        values[c] = -1e30f;
    for (int x = 0; x < s->width; x++, logits += s->channels, to += classes) {
        memcpy(values, logits, sizeof(float) * s->channels);
        VEC most = FN_NAME(load)(values), sum = {0};
        for (int c = LANES; c < lanes; c += LANES)
            most = FN_NAME(larger)(most, FN_NAME(load)(values + c));
        float top = most[0], total = 0;
        for (int i = 1; i < LANES; i++)
            top = most[i] > top ? most[i] : top;
        for (int c = 0; c < lanes; c += LANES) {
            VEC e = FN_NAME(power)(FN_NAME(load)(values + c) - top);
            sum += e;
            FN_NAME(store)(values + c, e);
        }
        for (int i = 0; i < LANES; i++)
            total += sum[i];
        for (int c = 0; c < classes; c++)
            to[c] = values[c] / total;
        for (int c = s->channels; c < lanes; c++)
            values[c] = -1e30f;
    }
}

static const fn_isa FN_NAME(isa) = {
    FN_TITLE, LANES, FN_VECTORS, FN_NAME(convolve), FN_NAME(strip), FN_NAME(softmax),
};

#undef VEC
#undef INTS
#undef EIGHT
#undef LANES
#undef INLINE
#undef UNROLL
#undef FN_NAME
#undef FN_TARGET
#undef FN_TITLE
#undef FN_LANES
#undef FN_VECTORS
#undef FN_PIXELS
