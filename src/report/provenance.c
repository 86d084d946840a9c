#include "report/provenance.h"
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
