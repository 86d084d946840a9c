#include "report/provenance.h"
#include "base/archive.h"
#include "base/memory.h"
#include "kernel/kernel.h"
#include "version.h"

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

int gle_provenance_archive(struct gle_provenance *p, struct gle_archive *a, struct gle_error *err)
{
    const size_t size = sizeof *p->resumed;
    size_t bytes = p->n_resumed * size;

    if (gle_archive_bytes(a, "start", p->start, sizeof p->start, err) ||
        (gle_archive_restores(a) && gle_archive_length(&bytes, a, "resumed", err)))
        return -1;
    if (gle_archive_restores(a) && make_room(p, bytes / size, err))
        return -1;
    if (gle_archive_bytes(a, "resumed", p->resumed, bytes / size * size, err))
        return -1;
    p->n_resumed = bytes / size;
    p->start[sizeof p->start - 1] = '\0';
    for (size_t i = 0; i < p->n_resumed; i++)
        p->resumed[i][size - 1] = '\0';
    return 0;
}

void gle_provenance_clear(struct gle_provenance *p)
{
    gle_free(p->resumed);
    p->resumed = NULL;
    p->n_resumed = 0;
}
