#include "backend/cache.h"
#include "backend/device.h"
#include "backend/guard.h"
#include "backend/opencl.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { COMPLAINT = 240 }; /* bytes of a compiler's words in a message */

/* Copies the first line of a compiler's log that speaks of an error, else the first one that is not blank. */
static void first_complaint(char complaint[COMPLAINT], const char *log)
{
    const char *line = strstr(log, "error");

    if (!line)
        line = log + strspn(log, " \t\n");
    while (line > log && line[-1] != '\n')
        line--;
    snprintf(complaint, COMPLAINT, "%.*s", (int)strcspn(line, "\n"), line);
}

/* Records what the compiler says of the program, which it has refused. Returns -1. */
static int fail_build(struct gle_error *err, const struct gle_device *device, cl_program program, cl_int code)
{
    const struct gle_cl *cl = device->cl;
    char complaint[COMPLAINT] = "it does not say why";
    size_t n = 0;
    char *log = NULL;

    if (!cl->clGetProgramBuildInfo(program, device->is.id, CL_PROGRAM_BUILD_LOG, 0, NULL, &n) && n > 1)
        log = gle_calloc(n + 1, 1);
    if (log && !cl->clGetProgramBuildInfo(program, device->is.id, CL_PROGRAM_BUILD_LOG, n, log, NULL))
        first_complaint(complaint, log);
    gle_free(log);
    return gle_fail(err, GLE_EDEVICE, "the compiler of the device '%s' refuses a program: %s (%s)",
                    device->is.info.name, complaint, gle_cl_name(code).text);
}

static int from_source(cl_program *program, const struct gle_device *device, const char *source, const char *options,
                       struct gle_error *err)
{
    const struct gle_cl *cl = device->cl;
    cl_int code;

    *program = cl->clCreateProgramWithSource(device->context, 1, &source, NULL, &code);
    if (!*program)
        return gle_fail(err, GLE_EDEVICE, "the device '%s' takes no program (%s)", device->is.info.name,
                        gle_cl_name(code).text);
    code = cl->clBuildProgram(*program, 1, &device->is.id, options, NULL, NULL);
    if (!code)
        return 0;
    fail_build(err, device, *program, code);
    cl->clReleaseProgram(*program);
    *program = NULL;
    return -1;
}

/* The program out of the cache; NULL: it is not there, or the driver does not take it. */
static cl_program from_cache(const struct gle_device *device, const struct gle_cache_key *key, const char *options)
{
    const struct gle_cl *cl = device->cl;
    cl_program program;
    unsigned char *bytes;
    size_t size;
    cl_int code;

    if (!gle_cache_take(&bytes, &size, key))
        return NULL;
    program = cl->clCreateProgramWithBinary(device->context, 1, &device->is.id, &size,
                                            &(const unsigned char *){bytes}, NULL, &code);
    if (program && !cl->clBuildProgram(program, 1, &device->is.id, options, NULL, NULL)) {
        gle_free(bytes);
        return program;
    }
    if (program)
        cl->clReleaseProgram(program);
    gle_free(bytes);
    gle_cache_drop(key);
    return NULL;
}

/* Puts the program's binary into the cache, if the driver gives it. */
static void keep(const struct gle_device *device, cl_program program, const struct gle_cache_key *key)
{
    const struct gle_cl *cl = device->cl;
    unsigned char *bytes = NULL;
    size_t size = 0;

    if (!cl->clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) && size)
        bytes = gle_calloc(size, 1);
    if (bytes && !cl->clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL))
        gle_cache_keep(key, bytes, size);
    gle_free(bytes);
}

/* The program, out of the cache or made anew. */
static int make(cl_program *program, const struct gle_device *device, const struct gle_cache_key *key,
                const char *source, const char *options, struct gle_error *err)
{
    *program = from_cache(device, key, options);
    if (*program)
        return 0;
    if (from_source(program, device, source, options, err))
        return -1;
    keep(device, *program, key);
    return 0;
}

int gle_device_compile(struct gle_device *device, const char *source, const char *options, struct gle_error *err)
{
    const struct gle_device_info *info = &device->is.info;
    const struct gle_cache_key key = gle_cache_key(
        (const char *const[]){source, options, info->name, info->driver, info->platform, device->is.version}, 6);
    struct gle_guard guard;
    cl_program program;
    int rc;

    if (device->program && *key.hex && !strcmp(key.hex, device->key.hex)) /* networks of a run are alike */
        return 0;
    gle_guard_enter(&guard);
    rc = make(&program, device, &key, source, options, err);
    gle_guard_leave(&guard);
    if (rc)
        return -1;
    if (device->program)
        device->cl->clReleaseProgram(device->program); /* its kernels hold on to it */
    device->program = program;
    device->key = key;
    return 0;
}
