/* Threads whose nets are on a device: who waits for whom. */
#include "solver/fleet.h"
#include "base/memory.h"
#include "solver/device_inside.h"

#include <assert.h>

int gle_fleet_open(struct gle_fleet **out, struct gle_device *device, size_t n_threads, struct gle_error *err)
{
    struct gle_fleet *fleet = gle_calloc(1, sizeof *fleet);

    assert(n_threads);
    *out = NULL;
    if (!fleet)
        return gle_fail(err, GLE_ENOMEM, "no memory for networks on a device");
    *fleet = (struct gle_fleet){.device = device, .n_opened_for = n_threads, .n_threads = n_threads};
    if (pthread_mutex_init(&fleet->lock, NULL)) {
        gle_free(fleet);
        return gle_fail(err, GLE_ENOMEM, "no lock for a device");
    }
    if (pthread_cond_init(&fleet->over, NULL)) {
        pthread_mutex_destroy(&fleet->lock);
        gle_free(fleet);
        return gle_fail(err, GLE_ENOMEM, "no lock for a device");
    }
    *out = fleet;
    return 0;
}

void gle_fleet_close(struct gle_fleet *fleet)
{
    if (!fleet)
        return;
    assert(!fleet->convoys);
    pthread_cond_destroy(&fleet->over);
    pthread_mutex_destroy(&fleet->lock);
    gle_free(fleet);
}

struct gle_device *gle_fleet_device(const struct gle_fleet *fleet)
{
    return fleet->device;
}

void gle_fleet_lock(struct gle_fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
}

void gle_fleet_unlock(struct gle_fleet *fleet)
{
    pthread_mutex_unlock(&fleet->lock);
}

/* Nobody is at work: serves all that wait, and lets them go on. */
static void serve(struct gle_fleet *fleet)
{
    for (struct gle_convoy *c = fleet->convoys; c; c = c->next)
        gle_convoy_serve(c);
    fleet->n_waiting = 0;
    fleet->round++;
    pthread_cond_broadcast(&fleet->over);
}

bool gle_fleet_meet(struct gle_net *net, enum request what)
{
    struct gle_net_device *d = net->device;
    struct gle_fleet *fleet = gle_fleet_of(net);
    uint64_t round;

    if (d->err.code != GLE_OK)
        return false;
    gle_fleet_lock(fleet);
    d->request = what;
    fleet->n_waiting++;
    assert(fleet->n_waiting <= fleet->n_threads);
    round = fleet->round;
    if (fleet->n_waiting == fleet->n_threads)
        serve(fleet);
    while (fleet->round == round)
        pthread_cond_wait(&fleet->over, &fleet->lock);
    gle_fleet_unlock(fleet);
    return d->err.code == GLE_OK;
}

void gle_fleet_enter(struct gle_fleet *fleet)
{
    gle_fleet_lock(fleet);
    fleet->n_threads++;
    gle_fleet_unlock(fleet);
}

void gle_fleet_leave(struct gle_fleet *fleet)
{
    gle_fleet_lock(fleet);
    fleet->n_threads--;
    if (fleet->n_waiting && fleet->n_waiting == fleet->n_threads)
        serve(fleet);
    gle_fleet_unlock(fleet);
}
