#include "cli/accelerator.h"
#include "backend/device.h"
#include "base/memory.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>

/* Whether there is a device, and a GPU, which then is device 0. */
static int look(bool *any, bool *gpu, struct gle_error *err)
{
    struct gle_device_info *infos;
    size_t n;

    if (gle_devices_list(&infos, &n, err))
        return -1;
    *any = n > 0;
    *gpu = n && infos[0].is_gpu;
    gle_free(infos);
    return 0;
}

/* A GPU that is there and cannot be used is no reason to do without the run; but it is worth a word. */
static int open_any_gpu(struct gle_device **out, struct gle_error *err)
{
    struct gle_error why = {0};
    bool any, gpu;

    if (look(&any, &gpu, err))
        return -1;
    if (!gpu || !gle_device_open(out, "0", &why))
        return 0;
    if (why.code == GLE_ENOMEM)
        return gle_fail(err, GLE_ENOMEM, "%s", why.text);
    fprintf(stderr, "glesim: %s: the run goes on the processors\n", why.text);
    return 0;
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
    const bool auto_named = exp->backend == GLE_BACKEND_AUTO && exp->device;
    struct gle_error unknown = {0};
    bool any = false, gpu;

    *out = NULL;
    if (exp->backend == GLE_BACKEND_CPU)
        return 0;
    if (exp->backend == GLE_BACKEND_AUTO && !auto_named)
        return open_any_gpu(out, err);
    if (!open_named(out, exp, err))
        return 0;
    if (look(&any, &gpu, &unknown)) /* only a worse place for the message is lost */
        any = false;
    gle_node_place(err, exp->compute_src, auto_named || (exp->device && any) ? "device" : "backend");
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
