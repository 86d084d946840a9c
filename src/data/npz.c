#include "data/npz_names.h"
#include "data/sets.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct npz_params {
    const char *file;
    double present;
    uint64_t classes;
    uint64_t hold, upsample; /* 0: absent */
    struct gle_reals target_window;
};
_Static_assert(sizeof(struct npz_params) <= GLE_DATASET_PARAMS_SIZE, "settings of npz");

enum { CLASSES_MAX = 1000000 }; /* a label beyond is a mistake, and each class costs an output */
enum { STEPS_MAX = 1000000000 }; /* of a sample, as of a duration */

const struct gle_key gle_npz_set_keys[] = {
    GLE_KEY_PATH(struct npz_params, file, NULL, "the .npz file, as numpy.savez writes it"),
    GLE_KEY_STEPS(struct npz_params, present, GLE_ABSENT, 1e-9, 1e9,
                 "how long a point is held; needed for x of shape (samples, channels)"),
    GLE_KEY_COUNT(struct npz_params, classes, "0", 0, CLASSES_MAX, "", "number of classes; 0: largest label + 1"),
    GLE_KEY_COUNT(struct npz_params, hold, GLE_ABSENT, 1, STEPS_MAX, "steps",
                  "how many steps each frame of x lasts, of shape (samples, frames, channels); default: one"),
    GLE_KEY_COUNT(struct npz_params, upsample, GLE_ABSENT, 1, STEPS_MAX, "steps",
                  "likewise, with inputs interpolated linearly between frames, as those of speech_commands are; "
                  "targets and mask are held all the same"),
    GLE_KEY_TARGET_WINDOW(struct npz_params, target_window),
    GLE_KEY_END,
};

/* The archive, and the training arrays that the others are measured by. */
struct source {
    const char *file;
    struct gle_npz *npz;
    const struct gle_data_context *ctx;
    struct gle_array x, y;      /* y: labels or targets */
    const char *const *y_names; /* of either; NULL: there are no targets, a teacher has them */
};

int gle_npz_set_check(const void *params, const char **key, const char **why)
{
    const struct npz_params *p = params;

    *key = "upsample";
    *why = "excludes hold: inputs are either held or interpolated";
    if (p->hold && p->upsample)
        return -1;
    return gle_data_check_window(&p->target_window, key, why);
}

static const char *const *const x_names = gle_npz_names[GLE_NPZ_X];
static const char *const *const y_names = gle_npz_names[GLE_NPZ_Y];
static const char *const *const target_names = gle_npz_names[GLE_NPZ_TARGETS];

enum { TUPLE_SIZE = 200 }; /* eight numbers of 20 digits, and what is between them */

/* "100, 5, 3" */
static const char *tuple(char buf[TUPLE_SIZE], const size_t *v, size_t n)
{
    size_t at = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(buf + at, TUPLE_SIZE - at, i ? ", %zu" : "%zu", v[i]);
    return buf;
}

static const char *shape_of(char buf[TUPLE_SIZE], const struct gle_array *a)
{
    return tuple(buf, a->shape, a->n_dims);
}

/* Of a sample. */
static size_t frames(const struct gle_data *data)
{
    return data->n_steps / gle_data_repeat(data);
}

/* Where element i of an array is. */
static const char *index_of(char buf[TUPLE_SIZE], const struct gle_array *a, size_t i)
{
    size_t index[GLE_NPY_DIMS_MAX];

    for (size_t d = a->n_dims; d-- > 0; i /= a->shape[d])
        index[d] = i % a->shape[d];
    return tuple(buf, index, a->n_dims);
}

static int same_tail(const struct gle_array *a, const struct gle_array *b)
{
    int same = a->n_dims == b->n_dims;

    for (size_t d = 1; same && d < a->n_dims; d++)
        same = a->shape[d] == b->shape[d];
    return same;
}

static int unlike(const struct source *s, const char *name, const struct gle_array *a, const char *like,
                  const struct gle_array *b, struct gle_error *err)
{
    char shape_a[TUPLE_SIZE], shape_b[TUPLE_SIZE];

    return gle_fail_in(err, GLE_EDATA, s->file, NULL, "%s has shape (%s) where %s has (%s)", name, shape_of(shape_a, a),
                       like, shape_of(shape_b, b));
}

/* Steps and channels from the shape of x. */
static int shape_inputs(struct gle_data *data, const struct source *s, const struct npz_params *p, double dt,
                        struct gle_error *err)
{
    const struct gle_array *x = &s->x;
    char shape[TUPLE_SIZE];

    shape_of(shape, x);
    if (x->n_dims != 2 && x->n_dims != 3)
        return gle_fail_in(err, GLE_EDATA, s->file, NULL,
                           "x has shape (%s); (samples, steps, channels) or (samples, channels) is needed", shape);
    if (!x->n)
        return gle_fail_in(err, GLE_EDATA, s->file, NULL, "x has shape (%s), which is empty", shape);
    data->n_channels = x->shape[x->n_dims - 1];
    if (x->n_dims == 2) {
        if (p->hold || p->upsample)
            return gle_fail_in(err, GLE_ECONFIG, s->file, NULL,
                               "x has shape (%s), without frames, so '%s' does not apply", shape,
                               p->hold ? "hold" : "upsample");
        if (!(p->present > 0.0))
            return gle_fail_in(err, GLE_ECONFIG, s->file, NULL,
                               "x has shape (%s), so 'present' must say how long each point is held", shape);
        return gle_data_hold(data, p->present, dt, err);
    }
    if (p->present > 0.0)
        return gle_fail_in(err, GLE_ECONFIG, s->file, NULL,
                           "x has shape (%s) with steps of its own, so 'present' does not apply", shape);
    data->repeat = (size_t)(p->hold ? p->hold : p->upsample);
    data->interpolated = p->upsample > 0;
    if (x->shape[1] > STEPS_MAX / gle_data_repeat(data))
        return gle_fail_in(err, GLE_ERANGE, s->file, NULL, "x has shape (%s), with more than %d steps a sample", shape,
                           STEPS_MAX);
    data->n_steps = x->shape[1] * gle_data_repeat(data);
    return 0;
}

/* What y is, from its shape and the steps of x. */
static int shape_targets(struct gle_data *data, const struct source *s, const struct npz_params *p,
                         struct gle_error *err)
{
    const struct gle_array *y = &s->y;
    char shape[TUPLE_SIZE];

    if (!s->y_names)
        return p->classes ? gle_fail_in(err, GLE_ECONFIG, s->file, NULL, "has no labels, so 'classes' does not apply")
                          : 0;
    shape_of(shape, y);
    if (s->y_names == y_names) {
        data->labelled = 1;
        data->n_targets = (size_t)p->classes;
        if (y->n_dims != 1)
            return gle_fail_in(err, GLE_EDATA, s->file, NULL,
                               "y has shape (%s); (samples) is needed (targets of a regression are called targets)",
                               shape);
        return 0;
    }
    if (p->classes)
        return gle_fail_in(err, GLE_ECONFIG, s->file, NULL, "has targets, not labels, so 'classes' does not apply");
    if ((y->n_dims != 2 && y->n_dims != 3) || (y->n_dims == 3 && y->shape[1] != frames(data)) || !y->n)
        return gle_fail_in(err, GLE_EDATA, s->file, NULL,
                           "targets has shape (%s); (samples, outputs) or (samples, %zu %s, outputs) is needed",
                           shape, frames(data), data->repeat ? "frames" : "steps");
    data->n_targets = y->shape[y->n_dims - 1];
    data->target_moves = y->n_dims == 3;
    return 0;
}

/* --- lengths, and what is asked for --- */

/* Frames of sample `row` that count. */
static size_t length_of(const struct gle_data *data, const struct gle_samples *to, size_t row)
{
    return to->lengths ? to->lengths[row] : frames(data);
}

static int read_lengths(struct gle_data *data, enum gle_split split, const struct source *s, struct gle_error *err)
{
    const char *name = gle_npz_names[GLE_NPZ_LENGTHS][split];
    struct gle_samples *to = &data->split[split];
    struct gle_array a = {0};
    char shape[TUPLE_SIZE];
    int rc = gle_data_make_lengths(data, split, err) || gle_npz_read(&a, s->npz, name, err);

    if (!rc && (a.n_dims != 1 || a.n != to->n))
        rc = gle_fail_in(err, GLE_EDATA, s->file, NULL,
                         "%s has shape (%s), where one number for each of %zu samples is wanted", name,
                         shape_of(shape, &a), to->n);
    for (size_t i = 0; i < to->n && !rc; i++) {
        int64_t length;
        if (gle_array_int(&length, &a, i) || length < 1 || (uint64_t)length > frames(data))
            rc = gle_fail_in(err, GLE_EDATA, s->file, NULL, "%s[%zu] = %g is no number of frames from 1 to %zu", name,
                             i, gle_array_real(&a, i), frames(data));
        else
            to->lengths[i] = (uint32_t)length;
    }
    gle_array_clear(&a);
    return rc ? -1 : 0;
}

static int read_mask(struct gle_data *data, enum gle_split split, const struct source *s, struct gle_error *err)
{
    const char *name = gle_npz_names[GLE_NPZ_MASK][split];
    struct gle_samples *to = &data->split[split];
    struct gle_array a = {0};
    char text[TUPLE_SIZE];
    int rc = gle_npz_read(&a, s->npz, name, err);

    if (!rc && (a.n_dims != 2 || a.shape[0] != to->n || a.shape[1] != frames(data)))
        rc = gle_fail_in(err, GLE_EDATA, s->file, NULL, "%s has shape (%s), where (%zu samples, %zu %s) is wanted",
                         name, shape_of(text, &a), to->n, frames(data), data->repeat ? "frames" : "steps");
    for (size_t i = 0; !rc && i < a.n; i++) {
        const double value = gle_array_real(&a, i);
        if (i % GLE_DATA_TELL == 0 && gle_data_tell(s->ctx, "taking the mask", i, a.n, err))
            rc = -1;
        else if (value == 0.0)
            to->asked[i] = 0;
        else if (!((float)value > 0.0f) || !isfinite((float)value))
            rc = gle_fail_in(err, GLE_EDATA, s->file, NULL,
                             "%s[%s] = %g is no weight of a step, which is 0 (nothing is asked for) or a positive "
                             "number of single precision", name, index_of(text, &a, i), value);
        else if (value != 1.0 && !to->weights && gle_data_make_weights(data, split, err))
            rc = -1;
        else if (to->weights)
            to->weights[i] = (float)value;
    }
    gle_array_clear(&a);
    return rc ? -1 : 0;
}

/* Whether any target is NaN. */
static bool has_nan(const struct gle_array *y)
{
    for (size_t i = 0; i < y->n; i++)
        if (isnan(gle_array_real(y, i)))
            return true;
    return false;
}

/* Nothing is asked for beyond a sample's end. */
static void unask_ends(struct gle_data *data, enum gle_split split)
{
    struct gle_samples *to = &data->split[split];

    for (size_t row = 0; row < to->n; row++)
        memset(to->asked + row * frames(data) + length_of(data, to, row), 0,
               frames(data) - length_of(data, to, row));
}

/* Every sample asks for something, or there would be no answer to it, nor a loss. */
static int check_asked(const struct gle_data *data, enum gle_split split, const struct source *s,
                       struct gle_error *err)
{
    for (uint32_t row = 0; row < data->split[split].n; row++) {
        if (row % (1 + GLE_DATA_TELL / data->n_steps) == 0 &&
            gle_data_tell(s->ctx, "looking what is asked for", row, data->split[split].n, err))
            return -1;
        if (!gle_data_count_asked(data, split, row, data->n_steps))
            return gle_fail_in(err, GLE_EDATA, s->file, NULL,
                               "sample %lu of %s asks for nothing, by its mask, its length, its targets or "
                               "target_window", (unsigned long)row, x_names[split]);
    }
    return 0;
}

/* Room for what the arrays, the targets (y, or NULL) and the settings say of it; lengths and mask. */
static int read_asked(struct gle_data *data, enum gle_split split, const struct gle_array *y, const struct source *s,
                      struct gle_error *err)
{
    const bool lengths = gle_npz_has(s->npz, gle_npz_names[GLE_NPZ_LENGTHS][split]);
    const bool mask = gle_npz_has(s->npz, gle_npz_names[GLE_NPZ_MASK][split]);

    if (lengths && data->held)
        return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has %s, where x has no frames that could be counted",
                           gle_npz_names[GLE_NPZ_LENGTHS][split]);
    if (lengths && read_lengths(data, split, s, err))
        return -1;
    if ((lengths || mask || (y && !data->labelled && has_nan(y))) && gle_data_make_mask(data, split, err))
        return -1;
    if (mask && read_mask(data, split, s, err))
        return -1;
    if (lengths)
        unask_ends(data, split);
    return 0;
}

/* --- values --- */

static int fail_value(const struct gle_array *a, size_t i, const char *name, const struct source *s,
                      struct gle_error *err)
{
    char where[TUPLE_SIZE];

    return gle_fail_in(err, GLE_EDATA, s->file, NULL, "%s[%s] = %g is not a finite number in single precision", name,
                       index_of(where, a, i), gle_array_real(a, i));
}

/* Values beyond the end of a sample are zero, whatever stands there. */
static int copy_inputs(float *out, const struct gle_array *a, const char *name, const struct gle_data *data,
                       const struct gle_samples *to, const struct source *s, struct gle_error *err)
{
    const size_t each = a->n / to->n;

    for (size_t i = 0; i < a->n; i++) {
        if (i % GLE_DATA_TELL == 0 && gle_data_tell(s->ctx, "taking values", i, a->n, err))
            return -1;
        if (to->lengths && i % each >= length_of(data, to, i / each) * data->n_channels)
            continue;
        out[i] = (float)gle_array_real(a, i);
        if (!isfinite(out[i]))
            return fail_value(a, i, name, s, err);
    }
    return 0;
}

/* What is NaN is not asked for: in all outputs, or in none. */
static int copy_targets(struct gle_samples *to, const struct gle_array *a, const char *name,
                        const struct gle_data *data, const struct source *s, struct gle_error *err)
{
    const size_t K = data->n_targets, F = data->target_moves ? frames(data) : 1;

    for (size_t i = 0; i < a->n; i++) {
        const size_t row = i / (F * K), first = i - i % K;
        const bool none = isnan(gle_array_real(a, i));
        char where[TUPLE_SIZE];
        if (i % GLE_DATA_TELL == 0 && gle_data_tell(s->ctx, "taking values", i, a->n, err))
            return -1;
        if (data->target_moves && i / K % F >= length_of(data, to, row))
            continue;
        if (none != (isnan(gle_array_real(a, first)) != 0))
            return gle_fail_in(err, GLE_EDATA, s->file, NULL,
                               "%s[%s] is %s, where the first output is %s: a step asks for all outputs or for none",
                               name, index_of(where, a, i), none ? "NaN" : "a number", none ? "a number" : "NaN");
        if (none && data->target_moves)
            to->asked[i / K] = 0;
        else if (none)
            memset(to->asked + row * frames(data), 0, frames(data));
        to->targets[i] = none ? 0.0f : (float)gle_array_real(a, i);
        if (!isfinite(to->targets[i]) || to->targets[i] == -FLT_MAX) /* which stands for none in the network */
            return fail_value(a, i, name, s, err);
    }
    return 0;
}

/* Also widens data to the largest label. */
static int copy_labels(int32_t *out, struct gle_data *data, const struct gle_array *a, const char *name,
                       const struct source *s, const struct npz_params *p, struct gle_error *err)
{
    const int64_t n_classes = p->classes ? (int64_t)p->classes : CLASSES_MAX;

    for (size_t i = 0; i < a->n; i++) {
        int64_t label;
        if (i % GLE_DATA_TELL == 0 && gle_data_tell(s->ctx, "taking labels", i, a->n, err))
            return -1;
        if (gle_array_int(&label, a, i))
            return gle_fail_in(err, GLE_EDATA, s->file, NULL, "%s[%zu] = %g is not a whole number, as labels are "
                               "(targets of a regression are called targets)", name, i, gle_array_real(a, i));
        if (label < 0 || label >= n_classes)
            return gle_fail_in(err, GLE_EDATA, s->file, NULL, "%s[%zu] = %lld, where labels are 0 ... %lld", name, i,
                               (long long)label, (long long)n_classes - 1);
        out[i] = (int32_t)label;
        if ((size_t)label >= data->n_targets)
            data->n_targets = (size_t)label + 1;
    }
    return 0;
}

static int fill(struct gle_data *data, enum gle_split split, const struct gle_array *x, const struct gle_array *y,
                const struct source *s, const struct npz_params *p, struct gle_error *err)
{
    const char *x_name = x_names[split], *y_name = s->y_names ? s->y_names[split] : NULL;
    struct gle_samples *to = &data->split[split];

    if (y_name && x->shape[0] != y->shape[0])
        return unlike(s, y_name, y, x_name, x, err);
    if (gle_data_room(data, split, x->shape[0], err) || read_asked(data, split, y_name ? y : NULL, s, err) ||
        copy_inputs(to->x, x, x_name, data, to, s, err))
        return -1;
    if (!y_name)
        return 0;
    if (data->labelled ? copy_labels(to->labels, data, y, y_name, s, p, err)
                       : copy_targets(to, y, y_name, data, s, err))
        return -1;
    return to->asked || data->asked_end ? check_asked(data, split, s, err) : 0;
}

/* Whether there are labels or targets. */
static int choose_targets(struct source *s, struct gle_error *err)
{
    const int has_y = gle_npz_has(s->npz, y_names[GLE_TRAIN]);
    const int has_targets = gle_npz_has(s->npz, target_names[GLE_TRAIN]);
    const char *const *others = has_y ? target_names : y_names;
    char list[300];

    gle_npz_list(list, sizeof list, s->npz);
    if (!gle_npz_has(s->npz, x_names[GLE_TRAIN]))
        return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has no array x: %s%s", list,
                           gle_npz_has(s->npz, "arr_0") ? " (numpy.savez(file, x=..., y=...) gives names)" : "");
    if (!has_y && !has_targets)
        return s->ctx->has_teacher
                   ? 0
                   : gle_fail_in(err, GLE_EDATA, s->file, NULL, "has neither labels y nor targets: %s", list);
    s->y_names = has_y ? y_names : target_names;
    for (int k = 0; k < GLE_SPLITS; k++)
        if (gle_npz_has(s->npz, others[k]))
            return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has both %s and %s; labels or targets are needed",
                               s->y_names[GLE_TRAIN], others[k]);
    return 0;
}

/* Lengths and mask: of all sets or of none, and not with a teacher, who asks for something at every step. */
static int check_beside(enum gle_split split, const struct source *s, struct gle_error *err)
{
    static const enum gle_npz_role roles[] = {GLE_NPZ_LENGTHS, GLE_NPZ_MASK};

    for (size_t k = 0; k < sizeof roles / sizeof *roles; k++) {
        const char *const *names = gle_npz_names[roles[k]];
        const bool has = gle_npz_has(s->npz, names[split]), wanted = gle_npz_has(s->npz, names[GLE_TRAIN]);
        const bool there = gle_npz_has(s->npz, x_names[split]);
        if (has && s->ctx->has_teacher)
            return gle_fail_in(err, GLE_EDATA, s->file, NULL,
                               "has %s, which does not go with a teacher: its output is the target at every step",
                               names[split]);
        if (has && !there)
            return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has %s but no %s", names[split], x_names[split]);
        if (there && has != wanted)
            return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has %s but no %s",
                               has ? names[split] : names[GLE_TRAIN], has ? names[GLE_TRAIN] : names[split]);
    }
    return 0;
}

static int read_train(struct gle_data *data, struct source *s, const struct npz_params *p, struct gle_error *err)
{
    if (choose_targets(s, err) || gle_npz_read(&s->x, s->npz, x_names[GLE_TRAIN], err) ||
        shape_inputs(data, s, p, s->ctx->dt, err) || gle_data_ask_in(data, &p->target_window, s->ctx, err) ||
        check_beside(GLE_TRAIN, s, err) ||
        (s->y_names && gle_npz_read(&s->y, s->npz, s->y_names[GLE_TRAIN], err)) || shape_targets(data, s, p, err))
        return -1;
    return fill(data, GLE_TRAIN, &s->x, &s->y, s, p, err);
}

static int check_other(const struct gle_array *x, const struct gle_array *y, enum gle_split split,
                       const struct source *s, struct gle_error *err)
{
    if (!same_tail(x, &s->x) || !x->n)
        return unlike(s, x_names[split], x, x_names[GLE_TRAIN], &s->x, err);
    if (s->y_names && !same_tail(y, &s->y))
        return unlike(s, s->y_names[split], y, s->y_names[GLE_TRAIN], &s->y, err);
    return 0;
}

/* Targets of another set where the training set has none. */
static int check_targetless(enum gle_split split, const struct source *s, struct gle_error *err)
{
    static const char *const *const known[] = {y_names, target_names};

    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (gle_npz_has(s->npz, known[k][split]))
            return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has %s but no %s", known[k][split],
                               known[k][GLE_TRAIN]);
    return 0;
}

static int read_other(struct gle_data *data, enum gle_split split, const struct source *s, const struct npz_params *p,
                      struct gle_error *err)
{
    const char *x_name = x_names[split], *y_name = s->y_names ? s->y_names[split] : NULL;
    struct gle_array x = {0}, y = {0};
    int status;

    if ((!y_name && check_targetless(split, s, err)) || check_beside(split, s, err))
        return -1;
    if (!gle_npz_has(s->npz, x_name)) {
        if (y_name && gle_npz_has(s->npz, y_name))
            return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has %s but no %s", y_name, x_name);
        return 0;
    }
    if (y_name && !gle_npz_has(s->npz, y_name))
        return gle_fail_in(err, GLE_EDATA, s->file, NULL, "has %s but no %s", x_name, y_name);
    status = gle_npz_read(&x, s->npz, x_name, err) || (y_name && gle_npz_read(&y, s->npz, y_name, err)) ||
             check_other(&x, &y, split, s, err) || fill(data, split, &x, &y, s, p, err);
    gle_array_clear(&x);
    gle_array_clear(&y);
    return status ? -1 : 0;
}

static int tell(void *source, size_t done, size_t total)
{
    const struct gle_data_context *ctx = ((const struct source *)source)->ctx;
    return ctx->progress ? ctx->progress(ctx->ctx, "reading bytes", done, total) : 0;
}

/* Beside a teacher, whose output is the target, labels and targets are for nothing. */
static bool is_used(const void *source, const char *name)
{
    const struct source *s = source;
    bool used = false;

    for (int split = 0; split < GLE_SPLITS; split++)
        used = used || !strcmp(name, x_names[split]) || !strcmp(name, gle_npz_names[GLE_NPZ_MASK][split]) ||
               !strcmp(name, gle_npz_names[GLE_NPZ_LENGTHS][split]) ||
               (!s->ctx->has_teacher && s->y_names && !strcmp(name, s->y_names[split]));
    return used;
}

int gle_npz_set_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                     struct gle_error *err)
{
    const struct npz_params *p = params;
    struct source s = {.file = p->file, .ctx = ctx};
    int status;

    if (gle_npz_open(&s.npz, p->file, err))
        return -1;
    gle_npz_watch(s.npz, tell, &s);
    status = gle_npz_names_check(s.npz, p->file, err) || read_train(data, &s, p, err) ||
             read_other(data, GLE_VALIDATION, &s, p, err) || read_other(data, GLE_TEST, &s, p, err);
    gle_npz_note_unused(data->note, sizeof data->note, s.npz, p->file, is_used, &s,
                        ctx->has_teacher
                            ? "x, x_validation and x_test are used; the teacher's output is the target"
                            : "x, y or targets, mask and lengths, and the same with _validation and _test are used");
    gle_array_clear(&s.x);
    gle_array_clear(&s.y);
    gle_npz_close(s.npz);
    return status ? -1 : 0;
}
