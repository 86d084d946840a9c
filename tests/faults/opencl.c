/* opencl.c - a loader of OpenCL with one driver, whose only device is a GPU that cannot be used. FAKE_OPENCL says why:
 * "none" (the driver finds no device), "old" (OpenCL 1.1), "busy" (it cannot be opened). Tests put it in the place of
 * libOpenCL.so.1. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Of OpenCL's headers, which need not be there. */
enum { DEVICE_NOT_FOUND = -1, OUT_OF_RESOURCES = -5, INVALID_VALUE = -30 };
enum { TYPE = 0x1000, AVAILABLE = 0x1027, COMPILER_AVAILABLE = 0x1028 };
enum { NAME = 0x102B, DRIVER = 0x102D, VERSION = 0x102F };

static char platform, device;

static int is(const char *what)
{
    const char *fake = getenv("FAKE_OPENCL");

    return fake && !strcmp(fake, what);
}

static int give(void *to, size_t size, const void *from, size_t n)
{
    if (n > size)
        return INVALID_VALUE;
    memcpy(to, from, n);
    return 0;
}

int clGetPlatformIDs(unsigned n, void **platforms, unsigned *n_there);
int clGetPlatformIDs(unsigned n, void **platforms, unsigned *n_there)
{
    if (n)
        platforms[0] = &platform;
    *n_there = 1;
    return 0;
}

int clGetPlatformInfo(void *of, unsigned what, size_t size, void *value, size_t *n);
int clGetPlatformInfo(void *of, unsigned what, size_t size, void *value, size_t *n)
{
    (void)of;
    (void)what;
    (void)n;
    return give(value, size, "Fake", 5);
}

int clGetDeviceIDs(void *of, unsigned long long type, unsigned n, void **devices, unsigned *n_there);
int clGetDeviceIDs(void *of, unsigned long long type, unsigned n, void **devices, unsigned *n_there)
{
    (void)of;
    (void)type;
    if (is("none"))
        return DEVICE_NOT_FOUND;
    if (n)
        devices[0] = &device;
    *n_there = 1;
    return 0;
}

int clGetDeviceInfo(void *of, unsigned what, size_t size, void *value, size_t *n);
int clGetDeviceInfo(void *of, unsigned what, size_t size, void *value, size_t *n)
{
    const unsigned long long gpu = 4;
    const unsigned yes = 1;

    (void)of;
    (void)n;
    switch (what) {
    case TYPE:
        return give(value, size, &gpu, sizeof gpu);
    case AVAILABLE:
    case COMPILER_AVAILABLE:
        return give(value, size, &yes, sizeof yes);
    case NAME:
        return give(value, size, "  Fake\tcard  ", 13);
    case DRIVER:
        return give(value, size, "1.0", 4);
    case VERSION:
        return give(value, size, is("old") ? "OpenCL 1.1 " : "OpenCL 1.2 ", 12);
    default:
        return INVALID_VALUE;
    }
}

void *clCreateContext(const void *properties, unsigned n, void **devices, void *notify, void *user, int *code);
void *clCreateContext(const void *properties, unsigned n, void **devices, void *notify, void *user, int *code)
{
    (void)properties;
    (void)n;
    (void)devices;
    (void)notify;
    (void)user;
    *code = OUT_OF_RESOURCES;
    return NULL;
}

/* The rest, which nobody comes to call. */
#define NEVER(name)       \
    void name(void);      \
    void name(void)       \
    {                     \
        abort();          \
    }
NEVER(clReleaseContext)
NEVER(clCreateCommandQueue)
NEVER(clReleaseCommandQueue)
NEVER(clFlush)
NEVER(clFinish)
NEVER(clCreateProgramWithSource)
NEVER(clCreateProgramWithBinary)
NEVER(clBuildProgram)
NEVER(clGetProgramBuildInfo)
NEVER(clGetProgramInfo)
NEVER(clReleaseProgram)
NEVER(clCreateKernel)
NEVER(clReleaseKernel)
NEVER(clSetKernelArg)
NEVER(clEnqueueNDRangeKernel)
NEVER(clCreateBuffer)
NEVER(clReleaseMemObject)
NEVER(clEnqueueWriteBuffer)
NEVER(clEnqueueReadBuffer)
NEVER(clEnqueueCopyBuffer)
NEVER(clEnqueueWriteBufferRect)
NEVER(clEnqueueReadBufferRect)
#ifndef OF_VERSION_1_1
NEVER(clEnqueueFillBuffer)
#endif
