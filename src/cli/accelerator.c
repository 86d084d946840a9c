#include "cli/accelerator.h"
#include "backend/device.h"
#include "base/memory.h"
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

int gle_accelerator_open(struct gle_device **out, struct gle_accelerator *a, const struct gle_experiment *exp,
                         struct gle_error *err)
{
    const char *wanted = exp->device ? exp->device : "";

    *out = NULL;
    if (!a->chosen || a->backend != exp->backend || strcmp(a->wanted, wanted)) {
        gle_accelerator_close(a);
        if (open_for(&a->device, exp, err))
            return -1;
        a->chosen = strlen(wanted) < sizeof a->wanted;
        a->backend = exp->backend;
        snprintf(a->wanted, sizeof a->wanted, "%s", wanted);
    }
    *out = a->device;
    return 0;
}

void gle_accelerator_close(struct gle_accelerator *a)
{
    gle_device_close(a->device);
    *a = (struct gle_accelerator){0};
}
