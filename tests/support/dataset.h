/* dataset.h - opens data sets by settings as users write them, for tests. */
#ifndef GLE_TESTS_DATASET_H
#define GLE_TESTS_DATASET_H

#include "data/data.h"
#include "yaml/key.h"

/* A data set with its settings; doc owns what they point to. */
struct chosen {
    const struct gle_dataset *set;
    struct gle_doc *doc;
    void *params;
};

/* Returns -1 with the first error of the settings. Owns: forget(), also after an error. */
int choose(struct chosen *c, const char *name, const char *yaml, struct gle_error *err);
void forget(struct chosen *c);

/* Chooses and opens. Returns -1 with the first error. */
int try_open(struct gle_data **data, const char *name, const char *yaml, double validation,
             const struct gle_data_context *ctx, struct gle_error *err);
/* The same; fails the test on any error. Owns: gle_data_close(). */
struct gle_data *open_data(const char *name, const char *yaml, double validation, const struct gle_data_context *ctx);
/* Samples in memory as a batch. Overwritten by the next call. */
const struct gle_batch *batch_of(const struct gle_data *data, enum gle_split split, const uint32_t *rows, size_t B);
/* The test fails unless opening fails with this code and text. */
void assert_not_opened(const char *name, const char *yaml, double validation, const struct gle_data_context *ctx,
                       enum gle_code code, const char *text);

#endif
