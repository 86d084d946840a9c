#include "report/inputs.h"
#include "base/file.h"
#include "base/memory.h"
#include "parts/feedback.h"
#include "parts/init.h"

#include <stdio.h>
#include <string.h>

/* path NULL: there is none. */
static int add_file(struct gle_inputs *out, const char *path, const struct gle_node *src, struct gle_error *err)
{
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
    longer[out->n++] = (struct gle_input){.path = path, .src = src};
    return 0;
}

/* The file of a part that is an initialiser, if it has one. */
static int add_part(struct gle_inputs *out, const struct gle_part *part, struct gle_error *err)
{
    const struct gle_init *init = (const struct gle_init *)part->row;

    return add_file(out, init && init->file ? init->file(part->params) : NULL, part->src, err);
}

/* The mask of a link, if it has one. */
static int add_link(struct gle_inputs *out, const struct gle_source_cfg *c, struct gle_error *err)
{
    const struct gle_link *link = (const struct gle_link *)c->connect.row;

    return add_file(out, link->file ? link->file(c->connect.params) : NULL, c->src, err);
}

static int add_sources(struct gle_inputs *out, const struct gle_layer_cfg *l, struct gle_error *err)
{
    for (size_t i = 0; i < l->n_sources; i++) {
        const struct gle_source_cfg *c = &l->sources[i];
        if (add_link(out, c, err) || add_part(out, &c->weight, err) ||
            (c->feedback->own && add_part(out, &((const struct gle_feedback_params *)c->feedback_params)->weight, err)))
            return -1;
    }
    for (size_t i = 0; i < l->n_errors_from; i++)
        if (add_part(out, &l->errors_from[i].weight, err))
            return -1;
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
        if (add_sources(out, &exp->layers[i], err) || add_part(out, &exp->layers[i].bias, err))
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
