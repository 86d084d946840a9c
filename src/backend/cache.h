/* cache.h - binaries of compiled programs in the user's cache folder: $XDG_CACHE_HOME/glesim, else ~/.cache/glesim.
 * Nothing depends on it: what cannot be kept or found there is compiled. */
#ifndef GLE_BACKEND_CACHE_H
#define GLE_BACKEND_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* What an entry is found by. */
struct gle_cache_key {
    char hex[65]; /* the SHA-256 of n texts; "": there is no memory for it, and nothing is found or kept */
};
struct gle_cache_key gle_cache_key(const char *const texts[], size_t n);

/* The bytes that were kept under the key. An entry that is damaged, or another one's, is removed.
 * Owns: *bytes belongs to the caller (gle_free). False and NULL: there are none. */
bool gle_cache_take(unsigned char **bytes, size_t *size, const struct gle_cache_key *key);
/* Keeps a copy, whole or not at all. Of the others, those that were not used for 90 days go, and the oldest ones beyond
 * 64. */
void gle_cache_keep(const struct gle_cache_key *key, const void *bytes, size_t size);
/* Removes an entry that is of no use. */
void gle_cache_drop(const struct gle_cache_key *key);

#endif
