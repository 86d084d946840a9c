#include "base/memory.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The only mutable globals of the program: a test hook, and what memory.h says of failures. */
static atomic_size_t allocations_left = SIZE_MAX;
static atomic_size_t failures;

static int refused(size_t n, size_t size)
{
    if (size && n > SIZE_MAX / 2 / size)
        return 1;
    if (atomic_load_explicit(&allocations_left, memory_order_relaxed) == SIZE_MAX)
        return 0;
    if (atomic_load(&allocations_left) == 0)
        return 1;
    atomic_fetch_sub(&allocations_left, 1);
    return 0;
}

static void *noted(void *block)
{
    if (!block)
        atomic_fetch_add(&failures, 1);
    return block;
}

size_t gle_memory_failures(void)
{
    return atomic_load(&failures);
}

void gle_memory_fail_after(size_t count)
{
    atomic_store(&allocations_left, count);
}

void *gle_calloc(size_t n, size_t size)
{
    return noted(refused(n, size) ? NULL : calloc(n ? n : 1, size ? size : 1));
}

void *gle_resize(void *old, size_t n, size_t size)
{
    return noted(refused(n, size) ? NULL : realloc(old, n && size ? n * size : 1));
}

float *gle_floats(size_t n)
{
    const size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
    float *block;

    if (refused(n + 16, sizeof(float)))
        return noted(NULL);
    block = aligned_alloc(64, bytes ? bytes : 64);
    if (block)
        memset(block, 0, bytes);
    return noted(block);
}

void gle_free(void *block)
{
    free(block);
}

enum { CHUNK_BYTES = 1 << 16 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct gle_arena {
    struct chunk *chunks;
};

struct gle_arena *gle_arena_create(void)
{
    return gle_calloc(1, sizeof(struct gle_arena));
}

void gle_arena_destroy(struct gle_arena *arena)
{
    if (!arena)
        return;
    for (struct chunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        gle_free(c);
    }
    gle_free(arena);
}

void *gle_arena_alloc(struct gle_arena *arena, size_t n, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    struct chunk *c = arena->chunks;
    size_t bytes;
    void *block;

    if (size && n > SIZE_MAX / 4 / size)
        return NULL;
    bytes = (n * size + align) / align * align;
    if (!c || c->size - c->used < bytes) {
        const size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        c = gle_calloc(1, sizeof *c + room);
        if (!c)
            return NULL;
        c->size = room;
        c->next = arena->chunks;
        arena->chunks = c;
    }
    block = c->bytes + c->used;
    c->used += bytes;
    return block;
}

char *gle_arena_text(struct gle_arena *arena, const char *text, size_t len)
{
    char *copy = gle_arena_alloc(arena, len + 1, 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

/* What a container may have at most. */
static double limit_of_container(void)
{
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "r");
    double bytes = 0.0;
    const bool known = f && fscanf(f, "%lf", &bytes) == 1; /* else it says "max" */

    if (f)
        fclose(f);
    return known ? bytes : INFINITY;
}

double gle_memory_there(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    const double machine = pages > 0 && size > 0 ? (double)pages * (double)size : INFINITY;
    const double most = fmin(machine, limit_of_container());
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return most;
    return fmin(most, (double)limit.rlim_cur);
}
