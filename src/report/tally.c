#include "report/tally.h"
#include "base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

struct gle_tally {
    size_t n;       /* values so far, those that are not there among them */
    size_t there;   /* those that are */
    json_t *first;  /* the first that is; of lists and objects without what they hold. NULL: none yet */
    bool differs;   /* another one is not equal to it */
    size_t count;   /* numbers */
    double mean, squares, low, high; /* of these; squares of what they differ from the mean, summed */
    char **keys;                     /* (n_members) of an object */
    struct gle_tally **members;      /* (n_members) of an object or list */
    size_t n_members;
};

struct gle_tally *gle_tally_create(void)
{
    struct gle_tally *t = gle_calloc(1, sizeof *t);

    if (t) {
        t->low = INFINITY;
        t->high = -INFINITY;
    }
    return t;
}

void gle_tally_destroy(struct gle_tally *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_members; i++) {
        gle_tally_destroy(t->members[i]);
        gle_free(t->keys ? t->keys[i] : NULL);
    }
    gle_free((void *)t->members);
    gle_free((void *)t->keys);
    json_decref(t->first);
    gle_free(t);
}

static int no_memory(struct gle_error *err)
{
    return gle_fail(err, GLE_ENOMEM, "no memory for the summary");
}

/* Its members are those of the first value; what came before had none of them. */
static int make_members(struct gle_tally *t, json_t *value, struct gle_error *err)
{
    const bool object = json_is_object(value);
    const size_t n = object ? json_object_size(value) : json_array_size(value);
    void *at = object ? json_object_iter(value) : NULL;

    t->members = n ? gle_calloc(n, sizeof *t->members) : NULL;
    t->keys = n && object ? gle_calloc(n, sizeof *t->keys) : NULL;
    if (n && (!t->members || (object && !t->keys)))
        return no_memory(err);
    for (; t->n_members < n; t->n_members++) {
        struct gle_tally *member = t->members[t->n_members] = gle_tally_create();
        if (!member)
            return no_memory(err);
        member->n = t->n - 1;
        if (object) {
            const char *key = json_object_iter_key(at);
            t->keys[t->n_members] = gle_calloc(strlen(key) + 1, 1);
            if (!t->keys[t->n_members]) {
                gle_tally_destroy(member);
                return no_memory(err);
            }
            memcpy(t->keys[t->n_members], key, strlen(key) + 1);
            at = json_object_iter_next(value, at);
        }
    }
    return 0;
}

static int begin(struct gle_tally *t, json_t *value, struct gle_error *err)
{
    if (json_is_object(value))
        t->first = json_object();
    else if (json_is_array(value))
        t->first = json_array();
    else
        t->first = json_incref(value);
    if (!t->first)
        return no_memory(err);
    t->differs = t->n > 1;
    return json_is_object(value) || json_is_array(value) ? make_members(t, value, err) : 0;
}

/* A list that is longer than those before. */
static int make_longer(struct gle_tally *t, size_t n, struct gle_error *err)
{
    struct gle_tally **longer = n > t->n_members ? gle_resize((void *)t->members, n, sizeof *longer) : t->members;

    if (n && !longer)
        return no_memory(err);
    for (t->members = longer; t->n_members < n; t->n_members++) {
        t->members[t->n_members] = gle_tally_create();
        if (!t->members[t->n_members])
            return no_memory(err);
    }
    return 0;
}

static void add_number(struct gle_tally *t, double x)
{
    const double d = x - t->mean;

    t->count++;
    t->mean += d / (double)t->count;
    t->squares += d * (x - t->mean);
    t->low = fmin(t->low, x);
    t->high = fmax(t->high, x);
}

int gle_tally_add(struct gle_tally *t, json_t *value, struct gle_error *err)
{
    const bool lists = json_is_array(t->first) && json_is_array(value);
    int rc = lists ? make_longer(t, json_array_size(value), err) : 0;

    t->n++;
    t->there += value && !json_is_null(value);
    if (!t->first && value && !json_is_null(value) && begin(t, value, err))
        return -1;
    t->differs = t->differs || (t->first && !t->members && !json_equal(t->first, value));
    if (json_is_number(value))
        add_number(t, json_number_value(value));
    for (size_t i = 0; i < (lists ? json_array_size(value) : t->n_members) && !rc; i++)
        rc = gle_tally_add(t->members[i], t->keys ? json_object_get(value, t->keys[i]) : json_array_get(value, i), err);
    return rc;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *statistics(const struct gle_tally *t)
{
    json_t *out;

    if (!t->count)
        return json_null();
    out = json_object();
    json_object_set_new(out, "mean", number(t->mean));
    json_object_set_new(out, "std", number(sqrt(t->squares / (double)t->count)));
    json_object_set_new(out, "min", number(t->low));
    json_object_set_new(out, "max", number(t->high));
    json_object_set_new(out, "n", json_integer((json_int_t)t->count));
    return out;
}

size_t gle_tally_had(const struct gle_tally *t, size_t i)
{
    return t->members && !t->keys && i < t->n_members ? t->members[i]->there : 0;
}

json_t *gle_tally_json(const struct gle_tally *t)
{
    json_t *out;

    if (!t->first)
        return json_null();
    if (json_is_real(t->first))
        return statistics(t);
    if (!json_is_object(t->first) && !json_is_array(t->first))
        return !t->differs ? json_deep_copy(t->first) : json_is_number(t->first) ? statistics(t) : json_null();
    out = json_is_object(t->first) ? json_object() : json_array();
    for (size_t i = 0; i < t->n_members; i++) {
        if (t->keys)
            json_object_set_new(out, t->keys[i], gle_tally_json(t->members[i]));
        else
            json_array_append_new(out, gle_tally_json(t->members[i]));
    }
    return out;
}
