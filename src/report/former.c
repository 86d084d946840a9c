/* What a report that is there already says. */
#include "base/file.h"
#include "base/memory.h"
#include "report/json.h"

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

void gle_report_other_inputs(char what[GLE_DIFFERENCE], const char *path, const struct gle_report *r)
{
    json_t *root = gle_json_load(path);
    const json_t *data = json_object_get(root, "dataset"), *files = json_object_get(root, "init");

    what[0] = '\0';
    if (is_other(data, r->data->sha256))
        tell_other(what, "the data set", data, r->data->sha256);
    for (size_t i = 0; i < r->inputs.n && !what[0]; i++) /* a folder that was moved has the same files elsewhere */
        if (is_other(json_array_get(files, i), r->inputs.file[i].sha256))
            tell_other(what, r->inputs.file[i].path, json_array_get(files, i), r->inputs.file[i].sha256);
    json_decref(root);
}
