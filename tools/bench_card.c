#include "bench_card.h"
#include "base/clock.h"
#include "base/memory.h"

#include <math.h>

enum { REPEATS = 5 };

struct gle_device *card_open(const char *wanted)
{
    struct gle_device *device;
    struct gle_error err = {0};

    if (gle_device_open(&device, wanted, &err))
        stop_on(&err);
    return device;
}

static void finish(struct gle_device *device)
{
    struct gle_error err = {0};

    if (gle_device_finish(device, &err))
        stop_on(&err);
}

/* --- products --- */

/* The source of sgemm (bench_sgemm.cl); made by the build. */
extern const char bench_sgemm_source[];

/* A kernel for GPUs, or for processors: the tile that its groups make, and their items. */
struct sgemm {
    const char *name;
    size_t rows, cols, items;
};

struct product_on_card {
    struct gle_device *device;
    struct gle_device_kernel *kernel;
    const struct sgemm *sgemm;
    struct gle_buffer *C, *A, *B;
};

/* A number of a matrix: small, and different in rows and columns, so that sums are exact enough to be told apart. */
static float element(size_t row, size_t col)
{
    return (float)((row * 7 + col * 3) % 17) - 8.0f;
}

static void fill(struct gle_buffer *to, size_t n)
{
    float *values = gle_calloc(n * n, sizeof *values);
    struct gle_error err = {0};

    if (!values)
        stop("no memory");
    for (size_t i = 0; i < n * n; i++)
        values[i] = element(i / n, i % n);
    if (gle_buffer_write(to, 0, values, n * n * sizeof *values, &err))
        stop_on(&err);
    gle_free(values);
}

/* Whether it is a product: some elements, against sums in double precision. */
static void check(const struct product_on_card *p, size_t n)
{
    enum { ELEMENTS = 50 };
    struct gle_error err = {0};

    for (size_t i = 0; i < ELEMENTS; i++) {
        const size_t row = i * 7919 % n, col = i * 104729 % n;
        double sum = 0.0;
        float found;
        for (size_t k = 0; k < n; k++)
            sum += (double)element(row, k) * (double)element(k, col);
        if (gle_buffer_read(p->C, (row * n + col) * sizeof found, &found, sizeof found, &err))
            stop_on(&err);
        if (!(fabs((double)found - sum) <= 1e-3 * (1.0 + fabs(sum))))
            stop("the device multiplies matrices wrongly: its peak is none");
    }
}

static double time_product(const struct product_on_card *p, size_t n)
{
    const size_t groups[2] = {n / p->sgemm->rows, n / p->sgemm->cols};
    struct gle_error err = {0};
    double least = INFINITY;

    for (int r = 0; r <= REPEATS; r++) { /* the first ones bring everything to the device */
        const double start = gle_clock();
        if (gle_device_launch(p->kernel, groups, p->sgemm->items, &err))
            stop_on(&err);
        finish(p->device);
        if (r)
            least = fmin(least, gle_clock() - start);
    }
    return least;
}

/* Seconds for a product of n x n matrices, the least. */
static double measure_product(struct product_on_card *p, size_t n)
{
    const unsigned size = (unsigned)n;
    struct gle_buffer **const buffers[] = {&p->C, &p->A, &p->B};
    struct gle_error err = {0};
    double seconds;

    for (unsigned i = 0; i < 3; i++)
        if (gle_buffer_create(buffers[i], p->device, n * n * sizeof(float), &err) ||
            gle_device_set_buffer(p->kernel, i, *buffers[i], &err))
            stop_on(&err);
    if (gle_device_set_value(p->kernel, 3, &size, sizeof size, &err))
        stop_on(&err);
    fill(p->A, n);
    fill(p->B, n);
    seconds = time_product(p, n);
    check(p, n);
    for (unsigned i = 0; i < 3; i++)
        gle_buffer_destroy(*buffers[i]);
    return seconds;
}

/* Larger and larger products, until one takes long enough to have kept the whole device at work. */
static void measure_products(struct card *card, struct gle_device *device)
{
    static const struct sgemm of_items = {"sgemm_of_items", 64, 64, 256}, of_vectors = {"sgemm_of_vectors", 8, 32, 1};
    static const double LONG = 10e-3;
    enum { SMALLEST = 512, LARGEST = 8192 };
    struct product_on_card p = {.device = device, .sgemm = card->info.is_gpu ? &of_items : &of_vectors};
    struct gle_error err = {0};
    double seconds = 0.0;

    if (gle_device_compile(device, bench_sgemm_source, "-cl-std=CL1.2", &err) ||
        gle_device_kernel(&p.kernel, device, p.sgemm->name, &err))
        stop_on(&err);
    for (size_t n = SMALLEST; n <= LARGEST && seconds < LONG; n *= 2) {
        double speed;
        seconds = measure_product(&p, n);
        speed = 2e-9 * (double)n * (double)n * (double)n / seconds;
        if (speed > card->sgemm) {
            card->sgemm = speed;
            card->sgemm_size = n;
        }
    }
    gle_device_kernel_destroy(p.kernel);
}

/* --- launches and copies --- */

static void measure_launches(struct card *card, struct gle_device *device)
{
    enum { LAUNCHES = 300 }; /* as steps hand them over: many at once */
    static const char source[] =
        "__kernel void nothing(__global float *p) { if (get_global_id(0) > 0) p[0] = 0.0f; }\n";
    const size_t groups[2] = {1, 1};
    struct gle_device_kernel *kernel;
    struct gle_buffer *p;
    struct gle_error err = {0};

    if (gle_device_compile(device, source, "-cl-std=CL1.2", &err) ||
        gle_device_kernel(&kernel, device, "nothing", &err) || gle_buffer_create(&p, device, sizeof(float), &err) ||
        gle_device_set_buffer(kernel, 0, p, &err))
        stop_on(&err);
    card->launch = card->launch > 0.0 ? card->launch : INFINITY;
    for (int r = 0; r <= REPEATS; r++) {
        const double start = gle_clock();
        for (int i = 0; i < LAUNCHES; i++)
            if (gle_device_launch(kernel, groups, 1, &err))
                stop_on(&err);
        finish(device);
        if (r)
            card->launch = fmin(card->launch, (gle_clock() - start) / LAUNCHES);
    }
    gle_device_kernel_destroy(kernel);
    gle_buffer_destroy(p);
}

/* Too much for any cache. */
static size_t copy_size(const struct gle_device_info *info)
{
    const double most = info->is_gpu ? 512e6 : 128e6, room = fmin(info->max_buffer, 0.2 * info->memory);

    return (size_t)fmin(most, room) / 4096 * 4096;
}

static void measure_copies(struct card *card, struct gle_device *device)
{
    const size_t bytes = copy_size(&card->info);
    struct gle_buffer *from, *to;
    struct gle_error err = {0};
    double least = INFINITY;

    if (gle_buffer_create(&from, device, bytes, &err) || gle_buffer_create(&to, device, bytes, &err))
        stop_on(&err);
    finish(device); /* they are zeroed */
    for (int r = 0; r <= REPEATS; r++) {
        const double start = gle_clock();
        if (gle_buffer_copy(to, 0, from, 0, bytes, &err))
            stop_on(&err);
        finish(device);
        if (r)
            least = fmin(least, gle_clock() - start);
    }
    card->copy = fmax(card->copy, 2.0 * (double)bytes / least);
    card->copy_bytes = bytes;
    gle_buffer_destroy(from);
    gle_buffer_destroy(to);
}

void card_measure(struct card *card, struct gle_device *device)
{
    card->info = *gle_device_info(device);
    say("peaks of the device");
    measure_products(card, device);
    measure_launches(card, device);
    measure_copies(card, device);
}
