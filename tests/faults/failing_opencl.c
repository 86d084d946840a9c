/* A libOpenCL.so.1 that hands all calls on to the real one, and makes those fail that it is told to.
 *
 * GLE_OPENCL         path of the real one
 * GLE_OPENCL_FAULT   "FUNCTION N CODE": the Nth call of the function fails with that code; "FUNCTION N+ CODE": all from
 *                    there on. CODE 0 of clGetPlatformIDs: there are no platforms
 * GLE_OPENCL_SAYS    "gpu MEMORY PIECE": each device is said to be a GPU, to have so many bytes of memory, and to give
 *                    at most so many in one piece; 0: what it has
 * GLE_OPENCL_IN_NO_TIME  if this library is also preloaded: the clock stands still within its calls, so that devices
 *                    seem to be fast
 * GLE_OPENCL_COUNTS  a file that gets a line "FUNCTION CALLS" for each function, at the end
 *
 * Found instead of the real one by LD_LIBRARY_PATH. */
#define _GNU_SOURCE /* RTLD_NEXT */
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUNCTIONS(ROW)                                                                                                 \
    ROW(clGetPlatformIDs) ROW(clGetPlatformInfo) ROW(clGetDeviceIDs) ROW(clGetDeviceInfo) ROW(clCreateContext)         \
    ROW(clReleaseContext) ROW(clCreateCommandQueue) ROW(clReleaseCommandQueue) ROW(clFlush) ROW(clFinish)              \
    ROW(clCreateProgramWithSource) ROW(clCreateProgramWithBinary) ROW(clBuildProgram) ROW(clGetProgramBuildInfo)       \
    ROW(clGetProgramInfo) ROW(clReleaseProgram) ROW(clCreateKernel) ROW(clReleaseKernel) ROW(clSetKernelArg)           \
    ROW(clEnqueueNDRangeKernel) ROW(clCreateBuffer) ROW(clReleaseMemObject) ROW(clEnqueueWriteBuffer)                  \
    ROW(clEnqueueReadBuffer) ROW(clEnqueueFillBuffer) ROW(clEnqueueCopyBuffer) ROW(clEnqueueWriteBufferRect)           \
    ROW(clEnqueueReadBufferRect)

#define NUMBER(name) N_##name,
enum number { FUNCTIONS(NUMBER) N };
#define NAME(name) #name,
static const char *const names[N] = {FUNCTIONS(NAME)};
static atomic_int calls[N];

static void *real_one(const char *name)
{
    static void *library;

    if (!library)
        library = dlopen(getenv("GLE_OPENCL"), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "GLE_OPENCL: %s\n", dlerror());
        abort();
    }
    return dlsym(library, name);
}

/* Whether this call fails, and with what. */
static bool fails(enum number i, cl_int *code)
{
    const char *fault = getenv("GLE_OPENCL_FAULT");
    const int n = ++calls[i];
    char name[64], on[2];
    int which, given;

    if (!fault || sscanf(fault, "%63s %d", name, &which) != 2 || strcmp(name, names[i]))
        return false;
    on[0] = '\0';
    if (sscanf(fault, "%*s %*d%1[+] %d", on, &given) != 2 && sscanf(fault, "%*s %*d %d", &given) != 1)
        return false;
    *code = given;
    return n == which || (on[0] == '+' && n > which);
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("GLE_OPENCL_COUNTS");
    FILE *f = path ? fopen(path, "w") : NULL;

    for (int i = 0; f && i < N; i++)
        fprintf(f, "%s %d\n", names[i], calls[i]);
    if (f)
        fclose(f);
}

/* --- time --- */

static atomic_llong spent; /* nanoseconds within calls */

static long long true_clock(clockid_t id)
{
    int (*real)(clockid_t, struct timespec *);
    void *found = dlsym(RTLD_NEXT, "clock_gettime");
    struct timespec t;

    memcpy(&real, &found, sizeof real);
    real(id, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    const long long hidden = id == CLOCK_MONOTONIC && getenv("GLE_OPENCL_IN_NO_TIME") ? spent : 0;
    const long long now = true_clock(id) - hidden;

    *t = (struct timespec){.tv_sec = now / 1000000000LL, .tv_nsec = now % 1000000000LL};
    return 0;
}

#define HAND_ON(name, ...)                                                                                             \
    __typeof__(name) *real;                                                                                            \
    void *found = real_one(#name);                                                                                     \
    const long long start = true_clock(CLOCK_MONOTONIC);                                                               \
    memcpy(&real, &found, sizeof real);                                                                                \
    const __typeof__(real(__VA_ARGS__)) result = real(__VA_ARGS__);                                                    \
    spent += true_clock(CLOCK_MONOTONIC) - start;                                                                      \
    return result

/* Returns a code. */
#define CODE(name, parameters, ...)                                                                                    \
    cl_int name parameters                                                                                             \
    {                                                                                                                  \
        cl_int failure;                                                                                                \
        if (fails(N_##name, &failure))                                                                                 \
            return failure;                                                                                            \
        HAND_ON(name, __VA_ARGS__);                                                                                    \
    }
/* Returns an object, and a code through the parameter `code`. */
#define OBJECT(type, name, parameters, ...)                                                                            \
    type name parameters                                                                                               \
    {                                                                                                                  \
        cl_int failure;                                                                                                \
        if (fails(N_##name, &failure)) {                                                                               \
            *code = failure;                                                                                           \
            return NULL;                                                                                               \
        }                                                                                                              \
        HAND_ON(name, __VA_ARGS__);                                                                                    \
    }

cl_int clGetPlatformIDs(cl_uint room, cl_platform_id *platforms, cl_uint *n)
{
    cl_int failure;

    if (fails(N_clGetPlatformIDs, &failure)) {
        *n = 0;
        return failure;
    }
    HAND_ON(clGetPlatformIDs, room, platforms, n);
}
CODE(clGetPlatformInfo, (cl_platform_id p, cl_platform_info what, size_t size, void *value, size_t *n), p, what, size,
     value, n)
CODE(clGetDeviceIDs, (cl_platform_id p, cl_device_type type, cl_uint room, cl_device_id *devices, cl_uint *n), p, type,
     room, devices, n)

/* What GLE_OPENCL_SAYS puts in the place of a device's own number; false: nothing. */
static bool says(cl_device_info what, cl_ulong *number)
{
    const char *text = getenv("GLE_OPENCL_SAYS");
    unsigned long long memory, piece;

    if (!text || sscanf(text, "gpu %llu %llu", &memory, &piece) != 2)
        return false;
    *number = what == CL_DEVICE_TYPE                 ? CL_DEVICE_TYPE_GPU
              : what == CL_DEVICE_GLOBAL_MEM_SIZE    ? memory
              : what == CL_DEVICE_MAX_MEM_ALLOC_SIZE ? piece
                                                     : 0;
    return *number != 0;
}

cl_int clGetDeviceInfo(cl_device_id d, cl_device_info what, size_t size, void *value, size_t *n)
{
    cl_int failure;
    cl_ulong number;

    if (fails(N_clGetDeviceInfo, &failure))
        return failure;
    if (says(what, &number)) { /* all of these have eight bytes */
        memcpy(value, &number, size);
        return 0;
    }
    HAND_ON(clGetDeviceInfo, d, what, size, value, n);
}
OBJECT(cl_context, clCreateContext,
       (const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
        void(CL_CALLBACK *tell_of)(const char *, const void *, size_t, void *), void *ctx, cl_int *code),
       properties, n, devices, tell_of, ctx, code)
CODE(clReleaseContext, (cl_context c), c)
OBJECT(cl_command_queue, clCreateCommandQueue,
       (cl_context c, cl_device_id d, cl_command_queue_properties properties, cl_int *code), c, d, properties, code)
CODE(clReleaseCommandQueue, (cl_command_queue q), q)
CODE(clFlush, (cl_command_queue q), q)
CODE(clFinish, (cl_command_queue q), q)
OBJECT(cl_program, clCreateProgramWithSource,
       (cl_context c, cl_uint n, const char **texts, const size_t *lengths, cl_int *code), c, n, texts, lengths, code)
OBJECT(cl_program, clCreateProgramWithBinary,
       (cl_context c, cl_uint n, const cl_device_id *devices, const size_t *lengths, const unsigned char **binaries,
        cl_int *status, cl_int *code),
       c, n, devices, lengths, binaries, status, code)
CODE(clBuildProgram,
     (cl_program p, cl_uint n, const cl_device_id *devices, const char *options,
      void(CL_CALLBACK *tell_of)(cl_program, void *), void *ctx),
     p, n, devices, options, tell_of, ctx)
CODE(clGetProgramBuildInfo,
     (cl_program p, cl_device_id d, cl_program_build_info what, size_t size, void *value, size_t *n), p, d, what, size,
     value, n)
CODE(clGetProgramInfo, (cl_program p, cl_program_info what, size_t size, void *value, size_t *n), p, what, size, value,
     n)
CODE(clReleaseProgram, (cl_program p), p)
OBJECT(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *code), p, name, code)
CODE(clReleaseKernel, (cl_kernel k), k)
CODE(clSetKernelArg, (cl_kernel k, cl_uint i, size_t size, const void *value), k, i, size, value)
CODE(clEnqueueNDRangeKernel,
     (cl_command_queue q, cl_kernel k, cl_uint n, const size_t *offset, const size_t *global, const size_t *local,
      cl_uint n_waits, const cl_event *waits, cl_event *event),
     q, k, n, offset, global, local, n_waits, waits, event)
OBJECT(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags flags, size_t size, void *host, cl_int *code), c, flags,
       size, host, code)
CODE(clReleaseMemObject, (cl_mem m), m)
CODE(clEnqueueWriteBuffer,
     (cl_command_queue q, cl_mem m, cl_bool wait, size_t offset, size_t size, const void *from, cl_uint n,
      const cl_event *waits, cl_event *event),
     q, m, wait, offset, size, from, n, waits, event)
CODE(clEnqueueReadBuffer,
     (cl_command_queue q, cl_mem m, cl_bool wait, size_t offset, size_t size, void *to, cl_uint n,
      const cl_event *waits, cl_event *event),
     q, m, wait, offset, size, to, n, waits, event)
CODE(clEnqueueWriteBufferRect,
     (cl_command_queue q, cl_mem m, cl_bool wait, const size_t *to_at, const size_t *from_at, const size_t *size,
      size_t to_row, size_t to_slice, size_t from_row, size_t from_slice, const void *from, cl_uint n,
      const cl_event *waits, cl_event *event),
     q, m, wait, to_at, from_at, size, to_row, to_slice, from_row, from_slice, from, n, waits, event)
CODE(clEnqueueReadBufferRect,
     (cl_command_queue q, cl_mem m, cl_bool wait, const size_t *from_at, const size_t *to_at, const size_t *size,
      size_t from_row, size_t from_slice, size_t to_row, size_t to_slice, void *to, cl_uint n, const cl_event *waits,
      cl_event *event),
     q, m, wait, from_at, to_at, size, from_row, from_slice, to_row, to_slice, to, n, waits, event)
CODE(clEnqueueCopyBuffer,
     (cl_command_queue q, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset, size_t size, cl_uint n,
      const cl_event *waits, cl_event *event),
     q, from, to, from_offset, to_offset, size, n, waits, event)
CODE(clEnqueueFillBuffer,
     (cl_command_queue q, cl_mem m, const void *pattern, size_t pattern_size, size_t offset, size_t size, cl_uint n,
      const cl_event *waits, cl_event *event),
     q, m, pattern, pattern_size, offset, size, n, waits, event)
