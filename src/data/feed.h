/* feed.h - the batches of one pass after another. Where samples have to be made, threads of its own make them ahead of
 * the network; which thread makes what changes nothing. */
#ifndef GLE_DATA_FEED_H
#define GLE_DATA_FEED_H

#include "data/data.h"

/* A pass over samples of one split, in batches. */
struct gle_pass {
    enum gle_split split;
    const uint32_t *rows; /* (n): their numbers, in order; a training pass may show one several times */
    size_t n;
    size_t batch_size;
    uint64_t first_draw;  /* maker's draw of the first sample; the others count on from there */
    bool plain;           /* if so, there are no draws: training samples are shown as they are */
};

struct gle_feed;

/* Starts n_threads >= 1 threads, if data has a maker. batch_max: of all passes.
 * Owns:   *out belongs to the caller (gle_feed_close); borrows data.
 * Errors: GLE_ENOMEM (also: no thread to be had). On error *out is NULL. */
GLE_MUST_CHECK int gle_feed_open(struct gle_feed **out, const struct gle_data *data, size_t batch_max, size_t n_threads,
                                 struct gle_error *err);
void gle_feed_close(struct gle_feed *feed); /* NULL is fine; stops the threads, whatever they are at */

/* Of the samples of each batch, those that are made are the ones of this part out of so many: the others are somebody
 * else's, and their frames are anything. Before the first pass is added. */
void gle_feed_share(struct gle_feed *feed, size_t part, size_t parts);

/* Says which pass comes after those that were added before; at most GLE_FEED_PASSES may not be over yet. rows are
 * copied.
 * Errors: GLE_ENOMEM. */
enum { GLE_FEED_PASSES = 2 };
GLE_MUST_CHECK int gle_feed_add(struct gle_feed *feed, const struct gle_pass *pass, struct gle_error *err);

/* The next batch of the passes added, waiting for it if it must; it stays as it is until the next call. There must be
 * one: no batch goes beyond the end of its pass. Seconds waited are added to *waited. */
const struct gle_batch *gle_feed_next(struct gle_feed *feed, double *waited);

/* Bytes that a feed for data holds. */
double gle_feed_bytes(const struct gle_data *data, size_t batch_max);

#endif
