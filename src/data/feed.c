#include "data/feed.h"
#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* The batch that is being shown, one that is ready, and one in the making: a sample takes much less time than the steps
 * that it is shown for, so that more would only take memory. */
enum { SLOTS = 3 };

/* A batch, and room for what it shows. */
struct slot {
    struct gle_batch batch;
    uint32_t *rows;
    float *frames;
    size_t *n_frames;
    uint64_t first_draw;
    bool plain;
    size_t taken, made, end; /* samples that threads have begun, and finished; those before which they are to */
};

struct queued {
    struct gle_pass pass;
    uint32_t *rows; /* a copy of the pass's */
    size_t at;      /* samples in batches so far */
};

struct worker {
    struct gle_feed *feed;
    void *desk;
    pthread_t thread;
    bool started;
};

struct gle_feed {
    const struct gle_data *data;
    size_t batch_max;
    size_t part, parts; /* see gle_feed_share() */
    struct queued queue[GLE_FEED_PASSES]; /* queue[0] is the pass that batches come from */
    size_t n_queued;
    /* Batches follow each other round the slots: slots[first] is being shown, if `shown`, then those in the making. */
    struct slot slots[SLOTS];
    size_t first, n_slots;
    bool shown;
    /* Threads, where samples have to be made. All of the above is theirs, too, under the lock. */
    size_t n_workers;
    struct worker *workers;
    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    bool leaving;
};

static bool is_made(const struct gle_feed *feed)
{
    return feed->data->maker.make != NULL;
}

static size_t sample_size(const struct gle_data *data)
{
    return data->maker.frames_max * data->n_channels;
}

/* --- batches --- */

static void drop_pass(struct gle_feed *feed)
{
    gle_free(feed->queue[0].rows);
    feed->n_queued--;
    memmove(&feed->queue[0], &feed->queue[1], feed->n_queued * sizeof feed->queue[0]);
}

/* Begins the next batch, if there is one and room for it. */
static bool begin_batch(struct gle_feed *feed)
{
    struct queued *from = &feed->queue[0];
    struct slot *slot = &feed->slots[(feed->first + feed->n_slots) % SLOTS];
    const struct gle_maker *maker = &feed->data->maker;
    size_t B;

    if (!feed->n_queued || feed->n_slots == SLOTS)
        return false;
    B = from->pass.n - from->at < from->pass.batch_size ? from->pass.n - from->at : from->pass.batch_size;
    memcpy(slot->rows, from->rows + from->at, B * sizeof *slot->rows);
    slot->batch = (struct gle_batch){
        .split = from->pass.split, .rows = slot->rows, .B = B};
    slot->batch.n_steps = gle_data_longest(feed->data, from->pass.split, slot->rows, B);
    slot->first_draw = from->pass.first_draw + from->at;
    slot->plain = from->pass.plain;
    slot->end = is_made(feed) ? B * (feed->part + 1) / feed->parts : B;
    slot->taken = slot->made = is_made(feed) ? B * feed->part / feed->parts : B;
    if (is_made(feed)) {
        for (size_t b = 0; b < B; b++)
            slot->n_frames[b] = maker->length(maker->state, from->pass.split,
                                              gle_data_number(feed->data, from->pass.split, slot->rows[b]));
        slot->batch.frames = slot->frames;
        slot->batch.n_frames = slot->n_frames;
    }
    feed->n_slots++;
    from->at += B;
    if (from->at == from->pass.n)
        drop_pass(feed);
    return true;
}

/* --- threads --- */

/* The batch whose samples come next, or NULL: only the last one begun can have any left. */
static struct slot *find_work(struct gle_feed *feed)
{
    struct slot *last = feed->n_slots ? &feed->slots[(feed->first + feed->n_slots - 1) % SLOTS] : NULL;

    if (last && last->taken < last->end)
        return last;
    return begin_batch(feed) ? &feed->slots[(feed->first + feed->n_slots - 1) % SLOTS] : NULL;
}

static void *make_samples(void *arg)
{
    const struct worker *self = arg;
    struct gle_feed *feed = self->feed;
    const struct gle_maker *maker = &feed->data->maker;

    pthread_mutex_lock(&feed->lock);
    while (!feed->leaving) {
        struct slot *slot = find_work(feed);
        size_t b;
        if (!slot) {
            pthread_cond_wait(&feed->work, &feed->lock);
            continue;
        }
        b = slot->taken++;
        pthread_mutex_unlock(&feed->lock);
        maker->make(maker->state, self->desk, slot->frames + b * sample_size(feed->data), slot->batch.split,
                    gle_data_number(feed->data, slot->batch.split, slot->rows[b]),
                    slot->plain ? GLE_NO_DRAW : slot->first_draw + b);
        pthread_mutex_lock(&feed->lock);
        if (++slot->made == slot->end)
            pthread_cond_signal(&feed->ready);
    }
    pthread_mutex_unlock(&feed->lock);
    return NULL;
}

static int start_workers(struct gle_feed *feed, size_t n, struct gle_error *err)
{
    const struct gle_maker *maker = &feed->data->maker;

    feed->workers = gle_calloc(n, sizeof *feed->workers);
    if (!feed->workers)
        return gle_fail(err, GLE_ENOMEM, "no memory for the threads that make samples");
    feed->n_workers = n;
    for (size_t i = 0; i < n; i++) {
        struct worker *w = &feed->workers[i];
        w->feed = feed;
        w->desk = maker->open_desk(maker->state);
        if (!w->desk)
            return gle_fail(err, GLE_ENOMEM, "no memory for the threads that make samples");
        w->started = !pthread_create(&w->thread, NULL, make_samples, w);
        if (!w->started)
            return gle_fail(err, GLE_ENOMEM, "no thread to make samples is to be had");
    }
    return 0;
}

static void stop_workers(struct gle_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    feed->leaving = true;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
    for (size_t i = 0; i < feed->n_workers; i++) {
        if (feed->workers[i].started)
            pthread_join(feed->workers[i].thread, NULL);
        feed->data->maker.close_desk(feed->workers[i].desk);
    }
    gle_free(feed->workers);
}

/* --- the feed --- */

static int make_room(struct gle_feed *feed, struct gle_error *err)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &feed->slots[i];
        slot->rows = gle_calloc(feed->batch_max, sizeof *slot->rows);
        if (is_made(feed)) {
            slot->n_frames = gle_calloc(feed->batch_max, sizeof *slot->n_frames);
            slot->frames = gle_calloc(feed->batch_max, sample_size(feed->data) * sizeof *slot->frames);
        }
        if (!slot->rows || (is_made(feed) && (!slot->n_frames || !slot->frames)))
            return gle_fail(err, GLE_ENOMEM, "no memory for batches of %zu samples", feed->batch_max);
    }
    return 0;
}

int gle_feed_open(struct gle_feed **out, const struct gle_data *data, size_t batch_max, size_t n_threads,
                  struct gle_error *err)
{
    struct gle_feed *feed = gle_calloc(1, sizeof *feed);

    *out = NULL;
    if (!feed)
        return gle_fail(err, GLE_ENOMEM, "no memory for the feed of samples");
    feed->data = data;
    feed->batch_max = batch_max;
    feed->parts = 1;
    pthread_mutex_init(&feed->lock, NULL);
    pthread_cond_init(&feed->work, NULL);
    pthread_cond_init(&feed->ready, NULL);
    if (make_room(feed, err) || (is_made(feed) && start_workers(feed, n_threads, err))) {
        gle_feed_close(feed);
        return -1;
    }
    *out = feed;
    return 0;
}

void gle_feed_share(struct gle_feed *feed, size_t part, size_t parts)
{
    pthread_mutex_lock(&feed->lock);
    feed->part = part;
    feed->parts = parts;
    pthread_mutex_unlock(&feed->lock);
}

void gle_feed_close(struct gle_feed *feed)
{
    if (!feed)
        return;
    if (feed->workers)
        stop_workers(feed);
    while (feed->n_queued)
        drop_pass(feed);
    for (size_t i = 0; i < SLOTS; i++) {
        gle_free(feed->slots[i].rows);
        gle_free(feed->slots[i].frames);
        gle_free(feed->slots[i].n_frames);
    }
    pthread_cond_destroy(&feed->ready);
    pthread_cond_destroy(&feed->work);
    pthread_mutex_destroy(&feed->lock);
    gle_free(feed);
}

int gle_feed_add(struct gle_feed *feed, const struct gle_pass *pass, struct gle_error *err)
{
    uint32_t *rows = gle_calloc(pass->n, sizeof *rows);

    assert(pass->n && pass->batch_size && pass->batch_size <= feed->batch_max);
    if (!rows)
        return gle_fail(err, GLE_ENOMEM, "no memory for the order of samples");
    memcpy(rows, pass->rows, pass->n * sizeof *rows);
    pthread_mutex_lock(&feed->lock);
    assert(feed->n_queued < GLE_FEED_PASSES);
    feed->queue[feed->n_queued++] = (struct queued){.pass = *pass, .rows = rows};
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
    return 0;
}

const struct gle_batch *gle_feed_next(struct gle_feed *feed, double *waited)
{
    const double start = gle_clock();
    struct slot *slot;

    pthread_mutex_lock(&feed->lock);
    if (feed->shown) {
        feed->first = (feed->first + 1) % SLOTS;
        feed->n_slots--;
    }
    pthread_cond_broadcast(&feed->work);
    if (!feed->n_slots)
        begin_batch(feed);
    assert(feed->n_slots);
    slot = &feed->slots[feed->first];
    while (slot->made < slot->end)
        pthread_cond_wait(&feed->ready, &feed->lock);
    feed->shown = true;
    pthread_mutex_unlock(&feed->lock);
    *waited += gle_clock() - start;
    return &slot->batch;
}

double gle_feed_bytes(const struct gle_data *data, size_t batch_max)
{
    return data->maker.make ? (double)(SLOTS * sizeof(float) * batch_max) * (double)sample_size(data) : 0.0;
}
