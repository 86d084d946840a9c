/* wire.h - what ranks cost that make the steps of one run together: a model, by a few numbers of the way between them.
 * What is sent is what gle_comm_sum_both() sends, and the rules by which it does so are here.
 *
 * A rank sends to all others at once: the first message is there after the latency, each further one OVERHEAD of it
 * later, and bytes go out one after the other. For p ranks, and q = 1 + OVERHEAD (p - 2):
 *   all know bytes b of each          t = q latency + (p - 1) b / rate
 *   n floats added, slice by slice    t = 2 (q latency + (p - 1) / p 4 n / rate) + n adding
 * The first is what becomes of few numbers, which each adds by itself: + p n adding. */
#ifndef GLE_COMM_WIRE_H
#define GLE_COMM_WIRE_H

#include <stdbool.h>
#include <stddef.h>

/* --- how sums are sent --- */

enum { GLE_WIRE_PIECE = 1 << 24 }; /* floats that are added at a time */

/* Bytes of doubles with the floats behind them. */
size_t gle_wire_bytes(size_t n_doubles, size_t n);
/* Whether each sends all of both to all others; if not, doubles go so, and floats slice by slice. */
bool gle_wire_goes_at_once(size_t ranks, size_t n_doubles, size_t n);
/* sums (n) = those of parts, each of n floats and ld from the one before, added in their order in double precision.
 * sums may be a part. */
void gle_wire_add(float *sums, const float *parts, size_t n, size_t ld, size_t n_parts);

/* --- what that costs --- */

struct gle_wire {
    double latency; /* seconds until a short message is there */
    double rate;    /* bytes a second */
    double adding;  /* seconds for a float of a part */
};

/* Seconds of gle_comm_sum_both(); 0 of one rank. */
double gle_wire_sum(const struct gle_wire *wire, size_t ranks, size_t n_doubles, size_t n);
/* The wire by which ranks (2 or more) take `few` seconds for a double, and `many` for n floats and no double, as
 * measured. */
struct gle_wire gle_wire_fit(size_t ranks, double few, double many, size_t n, double adding);

/* Learning steps of a run. */
struct gle_wire_load {
    const size_t *rows;    /* (n_points), falling: the whole batch comes first */
    const double *seconds; /* (n_points): computation of a step with so many rows, by one rank */
    size_t n_points;       /* at least 1 */
    size_t n_gradients;    /* numbers that are added */
    size_t every;          /* steps between two sums */
};

/* Of p ranks, the part of a step that is computation: of the one with most rows; between points by a straight line, and
 * below the last one as that. */
double gle_wire_computation(const struct gle_wire_load *load, size_t ranks);
/* And the part that is communication. */
double gle_wire_communication(const struct gle_wire_load *load, const struct gle_wire *wire, size_t ranks);
/* The number of ranks, up to `most`, with which steps are the fastest. */
size_t gle_wire_best(const struct gle_wire_load *load, const struct gle_wire *wire, size_t most);
/* The batch from which two ranks are faster than one, by what a row costs between the first two points; 0: no batch
 * is known to be, since rows cost nothing there. */
double gle_wire_pays_from(const struct gle_wire_load *load, const struct gle_wire *wire);

/* Seconds until n runs of so many seconds are over, each of which begins, in their order, where a place becomes free.
 * until: (n_places), room; n_places >= 1. */
double gle_wire_hand_out(const double *seconds, size_t n, double *until, size_t n_places);

#endif
