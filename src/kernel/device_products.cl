/* Products on a device, tile by tile. A group makes a tile of C = A B, TILE_ROWS x TILE_COLS: it copies stretches of
 * TILE_DEPTH of A and B into its local memory, and each work item sums up micro tiles of MICRO_ROWS x MICRO_COLS in
 * registers. Sums run over the depth in order, so that the same device gives the same bits. Matrices are read through
 * operands, so that convolutions, pooled rates and transposes need no copies.
 *
 * The sizes are given when this is compiled. A processor has ITEMS 1 and wide vectors, a GPU many items and narrow
 * ones. */
#define MICRO_COLS (VECTOR * MICRO_VECTORS)
#define MICROS_ACROSS (TILE_COLS / MICRO_COLS)
#define MICROS (TILE_ROWS / MICRO_ROWS * MICROS_ACROSS)
#define MICROS_EACH ((MICROS + ITEMS - 1) / ITEMS) /* of a work item */

#define GLUE(x, y) x##y
#define GLUED(x, y) GLUE(x, y)
typedef GLUED(float, VECTOR) vector;
#define LOAD_VECTOR(p) GLUED(vload, VECTOR)(0, p)
#define STORE_VECTOR(x, p) GLUED(vstore, VECTOR)(x, 0, p)

/* Elements of a tile of `rows` x `cols` are shared among the items of a group. An item meets the same elements every
 * time, so that what it wrote it can read without waiting for the others. */
#define ITEMS_ACROSS (ITEMS < TILE_COLS ? ITEMS : TILE_COLS)
#define EACH_ELEMENT(row, col, rows, cols)                                             \
    for (uint row = item / ITEMS_ACROSS; row < (rows); row += ITEMS / ITEMS_ACROSS)    \
        for (uint col = item % ITEMS_ACROSS; col < (cols); col += ITEMS_ACROSS)

typedef __global const struct gle_device_projection projection;

/* A processor calls functions without barriers, since its compiler takes minutes for kernels that hold copies of them.
 * They are told which item calls: it is known in kernels alone. */
#if ITEMS == 1
#define CALLED static __attribute__((noinline))
#define RESTRICT restrict /* makes loops into vectors */
#else
#define CALLED static inline
#define RESTRICT
#endif

/* --- links, number by number --- */

/* Number k of the values `x` of one sample as the link reads them: pooled, or as they are. A maximum is that of `by`,
 * the first one if several are equal; by == x pools rates. by 0: x is pooled already. */
CALLED float pooled_at(projection *c, __global const float *x, __global const float *by, uint k)
{
    const uint plane = c->pooled[0] * c->pooled[1];
    uint first, best;
    float sum = 0.0f;

    if (c->pooling == GLE_DEVICE_UNPOOLED || !by)
        return x[k];
    first = k / plane * c->size[0] * c->size[1] + k % plane / c->pooled[1] * c->window[0] * c->size[1] +
            k % c->pooled[1] * c->window[1];
    best = first;
    for (uint i = 0; i < c->window[0]; i++)
        for (uint j = 0; j < c->window[1]; j++) {
            const uint at = first + i * c->size[1] + j;
            sum += x[at];
            best = by[at] > by[best] ? at : best;
        }
    return c->pooling == GLE_DEVICE_POOL_MAX ? x[best] : sum / (float)(c->window[0] * c->window[1]);
}

/* The transpose of it: puts the error of number k where it came from. */
CALLED void unpool(projection *c, __global float *below, __global const float *x, uint k, float error)
{
    const uint plane = c->pooled[0] * c->pooled[1];
    const bool largest = c->pooling == GLE_DEVICE_POOL_MAX;
    uint first, best;

    if (c->pooling == GLE_DEVICE_UNPOOLED) {
        below[k] = error;
        return;
    }
    first = k / plane * c->size[0] * c->size[1] + k % plane / c->pooled[1] * c->window[0] * c->size[1] +
            k % c->pooled[1] * c->window[1];
    best = first;
    for (uint i = 0; largest && i < c->window[0]; i++)
        for (uint j = 0; j < c->window[1]; j++)
            best = x[first + i * c->size[1] + j] > x[best] ? first + i * c->size[1] + j : best;
    for (uint i = 0; i < c->window[0]; i++)
        for (uint j = 0; j < c->window[1]; j++) {
            const uint at = first + i * c->size[1] + j;
            below[at] = !largest ? error / (float)(c->window[0] * c->window[1]) : at == best ? error : 0.0f;
        }
}

/* The rate that tap `tap` (channel, line and column of the kernel) of a convolution meets at a place of the target. */
CALLED float patch_at(projection *c, __global const float *x, __global const float *by, uint place, uint tap)
{
    const uint taps = c->kernel_size[0] * c->kernel_size[1];
    const uint y = place / c->out[1] * c->step[0] + tap % taps / c->kernel_size[1];
    const uint z = place % c->out[1] * c->step[1] + tap % c->kernel_size[1];

    if (y < c->padding[0] || z < c->padding[1] || y - c->padding[0] >= c->pooled[0] ||
        z - c->padding[1] >= c->pooled[1])
        return 0.0f;
    return pooled_at(c, x, by, (tap / taps * c->pooled[0] + y - c->padding[0]) * c->pooled[1] + z - c->padding[1]);
}

/* The error at the place of the target whose tap (channel of the target, line and column) meets a place of the source.
 */
CALLED float error_at(projection *c, __global const float *e, uint place, uint tap)
{
    const uint taps = c->kernel_size[0] * c->kernel_size[1];
    const uint line = tap % taps / c->kernel_size[1], column = tap % c->kernel_size[1];
    const uint y = place / c->pooled[1] + c->padding[0], z = place % c->pooled[1] + c->padding[1];

    if (y < line || z < column || (y - line) % c->step[0] || (z - column) % c->step[1] ||
        (y - line) / c->step[0] >= c->out[0] || (z - column) / c->step[1] >= c->out[1])
        return 0.0f;
    return e[(tap / taps * c->out[0] + (y - line) / c->step[0]) * c->out[1] + (z - column) / c->step[1]];
}

/* Number i of W x; x: the rates of a sample, pooled by `by`. */
CALLED float forward_at(projection *c, __global const float *w, __global const uint *lists, __global const float *x,
                        __global const float *by, uint i)
{
    float sum = 0.0f;

    if (c->link == GLE_DEVICE_ONE_TO_ONE)
        return w[i] * pooled_at(c, x, by, i);
    if (c->link == GLE_DEVICE_SPARSE) {
        for (uint k = lists[c->starts + i]; k < lists[c->starts + i + 1]; k++)
            sum = fma(w[k], pooled_at(c, x, by, lists[c->columns + k]), sum);
        return sum;
    }
    for (uint k = 0; k < c->n_pool; k++)
        sum = fma(w[i * c->weight.ld + k], pooled_at(c, x, by, k), sum);
    return sum;
}

/* Number k of W^T e, of a link that is no matrix; e: the errors of a sample. */
CALLED float back_at(projection *c, __global const float *w, __global const uint *lists,
                            __global const float *e, uint k)
{
    float sum = 0.0f;

    if (c->link == GLE_DEVICE_ONE_TO_ONE)
        return w[k] * e[k];
    for (uint j = lists[c->back_starts + k]; j < lists[c->back_starts + k + 1]; j++)
        sum = fma(w[lists[c->back_synapses + j]], e[lists[c->back_rows + j]], sum);
    return sum;
}

/* --- matrices --- */

enum operand_kind { PLAIN, POOLED, POOLED_ACROSS, PATCHES, PATCHES_ACROSS, ERRORS, KERNELS_BACK, ERRORS_ALONG,
                    ERRORS_OF_GROUPS, RATES_OF_GROUPS, ERRORS_ALONG_OF_GROUPS, PATCHES_OF_GROUPS };

/* A matrix whose element (i, k) is read at a time, k along the depth. */
struct operand {
    enum operand_kind kind;
    __global const float *p, *by; /* by: as in pooled_at() */
    uint i, k;  /* floats from an i, and a k, to the next; of samples: from one to the next */
    projection *c;
    /* Of groups one after the other along the depth, `depth` each: the first one is number `low`; groups: of each
     * neuron; apart: floats from the rates of one to the next. */
    __global const uint *groups;
    uint low, depth, apart;
};

CALLED float operand_at(const struct operand *o, uint i, uint k)
{
    projection *c = o->c;
    uint places, at;

    switch (o->kind) {
    case POOLED: /* (sample, source) */
        return pooled_at(c, o->p + i * o->i, o->by + i * o->i, k);
    case POOLED_ACROSS: /* (source, sample) */
        return pooled_at(c, o->p + k * o->k, o->by + k * o->k, i);
    case PATCHES: /* (sample and place, tap) */
        places = c->out[0] * c->out[1];
        return patch_at(c, o->p + i / places * o->i, o->by + i / places * o->i, i % places, k);
    case PATCHES_ACROSS: /* (tap, sample and place) */
        places = c->out[0] * c->out[1];
        return patch_at(c, o->p + k / places * o->k, o->by ? o->by + k / places * o->k : 0, k % places, i);
    case ERRORS: /* (sample and place of the source, tap back) */
        places = c->pooled[0] * c->pooled[1];
        return error_at(c, o->p + i / places * o->i, i % places, k);
    case KERNELS_BACK: /* (channel of the source, tap back) */
        places = c->kernel_size[0] * c->kernel_size[1];
        return o->p[k / places * o->k + i * places + k % places];
    case ERRORS_ALONG: /* (channel of the target, sample and place) */
        places = c->out[0] * c->out[1];
        return o->p[k / places * o->k + i * places + k % places];
    case ERRORS_OF_GROUPS: /* (neuron, group and sample) */
        return o->groups[i] == o->low + k / o->depth ? o->p[i + k % o->depth * o->k] : 0.0f;
    case RATES_OF_GROUPS: /* (source, group and sample) */
        return o->p[k / o->depth * o->apart + i + k % o->depth * o->k];
    case ERRORS_ALONG_OF_GROUPS: /* (channel of the target, group, sample and place) */
        places = c->out[0] * c->out[1];
        at = i * places + k % o->depth % places;
        return o->groups[at] == o->low + k / o->depth ? o->p[k % o->depth / places * o->k + at] : 0.0f;
    case PATCHES_OF_GROUPS: /* (tap, group, sample and place) */
        places = c->out[0] * c->out[1];
        return patch_at(c, o->p + k / o->depth * o->apart + k % o->depth / places * o->k, 0, k % o->depth % places, i);
    default:
        return o->p[i * o->i + k * o->k];
    }
}

#if ITEMS == 1
CALLED void copy_rows(__local float *RESTRICT to, uint ld, __global const float *RESTRICT from, uint ld_from, uint rows,
                      uint cols)
{
    for (uint i = 0; i < rows; i++)
        for (uint k = 0; k < cols; k++)
            to[i * ld + k] = from[i * ld_from + k];
}

/* to (cols, rows) = from (rows, cols), transposed; a few rows at a time, so that neighbours are written together. */
CALLED void transpose_rows(__local float *RESTRICT to, uint ld, __global const float *RESTRICT from, uint ld_from,
                           uint rows, uint cols)
{
    uint i = 0;

    for (; i + 8 <= rows; i += 8)
        for (uint k = 0; k < cols; k++)
            for (uint j = 0; j < 8; j++)
                to[k * ld + i + j] = from[(i + j) * ld_from + k];
    for (; i < rows; i++)
        for (uint k = 0; k < cols; k++)
            to[k * ld + i] = from[i * ld_from + k];
}
#endif

/* Copies elements (first + i, depth + k), zero beyond (n, n_depth), to to[i * to_i + k * to_k]. */
CALLED void copy_tile(uint item, __local float *to, uint to_i, uint to_k, uint tile, const struct operand *o,
                      uint first, uint n, uint depth, uint n_depth)
{
#if ITEMS == 1 /* what lies beyond is not used */
    const uint rows = n - first < tile ? n - first : tile;
    const uint depths = n_depth - depth < TILE_DEPTH ? n_depth - depth : TILE_DEPTH;
    __global const float *p = o->p + first * o->i + depth * o->k;

    (void)item;
    if (o->kind != PLAIN)
        for (uint i = 0; i < rows; i++)
            for (uint k = 0; k < depths; k++)
                to[i * to_i + k * to_k] = operand_at(o, first + i, depth + k);
    else if (o->k == 1 && to_k == 1)
        copy_rows(to, to_i, p, o->i, rows, depths);
    else if (o->i == 1 && to_i == 1)
        copy_rows(to, to_k, p, o->k, depths, rows);
    else if (o->k == 1)
        transpose_rows(to, to_k, p, o->i, rows, depths);
    else
        transpose_rows(to, to_i, p, o->k, depths, rows);
#else
    if (o->kind == PLAIN && o->i == 1) /* neighbours in memory go to neighbours among the items */
        for (uint at = item; at < tile * TILE_DEPTH; at += ITEMS) {
            const uint i = at % tile, k = at / tile;
            to[i * to_i + k * to_k] =
                first + i < n && depth + k < n_depth ? operand_at(o, first + i, depth + k) : 0.0f;
        }
    else
        for (uint at = item; at < tile * TILE_DEPTH; at += ITEMS) {
            const uint i = at / TILE_DEPTH, k = at % TILE_DEPTH;
            to[i * to_i + k * to_k] =
                first + i < n && depth + k < n_depth ? operand_at(o, first + i, depth + k) : 0.0f;
        }
#endif
}

/* The micro tile at (row, col) of the tile, summed over `depth`, from what it was on with `resume`; a (i, k) at
 * a[i * a_i + k * a_k]. */
CALLED void add_micro(vector (*sum)[MICRO_VECTORS], const __local float *a, uint a_i, uint a_k,
                             const __local float *b, uint row, uint col, uint depth, bool resume)
{
    vector c[MICRO_ROWS][MICRO_VECTORS];

#pragma unroll
    for (uint r = 0; r < MICRO_ROWS; r++)
#pragma unroll
        for (uint v = 0; v < MICRO_VECTORS; v++)
            c[r][v] = resume ? sum[r][v] : (vector)(0.0f);
    for (uint k = 0; k < depth; k++) {
        vector y[MICRO_VECTORS];
#pragma unroll
        for (uint v = 0; v < MICRO_VECTORS; v++)
            y[v] = LOAD_VECTOR(b + k * TILE_COLS + col + v * VECTOR);
#pragma unroll
        for (uint r = 0; r < MICRO_ROWS; r++) {
            const vector x = (vector)(a[(row + r) * a_i + k * a_k]);
#pragma unroll
            for (uint v = 0; v < MICRO_VECTORS; v++)
                c[r][v] = fma(x, y[v], c[r][v]);
        }
    }
#pragma unroll
    for (uint r = 0; r < MICRO_ROWS; r++)
#pragma unroll
        for (uint v = 0; v < MICRO_VECTORS; v++)
            sum[r][v] = c[r][v];
}

/* The tile of C (M, N) that begins at (first, across): sums[q] are those of the item's micro tile number q. a (M, K);
 * b is read as (N, K). */
static inline void tile_product(uint item, vector (*sums)[MICRO_ROWS][MICRO_VECTORS], const struct operand *a,
                                const struct operand *b, uint M, uint N, uint K, uint first, uint across,
                                __local float *A, __local float *B)
{
    /* on a processor, rows of A that lie in memory as they are read are copied as they lie */
    const bool along = ITEMS == 1 && a->kind == PLAIN && a->k == 1;

    for (uint depth = 0; depth < K; depth += TILE_DEPTH) {
        const uint n = K - depth < TILE_DEPTH ? K - depth : TILE_DEPTH;
        if (along)
            copy_tile(item, A, TILE_DEPTH, 1, TILE_ROWS, a, first, M, depth, K);
        else
            copy_tile(item, A, 1, TILE_ROWS, TILE_ROWS, a, first, M, depth, K);
        copy_tile(item, B, 1, TILE_COLS, TILE_COLS, b, across, N, depth, K);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint q = 0; q < MICROS_EACH; q++) {
            const uint micro = item + q * ITEMS;
            const uint row = micro / MICROS_ACROSS * MICRO_ROWS, col = micro % MICROS_ACROSS * MICRO_COLS;
            if (micro >= MICROS || first + row >= M || across + col >= N)
                continue;
            if (along)
                add_micro(sums[q], A, TILE_DEPTH, 1, B, row, col, n, depth > 0);
            else
                add_micro(sums[q], A, 1, TILE_ROWS, B, row, col, n, depth > 0);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

/* Where the elements of a tile of C go: element (m, n) to p[m * row + n] or, if it has places, to
 * p[n / places * sample + m * places + n % places]. */
struct target {
    __global float *p;
    uint row, places, sample;
};

static inline uint target_at(const struct target *to, uint m, uint n)
{
    return to->places ? n / to->places * to->sample + m * to->places + n % to->places : m * to->row + n;
}

/* Writes the tile of C, times alpha; with `add`, adds it to what is there. */
CALLED void store_tile(uint item, const struct target *to, vector (*sums)[MICRO_ROWS][MICRO_VECTORS], float alpha,
                       bool add, uint M, uint N, uint first, uint across)
{
    for (uint q = 0; q < MICROS_EACH; q++) {
        const uint micro = item + q * ITEMS;
        const uint row = first + micro / MICROS_ACROSS * MICRO_ROWS, col = across + micro % MICROS_ACROSS * MICRO_COLS;
        if (micro >= MICROS)
            break;
        for (uint r = 0; r < MICRO_ROWS && row + r < M; r++)
            for (uint v = 0; v < MICRO_VECTORS; v++) {
                const uint n = col + v * VECTOR;
                const vector x = alpha * sums[q][r][v];
                float lanes[VECTOR];
                if (!to->places && n + VECTOR <= N) {
                    __global float *p = to->p + (row + r) * to->row + n;
                    STORE_VECTOR(add ? LOAD_VECTOR(p) + x : x, p);
                    continue;
                }
                STORE_VECTOR(x, lanes);
                for (uint l = 0; l < VECTOR && n + l < N; l++) {
                    const uint at = target_at(to, row + r, n + l);
                    to->p[at] = add ? to->p[at] + lanes[l] : lanes[l];
                }
            }
    }
}
