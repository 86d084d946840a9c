#include "bench_card.h"
#include "base/clock.h"
#include "base/rng.h"
#include "bench_scaling.h"

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

/* Seconds for so many learning steps, until the last one is over. */
static double time_steps(struct gle_net *net, size_t steps)
{
    const struct gle_step step = {.learn = true, .lr = 1e-4};
    const double start = gle_clock();
    double losses[GLE_LOSSES];
    struct gle_error err = {0};
    size_t n;

    for (size_t i = 0; i < steps; i++)
        if (gle_net_queue(net, &step, losses, &n, &err))
            stop_on(&err);
    if (gle_net_collect(net, losses, &n, &err))
        stop_on(&err);
    return gle_clock() - start;
}

/* Seconds for a learning step of the network, the least. It has one input. */
static double time_network(struct gle_net *net, size_t rows)
{
    enum { STEPS = 4 };
    struct gle_error err = {0};
    struct gle_rng rng;
    double least = INFINITY;
    size_t ld;
    float *input;

    gle_rng_seed(&rng, 1);
    if (gle_net_init(net, &rng, &err))
        stop_on(&err);
    gle_net_set_batch(net, rows);
    input = gle_net_input(net, &ld);
    for (size_t b = 0; b < rows; b++)
        input[b * ld] = (float)b / (float)rows;
    for (int r = 0; r <= REPEATS; r++) { /* the first ones bring everything to the device */
        const double seconds = time_steps(net, STEPS) / STEPS;
        if (r)
            least = fmin(least, seconds);
    }
    return least;
}

/* Larger and larger networks, until a step takes long enough to have kept the whole device at work. */
static void measure_large_steps(struct card *card, struct gle_device *device, const char *scaling)
{
    static const double LONG = 10e-3;
    enum { SMALLEST = 512, LARGEST = 4096, LAYERS = 3 };
    double seconds = 0.0;

    for (size_t n = SMALLEST; n <= LARGEST && seconds < LONG; n *= 2) {
        const size_t size[SCALING_AXES] = {n, LAYERS, n};
        struct gle_experiments list;
        struct trial t;
        double speed;
        scaling_load(&list, scaling, size);
        trial_open_on(&t, list.item[0], device, 1, true);
        seconds = time_network(t.rows[0].nets[0], n);
        speed = 1e-3 * t.rows[0].learn.mflop / seconds;
        if (speed > card->sgemm) {
            card->sgemm = speed;
            card->sgemm_size = n;
        }
        trial_close(&t);
        gle_experiments_clear(&list);
    }
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

void card_measure(struct card *card, struct gle_device *device, const char *scaling)
{
    card->info = *gle_device_info(device);
    say("peaks of the device");
    measure_large_steps(card, device, scaling);
    measure_launches(card, device);
    measure_copies(card, device);
}
