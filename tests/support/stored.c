#include "stored.h"
#include "base/npz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

void store_at(const char *path, const struct stored *arrays)
{
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {0};

    assert_non_null(w);
    for (const struct stored *a = arrays; a->name; a++) {
        double values[STORED_MAX];
        size_t n = 1;
        for (size_t d = 0; d < a->n_dims; d++)
            n *= a->shape[d];
        assert_true(n <= STORED_MAX);
        for (size_t i = 0; i < n; i++)
            values[i] = a->values ? a->values[i] : (double)i;
        assert_int_equal(gle_npz_add(w, a->name, GLE_NPY_F64, values, a->n_dims, a->shape, &err), 0);
    }
    assert_int_equal(gle_npz_write(w, path, &err), 0);
    gle_npz_destroy(w);
}
