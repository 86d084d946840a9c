#include "cli/choice.h"
#include "train/measure.h"
#include "yaml/node.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* `auto` does without the device. */
static void leave(struct gle_choice *c, const char *why)
{
    c->fleet = NULL;
    snprintf(c->why, sizeof c->why, "%.*s", (int)sizeof c->why - 1, why);
}

static int look_for_room(struct gle_choice *c, double taken, const struct gle_graph *graph, const struct gle_data *data,
                         struct gle_error *err)
{
    if (gle_train_measure_room(&c->room, graph, data, &c->info, err))
        return -1;
    c->has_room = true;
    return gle_net_check_room(&c->room, &c->info, taken, err);
}

int gle_choice_make(struct gle_choice *c, const struct gle_candidate *candidate, const struct gle_graph *graph,
                    const struct gle_data *data, size_t threads, struct gle_error *err)
{
    const struct gle_experiment *exp = graph->exp;
    struct gle_error own = {0};

    *c = (struct gle_choice){.fleet = candidate->fleet};
    if (!c->fleet) {
        leave(c, candidate->why);
        return 0;
    }
    c->info = *gle_device_info(gle_fleet_device(c->fleet));
    if (look_for_room(c, candidate->taken, graph, data, &own)) {
        if (candidate->races && own.code == GLE_EDEVICE) {
            leave(c, own.text);
            return 0;
        }
        gle_fail(err, own.code, "%s", own.text);
        gle_node_place(err, exp->compute_src, exp->backend == GLE_BACKEND_AUTO ? "device" : "backend");
        return -1;
    }
    if (!candidate->races)
        return 0;
    if (gle_train_race(&c->race, graph, c->fleet, threads, &own)) {
        leave(c, own.text);
        return 0;
    }
    c->raced = true;
    if (c->race.device >= c->race.processors)
        c->fleet = NULL;
    return 0;
}

void gle_choice_tell(FILE *to, const struct gle_choice *c)
{
    const char *name = *c->info.name ? c->info.name : "the GPU";

    if (*c->why)
        fprintf(to, "glesim: compute.backend auto: the run stays on the processors, since %s cannot be used: %s\n",
                name, c->why);
    if (c->raced)
        fprintf(to, "glesim: compute.backend auto: a learning step takes %.3g us on %s and %.3g us on the "
                        "processors; the run %s\n",
                c->race.device, name, c->race.processors,
                c->fleet ? "goes there" : "stays on the processors");
}

void gle_choice_report(struct gle_provenance *p, const struct gle_choice *c)
{
    if (c->fleet) {
        p->backend = "opencl";
        p->device = (struct gle_provenance_device){
            .name = c->info.name, .driver = c->info.driver, .platform = c->info.platform};
    }
    p->looked_at = (struct gle_provenance_auto){.has_looked = c->raced || *c->why,
                                                .gpu = c->info.name,
                                                .unusable = c->why,
                                                .on_gpu = c->raced ? c->race.device : (double)NAN,
                                                .on_processors = c->raced ? c->race.processors : (double)NAN};
}
