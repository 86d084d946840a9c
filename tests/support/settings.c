#include "settings.h"
#include "build.h"
#include "kernel/isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int n_isas(void)
{
    return (int)gle_isa_best() + 1;
}

const char *settings_file = "/tmp/none.npz";

/* What a custom value may be in place of: the key of its first form. */
static const struct gle_key *form_of(const struct gle_key *key)
{
    const struct gle_form *form = ((const struct gle_custom *)key->more)->forms;

    return form->kind == GLE_FORM_VALUE ? form->key : key;
}

static void write_required(char *yaml, size_t size, const struct gle_key *keys)
{
    size_t at = (size_t)snprintf(yaml, size, "{");

    for (const struct gle_key *key = keys; key && key->name; key++) {
        const struct gle_key *k = key->kind == GLE_KEY_KIND_CUSTOM ? form_of(key) : key;
        if (key->fallback)
            continue;
        at += (size_t)snprintf(yaml + at, size - at, "%s%s: ", at > 1 ? ", " : "", key->name);
        if (k->kind == GLE_KEY_KIND_PATH || k->kind == GLE_KEY_KIND_TEXT)
            at += (size_t)snprintf(yaml + at, size - at, "%s", settings_file);
        else if (k->kind == GLE_KEY_KIND_REAL || k->kind == GLE_KEY_KIND_COUNT)
            at += (size_t)snprintf(yaml + at, size - at, "%g", fmin(fmax(10.0, k->low), k->high));
        else
            at += (size_t)snprintf(yaml + at, size - at, "0.5");
    }
    snprintf(yaml + at, size - at, "}");
}

void write_other_settings(char *yaml, size_t size, const struct gle_key *keys)
{
    size_t at = (size_t)snprintf(yaml, size, "{");

    for (const struct gle_key *k = keys; k && k->name; k++)
        if (k->kind == GLE_KEY_KIND_REAL && k->fallback)
            at += (size_t)snprintf(yaml + at, size - at, "%s%s: %g", at > 1 ? ", " : "", k->name,
                                   fmin(fmax(0.375 * atof(k->fallback), k->low), k->high));
    snprintf(yaml + at, size - at, "}");
}

struct settings settings_of(const struct gle_row *row, const char *yaml)
{
    struct settings s = {0};
    struct gle_errors errs = {0};
    char needed[1024];

    write_required(needed, sizeof needed, row->keys);
    if (gle_doc_parse(&s.doc, yaml ? yaml : needed, strlen(yaml ? yaml : needed), "test", &errs) ||
        gle_decode_part(&s.part, row, NULL, s.doc, s.doc->root, &errs))
        fail_msg("%s %s: %s", row->name, yaml ? yaml : needed, errs.item[0].text);
    return s;
}
