#include "backend/guard.h"
#include "backend/opencl.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

static const char library[] = "libOpenCL.so.1";

#define ROW(name) {#name, offsetof(struct gle_cl, name)},
static const struct {
    const char *name;
    size_t offset;
} functions[] = {GLE_CL_FUNCTIONS(ROW)};
#undef ROW

/* Fills the table. Returns the name of a function that is missing, or NULL. */
static const char *fill(struct gle_cl *cl, void *handle)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(handle, functions[i].name);
        if (!function)
            return functions[i].name;
        memcpy((char *)cl + functions[i].offset, &function, sizeof function); /* C has no cast from one to the other */
    }
    return NULL;
}

static bool load(struct gle_cl *cl, struct gle_error *err)
{
    struct gle_guard guard;
    const char *missing;
    void *handle;

    gle_guard_enter(&guard);
    handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    gle_guard_leave(&guard);
    if (!handle) {
        const char *why = dlerror();
        gle_fail(err, GLE_EDEVICE, "no OpenCL on this machine: %.200s; a GPU's driver brings it, or Debian's "
                 "ocl-icd-libopencl1", why ? why : library);
        return false;
    }
    missing = fill(cl, handle);
    if (!missing)
        return true;
    dlclose(handle);
    gle_fail(err, GLE_EDEVICE, "OpenCL 1.2 is needed, and %s is older: it has no %s", library, missing);
    return false;
}

const struct gle_cl *gle_cl_open(struct gle_error *err)
{
    static struct gle_cl cl;
    static bool is_open; /* drivers keep threads of their own, so that it is never closed */

    is_open = is_open || load(&cl, err);
    return is_open ? &cl : NULL;
}
