#include "cli/accelerator.h"
#include "backend/device.h"
#include "base/memory.h"
#include "report/provenance.h"
#include "solver/fleet.h"
#include "yaml/node.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_any_there(void)
{
    struct gle_error unknown = {0}; /* only a worse place for a message is lost */
    struct gle_device_info *infos;
    size_t n;

    if (gle_devices_list(&infos, &n, &unknown))
        return false;
    gle_free(infos);
    return n > 0;
}

/* The number of the first GPU; name: as far as a maker has it; NULL: any. "" if there is none. */
static int find_gpu(char number[256], const char *name, struct gle_error *err)
{
    struct gle_device_info *infos;
    size_t n;

    if (gle_devices_list(&infos, &n, err))
        return -1;
    number[0] = '\0';
    for (size_t i = 0; i < n && !number[0]; i++) {
        char kept[GLE_MAKER_DEVICE + 1];
        snprintf(kept, sizeof kept, "%.*s", GLE_MAKER_DEVICE, infos[i].name);
        if (infos[i].is_gpu && (!name || !strcmp(kept, name)))
            snprintf(number, 256, "%zu", i);
    }
    gle_free(infos);
    return 0;
}

/* The same for any GPU, in a process of its own: drivers have threads, and may crash or hang, which is nothing to a run
 * on a machine without one. A driver that does not answer is none, and *why says so. */
static void look_for_gpu(char number[256], char *why, size_t size)
{
    enum { PATIENCE_MS = 20000 };
    struct pollfd answer = {.events = POLLIN};
    int ends[2], polled;
    pid_t pid;

    number[0] = '\0';
    if (pipe(ends))
        return;
    pid = fork();
    if (!pid) {
        struct gle_error unsaid = {0};
        if (find_gpu(number, NULL, &unsaid) || write(ends[1], number, 256) < 0)
            _exit(1);
        _exit(0);
    }
    close(ends[1]);
    answer.fd = ends[0];
    do
        polled = pid < 0 ? -1 : poll(&answer, 1, PATIENCE_MS);
    while (polled < 0 && errno == EINTR && pid > 0);
    if (polled <= 0 || read(ends[0], number, 256) != 256)
        number[0] = '\0';
    if (!polled)
        snprintf(why, size, "no driver has answered within %d s", PATIENCE_MS / 1000);
    close(ends[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
}

/* What `auto` takes, in words for gle_device_open(); "": the processors. */
static int resolve_auto(char wanted[256], struct gle_accelerator *a, const struct gle_experiment *exp,
                        const struct gle_auto *may, struct gle_error *err)
{
    wanted[0] = '\0';
    if (may->resumes && !*may->former)
        return 0;
    if (exp->device) {
        snprintf(wanted, 256, "%s", exp->device);
        return 0;
    }
    if (may->resumes)
        return find_gpu(wanted, may->former, err);
    if (may->looks)
        look_for_gpu(wanted, a->why, sizeof a->why);
    return 0;
}

static int open_named(struct gle_device **out, const struct gle_experiment *exp, const char *wanted,
                      struct gle_error *err)
{
    if (gle_device_open(out, wanted, err))
        return -1;
    if (exp->backend == GLE_BACKEND_OPENCL || gle_device_info(*out)->is_gpu)
        return 0;
    gle_fail(err, GLE_EDEVICE, "'%s' is no GPU, and the backend auto takes no other device; opencl does",
             gle_device_info(*out)->name);
    gle_device_close(*out);
    *out = NULL;
    return -1;
}

/* A GPU that nobody named, and that cannot be opened, is as good as none. */
static int open_for(struct gle_accelerator *a, const struct gle_experiment *exp, struct gle_error *err)
{
    const bool is_auto = exp->backend == GLE_BACKEND_AUTO;
    struct gle_error own = {0};

    if (!open_named(&a->device, exp, *a->wanted ? a->wanted : NULL, &own))
        return 0;
    if (is_auto && !exp->device) {
        snprintf(a->why, sizeof a->why, "%.*s", (int)sizeof a->why - 1, own.text);
        return 0;
    }
    gle_fail(err, own.code, "%s", own.text);
    gle_node_place(err, exp->compute_src, is_auto || (exp->device && is_any_there()) ? "device" : "backend");
    return -1;
}

void gle_accelerator_start(struct gle_accelerator *a, size_t n_threads)
{
    *a = (struct gle_accelerator){
        .is_shared = n_threads > 1, .n_threads = n_threads, .lock = PTHREAD_MUTEX_INITIALIZER};
}

void gle_accelerator_drop(struct gle_accelerator *a)
{
    gle_fleet_close(a->fleet);
    gle_device_close(a->device);
    a->fleet = NULL;
    a->device = NULL;
    a->failed = false;
}

static int open_anew(struct gle_accelerator *a, const struct gle_experiment *exp, const char *wanted,
                     struct gle_error *err)
{
    gle_accelerator_drop(a);
    a->backend = exp->backend;
    snprintf(a->wanted, sizeof a->wanted, "%s", wanted);
    if (open_for(a, exp, err))
        return -1;
    if (a->device && gle_fleet_open(&a->fleet, a->device, a->n_threads, err)) {
        gle_accelerator_drop(a);
        return -1;
    }
    return 0;
}

/* Whether what is open is what an experiment wants. */
static bool fits(const struct gle_accelerator *a, const struct gle_experiment *exp, const char *wanted)
{
    return a->fleet && (a->is_shared || (!a->failed && a->backend == exp->backend && !strcmp(a->wanted, wanted)));
}

static int open_wanted(struct gle_fleet **out, struct gle_accelerator *a, const struct gle_experiment *exp,
                       const struct gle_auto *may, struct gle_error *err)
{
    char wanted[256];

    a->why[0] = '\0';
    if (exp->backend == GLE_BACKEND_CPU)
        return 0;
    if (exp->backend == GLE_BACKEND_OPENCL)
        snprintf(wanted, sizeof wanted, "%s", exp->device ? exp->device : "");
    else if (resolve_auto(wanted, a, exp, may, err))
        return -1;
    else if (!*wanted)
        return 0;
    if (!fits(a, exp, wanted) && open_anew(a, exp, wanted, err))
        return -1;
    *out = a->fleet;
    return 0;
}

int gle_accelerator_open(struct gle_fleet **out, struct gle_accelerator *a, const struct gle_experiment *exp,
                         const struct gle_auto *may, struct gle_error *err)
{
    int rc;

    *out = NULL;
    pthread_mutex_lock(&a->lock);
    rc = open_wanted(out, a, exp, may, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

void gle_accelerator_fail(struct gle_accelerator *a)
{
    pthread_mutex_lock(&a->lock);
    a->failed = true;
    pthread_mutex_unlock(&a->lock);
}

void gle_accelerator_leave(struct gle_accelerator *a)
{
    pthread_mutex_lock(&a->lock);
    a->n_threads--;
    if (a->fleet)
        gle_fleet_leave(a->fleet);
    pthread_mutex_unlock(&a->lock);
}

void gle_accelerator_enter(struct gle_accelerator *a)
{
    pthread_mutex_lock(&a->lock);
    a->n_threads++;
    if (a->fleet)
        gle_fleet_enter(a->fleet);
    pthread_mutex_unlock(&a->lock);
}

void gle_accelerator_close(struct gle_accelerator *a)
{
    gle_accelerator_drop(a);
    pthread_mutex_destroy(&a->lock);
}
