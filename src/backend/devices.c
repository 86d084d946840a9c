#include "backend/guard.h"
#include "backend/opencl.h"
#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PLATFORMS_MAX = 64, DEVICES_MAX = 64 }; /* that one machine is asked for: of all drivers; of one */

/* Why there is no device, as far as is known; the last driver's words count. */
struct search {
    const struct gle_cl *cl;
    struct gle_cl_device *found;
    size_t n;
    cl_int code;                  /* of a driver that gave none */
    char unfit[GLE_DEVICE_NAME];  /* a device that cannot be used */
    const char *lacks;            /* what it lacks; NULL: there was none */
};

/* Drivers fill names up with blanks, in front and behind. What would do things to a terminal goes. */
static void trim(char *text)
{
    size_t n = strlen(text), blanks = strspn(text, " \t");

    for (char *c = text; *c; c++)
        *c = (char)(iscntrl((unsigned char)*c) ? ' ' : *c);
    while (n > blanks && isspace((unsigned char)text[n - 1]))
        n--;
    memmove(text, text + blanks, n - blanks);
    text[n - blanks] = '\0';
}

/* A text of a device, or of a platform where device is NULL, cut to its room; "" where the driver has none. */
static void ask_text(char text[GLE_DEVICE_NAME], const struct gle_cl *cl, cl_platform_id platform, cl_device_id device,
                     cl_uint what)
{
    char whole[1024] = "";
    const cl_int rc = device ? cl->clGetDeviceInfo(device, what, sizeof whole, whole, NULL)
                             : cl->clGetPlatformInfo(platform, what, sizeof whole, whole, NULL);

    whole[rc ? 0 : sizeof whole - 1] = '\0';
    trim(whole);
    snprintf(text, GLE_DEVICE_NAME, "%.*s", GLE_DEVICE_NAME - 1, whole);
}

static cl_ulong ask_bytes(const struct gle_cl *cl, cl_device_id id, cl_device_info what)
{
    cl_ulong bytes = 0;

    return cl->clGetDeviceInfo(id, what, sizeof bytes, &bytes, NULL) ? 0 : bytes;
}

static bool ask_bool(const struct gle_cl *cl, cl_device_id id, cl_device_info what)
{
    cl_bool yes = CL_FALSE;

    return !cl->clGetDeviceInfo(id, what, sizeof yes, &yes, NULL) && yes;
}

/* Items of a group: the device's limit, and that of a group's first dimension. */
static size_t ask_items(const struct gle_cl *cl, cl_device_id id)
{
    size_t all = 0, sizes[16] = {0}; /* OpenCL 1.2 devices have 3 dimensions */

    if (cl->clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof all, &all, NULL) ||
        cl->clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof sizes, sizes, NULL))
        return 1;
    return sizes[0] < all ? sizes[0] : all;
}

/* What a device lacks that glesim needs, or NULL. */
static const char *what_it_lacks(const struct gle_cl *cl, cl_device_id id)
{
    char version[GLE_DEVICE_NAME]; /* "OpenCL 1.2 ..." */
    int major = 0, minor = 0;

    ask_text(version, cl, NULL, id, CL_DEVICE_VERSION);
    if (sscanf(version, "OpenCL %d.%d", &major, &minor) != 2 || major < 1 || (major == 1 && minor < 2))
        return "OpenCL 1.2";
    if (!ask_bool(cl, id, CL_DEVICE_AVAILABLE))
        return "a driver that is ready";
    return ask_bool(cl, id, CL_DEVICE_COMPILER_AVAILABLE) ? NULL : "a compiler in its driver";
}

static void describe(struct gle_cl_device *device, const struct gle_cl *cl, cl_platform_id platform, cl_device_id id)
{
    struct gle_device_info *info = &device->info;
    cl_device_type type = 0;
    cl_device_fp_config fp = 0;
    cl_uint units = 0;

    *device = (struct gle_cl_device){.platform = platform, .id = id};
    ask_text(info->name, cl, NULL, id, CL_DEVICE_NAME);
    ask_text(info->vendor, cl, NULL, id, CL_DEVICE_VENDOR);
    ask_text(info->driver, cl, NULL, id, CL_DRIVER_VERSION);
    ask_text(info->platform, cl, platform, NULL, CL_PLATFORM_NAME);
    ask_text(device->version, cl, platform, NULL, CL_PLATFORM_VERSION);
    info->is_gpu = !cl->clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL) && (type & CL_DEVICE_TYPE_GPU);
    info->divides_exactly = !cl->clGetDeviceInfo(id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof fp, &fp, NULL) &&
                            (fp & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT);
    info->n_units = cl->clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL) ? 0 : units;
    info->max_items = ask_items(cl, id);
    info->memory = (double)ask_bytes(cl, id, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->max_buffer = (double)ask_bytes(cl, id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->local_memory = (double)ask_bytes(cl, id, CL_DEVICE_LOCAL_MEM_SIZE);
}

/* Adds the devices of a driver that can be used. */
static int add_platform(struct search *search, cl_platform_id platform, struct gle_error *err)
{
    const struct gle_cl *cl = search->cl;
    cl_device_id ids[DEVICES_MAX];
    struct gle_cl_device *more;
    cl_uint n = 0;
    const cl_int code = cl->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES_MAX, ids, &n);

    if (code || !n) {
        search->code = code ? code : CL_DEVICE_NOT_FOUND;
        return 0;
    }
    n = n < DEVICES_MAX ? n : DEVICES_MAX;
    more = gle_resize(search->found, search->n + n, sizeof *more);
    if (!more)
        return gle_fail(err, GLE_ENOMEM, "no memory for the list of devices");
    search->found = more;
    for (cl_uint i = 0; i < n; i++) {
        const char *lacks = what_it_lacks(cl, ids[i]);
        if (!lacks) {
            describe(&search->found[search->n++], cl, platform, ids[i]);
        } else {
            search->lacks = lacks;
            ask_text(search->unfit, cl, NULL, ids[i], CL_DEVICE_NAME);
        }
    }
    return 0;
}

/* Puts GPUs first, and leaves the order as it is else. */
static void sort_gpus(struct gle_cl_device *devices, size_t n)
{
    size_t n_gpus = 0;

    for (size_t i = 0; i < n; i++)
        if (devices[i].info.is_gpu) {
            const struct gle_cl_device gpu = devices[i];
            memmove(&devices[n_gpus + 1], &devices[n_gpus], (i - n_gpus) * sizeof *devices);
            devices[n_gpus++] = gpu;
        }
}

static int search_all(struct search *search, struct gle_error *err)
{
    cl_platform_id platforms[PLATFORMS_MAX];
    cl_uint n = 0;
    const cl_int code = search->cl->clGetPlatformIDs(PLATFORMS_MAX, platforms, &n);

    if (code || !n)
        return gle_fail(err, GLE_EDEVICE, "no OpenCL driver is installed: a GPU's own, or, for the processor, Debian's "
                        "pocl-opencl-icd (%s)", code ? gle_cl_name(code).text : "no platforms");
    n = n < PLATFORMS_MAX ? n : PLATFORMS_MAX;
    for (cl_uint i = 0; i < n; i++)
        if (add_platform(search, platforms[i], err))
            return -1;
    if (search->n)
        return 0;
    if (search->lacks)
        return gle_fail(err, GLE_EDEVICE, "no OpenCL device can be used: '%s' lacks %s (%s)", search->unfit,
                        search->lacks, gle_cl_name(CL_DEVICE_NOT_AVAILABLE).text);
    return gle_fail(err, GLE_EDEVICE, "the OpenCL driver that is installed finds no device (%s)",
                    gle_cl_name(search->code).text);
}

int gle_cl_find_devices(struct gle_cl_device **out, size_t *n, const struct gle_cl *cl, struct gle_error *err)
{
    struct search search = {.cl = cl};
    struct gle_guard guard;
    int rc;

    *out = NULL;
    *n = 0;
    gle_guard_enter(&guard);
    rc = search_all(&search, err);
    gle_guard_leave(&guard);
    if (rc) {
        gle_free(search.found);
        return -1;
    }
    sort_gpus(search.found, search.n);
    *out = search.found;
    *n = search.n;
    return 0;
}

/* Whether the text holds the part; case does not count. */
static bool holds(const char *text, const char *part)
{
    for (; *text; text++)
        if (!strncasecmp(text, part, strlen(part)))
            return true;
    return false;
}

const struct gle_cl_device *gle_cl_choose(const struct gle_cl_device *devices, size_t n, const char *wanted,
                                          struct gle_error *err)
{
    const bool is_number = wanted && *wanted && strspn(wanted, "0123456789") == strlen(wanted);
    char list[320] = "";
    uint64_t number;

    if (!wanted)
        return &devices[0];
    if (is_number && !gle_text_count(&number, wanted) && number < n)
        return &devices[number];
    for (size_t i = 0; i < n && *wanted && !is_number; i++) /* many names have a 1 in them */
        if (holds(devices[i].info.name, wanted))
            return &devices[i];
    for (size_t i = 0, used = 0; i < n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%zu '%s'", i ? ", " : "", i, devices[i].info.name);
    gle_fail(err, GLE_EDEVICE, "no device has the number or the name '%.60s'; there %s %s (%s)", wanted,
             n == 1 ? "is" : "are", list, gle_cl_name(CL_DEVICE_NOT_FOUND).text);
    return NULL;
}

int gle_devices_list(struct gle_device_info **out, size_t *n, struct gle_error *err)
{
    struct gle_error why = {0};
    const struct gle_cl *cl = gle_cl_open(&why);
    struct gle_cl_device *devices = NULL;
    struct gle_device_info *infos;

    *out = NULL;
    *n = 0;
    if (!cl || gle_cl_find_devices(&devices, n, cl, &why))
        return why.code == GLE_EDEVICE ? 0 : gle_fail(err, why.code, "%s", why.text);
    infos = gle_calloc(*n, sizeof *infos);
    for (size_t i = 0; infos && i < *n; i++)
        infos[i] = devices[i].info;
    gle_free(devices);
    *out = infos;
    *n = infos ? *n : 0;
    return infos ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the list of devices");
}
