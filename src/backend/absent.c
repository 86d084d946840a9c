/* absent.c - what stands for devices where CL/cl.h is missing when glesim is built: there are none, so that nothing can
 * be asked of one. */
#include "backend/device.h"

#include <stdlib.h>

int gle_devices_list(struct gle_device_info **out, size_t *n, struct gle_error *err)
{
    (void)err;
    *out = NULL;
    *n = 0;
    return 0;
}

int gle_device_open(struct gle_device **out, const char *wanted, struct gle_error *err)
{
    (void)wanted;
    *out = NULL;
    return gle_fail(err, GLE_EDEVICE, "this glesim was built without OpenCL: install its headers (Debian: "
                    "opencl-headers) and build it anew");
}

void gle_device_close(struct gle_device *device)
{
    if (device)
        abort();
}

void gle_buffer_destroy(struct gle_buffer *buffer)
{
    if (buffer)
        abort();
}

void gle_device_kernel_destroy(struct gle_device_kernel *kernel)
{
    if (kernel)
        abort();
}

/* Takes the arguments of a call that nobody can make. */
#define NOBODY_CALLS(result, name, ...) \
    _Noreturn result name(__VA_ARGS__)  \
    {                                   \
        abort();                        \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"
NOBODY_CALLS(const struct gle_device_info *, gle_device_info, const struct gle_device *device)
NOBODY_CALLS(struct gle_device_traffic, gle_device_get_traffic, const struct gle_device *device)
NOBODY_CALLS(double, gle_device_get_taken, const struct gle_device *device)
NOBODY_CALLS(int, gle_device_compile, struct gle_device *device, const char *source, const char *options,
             struct gle_error *err)
NOBODY_CALLS(int, gle_device_kernel, struct gle_device_kernel **out, struct gle_device *device, const char *name,
             struct gle_error *err)
NOBODY_CALLS(int, gle_buffer_create, struct gle_buffer **out, struct gle_device *device, size_t bytes,
             struct gle_error *err)
NOBODY_CALLS(int, gle_buffer_write, struct gle_buffer *buffer, size_t offset, const void *from, size_t bytes,
             struct gle_error *err)
NOBODY_CALLS(int, gle_buffer_read, struct gle_buffer *buffer, size_t offset, void *to, size_t bytes,
             struct gle_error *err)
NOBODY_CALLS(int, gle_buffer_zero, struct gle_buffer *buffer, size_t offset, size_t bytes, struct gle_error *err)
NOBODY_CALLS(int, gle_buffer_copy, struct gle_buffer *to, size_t to_offset, const struct gle_buffer *from,
             size_t from_offset, size_t bytes, struct gle_error *err)
NOBODY_CALLS(int, gle_device_set_buffer, struct gle_device_kernel *kernel, unsigned i, struct gle_buffer *buffer,
             struct gle_error *err)
NOBODY_CALLS(int, gle_device_set_value, struct gle_device_kernel *kernel, unsigned i, const void *value, size_t bytes,
             struct gle_error *err)
NOBODY_CALLS(int, gle_device_launch, struct gle_device_kernel *kernel, const size_t groups[2], size_t items,
             struct gle_error *err)
NOBODY_CALLS(int, gle_device_flush, struct gle_device *device, struct gle_error *err)
NOBODY_CALLS(int, gle_device_finish, struct gle_device *device, struct gle_error *err)
