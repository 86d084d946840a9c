/* bench_card.h - the most that a device does: products, copies, launches. Errors end the program. */
#ifndef GLE_TOOLS_BENCH_CARD_H
#define GLE_TOOLS_BENCH_CARD_H

#include "backend/device.h"
#include "bench.h"

/* Peaks of a device, the best of all measurements. */
struct card {
    struct gle_device_info info;
    double sgemm;      /* GFLOP/s of a tiled product of two large matrices, */
    size_t sgemm_size; /* of so many rows and columns */
    double copy;       /* bytes a second, read and written, of copies within its memory; */
    size_t copy_bytes; /* of so many each */
    double launch;     /* seconds for a launch with nothing to do, in a row of them */
};

/* Opens what --device names; NULL: the first one. */
struct gle_device *card_open(const char *wanted);
/* Measures (again) for some seconds; zero-initialise before the first time. */
void card_measure(struct card *card, struct gle_device *device);

#endif
