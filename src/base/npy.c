#include "base/npy.h"
#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are written as they lie in memory");

enum { ALIGN = 64 }; /* values begin at a multiple of it */

static const struct {
    const char *code; /* numpy's, without the byte order */
    size_t size;
} types[GLE_NPY_TYPES] = {
    [GLE_NPY_F32] = {"f4", 4}, [GLE_NPY_F64] = {"f8", 8}, [GLE_NPY_I8] = {"i1", 1},  [GLE_NPY_I16] = {"i2", 2},
    [GLE_NPY_I32] = {"i4", 4}, [GLE_NPY_I64] = {"i8", 8}, [GLE_NPY_U8] = {"u1", 1},  [GLE_NPY_U16] = {"u2", 2},
    [GLE_NPY_U32] = {"u4", 4}, [GLE_NPY_U64] = {"u8", 8}, [GLE_NPY_BOOL] = {"b1", 1},
    [GLE_NPY_F16] = {"f2", 2},
};

size_t gle_npy_item(enum gle_npy_type type)
{
    return types[type].size;
}

/* --- the header: a Python dictionary of three keys (numpy.lib.format) --- */

static const char malformed[] = "malformed array header";

static bool take(const char **t, const char *word)
{
    const size_t len = strlen(word);

    *t += strspn(*t, " \t\r\n");
    if (strncmp(*t, word, len) != 0)
        return false;
    *t += len;
    return true;
}

/* A quoted string of printable ASCII without escapes. */
static bool take_string(const char **t, char *out, size_t size)
{
    const char quote = take(t, "'") ? '\'' : '"';
    size_t n = 0;

    if (quote == '"' && !take(t, "\""))
        return false;
    for (; **t != quote; ++*t) {
        if (**t < ' ' || **t > '~' || **t == '\\' || n + 1 == size)
            return false;
        out[n++] = **t;
    }
    ++*t;
    out[n] = '\0';
    return true;
}

/* Digits; a number beyond size_t becomes SIZE_MAX, which no file can fill. */
static bool take_size(const char **t, size_t *value)
{
    const char *start;

    take(t, "");
    *value = 0;
    for (start = *t; **t >= '0' && **t <= '9'; ++*t) {
        const size_t digit = (size_t)(**t - '0');
        *value = *value > (SIZE_MAX - digit) / 10 ? SIZE_MAX : *value * 10 + digit;
    }
    return *t > start;
}

/* A tuple: (), (3,), (3, 4). A comma may end it, and must if it has one element. */
static bool take_shape(const char **t, struct gle_npy_header *h)
{
    bool comma = true;

    if (!take(t, "("))
        return false;
    for (h->n_dims = 0; !take(t, ")"); h->n_dims++) {
        size_t dim;
        if (!comma || !take_size(t, &dim))
            return false;
        if (h->n_dims < GLE_NPY_DIMS_MAX)
            h->shape[h->n_dims] = dim;
        comma = take(t, ",");
    }
    return comma || h->n_dims != 1;
}

static bool take_bool(const char **t, bool *value)
{
    *value = take(t, "True");
    return *value || take(t, "False");
}

const char *gle_npy_parse(struct gle_npy_header *h, const char *t, size_t len)
{
    const char *const end = t + len;
    bool has_descr = false, has_order = false, has_shape = false, comma = true;
    char key[32];

    if (!take(&t, "{"))
        return malformed;
    while (!take(&t, "}")) {
        bool *has;
        if (!comma || !take_string(&t, key, sizeof key) || !take(&t, ":"))
            return malformed;
        has = !strcmp(key, "descr") ? &has_descr : !strcmp(key, "fortran_order") ? &has_order : &has_shape;
        if (*has || (has == &has_shape && strcmp(key, "shape") != 0))
            return malformed;
        *has = true;
        if (has == &has_descr && take(&t, "["))
            return "an array of records; only numbers and bool can be read";
        if (has == &has_descr   ? !take_string(&t, h->descr, sizeof h->descr)
            : has == &has_order ? !take_bool(&t, &h->fortran)
                                : !take_shape(&t, h))
            return malformed;
        comma = take(&t, ",");
    }
    take(&t, "");
    return t == end && has_descr && has_order && has_shape ? NULL : malformed;
}

bool gle_npy_find_type(struct gle_npy_header *h)
{
    const char order = h->descr[0];

    for (int i = 0; i < GLE_NPY_TYPES; i++) {
        if (!order || strcmp(h->descr + 1, types[i].code) != 0)
            continue;
        h->type = (enum gle_npy_type)i;
        h->item = types[i].size;
        h->swap = order == '>';
        return order == '<' || order == '>' || (order == '|' && h->item == 1);
    }
    return false;
}

bool gle_npy_count(struct gle_npy_header *h)
{
    h->n = 1;
    for (size_t i = 0; i < h->n_dims; i++) {
        if (h->shape[i] && h->n > SIZE_MAX / h->item / h->shape[i])
            return false;
        h->n *= h->shape[i];
    }
    return true;
}

size_t gle_npy_format(char out[static GLE_NPY_FORMAT_MAX], enum gle_npy_type type, size_t n_dims,
                      const size_t *shape)
{
    const size_t start = GLE_NPY_PREFIX + 2, size = GLE_NPY_FORMAT_MAX;
    size_t end = start, total;

    end += (size_t)snprintf(out + end, size - end, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                            types[type].size == 1 ? '|' : '<', types[type].code);
    for (size_t i = 0; i < n_dims; i++)
        end += (size_t)snprintf(out + end, size - end, i + 1 < n_dims || n_dims == 1 ? "%zu, " : "%zu", shape[i]);
    if (n_dims == 1) /* (3,) as Python prints it */
        end--;
    end += (size_t)snprintf(out + end, size - end, "), }");
    total = (end + 1 + ALIGN - 1) / ALIGN * ALIGN;
    memset(out + end, ' ', total - end);
    out[total - 1] = '\n';
    memcpy(out, GLE_NPY_MAGIC, sizeof GLE_NPY_MAGIC - 1);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)((total - start) & 0xff);
    out[9] = (char)((total - start) >> 8);
    return total;
}

/* --- arrays --- */

void gle_array_clear(struct gle_array *array)
{
    gle_free(array->values);
    *array = (struct gle_array){.n = 0};
}

/* IEEE 754 binary16: a sign, 5 bits of exponent, 10 of fraction. Every value is a double, too. */
static double half_to_real(uint16_t half)
{
    const unsigned exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    const double sign = half & 0x8000 ? -1.0 : 1.0;

    if (exponent == 0x1f)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, (int)exponent - 25) : ldexp(fraction, -24));
}

double gle_array_real(const struct gle_array *array, size_t i)
{
    const void *v = array->values;

    assert(array->type < GLE_NPY_TYPES && i < array->n);
    switch (array->type) {
    case GLE_NPY_F32:
        return (double)((const float *)v)[i];
    case GLE_NPY_F64:
        return ((const double *)v)[i];
    case GLE_NPY_I8:
        return ((const int8_t *)v)[i];
    case GLE_NPY_I16:
        return ((const int16_t *)v)[i];
    case GLE_NPY_I32:
        return ((const int32_t *)v)[i];
    case GLE_NPY_I64:
        return (double)((const int64_t *)v)[i];
    case GLE_NPY_U8:
        return ((const uint8_t *)v)[i];
    case GLE_NPY_U16:
        return ((const uint16_t *)v)[i];
    case GLE_NPY_U32:
        return ((const uint32_t *)v)[i];
    case GLE_NPY_U64:
        return (double)((const uint64_t *)v)[i];
    case GLE_NPY_BOOL:
        return ((const uint8_t *)v)[i] != 0;
    case GLE_NPY_F16:
        return half_to_real(((const uint16_t *)v)[i]);
    case GLE_NPY_TYPES:
        break;
    }
    return NAN;
}

/* 64-bit integers do not fit a double; every other type does. */
int gle_array_int(int64_t *value, const struct gle_array *array, size_t i)
{
    double real;

    assert(i < array->n);
    if (array->type == GLE_NPY_I64) {
        *value = ((const int64_t *)array->values)[i];
        return 0;
    }
    if (array->type == GLE_NPY_U64) {
        const uint64_t u = ((const uint64_t *)array->values)[i];
        *value = (int64_t)u;
        return u <= INT64_MAX ? 0 : -1;
    }
    real = gle_array_real(array, i);
    if (!(real >= -0x1p63 && real < 0x1p63) || real != floor(real))
        return -1;
    *value = (int64_t)real;
    return 0;
}
