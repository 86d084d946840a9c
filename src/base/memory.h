/* memory.h - the one door to the heap, so that tests can make allocation k fail, and arenas for things that live
 * and die together (a config's nodes and everything decoded from them). */
#ifndef GLE_BASE_MEMORY_H
#define GLE_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory for n objects of size bytes; NULL when there is none or n * size overflows. Free with gle_free(). */
void *gle_calloc(size_t n, size_t size);
/* As realloc for n objects of size bytes (new bytes not zeroed); on failure NULL and the old block stays. */
void *gle_resize(void *old, size_t n, size_t size);
/* n zeroed floats on a 64-byte boundary; NULL as above. Free with gle_free(). */
float *gle_floats(size_t n);
void gle_free(void *block); /* NULL is fine */

/* Bytes of memory that this machine has, or that the process may have, if that is less. */
double gle_memory_there(void);

/* How many allocations have failed so far: for callers of a library that allocates through here and does not tell. */
size_t gle_memory_failures(void);

/* Test hook: lets `count` allocations pass and fails every later one; (size_t)-1 (the default) never fails. */
void gle_memory_fail_after(size_t count);

/* Blocks that are freed together. */
struct gle_arena;
struct gle_arena *gle_arena_create(void); /* NULL: no memory */
void gle_arena_destroy(struct gle_arena *arena); /* NULL is fine */
/* Zeroed, aligned for any type; lives as long as the arena; NULL: no memory. A size of 0 gives a valid pointer. */
void *gle_arena_alloc(struct gle_arena *arena, size_t n, size_t size);
/* A NUL-terminated copy of len bytes. */
char *gle_arena_text(struct gle_arena *arena, const char *text, size_t len);

#endif
