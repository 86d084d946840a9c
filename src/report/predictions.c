#include "report/predictions.h"

#include <stdio.h>
#include <string.h>

/* What is written of one set. */
struct set {
    struct gle_npz_writer *npz;
    const struct gle_experiment *exp;
    const struct gle_data *data;
    enum gle_split split;
    const float *values;
    struct gle_predictions_shape shape;
    size_t n;
};

/* Room for an array under the name of the set and its own. NULL after an error. */
static void *room(const struct set *s, const char *name, enum gle_npy_type type, size_t n_dims, const size_t *shape,
                  struct gle_error *err)
{
    char full[48];

    snprintf(full, sizeof full, "%s.%s", gle_split_names[s->split], name);
    return gle_npz_room(s->npz, full, type, n_dims, shape, err);
}

static int add_samples(const struct set *s, struct gle_error *err)
{
    const uint32_t *origins = s->data->split[s->split].origins;
    int64_t *sample = room(s, "sample", GLE_NPY_I64, 1, &s->n, err);

    for (size_t i = 0; sample && i < s->n; i++)
        sample[i] = origins ? (int64_t)origins[i] : (int64_t)i;
    return sample ? 0 : -1;
}

/* The class of the largest sum; of equal ones, the first. */
static int32_t answer_of(const float *sum, size_t K)
{
    size_t best = 0;

    for (size_t k = 1; k < K; k++)
        if (sum[k] > sum[best])
            best = k;
    return (int32_t)best;
}

static int add_answers(const struct set *s, struct gle_error *err)
{
    const size_t parts = s->shape.parts, K = s->shape.outputs, n = s->n * parts;
    const size_t several[3] = {s->n, parts, K}, one[2] = {s->n, K};
    const size_t n_dims = parts > 1 ? 2 : 1;
    int32_t *label = room(s, "label", GLE_NPY_I32, n_dims, several, err);
    int32_t *answer = label ? room(s, "answer", GLE_NPY_I32, n_dims, several, err) : NULL;
    float *score = answer ? room(s, "score", GLE_NPY_F32, n_dims + 1, parts > 1 ? several : one, err) : NULL;

    if (!score)
        return -1;
    memcpy(label, s->data->split[s->split].labels, n * sizeof *label);
    memcpy(score, s->values, n * K * sizeof *score);
    for (size_t i = 0; i < n; i++)
        answer[i] = answer_of(s->values + i * K, K);
    return 0;
}

static int add_weights(const struct set *s, struct gle_error *err)
{
    const size_t shape[2] = {s->n, s->shape.parts};
    float *weight;

    if (s->exp->has_teacher || !gle_data_has_weights(s->data))
        return 0;
    weight = room(s, "weight", GLE_NPY_F32, 2, shape, err);
    for (size_t i = 0; weight && i < s->n; i++)
        for (size_t k = 0; k < s->shape.parts; k++)
            weight[i * s->shape.parts + k] = gle_data_weight(s->data, s->split, (uint32_t)i, s->shape.first + k);
    return weight ? 0 : -1;
}

static int add_outputs(const struct set *s, struct gle_error *err)
{
    const size_t each = s->shape.parts * s->shape.outputs, shape[3] = {s->n, s->shape.parts, s->shape.outputs};
    double *time = room(s, "time", GLE_NPY_F64, 1, &shape[1], err);
    float *output = time ? room(s, "output", GLE_NPY_F32, 3, shape, err) : NULL;
    float *target = output ? room(s, "target", GLE_NPY_F32, 3, shape, err) : NULL;

    if (!target)
        return -1;
    for (size_t k = 0; k < s->shape.parts; k++)
        time[k] = (double)(s->shape.first + k) * s->exp->dt;
    for (size_t i = 0; i < s->n; i++) {
        memcpy(output + i * each, s->values + 2 * i * each, each * sizeof *output);
        memcpy(target + i * each, s->values + (2 * i + 1) * each, each * sizeof *target);
    }
    return add_weights(s, err);
}

int gle_predictions_pack(unsigned char **bytes, size_t *size, const char *path, const struct gle_experiment *exp,
                         const struct gle_data *data, const struct gle_metrics *metrics, struct gle_error *err)
{
    struct set set = {.npz = gle_npz_create(), .exp = exp, .data = data, .shape = gle_predictions_shape(exp, data)};
    int rc = set.npz ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for predictions"), found = 0;

    *bytes = NULL;
    for (int k = 0; k < GLE_SPLITS && !rc; k++) {
        const struct gle_predictions *p = &metrics->predictions[k];
        if (!p->there)
            continue;
        found++;
        set.split = (enum gle_split)k;
        set.n = data->split[k].n;
        set.values = p->values;
        rc = add_samples(&set, err) || (set.shape.labelled ? add_answers(&set, err) : add_outputs(&set, err));
    }
    if (!rc && found)
        rc = gle_npz_pack(bytes, size, set.npz, path, err);
    gle_npz_destroy(set.npz);
    return rc ? -1 : 0;
}
