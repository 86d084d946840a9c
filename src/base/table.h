/* table.h - the one shape of every table whose rows a config can name: the parser, --list, --schema and the tests walk
 * it. */
#ifndef GLE_BASE_TABLE_H
#define GLE_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Every table that a config can name something from has rows that begin with this. `keys` describe the row's own
 * settings (NULL: none) and are decoded into params_size bytes. */
struct gle_key;
struct gle_row {
    const char *name; /* the word users write; NULL ends the table */
    const char *help; /* one line for --list and the schema */
    const struct gle_key *keys;
    size_t params_size;
};
/* A row with its decoded settings. row NULL: absent. */
struct gle_node;
struct gle_part {
    const struct gle_row *row;
    void *params; /* row->params_size bytes; NULL if 0 */
    const struct gle_node *src; /* where a config has it, for messages */
};
struct gle_table {
    const char *what; /* "activation", as in "unknown activation" */
    const void *rows; /* first row; each row begins with a struct gle_row */
    size_t stride;
};

/* Row i, or NULL after the last. */
const struct gle_row *gle_table_at(const struct gle_table *table, size_t i);
/* The row of that name, or NULL. */
const struct gle_row *gle_table_find(const struct gle_table *table, const char *name);

#endif
