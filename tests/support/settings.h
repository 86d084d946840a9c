/* settings.h - rows of tables with settings, for tests that walk the tables. */
#ifndef GLE_TESTS_SETTINGS_H
#define GLE_TESTS_SETTINGS_H

#include "base/table.h"
#include "yaml/key.h"

/* Instruction sets of this processor: 0 ... n-1 as enum gle_isa. */
int n_isas(void);

/* Decoded settings; they end with gle_doc_destroy(doc). */
struct settings {
    struct gle_doc *doc;
    struct gle_part part;
};

/* What a row that needs a file is given. */
extern const char *settings_file;

/* Of the settings in yaml, "{key: value}"; NULL: what the row needs at least, in range, the others by default. Fails
 * the test if they cannot be decoded. */
struct settings settings_of(const struct gle_row *row, const char *yaml);

/* Others than the defaults: {key: 0.375 times its default}, of real numbers. */
void write_other_settings(char *yaml, size_t size, const struct gle_key *keys);

#endif
