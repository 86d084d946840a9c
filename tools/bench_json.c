#include "bench_results.h"

#include <jansson.h>
#include <math.h>

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *count(size_t n)
{
    return json_integer((json_int_t)n);
}

/* null where nothing was measured */
static json_t *positive(double x)
{
    return x > 0.0 ? number(x) : json_null();
}

static json_t *split_json(const struct speed *s)
{
    const struct split *split = &s->split;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "us", number(1e6 * s->profiled), "products_us",
                     number(1e6 * split->products), "elementwise_us", number(1e6 * split->elementwise), "optimizer_us",
                     number(1e6 * split->optimizer), "waiting_us", number(1e6 * split->waiting), "rest_us",
                     number(1e6 * split->rest));
}

static json_t *speed_json(const struct speed *s, const struct peak *peak)
{
    const double gflops = speed_gflops(s), alone = speed_products_gflops(s);

    if (!(s->least > 0.0))
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "us_least", number(1e6 * s->least),
                     "us_median", number(1e6 * s->median), "us_mean", number(1e6 * s->mean), "mflop",
                     number(s->mflop), "gflops", number(gflops), "of_fma_peak", number(gflops / peak->fma),
                     "of_sgemm_peak", number(gflops / peak_sgemm(peak)), "split", split_json(s), "products_gflops",
                     number(alone), "products_of_fma_peak", number(alone / peak->fma));
}

/* A step on a device. */
static json_t *card_speed_json(const struct speed *s, const struct card *card)
{
    const double gflops = speed_gflops(s), passing = speed_passing(s);

    if (!(s->least > 0.0))
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "us_least", number(1e6 * s->least),
                     "us_median", number(1e6 * s->median), "us_mean", number(1e6 * s->mean), "launches",
                     number(s->traffic.launches), "bytes_in", number(s->traffic.bytes_in), "bytes_out",
                     number(s->traffic.bytes_out), "mflop", number(s->mflop), "gflops", number(gflops),
                     "of_sgemm_peak", number(gflops / card->sgemm), "array_bytes", number(s->bytes), "of_copy_peak",
                     number(passing / card->copy));
}

static json_t *row_json(const struct trial_row *row, const struct results *r)
{
    const struct peak *peak = &r->peaks.of[row->threads];

    if (r->device)
        return json_pack("{s:o, s:o}", "learn", card_speed_json(&row->learn, &r->card), "eval",
                         card_speed_json(&row->eval, &r->card));

    return json_pack("{s:o, s:o, s:o, s:o}", "threads_asked", count(row->asked), "threads", count(row->threads),
                     "learn", speed_json(&row->learn, peak), "eval", speed_json(&row->eval, peak));
}

static json_t *trial_json(const struct trial *t, const struct trial_row *row, const struct results *r)
{
    json_t *json = row_json(row, r);

    json_object_set_new(json, "config", json_string(t->exp->name));
    json_object_set_new(json, "variant", t->exp->variant ? json_string(t->exp->variant) : json_null());
    json_object_set_new(json, "random_data", json_boolean(t->random));
    json_object_set_new(json, "by", json_string(t->exp->phases ? "phases" : "epochs"));
    json_object_set_new(json, "estimated_seconds", number(row->once));
    json_object_set_new(json, "measured_seconds", number(row->whole));
    return json;
}

static json_t *trials_json(const struct results *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_trials; i++)
        for (size_t k = 0; k < r->trials[i].n_rows; k++)
            json_array_append_new(list, trial_json(&r->trials[i], &r->trials[i].rows[k], r));
    return list;
}

static json_t *beside_json(const struct results *r)
{
    json_t *list = json_array();

    for (size_t i = 0; r->beside && i < r->n_trials; i++) {
        const struct beside_row *row = &r->beside[i];
        const struct peak *peak = &r->peaks.of[row->copies];
        json_t *copies = json_array(), *json;
        for (size_t k = 0; k < row->copies; k++)
            json_array_append_new(copies, json_pack("{s:o, s:o}", "us_least", number(1e6 * row->learn[k].least),
                                                    "us_median", number(1e6 * row->learn[k].median)));
        json = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "config", row->exp->name, "variant",
                         row->exp->variant ? json_string(row->exp->variant) : json_null(), "random_data",
                         json_boolean(row->random), "copies", copies, "us_a_step", number(1e6 * beside_per_step(row)),
                         "gflops", number(beside_gflops(row)), "of_fma_peak", number(beside_gflops(row) / peak->fma),
                         "of_sgemm_peak", number(beside_gflops(row) / peak_sgemm(peak)));
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *scaling_json(const struct results *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_scaling; i++)
        for (size_t k = 0; k < r->scaling[i].n_rows; k++) {
            const struct scaling_row *s = &r->scaling[i];
            json_t *json = row_json(&s->rows[k], r);
            json_object_set_new(json, "axis", json_string(scaling_axes[s->axis]));
            for (int axis = 0; axis < SCALING_AXES; axis++)
                json_object_set_new(json, scaling_axes[axis], count(s->size[axis]));
            json_array_append_new(list, json);
        }
    return list;
}

static json_t *products_json(const struct results *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_products; i++) {
        const struct product_row *p = &r->products[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "inputs", count(p->layer.inputs),
                            "neurons", count(p->layer.neurons), "batch", count(p->batch), "product", product_name(p),
                            "M", count(p->M), "N", count(p->N), "K", count(p->K), "own_gflops",
                            number(p->gflops[0]), "blis_gflops", number(p->gflops[1])));
    }
    return list;
}

static json_t *links_json(const struct results *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_links; i++) {
        const struct link_row *l = &r->links[i];
        for (int c = 0; c < LINK_CALLS; c++)
            if (!isnan(l->seconds[c]))
                json_array_append_new(
                    list, json_pack("{s:s, s:o, s:[o, o], s:o, s:o, s:s, s:o, s:o}", "connect", l->settings, "channels",
                                    count(l->channels), "size", count(l->size[0]), count(l->size[1]), "neurons",
                                    count(l->neurons), "batch", count(l->batch), "call", link_calls[c], "us",
                                    number(1e6 * l->seconds[c]), "gflops",
                                    number(c < LINK_POOL ? 1e-9 * l->flops / l->seconds[c] : (double)NAN)));
    }
    return list;
}

static json_t *peaks_json(const struct results *r)
{
    json_t *list = json_array();

    for (size_t t = 1; t <= THREADS_MAX; t++) {
        const struct peak *p = &r->peaks.of[t];
        if (p->fma > 0.0)
            json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o}", "threads", count(t), "fma_gflops",
                                                  number(p->fma), "sgemm_gflops", number(peak_sgemm(p)),
                                                  "own_sgemm_gflops", positive(p->sgemm[0]), "blis_sgemm_gflops",
                                                  positive(p->sgemm[1])));
    }
    return list;
}

/* null: steps are those of the processors */
static json_t *card_json(const struct results *r)
{
    const struct card *c = &r->card;

    if (!r->device)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                     c->info.name, "vendor", c->info.vendor, "driver", c->info.driver, "platform", c->info.platform,
                     "gpu", c->info.is_gpu, "compute_units", count(c->info.n_units), "memory_bytes",
                     number(c->info.memory), "sgemm_gflops", number(c->sgemm), "sgemm_size", count(c->sgemm_size),
                     "copy_bytes_per_second", number(c->copy), "copy_bytes",
                     count(c->copy_bytes), "launch_us", number(1e6 * c->launch));
}

static json_t *load_json(const double load[3])
{
    return json_pack("[o, o, o]", number(load[0]), number(load[1]), number(load[2]));
}

static json_t *machine_json(const struct results *r)
{
    const struct gle_provenance *m = &r->machine;

    return json_pack("{s:s, s:o, s:s, s:o, s:o}", "cpu", m->cpu, "processors", count(r->n_processors),
                     "instruction_set", m->isa, "load_at_start", load_json(r->load[0]), "load_at_end",
                     load_json(r->load[1]));
}

void write_results(const struct results *r, const char *path)
{
    const struct gle_provenance *m = &r->machine;
    json_t *root = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}",
                             "date",
                             m->start, "seconds", number(r->seconds), "version", m->version, "commit", m->commit,
                             "compiler", m->compiler, "blas", m->blas, "machine", machine_json(r), "rounds",
                             count(r->set.rounds), "seconds_a_round", number(r->set.seconds), "peaks", peaks_json(r),
                             "configs", trials_json(r), "side_by_side", beside_json(r), "scaling", scaling_json(r),
                             "products", products_json(r), "links", links_json(r), "backend",
                             r->device ? "opencl" : "cpu", "device", card_json(r));

    if (!root)
        stop("no memory for the JSON");
    if (json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
        stop("the JSON cannot be written");
    json_decref(root);
}
