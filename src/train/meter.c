#include "train/meter.h"
#include "base/clock.h"

#include <stdlib.h>

static double now(const struct gle_meter *meter)
{
    return gle_clock() - meter->waited;
}

static void begin_stretch(struct gle_meter *meter)
{
    if (meter->net)
        gle_net_set_profile(meter->net, true);
    meter->steps = 0;
    meter->begin = now(meter);
}

void gle_meter_start(struct gle_meter *meter, double seconds, struct gle_net *net)
{
    *meter = (struct gle_meter){.seconds = seconds, .net = net, .pause = 1};
    begin_stretch(meter);
}

/* Looks at the clock so rarely that it does not weigh on steps of less than a microsecond. */
static void set_pause(struct gle_meter *meter, double per_step)
{
    static const double SECONDS = 1e-5;

    meter->warm = true;
    meter->pause = 1 + (uint64_t)(SECONDS / per_step);
}

static void keep_profile(struct gle_meter *meter, double per_step)
{
    struct gle_profile *p = &meter->profile;
    const double n = (double)meter->steps;

    if (!meter->net || (meter->n && per_step >= meter->least))
        return;
    meter->least = per_step;
    gle_net_get_profile(meter->net, p);
    *p = (struct gle_profile){.seconds = p->seconds / n,
                              .products = p->products / n,
                              .elementwise = p->elementwise / n,
                              .optimizer = p->optimizer / n,
                              .waiting = p->waiting / n};
}

static void end_stretch(struct gle_meter *meter, double spent)
{
    const double per_step = spent / (double)meter->steps;

    if (meter->warm) {
        keep_profile(meter, per_step);
        meter->per_step[meter->n++] = per_step;
        meter->all_seconds += spent;
        meter->all_steps += meter->steps;
    } else {
        set_pause(meter, per_step);
    }
    begin_stretch(meter);
}

bool gle_meter_step(struct gle_meter *meter, bool may_end)
{
    static const double WARM = 0.1; /* part of the seconds asked for, which come on top */
    const double length = meter->seconds * (meter->warm ? 1.0 / GLE_STRETCHES : WARM);
    double spent;

    meter->steps++;
    meter->made++;
    if (++meter->unseen < meter->pause || !may_end)
        return false;
    meter->unseen = 0;
    spent = now(meter) - meter->begin;
    if (spent > length)
        end_stretch(meter, spent);
    return meter->n == GLE_STRETCHES || (meter->n && meter->all_seconds >= meter->seconds);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct gle_step_cost gle_meter_cost(struct gle_meter *meter)
{
    const size_t n = meter->n;

    if (meter->net) {
        gle_net_set_profile(meter->net, false);
        return (struct gle_step_cost){.profile = meter->profile, .profiled = meter->least};
    }
    if (!n)
        return (struct gle_step_cost){0};
    qsort(meter->per_step, n, sizeof *meter->per_step, compare);
    return (struct gle_step_cost){.least = meter->per_step[0],
                                  .median = 0.5 * (meter->per_step[(n - 1) / 2] + meter->per_step[n / 2]),
                                  .mean = meter->all_seconds / (double)meter->all_steps};
}
