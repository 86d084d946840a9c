/* keys.h - what a file may say: for --schema, --list and the contract tests. */
#ifndef GLE_CONFIG_KEYS_H
#define GLE_CONFIG_KEYS_H

#include "yaml/key.h"

/* The keys at the top of a file. */
extern const struct gle_key gle_experiment_keys[];
/* All tables a config can name something from, NULL-terminated. */
extern const struct gle_table *const gle_tables[];

#endif
