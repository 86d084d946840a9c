/* provenance.h - which program on which machine made a result. */
#ifndef GLE_REPORT_PROVENANCE_H
#define GLE_REPORT_PROVENANCE_H

#include <stddef.h>

struct gle_provenance {
    const char *version, *commit, *compiler;
    char blas[64], cpu[128];
    const char *backend;  /* "cpu" */
    const char *isa;      /* instruction set of the kernels */
    size_t threads;
    char start[32], end[32]; /* UTC, ISO 8601; end "" while running */
    const char *command;     /* the command line; borrowed */
};

/* Everything but threads; start is now. */
void gle_provenance_collect(struct gle_provenance *p, const char *command);
/* The time now, as in start and end. */
void gle_provenance_now(char text[32]);

#endif
