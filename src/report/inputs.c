#include "report/inputs.h"
#include "base/file.h"
#include "base/memory.h"
#include "parts/init.h"

#include <stdio.h>
#include <string.h>

/* The file of a part that is an initialiser, if it has one. */
static int add_part(struct gle_inputs *out, const struct gle_part *part, struct gle_error *err)
{
    const struct gle_init *init = (const struct gle_init *)part->row;
    const char *path = init && init->file ? init->file(part->params) : NULL;
    struct gle_input *longer;

    for (size_t i = 0; path && i < out->n; i++)
        if (!strcmp(out->file[i].path, path))
            return 0;
    if (!path)
        return 0;
    longer = gle_resize(out->file, out->n + 1, sizeof *longer);
    if (!longer)
        return gle_fail(err, GLE_ENOMEM, "no memory for the list of files");
    out->file = longer;
    longer[out->n++] = (struct gle_input){.path = path, .src = part->src};
    return 0;
}

static int add_settings(struct gle_inputs *out, const struct gle_settings *settings, struct gle_error *err)
{
    for (size_t i = 0; i < settings->n; i++)
        if (add_part(out, &settings->item[i].value, err))
            return -1;
    return 0;
}

int gle_inputs_list(struct gle_inputs *out, const struct gle_experiment *exp, struct gle_error *err)
{
    *out = (struct gle_inputs){0};
    for (size_t i = 0; i < exp->n_layers; i++)
        if (add_part(out, &exp->layers[i].weight, err) || add_part(out, &exp->layers[i].bias, err))
            return -1;
    if (exp->has_teacher && add_settings(out, &exp->teacher, err))
        return -1;
    for (size_t i = 0; i < exp->n_phases; i++)
        if (add_settings(out, &exp->phases[i].set, err))
            return -1;
    return 0;
}

int gle_input_read(struct gle_input *input, struct gle_error *err)
{
    if (!gle_file_sha256(input->sha256, input->path, GLE_EDATA, err))
        return 0;
    gle_node_place(err, input->src, NULL);
    return -1;
}

int gle_inputs_hash(struct gle_inputs *out, const struct gle_experiment *exp, const char data_sha256[65],
                    struct gle_error *err)
{
    int rc = gle_inputs_list(out, exp, err);

    snprintf(out->data_sha256, sizeof out->data_sha256, "%s", data_sha256);
    for (size_t i = 0; i < out->n && !rc; i++)
        rc = gle_input_read(&out->file[i], err);
    return rc;
}

void gle_inputs_clear(struct gle_inputs *inputs)
{
    gle_free(inputs->file);
    *inputs = (struct gle_inputs){0};
}
