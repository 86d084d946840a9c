/* What a report that is there already says. */
#include "base/file.h"
#include "base/memory.h"
#include "report/json.h"
#include "yaml/key.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

json_t *gle_json_load(const char *path)
{
    struct gle_error unread = {0};
    unsigned char *bytes;
    size_t size;
    json_t *root;

    if (gle_file_read(&bytes, &size, path, SIZE_MAX / 4, false, GLE_EDATA, &unread))
        return NULL;
    root = json_loadb((const char *)bytes, size, 0, NULL);
    gle_free(bytes);
    return root;
}

void gle_report_status(char *status, size_t size, char config_sha256[65], const char *path)
{
    json_t *root = gle_json_load(path);
    const char *word = json_string_value(json_object_get(root, "status"));
    const char *sha256 = json_string_value(json_object_get(root, "config_sha256"));

    snprintf(status, size, "%s", word ? word : "");
    snprintf(config_sha256, 65, "%s", sha256 ? sha256 : "");
    json_decref(root);
}

/* Whether a checksum that a report has is another one. */
static bool is_other(const json_t *of, const char *sha256)
{
    const char *there = json_string_value(json_object_get(of, "sha256"));

    return there && strcmp(there, sha256);
}

static void tell_other(char what[GLE_DIFFERENCE], const char *name, const json_t *of, const char *sha256)
{
    snprintf(what, GLE_DIFFERENCE, "the checksum of %s is %.12s... there, %.12s... here", name,
             json_string_value(json_object_get(of, "sha256")), sha256);
}

/* "the data set data.npz": with the last part of the file's or folder's name, if it has one. */
static void name_data(char *name, size_t size, const struct gle_experiment *exp)
{
    const struct gle_key *key = exp->dataset.row->keys;
    const struct gle_node *node = NULL;
    const char *slash;

    for (; key && key->name && !node; key++)
        if (key->kind == GLE_KEY_KIND_PATH)
            node = gle_node_get(exp->dataset.src, key->name);
    snprintf(name, size, "the data set");
    slash = node && node->text ? strrchr(node->text, '/') : NULL;
    if (node && node->text)
        snprintf(name, size, "the data set %.120s", slash ? slash + 1 : node->text);
}

void gle_report_other_inputs(char what[GLE_DIFFERENCE], const struct gle_report *report,
                             const struct gle_inputs *inputs)
{
    char path[GLE_REPORT_PATH], name[160];
    json_t *root;
    const json_t *data, *files;

    gle_report_path(path, report, "metrics.json");
    root = gle_json_load(path);
    data = json_object_get(root, "dataset");
    files = json_object_get(root, "init");
    what[0] = '\0';
    name_data(name, sizeof name, report->exp);
    if (is_other(data, inputs->data_sha256))
        tell_other(what, name, data, inputs->data_sha256);
    for (size_t i = 0; i < inputs->n && !what[0]; i++) /* a folder that was moved has the same files elsewhere */
        if (is_other(json_array_get(files, i), inputs->file[i].sha256))
            tell_other(what, inputs->file[i].path, json_array_get(files, i), inputs->file[i].sha256);
    json_decref(root);
}
