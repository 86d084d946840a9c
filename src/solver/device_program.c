/* The program of a convoy's kernels: their source, with a function for each row of the tables that networks choose
 * from. */
#include "base/memory.h"
#include "solver/device_inside.h"

#include <stdio.h>
#include <string.h>

/* The source of all kernels; made by the build. */
extern const char gle_device_source[];

/* What the source leaves open: a function for each row of a table, and the cases of a switch. */
enum { LIST = 4096 };
struct lists {
    char functions[LIST], cases[LIST];
    size_t n_functions, n_cases;
};

static void add_function(struct lists *to, const char *what, const char *name)
{
    to->n_functions += (size_t)snprintf(to->functions + to->n_functions, LIST - to->n_functions, "%s(%s) ", what, name);
}

static void add_case(struct lists *to, size_t i, const char *what, const char *name)
{
    to->n_cases += (size_t)snprintf(to->cases + to->n_cases, LIST - to->n_cases, "case %zu: %s(%s); break; ", i, what,
                                    name);
}

/* An activation that is normalised over the layer begins as a linear one. */
static void list_rows(struct lists *activations, struct lists *curvatures, struct lists *optimizers)
{
    const struct gle_act *act;
    const struct gle_row *row;

    for (size_t i = 0; (act = (const struct gle_act *)gle_table_at(&gle_act_table, i)); i++) {
        const char *name = act->log_probabilities ? "linear" : act->row.name;
        if (!act->log_probabilities)
            add_function(activations, "GLE_ACTIVATION_FUNCTION", name);
        add_case(activations, i, "GLE_ACTIVATE", name);
        if (!act->curvature)
            continue;
        add_function(curvatures, "GLE_CURVATURE_FUNCTION", name);
        add_case(curvatures, i, "GLE_CURVE", name);
    }
    for (size_t i = 0; (row = gle_table_at(&gle_optimizer_table, i)); i++) {
        add_function(optimizers, "GLE_OPTIMIZER_FUNCTION", row->name);
        add_case(optimizers, i, "GLE_OPTIMIZE", row->name);
    }
}

/* The source for any network; NULL: no memory. Owns: the caller (gle_free). */
static char *write_source(void)
{
    static const char head[] = "#define ACTIVATION_FUNCTIONS %s\n#define ACTIVATIONS %s\n"
                               "#define CURVATURE_FUNCTIONS %s\n#define CURVATURES %s\n"
                               "#define OPTIMIZER_FUNCTIONS %s\n#define OPTIMIZERS %s\n%s";
    const size_t size = strlen(gle_device_source) + sizeof head + 6 * LIST;
    struct lists *l = gle_calloc(3, sizeof *l);
    char *source = gle_calloc(size, 1);

    if (!l || !source) {
        gle_free(l);
        gle_free(source);
        return NULL;
    }
    list_rows(&l[0], &l[1], &l[2]);
    snprintf(source, size, head, l[0].functions, l[0].cases, l[1].functions, l[1].cases, l[2].functions, l[2].cases,
             gle_device_source);
    gle_free(l);
    return source;
}

int gle_convoy_compile(struct gle_convoy *c, const struct gle_net *net, struct gle_error *err)
{
    static const char *const names[GLE_DEVICE_LAUNCHES] = {
        [GLE_LAUNCH_STEP] = "step_populations",
        [GLE_LAUNCH_SEND] = "send_errors",
        [GLE_LAUNCH_LEARN] = "learn",
        [GLE_LAUNCH_SQUARE] = "sum_squares",
        [GLE_LAUNCH_NORM] = "find_norm",
        [GLE_LAUNCH_FOLLOW] = "follow_clipped",
        [GLE_LAUNCH_SEND_LAMBDAS] = "send_lambdas",
        [GLE_LAUNCH_SWEEP] = "sweep_populations",
        [GLE_LAUNCH_GATHER] = "gather",
    };
    struct gle_device *device = c->fleet->device;
    const struct gle_device_sizes *s = &c->sizes;
    const bool exact = gle_device_info(device)->divides_exactly;
    char options[512], *source = write_source();
    int rc;

    if (!source)
        return gle_fail(err, GLE_ENOMEM, "no memory for the source of kernels");
    snprintf(options, sizeof options,
             "-cl-std=CL1.2 %s%s%s-DITEMS=%zu -DTILE_ROWS=%zu -DTILE_COLS=%zu -DTILE_DEPTH=%zu -DMICRO_ROWS=%zu "
             "-DMICRO_VECTORS=%zu -DVECTOR=%zu -DLOSS=%s",
             exact ? "-cl-fp32-correctly-rounded-divide-sqrt " : "",
             c->n_kernels > GLE_LAUNCH_SEND_LAMBDAS ? "-DSWEEPS " : "",
             c->tables.shape.clip > 0.0f ? "-DCLIPS " : "", s->items, s->tile_rows, s->tile_cols,
             s->tile_depth, s->micro_rows, s->micro_vectors, s->vector, net->loss->row.name);
    rc = gle_device_compile(device, source, options, err);
    gle_free(source);
    for (size_t i = 0; i < c->n_kernels && !rc; i++)
        if (gle_device_has_launch(&c->tables, (enum gle_device_launch)i))
            rc = gle_device_kernel(&c->kernels[i], device, names[i], err);
    return rc;
}
