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

/* Whether name is "owner.x" with one of these as x. */
static bool is_one_of(const char *name, const char *owner, const char *const *of)
{
    const size_t len = strlen(owner);

    if (strncmp(name, owner, len) || name[len] != '.')
        return false;
    for (; *of; of++)
        if (!strcmp(name + len + 1, *of))
            return true;
    return false;
}

/* Whether an array of a file for the whole network is one of a layer's parameters, tau_r included: it is in every file
 * that a run writes, and comes from the config. */
static bool is_parameter(const void *experiment, const char *name)
{
    static const char *const others[] = {"bias", "tau_m", "tau_r", NULL};
    static const char *const of_source[] = {"weight", "feedback", "synapses", NULL};
    const struct gle_experiment *exp = experiment;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        if (is_one_of(name, l->name, others))
            return true;
        for (size_t j = 0; j < l->n_sources; j++)
            if (is_one_of(name, l->sources[j].label, of_source))
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
