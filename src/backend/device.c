#include "backend/device.h"

#include "backend/guard.h"
#include "backend/opencl.h"
#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct gle_buffer {
    struct gle_device *device;
    cl_mem memory;
    size_t bytes;
};

struct gle_device_kernel {
    struct gle_device *device;
    struct gle_device_kernel *next;
    cl_kernel kernel;
    char name[64]; /* for messages */
};

/* Records what failed on a device, and OpenCL's name of it. Returns -1. */
static int fail(struct gle_error *err, const struct gle_device *device, cl_int code, const char *fmt, ...)
    GLE_PRINTF(4, 5);
static int fail(struct gle_error *err, const struct gle_device *device, cl_int code, const char *fmt, ...)
{
    char text[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return gle_fail(err, GLE_EDEVICE, "the device '%s' %s (%s)", device->is.info.name, text, gle_cl_name(code).text);
}

static int choose(struct gle_cl_device *is, const struct gle_cl *cl, const char *wanted, struct gle_error *err)
{
    const struct gle_cl_device *chosen;
    struct gle_cl_device *devices;
    size_t n;

    if (gle_cl_find_devices(&devices, &n, cl, err))
        return -1;
    chosen = gle_cl_choose(devices, n, wanted, err);
    if (chosen)
        *is = *chosen;
    gle_free(devices);
    return chosen ? 0 : -1;
}

static int open_queue(struct gle_device *device, struct gle_error *err)
{
    const struct gle_cl *cl = device->cl;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->is.platform, 0};
    cl_int code;

    device->context = cl->clCreateContext(properties, 1, &device->is.id, NULL, NULL, &code);
    if (!device->context)
        return fail(err, device, code, "cannot be opened");
    device->queue = cl->clCreateCommandQueue(device->context, device->is.id, 0, &code);
    return device->queue ? 0 : fail(err, device, code, "cannot be given anything to do");
}

static int open_guarded(struct gle_device *device, struct gle_error *err)
{
    struct gle_guard guard;
    int rc;

    gle_guard_enter(&guard);
    rc = open_queue(device, err);
    gle_guard_leave(&guard);
    return rc;
}

int gle_device_open(struct gle_device **out, const char *wanted, struct gle_error *err)
{
    const struct gle_cl *cl = gle_cl_open(err);
    struct gle_device *device = gle_calloc(1, sizeof *device);

    *out = NULL;
    if (!device)
        return gle_fail(err, GLE_ENOMEM, "no memory for a device");
    device->cl = cl;
    if (!cl || choose(&device->is, cl, wanted, err) || open_guarded(device, err)) {
        gle_device_close(device);
        return -1;
    }
    *out = device;
    return 0;
}

void gle_device_close(struct gle_device *device)
{
    const struct gle_cl *cl = device ? device->cl : NULL;

    if (!device)
        return;
    while (device->kernels)
        gle_device_kernel_destroy(device->kernels);
    if (device->program)
        cl->clReleaseProgram(device->program);
    if (device->queue)
        cl->clReleaseCommandQueue(device->queue);
    if (device->context)
        cl->clReleaseContext(device->context);
    gle_free(device);
}

const struct gle_device_info *gle_device_info(const struct gle_device *device)
{
    return &device->is.info;
}

int gle_device_kernel(struct gle_device_kernel **out, struct gle_device *device, const char *name,
                      struct gle_error *err)
{
    struct gle_device_kernel *kernel = gle_calloc(1, sizeof *kernel);
    struct gle_guard guard;
    cl_int code;

    assert(device->program);
    *out = NULL;
    if (!kernel)
        return gle_fail(err, GLE_ENOMEM, "no memory for a kernel");
    kernel->device = device;
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    gle_guard_enter(&guard);
    kernel->kernel = device->cl->clCreateKernel(device->program, name, &code);
    gle_guard_leave(&guard);
    if (!kernel->kernel) {
        gle_free(kernel);
        return fail(err, device, code, "has no kernel '%s'", name);
    }
    kernel->next = device->kernels;
    device->kernels = kernel;
    *out = kernel;
    return 0;
}

void gle_device_kernel_destroy(struct gle_device_kernel *kernel)
{
    struct gle_device_kernel **at;

    if (!kernel)
        return;
    for (at = &kernel->device->kernels; *at != kernel;)
        at = &(*at)->next;
    *at = kernel->next;
    kernel->device->cl->clReleaseKernel(kernel->kernel);
    gle_free(kernel);
}

/* Records that the device has no room for so much. Returns -1. */
static int fail_room(struct gle_error *err, const struct gle_device *device, cl_int code, size_t bytes)
{
    const double mb = 1e6;

    if (code == CL_INVALID_BUFFER_SIZE)
        return gle_fail(err, GLE_EDEVICE, "the device '%s' gives at most %.0f MB in one piece, where %.0f MB are "
                        "needed (%s)", device->is.info.name, device->is.info.max_buffer / mb, (double)bytes / mb,
                        gle_cl_name(code).text);
    return gle_fail(err, GLE_EDEVICE, "no memory on the device '%s' for %.0f MB (%s)", device->is.info.name,
                    (double)bytes / mb, gle_cl_name(code).text);
}

/* Zeroes a piece. Returns OpenCL's code. */
static cl_int fill(struct gle_buffer *buffer, size_t offset, size_t bytes)
{
    static const unsigned char zeros[16];
    const struct gle_device *device = buffer->device;
    const size_t ends = offset | bytes;
    const size_t pattern = ends % 16 == 0 ? 16 : ends % 4 == 0 ? 4 : 1; /* must divide both; a long one is fast */

    return device->cl->clEnqueueFillBuffer(device->queue, buffer->memory, zeros, pattern, offset, bytes, 0, NULL, NULL);
}

int gle_buffer_create(struct gle_buffer **out, struct gle_device *device, size_t bytes, struct gle_error *err)
{
    struct gle_buffer *buffer = gle_calloc(1, sizeof *buffer);
    const size_t size = bytes ? bytes : 1; /* OpenCL has no empty ones */
    cl_int code;

    *out = NULL;
    if (!buffer)
        return gle_fail(err, GLE_ENOMEM, "no memory for a buffer");
    *buffer = (struct gle_buffer){.device = device, .bytes = bytes};
    buffer->memory = device->cl->clCreateBuffer(device->context, CL_MEM_READ_WRITE, size, NULL, &code);
    device->taken += (double)bytes;
    if (buffer->memory)
        code = fill(buffer, 0, size); /* drivers may take the memory only now */
    if (code) {
        gle_buffer_destroy(buffer);
        return fail_room(err, device, code, bytes);
    }
    *out = buffer;
    return 0;
}

void gle_buffer_destroy(struct gle_buffer *buffer)
{
    if (!buffer)
        return;
    buffer->device->taken -= (double)buffer->bytes;
    if (buffer->memory)
        buffer->device->cl->clReleaseMemObject(buffer->memory);
    gle_free(buffer);
}

static bool within(const struct gle_buffer *buffer, size_t offset, size_t bytes)
{
    return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

int gle_buffer_write(struct gle_buffer *buffer, size_t offset, const void *from, size_t bytes, struct gle_error *err)
{
    struct gle_device *device = buffer->device;
    cl_int code;

    assert(within(buffer, offset, bytes));
    if (!bytes)
        return 0;
    code = device->cl->clEnqueueWriteBuffer(device->queue, buffer->memory, CL_TRUE, offset, bytes, from, 0, NULL, NULL);
    device->traffic.bytes_in += (double)bytes;
    return code ? fail(err, device, code, "does not take %zu bytes", bytes) : 0;
}

int gle_buffer_read(struct gle_buffer *buffer, size_t offset, void *to, size_t bytes, struct gle_error *err)
{
    struct gle_device *device = buffer->device;
    cl_int code;

    assert(within(buffer, offset, bytes));
    if (!bytes)
        return 0;
    code = device->cl->clEnqueueReadBuffer(device->queue, buffer->memory, CL_TRUE, offset, bytes, to, 0, NULL, NULL);
    device->traffic.bytes_out += (double)bytes;
    return code ? fail(err, device, code, "does not give %zu bytes back", bytes) : 0;
}

/* Rows as OpenCL wants them. */
struct region {
    size_t start, bytes;      /* of all of them */
    size_t origin[3], size[3];
    bool one;                 /* they are one piece */
};

static struct region region_of(const struct gle_buffer *buffer, const struct gle_byte_rows *rows)
{
    const struct region r = {.start = rows->first * rows->apart,
                             .bytes = rows->n * rows->bytes,
                             .origin = {0, rows->first, 0},
                             .size = {rows->bytes, rows->n, 1},
                             .one = rows->n <= 1 || !rows->bytes || rows->bytes == rows->apart};

    assert(r.one || (rows->bytes < rows->apart && within(buffer, r.start, (rows->n - 1) * rows->apart + rows->bytes)));
    return r;
}

int gle_buffer_write_rows(struct gle_buffer *buffer, const struct gle_byte_rows *rows, const void *from,
                          struct gle_error *err)
{
    struct gle_device *device = buffer->device;
    const struct region r = region_of(buffer, rows);
    cl_int code;

    if (r.one)
        return r.bytes ? gle_buffer_write(buffer, r.start, (const char *)from + r.start, r.bytes, err) : 0;
    code = device->cl->clEnqueueWriteBufferRect(device->queue, buffer->memory, CL_TRUE, r.origin, r.origin, r.size,
                                                rows->apart, 0, rows->apart, 0, from, 0, NULL, NULL);
    device->traffic.bytes_in += (double)r.bytes;
    return code ? fail(err, device, code, "does not take %zu rows of %zu bytes", rows->n, rows->bytes) : 0;
}

int gle_buffer_read_rows(struct gle_buffer *buffer, const struct gle_byte_rows *rows, void *to, struct gle_error *err)
{
    struct gle_device *device = buffer->device;
    const struct region r = region_of(buffer, rows);
    cl_int code;

    if (r.one)
        return r.bytes ? gle_buffer_read(buffer, r.start, (char *)to + r.start, r.bytes, err) : 0;
    code = device->cl->clEnqueueReadBufferRect(device->queue, buffer->memory, CL_TRUE, r.origin, r.origin, r.size,
                                               rows->apart, 0, rows->apart, 0, to, 0, NULL, NULL);
    device->traffic.bytes_out += (double)r.bytes;
    return code ? fail(err, device, code, "does not give %zu rows of %zu bytes back", rows->n, rows->bytes) : 0;
}

int gle_buffer_zero(struct gle_buffer *buffer, size_t offset, size_t bytes, struct gle_error *err)
{
    cl_int code;

    assert(within(buffer, offset, bytes));
    if (!bytes)
        return 0;
    code = fill(buffer, offset, bytes);
    return code ? fail(err, buffer->device, code, "cannot clear %zu bytes", bytes) : 0;
}

int gle_buffer_copy(struct gle_buffer *to, size_t to_offset, const struct gle_buffer *from, size_t from_offset,
                    size_t bytes, struct gle_error *err)
{
    cl_int code;

    assert(within(to, to_offset, bytes) && within(from, from_offset, bytes));
    if (!bytes)
        return 0;
    code = to->device->cl->clEnqueueCopyBuffer(to->device->queue, from->memory, to->memory, from_offset, to_offset,
                                               bytes, 0, NULL, NULL);
    return code ? fail(err, to->device, code, "cannot copy %zu bytes", bytes) : 0;
}

static int set_argument(struct gle_device_kernel *kernel, unsigned i, const void *value, size_t bytes,
                        struct gle_error *err)
{
    const cl_int code = kernel->device->cl->clSetKernelArg(kernel->kernel, i, bytes, value);

    return code ? fail(err, kernel->device, code, "refuses argument %u of kernel '%s'", i, kernel->name) : 0;
}

int gle_device_set_buffer(struct gle_device_kernel *kernel, unsigned i, struct gle_buffer *buffer,
                          struct gle_error *err)
{
    return set_argument(kernel, i, &buffer->memory, sizeof buffer->memory, err);
}

int gle_device_set_value(struct gle_device_kernel *kernel, unsigned i, const void *value, size_t bytes,
                         struct gle_error *err)
{
    return set_argument(kernel, i, value, bytes, err);
}

int gle_device_launch(struct gle_device_kernel *kernel, const size_t groups[2], size_t items, struct gle_error *err)
{
    struct gle_device *device = kernel->device;
    const size_t local[2] = {items, 1}, global[2] = {groups[0] * items, groups[1]};
    cl_int code;

    if (!global[0] || !global[1]) /* OpenCL 1.2 refuses to do nothing */
        return 0;
    code = device->cl->clEnqueueNDRangeKernel(device->queue, kernel->kernel, 2, NULL, global, local, 0, NULL, NULL);
    device->traffic.launches++;
    return code ? fail(err, device, code, "does not run kernel '%s' with groups of %zu", kernel->name, items) : 0;
}

int gle_device_flush(struct gle_device *device, struct gle_error *err)
{
    const cl_int code = device->cl->clFlush(device->queue);

    return code ? fail(err, device, code, "has failed") : 0;
}

int gle_device_finish(struct gle_device *device, struct gle_error *err)
{
    const cl_int code = device->cl->clFinish(device->queue);

    return code ? fail(err, device, code, "has failed") : 0;
}

struct gle_device_traffic gle_device_get_traffic(const struct gle_device *device)
{
    return device->traffic;
}

double gle_device_get_taken(const struct gle_device *device)
{
    return device->taken;
}
