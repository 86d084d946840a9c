#include "cli/trouble.h"
#include "base/memory.h"
#include "cli/initial.h"
#include "parts/rule.h"
#include "solver/ahead.h"
#include "yaml/key.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LAYERS_SHOWN = 3 };

static bool learns_at_all(const struct gle_experiment *exp)
{
    bool any = exp->epochs > 0;

    for (size_t i = 0; i < exp->n_phases; i++)
        any = any || exp->phases[i].learn;
    return any;
}

/* " and N more layers" behind those that are named, if there are. */
static void add_more(char *buf, size_t size, size_t n)
{
    const size_t at = strlen(buf), more = n > LAYERS_SHOWN ? n - LAYERS_SHOWN : 0;

    if (more)
        snprintf(buf + at, size - at, " and %zu more layer%s", more, more > 1 ? "s" : "");
}

/* What goes in front of the k-th of n names. */
static const char *between(size_t k, size_t n)
{
    return !k ? "" : k + 1 == n ? " and " : ", ";
}

/* --- errors that look far ahead --- */

/* Whether errors of a layer may look far by what the config says, before factors are drawn and files read. */
static bool may_look_far(const struct gle_experiment *exp, const struct gle_layer_cfg *l)
{
    bool may = exp->init_file != NULL;
    double squares = 0.0;

    for (size_t k = 0; k < GLE_MISMATCHES; k++)
        may = may || l->mismatch.std[k] > 0.0;
    for (size_t j = 0; j < l->n; j++)
        squares += l->tau_m[j] / l->tau_r[j] * (l->tau_m[j] / l->tau_r[j]);
    return may || sqrt(squares / (double)l->n) > GLE_AHEAD_FAR;
}

static bool may_be_series(const struct gle_experiment *exp)
{
    size_t n = 0;

    for (size_t i = 0; i < exp->n_layers && exp->rule->looks_ahead && learns_at_all(exp); i++)
        n += may_look_far(exp, &exp->layers[i]);
    return n > 1;
}

static void warn_of_series(struct gle_error *out, const struct gle_net *net)
{
    const struct gle_graph *g = gle_net_graph(net);
    struct gle_ahead_series series;
    struct gle_error unsaid = {0};
    char layers[300] = "";

    if (!may_be_series(g->exp))
        return;
    if (!gle_ahead_find(&series, net, &unsaid) && series.n > 1) {
        for (size_t k = 0; k < series.n && k < LAYERS_SHOWN; k++) {
            const size_t at = strlen(layers);
            snprintf(layers + at, sizeof layers - at, "%s%.3g in '%.64s'", between(k, series.n), series.item[k].ratio,
                     g->exp->layers[series.item[k].population].name);
        }
        add_more(layers, sizeof layers, series.n);
        gle_node_fail(out, GLE_ECONFIG, g->exp->layers[series.item[0].population].src, "neurons",
                      "warning: errors look far ahead in %zu layers one behind the other, by a tau_m / tau_r (root "
                      "mean square of neurons) of %s: where they jump, they are multiplied by %.3g on the way, and "
                      "updates may grow wild; ratios of up to 20 mend that, learning.clip or the rule eprop may",
                      series.n, layers, series.gain);
    }
    gle_ahead_clear(&series);
}

/* --- the shortest tau_m --- */

static bool may_begin_shortest(const struct gle_experiment *exp)
{
    bool may = false;

    for (size_t i = 0; i < exp->n_layers && learns_at_all(exp); i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        bool own = exp->init_file || l->mismatch.std[GLE_MISMATCH_TAU_M] > 0.0;
        for (size_t j = 0; j < l->n; j++)
            own = own || l->tau_m[j] <= exp->tau_least;
        may = may || (l->plastic[GLE_TAU_M] && own);
    }
    return may;
}

/* "2 of 4 neurons of 'a' and 1 of 2 of 'b'": those that have the shortest tau_m, of layers that learn it; returns how
 * many layers have some, the first of them in *first. */
static size_t name_shortest(char *buf, size_t size, size_t *first, const struct gle_net *net)
{
    const struct gle_experiment *exp = gle_net_graph(net)->exp;
    size_t n = 0, of = 0;

    for (size_t i = exp->n_layers; i-- > 0;)
        if (exp->layers[i].plastic[GLE_TAU_M] && gle_net_count_shortest(net, i)) {
            *first = i;
            of++;
        }
    *buf = '\0';
    for (size_t i = 0; i < exp->n_layers; i++) {
        const bool learns = exp->layers[i].plastic[GLE_TAU_M];
        const size_t at = strlen(buf), shortest = learns ? gle_net_count_shortest(net, i) : 0;
        if (shortest && n < LAYERS_SHOWN)
            snprintf(buf + at, size - at, "%s%zu of %zu%s of '%.64s'", between(n, of), shortest, exp->layers[i].n,
                     n ? "" : " neurons", exp->layers[i].name);
        n += shortest > 0;
    }
    add_more(buf, size, of);
    return of;
}

static void warn_of_shortest(struct gle_error *out, const struct gle_net *net)
{
    const struct gle_experiment *exp = gle_net_graph(net)->exp;
    char layers[300];
    size_t first = 0;

    if (may_begin_shortest(exp) && name_shortest(layers, sizeof layers, &first, net))
        gle_node_fail(out, GLE_ERANGE, exp->layers[first].src, "neurons",
                      "warning: tau_m, which is to be learned, begins with the shortest there is, %s = %g, in %s: "
                      "these remember nothing, and learning can but make it longer; a longer tau_m mends that",
                      gle_tau_least_text(exp->exponential), exp->tau_least, layers);
}

void gle_trouble_note_learned(FILE *to, const char *dir, const struct gle_net *net)
{
    const struct gle_experiment *exp = gle_net_graph(net)->exp;
    char layers[300];
    size_t first;

    if (learns_at_all(exp) && name_shortest(layers, sizeof layers, &first, net))
        fprintf(to, "glesim: %s: tau_m, which is learned, is at its bound in the end, %s = %g, in %s: these remember "
                "nothing; learning.bounds.tau_m keeps it longer, and a smaller learning rate may\n", dir,
                gle_tau_least_text(exp->exponential), exp->tau_least, layers);
}

/* --- all of a file --- */

enum { KINDS = 2 };
static void (*const kinds[KINDS])(struct gle_error *out, const struct gle_net *net) = {warn_of_series,
                                                                                      warn_of_shortest};

/* Of one variant, and of one kind: the first experiment's, and how many others have one. */
struct warning {
    struct gle_error error; /* code GLE_OK: none has */
    const struct gle_experiment *exp;
    size_t more;
};

static void look_at(struct warning *warnings, const struct gle_experiment *exp)
{
    struct gle_initial initial = {0};
    struct gle_error unsaid = {0};

    if (!may_be_series(exp) && !may_begin_shortest(exp))
        return;
    if (!gle_initial_build(&initial, exp, NULL, &unsaid))
        for (size_t k = 0; k < KINDS; k++) {
            struct gle_error one = {0};
            kinds[k](&one, initial.net);
            if (!one.code)
                continue;
            warnings[k].more += warnings[k].error.code != GLE_OK;
            if (!warnings[k].error.code) {
                warnings[k].error = one;
                warnings[k].exp = exp;
            }
        }
    gle_initial_clear(&initial);
}

static void print(const struct warning *w)
{
    char text[1200];

    if (!w->error.code)
        return;
    gle_error_format(text, sizeof text, &w->error);
    fprintf(stderr, "glesim: %s", text);
    if (w->exp->sweep.label)
        fprintf(stderr, "; so at the point %s of the sweep", w->exp->sweep.label);
    if (w->more)
        fprintf(stderr, " and at %zu more", w->more);
    if (w->exp->variant)
        fprintf(stderr, " (in the variant '%s')", w->exp->variant);
    fputc('\n', stderr);
}

void gle_trouble_warn(const struct gle_experiments *list)
{
    struct warning warnings[KINDS] = {0};

    for (size_t i = 0; i < list->n; i++) {
        const char *variant = list->item[i]->variant;
        look_at(warnings, list->item[i]);
        if (i + 1 < list->n && (!variant || !strcmp(variant, list->item[i + 1]->variant)))
            continue;
        for (size_t k = 0; k < KINDS; k++) {
            print(&warnings[k]);
            warnings[k] = (struct warning){0};
        }
    }
}

/* --- samples of few steps --- */

/* Steps after which the output is that of an input, by the shortest way; 0: no memory. */
static uint64_t steps_to_output(const struct gle_experiment *exp)
{
    uint64_t *steps = gle_calloc(exp->n_layers, sizeof *steps), of_output;
    bool shorter = steps != NULL;

    if (!steps)
        return 0;
    for (size_t i = 0; i < exp->n_layers; i++)
        steps[i] = UINT64_MAX; /* no way is known */
    while (shorter) {
        shorter = false;
        for (size_t i = 0; i < exp->n_layers; i++)
            for (size_t j = 0; j < exp->layers[i].n_sources; j++) {
                const struct gle_source_cfg *c = &exp->layers[i].sources[j];
                const uint64_t before = c->layer == GLE_SOURCE_INPUT ? 0 : steps[c->layer];
                if (before == UINT64_MAX || before + c->delay >= steps[i])
                    continue;
                steps[i] = before + c->delay;
                shorter = true;
            }
    }
    of_output = steps[exp->output];
    gle_free(steps);
    return of_output == UINT64_MAX ? 0 : of_output + 1; /* which is read as the step before left it */
}

static bool has_key(const struct gle_experiment *exp, const char *name)
{
    bool has = false;

    for (const struct gle_key *k = exp->dataset.row->keys; k && k->name; k++)
        has = has || !strcmp(k->name, name);
    return has;
}

/* Whether what is asked of one sample has nothing to do with the next: a series of targets may go on in it. */
static bool stands_alone(const struct gle_experiment *exp, const struct gle_data *data)
{
    bool reset = exp->reset_state;

    for (size_t i = 0; i < exp->n_layers; i++)
        reset = reset || exp->layers[i].reset;
    return reset || !data->target_moves;
}

void gle_trouble_note_steps(struct gle_errors *told, const struct gle_experiment *exp, const struct gle_data *data)
{
    enum { TIMES = 3 }; /* there, back, and once more, in which to learn from it */
    const uint64_t steps = data->n_steps && data->n_targets && learns_at_all(exp) ? steps_to_output(exp) : 0;
    const bool frames = has_key(exp, "hold") && !data->held, shown = has_key(exp, "present");

    if (data->n_steps >= TIMES * steps || !stands_alone(exp, data))
        return;
    gle_node_error(told, GLE_ERANGE, exp->dataset.src, NULL,
                   "warning: a sample has %zu step%s, fewer than three times the %llu that an input takes to the "
                   "output (each layer is read a step late), so that little can be learned of it; %s mends that",
                   data->n_steps, data->n_steps > 1 ? "s" : "", (unsigned long long)steps,
                   frames  ? "holding each frame for more steps (hold, upsample)"
                   : shown ? "showing it for longer (present), or a shorter dt,"
                           : "a longer one");
}
