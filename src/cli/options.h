/* options.h - the command line. */
#ifndef GLE_CLI_OPTIONS_H
#define GLE_CLI_OPTIONS_H

#include "base/error.h"
#include "config/experiment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum gle_action {
    GLE_RUN,
    GLE_CHECK,
    GLE_DRY_RUN,
    GLE_SHOW_RUNS,
    GLE_SUMMARISE,
    GLE_VERIFY,
    GLE_LIST,
    GLE_SHOW_SCHEMA,
    GLE_SHOW_VERSION,
    GLE_HELP,
};

struct gle_options {
    enum gle_action action;
    const char **configs; /* of GLE_SUMMARISE: folders; of GLE_VERIFY: either */
    size_t n_configs;
    struct gle_override *overrides; /* --set and --seed */
    size_t n_overrides;
    const char **variants;
    size_t n_variants;
    const char **points; /* of the sweep, by their labels; none: all */
    size_t n_points;
    const char *output;
    size_t threads; /* 0: as many as make sense */
    uint64_t *seeds; /* --seeds; NULL: the config's */
    size_t n_seeds;
    size_t jobs; /* runs at a time; 0: not said */
    bool force, resume, quiet, seed_given;
    bool anywhere; /* what is resumed may have been made on another backend or device */
    bool graph; /* a dry run that writes the network as a picture */
    char **owned; /* texts made while parsing */
    size_t n_owned;
};

/* Parses argv. Owns: the lists, until gle_options_clear(). Errors: GLE_EUSAGE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_options_parse(struct gle_options *o, int argc, char **argv, struct gle_error *err);
void gle_options_clear(struct gle_options *o);
void gle_options_help(FILE *file); /* what --help shows */

#endif
