#include "cli/notes.h"
#include "data/npz_names.h"

#include <stdio.h>
#include <string.h>

static void note_skipped(const struct gle_data *data)
{
    if (data->n_skipped)
        fprintf(stderr, "glesim: %zu file%s left out; the first: %s\n", data->n_skipped,
                data->n_skipped > 1 ? "s" : "", data->skipped);
}

/* Whether an array of a file for the whole network is one of a layer's parameters, tau_r included: it is in every file
 * that a run writes, and comes from the config. */
static bool is_parameter(const void *experiment, const char *name)
{
    const struct gle_experiment *exp = experiment;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const size_t len = strlen(exp->layers[i].name);
        if (strncmp(name, exp->layers[i].name, len) || name[len] != '.')
            continue;
        for (const struct gle_row *p = gle_params; p->name; p++)
            if (!strcmp(name + len + 1, p->name))
                return true;
        if (!strcmp(name + len + 1, "tau_r"))
            return true;
    }
    return false;
}

/* What is wrong with the file is for the run to say. */
static void note_weights(const struct gle_experiment *exp)
{
    struct gle_error err = {0};
    char note[GLE_NOTE_MIN];
    struct gle_npz *npz;

    if (!exp->init_file || gle_npz_open(&npz, exp->init_file, &err))
        return;
    gle_npz_note_unused(note, sizeof note, npz, exp->init_file, is_parameter, exp,
                        "LAYER.weight, LAYER.bias and LAYER.tau_m of the layers are used");
    if (*note)
        fprintf(stderr, "glesim: %s\n", note);
    gle_npz_close(npz);
}

static void note_batch(const struct gle_experiment *exp, const struct gle_data *data)
{
    const size_t n = data->split[GLE_TRAIN].n;

    if (!data->signal.play && n < exp->batch_size)
        fprintf(stderr, "glesim: training.batch_size is %llu, and the training set has %zu sample%s: all of them make "
                "one batch\n", (unsigned long long)exp->batch_size, n, n == 1 ? "" : "s");
}

void gle_notes_print(const struct gle_experiment *exp, const struct gle_data *data)
{
    note_skipped(data);
    if (data->note[0])
        fprintf(stderr, "glesim: %s\n", data->note);
    note_weights(exp);
    note_batch(exp, data);
}
