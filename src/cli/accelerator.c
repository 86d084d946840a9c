#include "cli/accelerator.h"
#include "backend/device.h"
#include "base/memory.h"
#include "solver/fleet.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>

static bool is_any_there(void)
{
    struct gle_error unknown = {0}; /* only a worse place for a message is lost */
    struct gle_device_info *infos;
    size_t n;

    if (gle_devices_list(&infos, &n, &unknown))
        return false;
    gle_free(infos);
    return n > 0;
}

static int open_named(struct gle_device **out, const struct gle_experiment *exp, struct gle_error *err)
{
    if (gle_device_open(out, exp->device, err))
        return -1;
    if (exp->backend == GLE_BACKEND_OPENCL || gle_device_info(*out)->is_gpu)
        return 0;
    gle_fail(err, GLE_EDEVICE, "'%s' is no GPU, and the backend auto takes no other device; opencl does",
             gle_device_info(*out)->name);
    gle_device_close(*out);
    *out = NULL;
    return -1;
}

static int open_for(struct gle_device **out, const struct gle_experiment *exp, struct gle_error *err)
{
    *out = NULL;
    if (exp->backend == GLE_BACKEND_CPU || (exp->backend == GLE_BACKEND_AUTO && !exp->device))
        return 0;
    if (!open_named(out, exp, err))
        return 0;
    gle_node_place(err, exp->compute_src,
                   exp->backend == GLE_BACKEND_AUTO || (exp->device && is_any_there()) ? "device" : "backend");
    return -1;
}

void gle_accelerator_start(struct gle_accelerator *a, size_t n_threads)
{
    *a = (struct gle_accelerator){.n_threads = n_threads, .lock = PTHREAD_MUTEX_INITIALIZER};
}

static void drop(struct gle_accelerator *a)
{
    gle_fleet_close(a->fleet);
    gle_device_close(a->device);
    a->fleet = NULL;
    a->device = NULL;
    a->chosen = a->failed = false;
}

/* Whether what is open is what an experiment wants. */
static bool fits(const struct gle_accelerator *a, const struct gle_experiment *exp)
{
    if (a->n_threads > 1)
        return a->chosen;
    return a->chosen && !a->failed && a->backend == exp->backend && !strcmp(a->wanted, exp->device ? exp->device : "");
}

static int open_anew(struct gle_accelerator *a, const struct gle_experiment *exp, struct gle_error *err)
{
    const char *wanted = exp->device ? exp->device : "";

    drop(a);
    if (open_for(&a->device, exp, err))
        return -1;
    if (a->device && gle_fleet_open(&a->fleet, a->device, a->n_threads, err)) {
        drop(a);
        return -1;
    }
    a->chosen = a->n_threads > 1 || strlen(wanted) < sizeof a->wanted;
    a->backend = exp->backend;
    snprintf(a->wanted, sizeof a->wanted, "%s", wanted);
    return 0;
}

int gle_accelerator_open(struct gle_fleet **out, struct gle_accelerator *a, const struct gle_experiment *exp,
                         struct gle_error *err)
{
    int rc;

    pthread_mutex_lock(&a->lock);
    rc = fits(a, exp) ? 0 : open_anew(a, exp, err);
    *out = rc ? NULL : a->fleet;
    pthread_mutex_unlock(&a->lock);
    return rc;
}

void gle_accelerator_fail(struct gle_accelerator *a)
{
    pthread_mutex_lock(&a->lock);
    a->failed = true;
    pthread_mutex_unlock(&a->lock);
}

void gle_accelerator_leave(struct gle_accelerator *a)
{
    pthread_mutex_lock(&a->lock);
    if (a->fleet)
        gle_fleet_leave(a->fleet);
    else
        a->n_threads--; /* if it is opened yet, then for fewer */
    pthread_mutex_unlock(&a->lock);
}

void gle_accelerator_close(struct gle_accelerator *a)
{
    drop(a);
    pthread_mutex_destroy(&a->lock);
}
