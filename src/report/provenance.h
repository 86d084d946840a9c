/* provenance.h - which program on which machine made a result. */
#ifndef GLE_REPORT_PROVENANCE_H
#define GLE_REPORT_PROVENANCE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* What the bits of a result depend on, beside config and data. */
enum { GLE_MAKER = 256, GLE_MAKER_DEVICE = 60, /* letters of a device's name in it */
       GLE_MAKER_RANKS = 32 };

/* The device of a backend; borrowed. name NULL: the processors. */
struct gle_provenance_device {
    const char *name, *driver, *platform;
};

/* What the backend `auto` went by; texts are borrowed. */
struct gle_provenance_auto {
    bool has_looked;      /* at a GPU; the rest holds */
    const char *gpu;      /* its name; "" or NULL: it could not be opened */
    const char *unusable; /* why it cannot be used; "" or NULL: it can */
    double on_gpu, on_processors; /* microseconds of a learning step; NaN: not measured */
};

struct gle_provenance {
    const char *version, *commit, *compiler;
    char blas[64], cpu[128];
    const char *backend;  /* "cpu", "opencl" */
    struct gle_provenance_device device;
    struct gle_provenance_auto looked_at;
    const char *isa;      /* instruction set of the kernels */
    size_t threads;
    size_t ranks; /* over which the rows of batches were spread; 1: they were not */
    char start[32], end[32]; /* UTC, ISO 8601; end "" while running */
    const char *command;     /* the command line; borrowed */
    char (*resumed)[32];     /* when the run was resumed, likewise; owned (gle_provenance_clear) */
    size_t n_resumed;
    /* What made the former parts of a run that was resumed, where that was another program, device or instruction set
     * than what went on with it: "avx2, glesim 0.9.0 ...", in order; owned likewise. */
    char (*earlier)[GLE_MAKER];
    size_t n_earlier;
    bool changed; /* the last of them is what had written the checkpoint that this process went on from, */
    bool moved;   /* on another backend or device; */
    bool recounted; /* by another number of ranks, and nothing else is changed */
};

/* Everything but threads, and on the processors; start is now. */
void gle_provenance_collect(struct gle_provenance *p, const char *command);
/* The time now, as in start and end. */
void gle_provenance_now(char text[32]);

/* The run is resumed now. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_provenance_resume(struct gle_provenance *p, struct gle_error *err);
/* The instruction set, or the device, the program, and the ranks that are at work now. */
void gle_provenance_maker(char maker[GLE_MAKER], const struct gle_provenance *p);
/* The name of the device that a maker tells of, cut to GLE_MAKER_DEVICE letters; "": the processors. */
void gle_provenance_device_name(char name[GLE_MAKER_DEVICE + 1], const char *maker);
/* Saves when the run was started and resumed, and by what it was made, or restores it. Errors: as base/archive.h. */
struct gle_archive;
GLE_MUST_CHECK int gle_provenance_archive(struct gle_provenance *p, struct gle_archive *a, struct gle_error *err);
void gle_provenance_clear(struct gle_provenance *p);

#endif
