/* device.h - an accelerator: memory of its own, and kernels that run on it one after the other, in the order in which
 * they were asked for. It knows neither networks nor time. OpenCL 1.2 through the system's loader (libOpenCL.so.1),
 * which is opened at run time: a machine without it has no devices, and lacks nothing else.
 *
 * After an error a device is good for nothing but gle_device_close(). Its messages end with OpenCL's own name of the
 * error. */
#ifndef GLE_BACKEND_DEVICE_H
#define GLE_BACKEND_DEVICE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct gle_device;
struct gle_buffer; /* memory of a device */
struct gle_device_kernel;

enum { GLE_DEVICE_NAME = 128 };

/* What is known of a device before it is opened. */
struct gle_device_info {
    char name[GLE_DEVICE_NAME], vendor[GLE_DEVICE_NAME], driver[GLE_DEVICE_NAME], platform[GLE_DEVICE_NAME];
    bool is_gpu; /* else a processor, or another accelerator */
    bool divides_exactly; /* to single precision, by programs compiled with -cl-fp32-correctly-rounded-divide-sqrt */
    size_t n_units;   /* compute units */
    size_t max_items; /* work items of a group */
    double memory, max_buffer, local_memory; /* bytes: all of it; of one buffer; that a group shares */
};

/* All devices that drivers offer, GPUs first, else in the order of the loader; none without a loader.
 * Owns:   *out belongs to the caller (gle_free); NULL if there are none.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_devices_list(struct gle_device_info **out, size_t *n, struct gle_error *err);

/* Opens a device. wanted: its number in that list, or a part of its name, in any case; the first one that fits. NULL:
 * the first one.
 * Owns:   *out belongs to the caller (gle_device_close).
 * Errors: GLE_EDEVICE: no loader, no device, none of this name; says which of these. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_device_open(struct gle_device **out, const char *wanted, struct gle_error *err);
void gle_device_close(struct gle_device *device); /* NULL is fine. Buffers go first, kernels go with it */
const struct gle_device_info *gle_device_info(const struct gle_device *device);

/* Compiles `source` (OpenCL C) with `options`, or takes it from the user's cache of compiled programs.
 * Errors: GLE_EDEVICE: with the compiler's first complaint. GLE_ENOMEM. A cache that cannot be used is none. */
GLE_MUST_CHECK int gle_device_compile(struct gle_device *device, const char *source, const char *options,
                                      struct gle_error *err);
/* A kernel of the program that was compiled last, by name; the program lives as long as its kernels.
 * Owns:   *out belongs to the caller (gle_device_kernel_destroy), until the device is closed.
 * Errors: GLE_EDEVICE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_device_kernel(struct gle_device_kernel **out, struct gle_device *device, const char *name,
                                     struct gle_error *err);
void gle_device_kernel_destroy(struct gle_device_kernel *kernel); /* NULL is fine */

/* Memory of so many bytes, zero.
 * Owns:   *out belongs to the caller (gle_buffer_destroy).
 * Errors: GLE_EDEVICE, GLE_ENOMEM (of the device, or of the host). */
GLE_MUST_CHECK int gle_buffer_create(struct gle_buffer **out, struct gle_device *device, size_t bytes,
                                     struct gle_error *err);
void gle_buffer_destroy(struct gle_buffer *buffer); /* NULL is fine */

/* Copies to the device, and from it, after all that was asked for before. `from` may be overwritten after the return.
 * Both wait for all of that. Clearing waits for nothing. The pieces lie within the buffer. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_buffer_write(struct gle_buffer *buffer, size_t offset, const void *from, size_t bytes,
                                    struct gle_error *err);
GLE_MUST_CHECK int gle_buffer_read(struct gle_buffer *buffer, size_t offset, void *to, size_t bytes,
                                   struct gle_error *err);
GLE_MUST_CHECK int gle_buffer_zero(struct gle_buffer *buffer, size_t offset, size_t bytes, struct gle_error *err);

/* The same of rows of some bytes, which begin `apart` bytes after each other, on both sides: those from `first` on, n
 * of them. from, to: where row 0 is, or would be. */
struct gle_byte_rows {
    size_t first, n, bytes, apart;
};
GLE_MUST_CHECK int gle_buffer_write_rows(struct gle_buffer *buffer, const struct gle_byte_rows *rows, const void *from,
                                         struct gle_error *err);
GLE_MUST_CHECK int gle_buffer_read_rows(struct gle_buffer *buffer, const struct gle_byte_rows *rows, void *to,
                                        struct gle_error *err);

/* Between two buffers of a device. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_buffer_copy(struct gle_buffer *to, size_t to_offset, const struct gle_buffer *from,
                                   size_t from_offset, size_t bytes, struct gle_error *err);

/* Arguments of kernels stay until they are set anew: a buffer, or a value of some bytes. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_device_set_buffer(struct gle_device_kernel *kernel, unsigned i, struct gle_buffer *buffer,
                                         struct gle_error *err);
GLE_MUST_CHECK int gle_device_set_value(struct gle_device_kernel *kernel, unsigned i, const void *value, size_t bytes,
                                        struct gle_error *err);
/* Runs groups[0] x groups[1] groups of `items` work items in a row. Returns at once. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_device_launch(struct gle_device_kernel *kernel, const size_t groups[2], size_t items,
                                     struct gle_error *err);
/* Hands over what was asked for, without waiting for it; and waits for it. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_device_flush(struct gle_device *device, struct gle_error *err);
GLE_MUST_CHECK int gle_device_finish(struct gle_device *device, struct gle_error *err);

/* Since the device was opened: launches, bytes that went to it and came back. */
struct gle_device_traffic {
    double launches, bytes_in, bytes_out;
};
struct gle_device_traffic gle_device_get_traffic(const struct gle_device *device);
/* Bytes of the buffers that there are now. */
double gle_device_get_taken(const struct gle_device *device);

#endif
