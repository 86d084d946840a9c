#include "report/traces.h"

/* Values (n, n_steps, n_outputs) under a name. */
static int add_values(struct gle_npz_writer *npz, const char *name, const struct gle_traces *t, const float *values,
                      struct gle_error *err)
{
    const size_t shape[3] = {t->n, t->n_steps, t->n_outputs};

    return gle_npz_add(npz, name, GLE_NPY_F32, values, 3, shape, err);
}

int gle_traces_pack(unsigned char **bytes, size_t *size, const char *path, const struct gle_experiment *exp,
                    const struct gle_traces *t, struct gle_error *err)
{
    const size_t each = t->n * t->n_steps * t->n_outputs, shape[1] = {t->n_steps};
    struct gle_npz_writer *npz = gle_npz_create();
    double *time = npz ? gle_npz_room(npz, "time", GLE_NPY_F64, 1, shape, err) : NULL;
    int rc = npz ? (time ? 0 : -1) : gle_fail(err, GLE_ENOMEM, "no memory for the traces of the closed loop");

    *bytes = NULL;
    for (size_t i = 0; !rc && i < t->n_steps; i++)
        time[i] = (double)(exp->closed.after + i) * exp->dt;
    rc = rc || add_values(npz, "target", t, t->values, err) || add_values(npz, "open", t, t->values + each, err) ||
         add_values(npz, "closed", t, t->values + 2 * each, err) || gle_npz_pack(bytes, size, npz, path, err);
    gle_npz_destroy(npz);
    return rc ? -1 : 0;
}
