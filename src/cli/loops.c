#include "cli/loops.h"
#include "cli/initial.h"
#include "solver/loops.h"
#include "yaml/node.h"

#include <stdio.h>

/* A gain that is shown as 1 is not worth a word. */
static const double GROWS = 1.005;
enum { WARNINGS_MAX = 3 }; /* of a network */

/* Loops of the network as it is before the first step. Errors: as those of gle_initial_build(). */
static int find(struct gle_error_loops *loops, const struct gle_experiment *exp, struct gle_error *err)
{
    struct gle_initial initial;
    int rc = gle_initial_build(&initial, exp, gle_error_loops_any, err);

    *loops = (struct gle_error_loops){0};
    if (!rc && initial.net)
        rc = gle_error_loops_find(loops, initial.net, err);
    gle_initial_clear(&initial);
    return rc ? -1 : 0;
}

static const char *pace_of(const struct gle_error_loop *loop)
{
    return loop->fast ? "errors that change with each step" : "errors that last";
}

int gle_loops_warn(const struct gle_experiment *exp, struct gle_error *err)
{
    struct gle_error_loops loops;
    const int rc = find(&loops, exp, err);

    for (size_t i = 0; i < loops.n && i < WARNINGS_MAX && loops.item[i].gain > GROWS && !rc; i++) {
        const struct gle_error_loop *loop = &loops.item[i];
        struct gle_error warning = {0};
        char text[1200];
        gle_node_fail(&warning, GLE_ECONFIG, exp->network_src, "layers",
                      "warning: errors can grow without bound %s %s: on the initial weights each %s multiplies %s by "
                      "up to %.3g%s%s", loop->ring ? "round the loop" : "in the loops among", loop->layers,
                      loop->ring ? "pass" : "step", pace_of(loop), loop->gain, exp->variant ? ", in variant " : "",
                      exp->variant ? exp->variant : "");
        gle_error_format(text, sizeof text, &warning);
        fprintf(stderr, "%s\n", text);
    }
    gle_error_loops_clear(&loops);
    if (!rc || err->code == GLE_ENOMEM)
        return rc;
    *err = (struct gle_error){0};
    return 0;
}

/* Whether errors of the loop come to a layer that has gone wild. */
static bool reaches_wild(const struct gle_error_loop *loop, const struct gle_net *net)
{
    for (size_t i = 0; i < gle_net_graph(net)->n_populations; i++)
        if (loop->reaches[i] && gle_net_is_wild(net, i))
            return true;
    return false;
}

void gle_loops_explain(char *buf, size_t size, const struct gle_net *net)
{
    struct gle_error_loops loops;
    struct gle_error err = {0};
    const int rc = find(&loops, gle_net_graph(net)->exp, &err);

    *buf = '\0';
    for (size_t i = 0; i < loops.n && !*buf && !rc; i++) {
        const struct gle_error_loop *loop = &loops.item[i];
        if (reaches_wild(loop, net))
            snprintf(buf, size, "; errors go round %s %s, which on the initial weights %s %s by up to %.3g %s",
                     loop->ring ? "the loop" : "loops among", loop->layers, loop->ring ? "multiplies" : "multiply",
                     pace_of(loop), loop->gain, loop->ring ? "each time" : "in each step");
    }
    gle_error_loops_clear(&loops);
}
