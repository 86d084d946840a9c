/* choice.h - the backend that a run takes. */
#ifndef GLE_CLI_CHOICE_H
#define GLE_CLI_CHOICE_H

#include "backend/device.h"
#include "cli/accelerator.h"
#include "data/data.h"
#include "report/provenance.h"
#include "solver/fleet.h"
#include "solver/room.h"
#include "train/race.h"

#include <stdio.h>

struct gle_choice {
    struct gle_fleet *fleet;     /* what it is; NULL: the processors */
    struct gle_device_info info; /* of the device that it is, or that `auto` has looked at; "" for its name: none */
    bool has_room;               /* `room` is known: */
    struct gle_net_room room;    /* what the run's networks take there, or would take */
    bool raced;
    struct gle_race race;        /* by which `auto` has chosen */
    char why[256];               /* why `auto` cannot use the device; "": it can */
};

struct gle_candidate {
    struct gle_fleet *fleet; /* of gle_accelerator_open(), */
    const char *why;         /* with its word on it, where it is NULL */
    double taken;            /* bytes of its memory that others have */
    bool races;              /* `auto` chooses */
};

/* Looks whether there is room for the run's networks on a device that could be opened and, if `auto` is to choose,
 * which backend is faster. The run is as it was.
 * threads: of the processors.
 * Errors: GLE_EDEVICE, placed in the config: there is not enough room, and no choice. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_choice_make(struct gle_choice *choice, const struct gle_candidate *candidate,
                                   const struct gle_graph *graph, const struct gle_data *data, size_t threads,
                                   struct gle_error *err);
/* Says on `to` what `auto` went by, if it has looked at a GPU. */
void gle_choice_tell(FILE *to, const struct gle_choice *choice);
/* The same for the report. Borrows choice. */
void gle_choice_report(struct gle_provenance *p, const struct gle_choice *choice);

#endif
