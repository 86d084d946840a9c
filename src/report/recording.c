#include "report/recording.h"
#include "base/archive.h"
#include "base/memory.h"
#include "base/npz_stream.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* An array of the recording, and where its entry stands in a record. */
struct column {
    char name[128];
    enum gle_npy_type type;
    size_t n_dims, shape[4];
    size_t offset; /* bytes */
    /* Fills the entry; NULL: the recorder does. */
    void (*fill)(struct gle_recorder *r, const struct column *c, const struct gle_moment *m, float *to);
    size_t what; /* an enum gle_read, or the number of a variable, of a parameter, or, of lambda, of a population */
    bool windowed; /* the end of a window tells the entry */
};

/* A record that waits for the end of its window. */
struct record {
    uint64_t step;
    unsigned char *bytes;
};

struct gle_recorder {
    const struct gle_graph *graph;
    const struct gle_record *cfg;
    struct gle_npz_stream *stream;
    struct column *columns;
    size_t n_columns;
    size_t record_size;  /* bytes */
    size_t *rows;        /* sequences */
    size_t n_rows;
    bool waits;          /* some column is windowed */
    struct record *pending;
    size_t n_pending, n_room; /* records in use, and made */
    float *values;       /* a variable of all rows, a parameter, or a gradient */
    const void **entries;
};

/* --- what is recorded --- */

static size_t entry_size(const struct column *c)
{
    size_t size = gle_npy_item(c->type);

    for (size_t d = 0; d < c->n_dims; d++)
        size *= c->shape[d];
    return size;
}

/* Neuron k of those recorded of a layer of n, or SIZE_MAX after the last. */
static size_t neuron(const struct gle_recorder *r, size_t n, size_t k)
{
    const struct gle_indices *chosen = &r->cfg->neurons;

    if (!chosen->n)
        return k < n ? k : SIZE_MAX;
    for (size_t i = 0; i < chosen->n; i++)
        if (chosen->v[i] < n && k-- == 0)
            return chosen->v[i];
    return SIZE_MAX;
}

static size_t count_neurons(const struct gle_recorder *r, size_t n)
{
    size_t count = 0;

    while (neuron(r, n, count) != SIZE_MAX)
        count++;
    return count;
}

/* The recorded ones of n neurons, from rows of as many. */
static void pick(const struct gle_recorder *r, float *to, const float *from, size_t n_rows, size_t n)
{
    size_t k = 0;

    for (size_t b = 0; b < n_rows; b++)
        for (size_t j = 0; neuron(r, n, j) != SIZE_MAX; j++)
            to[k++] = from[b * n + neuron(r, n, j)];
}

/* Calls get for all sequences at once or, when the batch lacks some, for one at a time with NaN for those. */
static void get_rows(const struct gle_recorder *r, size_t B, size_t width, float *to,
                     void (*get)(const struct gle_net *net, size_t what, size_t step, const size_t *rows,
                                 size_t n_rows, float *values),
                     const struct gle_net *net, size_t what, size_t step)
{
    bool all = true;

    for (size_t b = 0; b < r->n_rows; b++)
        all = all && r->rows[b] < B;
    if (all) {
        get(net, what, step, r->rows, r->n_rows, to);
        return;
    }
    for (size_t b = 0; b < r->n_rows; b++)
        if (r->rows[b] < B)
            get(net, what, step, &r->rows[b], 1, to + b * width);
        else
            for (size_t k = 0; k < width; k++)
                to[b * width + k] = NAN;
}

static void get_read(const struct gle_net *net, size_t what, size_t step, const size_t *rows, size_t n_rows,
                     float *values)
{
    (void)step;
    gle_net_get_read(net, (enum gle_read)what, rows, n_rows, values);
}

static void get_var(const struct gle_net *net, size_t what, size_t step, const size_t *rows, size_t n_rows,
                    float *values)
{
    (void)step;
    gle_net_get_rows(net, what, rows, n_rows, values);
}

static void fill_nan(struct gle_recorder *r, const struct column *c, const struct gle_moment *m, float *to)
{
    (void)r;
    (void)m;
    for (size_t k = 0; k < entry_size(c) / sizeof *to; k++)
        to[k] = NAN;
}

static void fill_read(struct gle_recorder *r, const struct column *c, const struct gle_moment *m, float *to)
{
    if (m->unasked && c->what == GLE_READ_TARGET)
        fill_nan(r, c, m, to);
    else
        get_rows(r, m->B, c->shape[1], to, get_read, m->net, c->what, 0);
}

/* A variable of neurons, or of inputs: then of all, whatever neurons are chosen. */
static void fill_var(struct gle_recorder *r, const struct column *c, const struct gle_moment *m, float *to)
{
    const struct gle_field *f = r->graph->fields[c->what];

    if (!gle_net_has_var(m->net, c->what)) {
        fill_nan(r, c, m, to);
        return;
    }
    get_rows(r, m->B, f->cols, f->of_inputs ? to : r->values, get_var, m->net, c->what, 0);
    if (!f->of_inputs)
        pick(r, to, r->values, r->n_rows, f->cols);
}

/* Whether a parameter has a row, or a number of a list, for each neuron; else it is recorded whole. */
static bool is_by_neuron(const struct gle_recorder *r, const struct gle_parameter *p)
{
    const struct gle_graph *g = r->graph;
    const bool sparse = p->field.projection != GLE_NO_PROJECTION && g->projections[p->field.projection].plan.starts;

    return !sparse && p->parts == g->populations[p->field.population].n;
}

/* Chosen neurons of r->values, which has the shape of a parameter. */
static void pick_param(const struct gle_recorder *r, const struct gle_parameter *p, float *to)
{
    const struct gle_field *f = &p->field;

    if (!is_by_neuron(r, p)) {
        memcpy(to, r->values, gle_field_size(f) * sizeof *to);
        return;
    }
    if (p->part == 1) {
        pick(r, to, r->values, 1, f->cols);
        return;
    }
    for (size_t j = 0; neuron(r, f->rows, j) != SIZE_MAX; j++)
        memcpy(to + j * f->cols, r->values + neuron(r, f->rows, j) * f->cols, f->cols * sizeof *to);
}

static void fill_param(struct gle_recorder *r, const struct column *c, const struct gle_moment *m, float *to)
{
    gle_net_get_param(m->net, c->what, r->values);
    pick_param(r, &r->graph->parameters[c->what], to);
}

static void fill_gradient(struct gle_recorder *r, const struct column *c, const struct gle_moment *m, float *to)
{
    if (!m->learned || !gle_net_learns(m->net, c->what)) {
        fill_nan(r, c, m, to);
        return;
    }
    gle_net_get_followed(m->net, c->what, r->values);
    pick_param(r, &r->graph->parameters[c->what], to);
}

/* --- columns --- */

static int add_column(struct gle_recorder *r, struct column c, struct gle_error *err)
{
    struct column *longer = gle_resize(r->columns, r->n_columns + 1, sizeof *longer);

    if (!longer)
        return gle_fail(err, GLE_ENOMEM, "no memory for the recording");
    r->columns = longer;
    c.offset = r->record_size;
    r->record_size += (entry_size(&c) + sizeof(double) - 1) / sizeof(double) * sizeof(double);
    longer[r->n_columns++] = c;
    return 0;
}

/* Numbers that every record has, split by epochs only; gle_recorder_moment() fills them in this order. */
static int add_numbers(struct gle_recorder *r, bool by_phases, struct gle_error *err)
{
    static const struct column numbers[] = {
        {.name = "time", .type = GLE_NPY_F64}, {.name = "loss", .type = GLE_NPY_F64},
        {.name = "step", .type = GLE_NPY_I64}, {.name = "phase", .type = GLE_NPY_I64},
        {.name = "split", .type = GLE_NPY_I64},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers - (by_phases ? 1 : 0); i++) {
        struct column c = numbers[i];
        if (!strcmp(c.name, "phase") && !by_phases)
            snprintf(c.name, sizeof c.name, "epoch");
        if (add_column(r, c, err))
            return -1;
    }
    return 0;
}

static int add_read(struct gle_recorder *r, const char *name, enum gle_read what, size_t width, struct gle_error *err)
{
    struct column c = {
        .type = GLE_NPY_F32, .n_dims = 2, .shape = {r->n_rows, width}, .fill = fill_read, .what = what};

    snprintf(c.name, sizeof c.name, "%s", name);
    return add_column(r, c, err);
}

/* n: recorded neurons. */
static int add_variable(struct gle_recorder *r, size_t i, size_t n, const struct gle_variable_row *row,
                        struct gle_error *err)
{
    const struct gle_population *p = &r->graph->populations[i];
    struct column c = {.type = GLE_NPY_F32,
                       .n_dims = 2,
                       .shape = {r->n_rows, n},
                       .fill = row->windowed ? fill_nan : fill_var, /* until the window is closed */
                       .windowed = row->windowed};

    if (row->windowed) {
        c.what = i;
        gle_field_label(c.name, sizeof c.name,
                        &(struct gle_field){.owner = p->cfg->name, .name = row->row.name});
        return add_column(r, c, err);
    }
    for (size_t from = 0; (c.what = gle_graph_variable(r->graph, i, row->row.name, from)) != SIZE_MAX;
         from = c.what + 1) { /* one of a layer, or one for each of its sources */
        const struct gle_field *f = r->graph->fields[c.what];
        c.shape[1] = f->of_inputs ? f->cols : n;
        gle_field_label(c.name, sizeof c.name, f);
        if (add_column(r, c, err))
            return -1;
    }
    return 0;
}

/* A parameter or its gradient, whose name is the parameter's with "grad_" before it. */
static int add_param(struct gle_recorder *r, size_t param, size_t n, bool gradient, struct gle_error *err)
{
    const struct gle_parameter *p = &r->graph->parameters[param];
    struct gle_field f = p->field;
    char name[32];
    struct column c = {
        .type = GLE_NPY_F32, .n_dims = p->n_shape, .fill = gradient ? fill_gradient : fill_param, .what = param};

    if (!p->given)
        return 0;
    memcpy(c.shape, p->shape, sizeof c.shape);
    if (is_by_neuron(r, p))
        c.shape[0] = n;
    snprintf(name, sizeof name, "grad_%s", f.name);
    f.name = gradient ? name : f.name;
    gle_field_label(c.name, sizeof c.name, &f);
    return add_column(r, c, err);
}

/* Those of a kind: weights of all sources. */
static int add_params(struct gle_recorder *r, size_t i, enum gle_param kind, size_t n, bool gradient,
                      struct gle_error *err)
{
    for (size_t k = 0; k < r->graph->n_parameters; k++) {
        const struct gle_parameter *p = &r->graph->parameters[k];
        if (p->field.population == i && p->kind == kind && add_param(r, k, n, gradient, err))
            return -1;
    }
    return 0;
}

static int add_layer(struct gle_recorder *r, size_t i, struct gle_error *err)
{
    const struct gle_record *cfg = r->cfg;
    const size_t n = count_neurons(r, r->graph->populations[i].n);

    for (int v = 0; v < GLE_RECORD_VARS && n; v++)
        if (cfg->variables[v] && add_variable(r, i, n, &gle_variables[v], err))
            return -1;
    for (int kind = 0; kind < GLE_RECORDED_PARAMS && n; kind++)
        if (cfg->parameters[kind] && add_params(r, i, (enum gle_param)kind, n, false, err))
            return -1;
    for (int kind = 0; kind < GLE_PARAMS && n; kind++)
        if (cfg->gradients[kind] && add_params(r, i, (enum gle_param)kind, n, true, err))
            return -1;
    return 0;
}

/* --- opening --- */

static int choose_rows(struct gle_recorder *r, struct gle_error *err)
{
    const struct gle_indices *chosen = &r->cfg->sequences;

    r->n_rows = chosen->n ? chosen->n : r->graph->max_batch;
    r->rows = gle_calloc(r->n_rows, sizeof *r->rows);
    if (!r->rows)
        return gle_fail(err, GLE_ENOMEM, "no memory for the recording");
    for (size_t b = 0; b < r->n_rows; b++)
        r->rows[b] = chosen->n ? chosen->v[b] : b;
    return 0;
}

static int make_room(struct gle_recorder *r, struct gle_error *err)
{
    size_t most = 1;

    for (size_t i = 0; i < r->graph->n_populations; i++)
        most = r->n_rows * r->graph->populations[i].n > most ? r->n_rows * r->graph->populations[i].n : most;
    for (size_t i = 0; i < r->graph->n_parameters; i++) {
        const size_t size = gle_field_size(&r->graph->parameters[i].field);
        most = size > most ? size : most;
    }
    r->values = gle_calloc(most, sizeof *r->values);
    r->entries = gle_calloc(r->n_columns, sizeof *r->entries);
    return r->values && r->entries ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the recording");
}

static int open_stream(struct gle_recorder *r, const char *path, const char *spool, struct gle_error *err)
{
    struct gle_npz_column *columns = gle_calloc(r->n_columns, sizeof *columns);
    int rc;

    if (!columns)
        return gle_fail(err, GLE_ENOMEM, "no memory for the recording");
    for (size_t i = 0; i < r->n_columns; i++) {
        const struct column *c = &r->columns[i];
        columns[i] = (struct gle_npz_column){.name = c->name, .type = c->type, .n_dims = c->n_dims};
        memcpy(columns[i].shape, c->shape, sizeof c->shape);
    }
    rc = gle_npz_stream_open(&r->stream, path, spool, columns, r->n_columns, err);
    gle_free(columns);
    return rc;
}

static int choose_columns(struct gle_recorder *r, struct gle_error *err)
{
    const struct gle_graph *g = r->graph;
    const size_t n_out = g->populations[g->output].n;

    if (choose_rows(r, err) || add_numbers(r, g->exp->phases != NULL, err) ||
        add_read(r, "input", GLE_READ_INPUT, g->n_input, err) ||
        add_read(r, "target", GLE_READ_TARGET, n_out, err) || add_read(r, "output", GLE_READ_OUTPUT, n_out, err))
        return -1;
    for (size_t i = 0; i < r->cfg->layers.n; i++)
        if (add_layer(r, r->cfg->layers.v[i], err))
            return -1;
    return 0;
}

/* Without a file; NULL after an error. */
static struct gle_recorder *create(const struct gle_graph *graph, struct gle_error *err)
{
    struct gle_recorder *r = gle_calloc(1, sizeof *r);

    if (!r) {
        gle_fail(err, GLE_ENOMEM, "no memory for the recording");
        return NULL;
    }
    r->graph = graph;
    r->cfg = &graph->exp->record;
    for (int v = 0; v < GLE_RECORD_VARS; v++)
        r->waits = r->waits || (r->cfg->variables[v] && gle_variables[v].windowed);
    if (choose_columns(r, err)) {
        gle_recorder_discard(r);
        return NULL;
    }
    return r;
}

int gle_recorder_measure(double *bytes, const struct gle_graph *graph, struct gle_error *err)
{
    struct gle_recorder *r;

    *bytes = 0.0;
    if (!graph->exp->record.every)
        return 0;
    r = create(graph, err);
    if (!r)
        return -1;
    for (size_t i = 0; i < r->n_columns; i++)
        *bytes += (double)entry_size(&r->columns[i]);
    gle_recorder_discard(r);
    return 0;
}

int gle_recorder_open(struct gle_recorder **out, const char *path, const char *spool, const struct gle_graph *graph,
                      struct gle_error *err)
{
    struct gle_recorder *r = create(graph, err);

    *out = NULL;
    if (!r)
        return -1;
    if (make_room(r, err) || open_stream(r, path, spool, err)) {
        gle_recorder_discard(r);
        return -1;
    }
    *out = r;
    return 0;
}

void gle_recorder_discard(struct gle_recorder *r)
{
    if (!r)
        return;
    gle_npz_stream_discard(r->stream);
    for (size_t i = 0; i < r->n_room; i++)
        gle_free(r->pending[i].bytes);
    gle_free(r->pending);
    gle_free(r->columns);
    gle_free(r->rows);
    gle_free(r->values);
    gle_free(r->entries);
    gle_free(r);
}

/* --- records --- */

/* Hands all pending records on. */
static int flush(struct gle_recorder *r, struct gle_error *err)
{
    for (size_t i = 0; i < r->n_pending; i++) {
        for (size_t c = 0; c < r->n_columns; c++)
            r->entries[c] = r->pending[i].bytes + r->columns[c].offset;
        if (gle_npz_stream_add(r->stream, r->entries, err))
            return -1;
    }
    r->n_pending = 0;
    return 0;
}

static struct record *next_record(struct gle_recorder *r)
{
    if (r->n_pending == r->n_room) {
        struct record *longer = gle_resize(r->pending, r->n_room + 1, sizeof *longer);
        if (!longer)
            return NULL;
        r->pending = longer;
        longer[r->n_room].bytes = gle_calloc(r->record_size, 1);
        if (!longer[r->n_room].bytes)
            return NULL;
        r->n_room++;
    }
    return &r->pending[r->n_pending++];
}

int gle_recorder_moment(struct gle_recorder *r, const struct gle_moment *m, struct gle_error *err)
{
    const double reals[] = {(double)m->step * r->graph->exp->dt, m->loss};
    const int64_t counts[] = {(int64_t)m->step, (int64_t)m->stage, (int64_t)m->split};
    struct record *record;

    if (!m->in_window && flush(r, err)) /* those of a window that was dropped keep NaN */
        return -1;
    record = next_record(r);
    if (!record)
        return gle_fail(err, GLE_ENOMEM, "no memory for the recording");
    record->step = m->step;
    for (size_t i = 0; i < r->n_columns; i++) {
        const struct column *c = &r->columns[i];
        unsigned char *to = record->bytes + c->offset;
        if (c->fill)
            c->fill(r, c, m, (float *)(void *)to);
        else if (c->type == GLE_NPY_F64)
            memcpy(to, &reals[i], sizeof reals[i]);
        else
            memcpy(to, &counts[i - 2], sizeof counts[i - 2]);
    }
    return r->waits && m->in_window ? 0 : flush(r, err);
}

int gle_recorder_window(struct gle_recorder *r, const struct gle_closed_window *w, struct gle_error *err)
{
    for (size_t i = 0; i < r->n_pending; i++) {
        const struct record *record = &r->pending[i];
        if (record->step < w->first_step)
            continue;
        for (size_t k = 0; k < r->n_columns; k++) {
            const struct column *c = &r->columns[k];
            size_t n;
            if (!c->windowed)
                continue;
            n = r->graph->populations[c->what].n;
            get_rows(r, w->B, n, r->values, gle_net_get_lambda, w->net, c->what, record->step - w->first_step);
            pick(r, (float *)(void *)(record->bytes + c->offset), r->values, r->n_rows, n);
        }
    }
    return flush(r, err);
}

/* --- checkpoints --- */

/* Records that wait, in one array; bytes: room for them. */
static int visit_records(struct gle_recorder *r, struct gle_archive *a, unsigned char *bytes, struct gle_error *err)
{
    const size_t n = r->n_pending, size = r->record_size;

    for (size_t i = 0; i < n; i++)
        memcpy(bytes + i * size, r->pending[i].bytes, size);
    if (gle_archive_spread(a, "pending_step", GLE_NPY_U64, n ? &r->pending->step : NULL, n, sizeof *r->pending, err) ||
        gle_archive_bytes(a, "pending", bytes, n * size, err))
        return -1;
    for (size_t i = 0; i < n; i++)
        memcpy(r->pending[i].bytes, bytes + i * size, size);
    return 0;
}

static int visit_pending(struct gle_recorder *r, struct gle_archive *a, struct gle_error *err)
{
    size_t n = r->n_pending;
    unsigned char *bytes;
    int rc;

    if (gle_archive_restores(a) && gle_archive_length(&n, a, "pending_step", err))
        return -1;
    while (r->n_pending < n)
        if (!next_record(r))
            return gle_fail(err, GLE_ENOMEM, "no memory for the recording");
    bytes = gle_calloc(n, r->record_size);
    if (!bytes)
        return gle_fail(err, GLE_ENOMEM, "no memory for the recording");
    rc = visit_records(r, a, bytes, err);
    gle_free(bytes);
    return rc;
}

/* Whether the records are those of so many steps: what is not in the spool waits. */
static int check_records(const struct gle_recorder *r, const struct gle_archive *a, size_t n, uint64_t steps,
                         struct gle_error *err)
{
    const uint64_t every = r->cfg->every, first = r->cfg->offset;
    const uint64_t all = steps > first ? (steps - 1 - first) / every + 1 : 0;

    if (n > all || r->n_pending != all - n)
        return gle_archive_fail(a, "records", err, "%zu and %zu that wait, where %llu steps have %llu", n, r->n_pending,
                                (unsigned long long)steps, (unsigned long long)all);
    for (size_t i = 0; i < r->n_pending; i++) {
        const uint64_t wanted = first + (n + i) * every;
        if (r->pending[i].step != wanted)
            return gle_archive_fail(a, "pending_step", err, "value %zu is %llu, where %llu is wanted", i,
                                    (unsigned long long)r->pending[i].step, (unsigned long long)wanted);
    }
    return 0;
}

int gle_recorder_archive(struct gle_recorder *r, struct gle_archive *a, uint64_t steps, struct gle_error *err)
{
    size_t n = gle_npz_stream_count(r->stream);
    uint32_t checksum = 0;
    int rc = gle_archive_restores(a) ? 0 : gle_npz_stream_sync(r->stream, &checksum, err);

    gle_archive_enter(a, "recorder");
    rc = rc || gle_archive_count(a, "records", &n, 0, SIZE_MAX, err) ||
         gle_archive_u32(a, "checksum", &checksum, 1, err) || visit_pending(r, a, err) ||
         (gle_archive_restores(a) && check_records(r, a, n, steps, err));
    gle_archive_leave(a);
    if (!rc && gle_archive_restores(a))
        rc = gle_npz_stream_begin_with(r->stream, n, checksum, err);
    return rc ? -1 : 0;
}

int gle_recorder_close(struct gle_recorder *r, struct gle_error *err)
{
    int rc = flush(r, err);

    if (!rc) {
        rc = gle_npz_stream_close(r->stream, err);
        r->stream = NULL;
    }
    gle_recorder_discard(r);
    return rc;
}
