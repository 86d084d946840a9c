/* opencl.h - the system's OpenCL, for the files of this folder. */
#ifndef GLE_BACKEND_OPENCL_H
#define GLE_BACKEND_OPENCL_H

#include "backend/cache.h"
#include "backend/device.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

/* What is called of OpenCL 1.2. */
#define GLE_CL_FUNCTIONS(ROW)                                                                                         \
    ROW(clGetPlatformIDs) ROW(clGetPlatformInfo) ROW(clGetDeviceIDs) ROW(clGetDeviceInfo)                             \
    ROW(clCreateContext) ROW(clReleaseContext)                                                                        \
    ROW(clCreateCommandQueue) ROW(clReleaseCommandQueue) ROW(clFlush) ROW(clFinish)                                   \
    ROW(clCreateProgramWithSource) ROW(clCreateProgramWithBinary) ROW(clBuildProgram) ROW(clGetProgramBuildInfo)      \
    ROW(clGetProgramInfo) ROW(clReleaseProgram)                                                                       \
    ROW(clCreateKernel) ROW(clReleaseKernel) ROW(clSetKernelArg) ROW(clEnqueueNDRangeKernel)                          \
    ROW(clCreateBuffer) ROW(clReleaseMemObject)                                                                       \
    ROW(clEnqueueWriteBuffer) ROW(clEnqueueReadBuffer) ROW(clEnqueueFillBuffer) ROW(clEnqueueCopyBuffer)              \
    ROW(clEnqueueWriteBufferRect) ROW(clEnqueueReadBufferRect)

/* The functions of the loader, each under its own name and with the type that CL/cl.h gives it. */
#define GLE_CL_MEMBER(name) __typeof__(name) *name;
struct gle_cl {
    GLE_CL_FUNCTIONS(GLE_CL_MEMBER)
};
#undef GLE_CL_MEMBER

/* Opens libOpenCL.so.1, at the first call; it stays open. One thread at a time.
 * Errors: NULL and GLE_EDEVICE: it is not there, or older than OpenCL 1.2. */
const struct gle_cl *gle_cl_open(struct gle_error *err);

/* OpenCL's name of an error, as in CL_INVALID_VALUE; or its number, where a driver has errors of its own. */
struct gle_cl_name {
    char text[64];
};
struct gle_cl_name gle_cl_name(cl_int code);

/* A device that a driver offers. */
struct gle_cl_device {
    struct gle_device_info info;
    char version[GLE_DEVICE_NAME]; /* of the platform: a driver's own version alone does not tell its compiler */
    cl_platform_id platform;
    cl_device_id id;
};
/* All of them, in the order of gle_devices_list(); at least one.
 * Owns:   *out belongs to the caller (gle_free); NULL on error.
 * Errors: GLE_EDEVICE: why there is none. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_cl_find_devices(struct gle_cl_device **out, size_t *n, const struct gle_cl *cl,
                                       struct gle_error *err);
/* The one of them that `wanted` means, as for gle_device_open().
 * Errors: NULL and GLE_EDEVICE: names those that there are. */
const struct gle_cl_device *gle_cl_choose(const struct gle_cl_device *devices, size_t n, const char *wanted,
                                          struct gle_error *err);

/* A device that is open. */
struct gle_device {
    const struct gle_cl *cl;
    struct gle_cl_device is;
    cl_context context;
    cl_command_queue queue; /* in order */
    cl_program program;     /* what was compiled last; NULL: nothing yet */
    struct gle_cache_key key; /* of that */
    struct gle_device_kernel *kernels; /* a list, the newest first */
    struct gle_device_traffic traffic;
    double taken; /* bytes of buffers */
};

#endif
