#include "report/provenance.h"
#include "base/archive.h"
#include "base/memory.h"
#include "kernel/kernel.h"
#include "version.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef __clang__
static const char compiler[] = "clang " __clang_version__;
#else
static const char compiler[] = "gcc " __VERSION__;
#endif

/* The "model name" of /proc/cpuinfo; "unknown" where there is none. */
static void find_cpu(char *name, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(name, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(name, size, "%.*s", (int)size - 1, colon);
        break;
    }
    if (f)
        fclose(f);
}

void gle_provenance_now(char text[32])
{
    const time_t t = time(NULL);
    struct tm utc;

    gmtime_r(&t, &utc);
    memset(text, 0, 32); /* a checkpoint has all of it */
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void gle_provenance_collect(struct gle_provenance *p, const char *command)
{
    *p = (struct gle_provenance){.version = GLE_VERSION,
                                 .commit = GLE_COMMIT,
                                 .compiler = compiler,
                                 .backend = "cpu",
                                 .isa = gle_isa_name(gle_isa_best()),
                                 .ranks = 1,
                                 .command = command};
    gle_blas_name(p->blas, sizeof p->blas);
    find_cpu(p->cpu, sizeof p->cpu);
    gle_provenance_now(p->start);
}

/* Room for n times in all. */
static int make_room(struct gle_provenance *p, size_t n, struct gle_error *err)
{
    char(*longer)[32] = gle_resize(p->resumed, n, sizeof *longer);

    if (!longer)
        return gle_fail(err, GLE_ENOMEM, "no memory for the report");
    p->resumed = longer;
    return 0;
}

int gle_provenance_resume(struct gle_provenance *p, struct gle_error *err)
{
    if (make_room(p, p->n_resumed + 1, err))
        return -1;
    gle_provenance_now(p->resumed[p->n_resumed++]);
    return 0;
}

/* What makers of the backend opencl begin with. */
static const char on_device[] = "opencl, ";

void gle_provenance_maker(char maker[GLE_MAKER], const struct gle_provenance *p)
{
    const bool blas = !strcmp(p->isa, gle_isa_name(GLE_ISA_BASE)); /* the others have products of their own */
    const struct gle_provenance_device *d = &p->device;
    const int n = d->name ? snprintf(maker, GLE_MAKER, "%s%.*s, driver %.40s, glesim %.40s%s%.40s", on_device,
                                     GLE_MAKER_DEVICE, d->name, d->driver, p->version, p->commit[0] ? " " : "",
                                     p->commit)
                          : snprintf(maker, GLE_MAKER, "%s, glesim %.40s%s%.40s, %.80s%s%.60s", p->isa, p->version,
                                     p->commit[0] ? " " : "", p->commit, p->compiler, blas ? ", " : "",
                                     blas ? p->blas : "");
    char ranks[GLE_MAKER_RANKS];

    assert(n > 0 && n < GLE_MAKER);
    if (p->ranks < 2)
        return;
    snprintf(ranks, sizeof ranks, ", %zu ranks", p->ranks); /* never cut off */
    snprintf(maker + (n < GLE_MAKER - GLE_MAKER_RANKS ? n : GLE_MAKER - GLE_MAKER_RANKS), GLE_MAKER_RANKS, "%s", ranks);
}

/* How many letters of a maker name a device; 0: it was the processors. */
static size_t device_length(const char *maker)
{
    const char *end = strstr(maker, ", driver ");

    return end ? (size_t)(end - maker) : 0;
}

/* Of a maker that ends with the number of ranks, the letters before that; else of all. */
static size_t program_length(const char *maker)
{
    static const char ranks[] = " ranks";
    const size_t n = strlen(maker), end = sizeof ranks - 1;
    const char *comma = strrchr(maker, ',');

    return n > end && comma && !strcmp(maker + n - end, ranks) ? (size_t)(comma - maker) : n;
}

void gle_provenance_device_name(char name[GLE_MAKER_DEVICE + 1], const char *maker)
{
    const size_t n = device_length(maker), from = sizeof on_device - 1;

    snprintf(name, GLE_MAKER_DEVICE + 1, "%.*s", n > from ? (int)(n - from) : 0, maker + (n > from ? from : 0));
}

/* Times in a row, each as gle_provenance_now() gives it. */
static int check_times(const struct gle_archive *a, const char *name, char (*times)[32], size_t n,
                       struct gle_error *err)
{
    static const char shape[] = "0000-00-00T00:00:00Z";

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof *times; k++) {
            const char c = times[i][k], wanted = k < sizeof shape ? shape[k] : '\0';
            if (wanted == '0' ? c < '0' || c > '9' : c != wanted)
                return gle_archive_fail(a, name, err, "byte %zu is none of a time", i * sizeof *times + k);
        }
    return 0;
}

static int visit_resumed(struct gle_provenance *p, struct gle_archive *a, struct gle_error *err)
{
    const size_t size = sizeof *p->resumed;
    size_t bytes = p->n_resumed * size;

    if (gle_archive_restores(a) && (gle_archive_length(&bytes, a, "resumed", err) || make_room(p, bytes / size, err)))
        return -1;
    if (gle_archive_bytes(a, "resumed", p->resumed, bytes / size * size, err))
        return -1;
    p->n_resumed = bytes / size;
    return gle_archive_restores(a) ? check_times(a, "resumed", p->resumed, p->n_resumed, err) : 0;
}

/* Appends one. */
static int add_earlier(struct gle_provenance *p, const char *maker, struct gle_error *err)
{
    char(*longer)[GLE_MAKER] = gle_resize(p->earlier, p->n_earlier + 1, sizeof *longer);

    if (!longer)
        return gle_fail(err, GLE_ENOMEM, "no memory for the report");
    p->earlier = longer;
    memset(longer[p->n_earlier], 0, GLE_MAKER); /* a checkpoint has all of it */
    snprintf(longer[p->n_earlier++], GLE_MAKER, "%s", maker);
    return 0;
}

/* Who made the run so far, and who had made parts of it before. */
static int visit_makers(struct gle_provenance *p, struct gle_archive *a, struct gle_error *err)
{
    size_t n = p->n_earlier;
    char now[GLE_MAKER], maker[GLE_MAKER];

    gle_provenance_maker(now, p);
    memcpy(maker, now, sizeof maker);
    if (gle_archive_count(a, "n_earlier", &n, 0, p->n_resumed, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        char name[32], text[GLE_MAKER] = "";
        snprintf(name, sizeof name, "earlier_%zu", i);
        if (i < p->n_earlier)
            memcpy(text, p->earlier[i], sizeof text);
        if (gle_archive_text(a, name, text, sizeof text, err) ||
            (gle_archive_restores(a) && add_earlier(p, text, err)))
            return -1;
    }
    if (gle_archive_text(a, "maker", maker, sizeof maker, err))
        return -1;
    p->changed = gle_archive_restores(a) && strcmp(maker, now);
    p->moved = p->changed && (device_length(maker) != device_length(now) || memcmp(maker, now, device_length(now)));
    p->recounted = p->changed && program_length(maker) == program_length(now) &&
                   !memcmp(maker, now, program_length(now));
    return p->changed ? add_earlier(p, maker, err) : 0;
}

int gle_provenance_archive(struct gle_provenance *p, struct gle_archive *a, struct gle_error *err)
{
    if (gle_archive_bytes(a, "start", p->start, sizeof p->start, err) ||
        (gle_archive_restores(a) && check_times(a, "start", &p->start, 1, err)))
        return -1;
    return visit_resumed(p, a, err) || visit_makers(p, a, err) ? -1 : 0;
}

void gle_provenance_clear(struct gle_provenance *p)
{
    gle_free(p->resumed);
    gle_free(p->earlier);
    p->resumed = NULL;
    p->earlier = NULL;
    p->n_resumed = p->n_earlier = 0;
}
