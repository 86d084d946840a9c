#include "report/folder.h"
#include "base/memory.h"
#include "base/text.h"
#include "report/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_SIZE = 128 }; /* of a part of a dotted key */

/* --- seeds --- */

static int compare_seeds(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Of the folder of a run: a seed as glesim writes it. */
static bool is_seed(uint64_t *seed, const char *dir, const char *name)
{
    char path[GLE_REPORT_PATH], again[32];
    struct stat st;

    if (strncmp(name, "seed_", 5) || gle_text_count(seed, name + 5))
        return false;
    snprintf(again, sizeof again, "seed_%llu", (unsigned long long)*seed);
    if (strcmp(again, name))
        return false;
    snprintf(path, sizeof path, "%.4000s/%s/metrics.json", dir, name);
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

int gle_folder_seeds(uint64_t **seeds, size_t *n, const char *dir, struct gle_error *err)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    int rc = 0;

    *seeds = NULL;
    *n = 0;
    while (d && !rc && (entry = readdir(d))) {
        uint64_t seed, *longer;
        if (!is_seed(&seed, dir, entry->d_name))
            continue;
        longer = gle_resize(*seeds, *n + 1, sizeof *longer);
        if (longer) {
            *seeds = longer;
            longer[(*n)++] = seed;
        } else {
            rc = gle_fail(err, GLE_ENOMEM, "no memory for the seeds in %.200s", dir);
        }
    }
    if (d)
        closedir(d);
    if (*n)
        qsort(*seeds, *n, sizeof **seeds, compare_seeds);
    if (rc) {
        gle_free(*seeds);
        *seeds = NULL;
        *n = 0;
    }
    return rc;
}

/* --- reports --- */

json_t *gle_folder_report(const char *dir)
{
    char path[GLE_REPORT_PATH];

    snprintf(path, sizeof path, "%.4000s/metrics.json", dir);
    return gle_json_load(path);
}

json_t *gle_folder_summary(const char *dir)
{
    char path[GLE_REPORT_PATH];

    snprintf(path, sizeof path, "%.4000s/summary.json", dir);
    return gle_json_load(path);
}

const char *gle_folder_status(const json_t *report, const char *dir)
{
    const char *status = json_string_value(json_object_get(report, "status"));

    if (status && !strcmp(status, "running") && !gle_report_is_held(dir))
        return "broken off";
    return status ? status : "";
}

/* --- configs --- */

/* The container that holds the last part of a dotted key, "a.b[0].c", and that part: a key, or, "" then, an index. */
static json_t *find_parent(json_t *at, const char *path, char key[KEY_SIZE], size_t *index)
{
    for (;;) {
        const size_t n = strcspn(path, ".[");
        char *end;

        key[0] = '\0';
        if (*path == '[') {
            *index = strtoul(path + 1, &end, 10);
            if (!json_is_array(at) || *end != ']')
                return NULL;
            path = end + 1;
        } else {
            if (!n || n >= KEY_SIZE || !json_is_object(at))
                return NULL;
            memcpy(key, path, n);
            key[n] = '\0';
            path += n;
        }
        if (!*path)
            return at;
        at = key[0] ? json_object_get(at, key) : json_array_get(at, *index);
        path += *path == '.';
    }
}

json_t *gle_folder_value(json_t *config, const char *path)
{
    char key[KEY_SIZE];
    size_t index = 0;
    const json_t *parent = find_parent(config, path, key, &index);

    return key[0] ? json_object_get(parent, key) : json_array_get(parent, index);
}

/* Of a part that has a type the whole is taken out: another type has other settings. */
static void take_out(json_t *config, const char *path)
{
    char key[KEY_SIZE], above[4 * KEY_SIZE];
    const char *type = strrchr(path, '.');
    size_t index = 0;
    json_t *parent;

    if (type && !strcmp(type, ".type") && (size_t)(type - path) < sizeof above) {
        snprintf(above, sizeof above, "%.*s", (int)(type - path), path);
        path = above;
    }
    parent = find_parent(config, path, key, &index);
    if (parent && key[0])
        json_object_del(parent, key);
    else if (parent)
        json_array_set_new(parent, index, json_null());
}

/* A copy without what may differ. */
static json_t *core_of(const json_t *config, const struct gle_experiment *exp, const json_t *keys,
                       const json_t *more_keys)
{
    static const char *const free_keys[] = {"seed", "description", "record", "diagnose", "compute"};
    const json_t *const swept[] = {keys, more_keys};
    json_t *core = json_deep_copy(config), *value;
    const char *key;

    gle_json_add_defaults(core, exp->src);
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        json_object_del(core, free_keys[i]);
    for (size_t i = 0; i < sizeof swept / sizeof *swept; i++)
        json_object_foreach ((json_t *)swept[i], key, value)
            take_out(core, key);
    return core;
}

bool gle_folder_same_base(const json_t *a, const json_t *b, const struct gle_experiment *exp, const json_t *keys,
                          const json_t *more_keys)
{
    json_t *core_a = core_of(a, exp, keys, more_keys), *core_b = core_of(b, exp, keys, more_keys);
    const bool same = core_a && core_b && json_equal(core_a, core_b);

    json_decref(core_a);
    json_decref(core_b);
    return same;
}

bool gle_folder_same_config(const json_t *a, const json_t *b, const struct gle_experiment *exp)
{
    return gle_folder_same_base(a, b, exp, NULL, NULL);
}

/* Files of initial values go by their order, since a folder may be moved. A report of an older program has none. */
static bool same_files(const json_t *a, const json_t *b)
{
    const size_t n = json_array_size(a);

    if (!a || !b)
        return true;
    for (size_t i = 0; i < n && n == json_array_size(b); i++)
        if (!json_equal(json_object_get(json_array_get(a, i), "sha256"),
                        json_object_get(json_array_get(b, i), "sha256")))
            return false;
    return n == json_array_size(b);
}

/* Whether a file that both name has another checksum. */
static bool changed_files(const json_t *a, const json_t *b)
{
    json_t *one, *other;
    size_t i, k;

    json_array_foreach ((json_t *)a, i, one)
        json_array_foreach ((json_t *)b, k, other)
            if (json_equal(json_object_get(one, "path"), json_object_get(other, "path")) &&
                !json_equal(json_object_get(one, "sha256"), json_object_get(other, "sha256")))
                return true;
    return false;
}

bool gle_folder_changed_data(const json_t *a, const json_t *b, const struct gle_experiment *exp)
{
    static const char *const sources[] = {"dataset", "dt"};
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const json_t *one = json_object_get(json_object_get(a, "dataset"), "sha256");
    const json_t *other = json_object_get(json_object_get(b, "dataset"), "sha256");
    bool alike = !set->signal && !set->divides && one && other;

    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        alike = alike && json_equal(json_object_get(json_object_get(a, "config"), sources[i]),
                                    json_object_get(json_object_get(b, "config"), sources[i]));
    return (alike && !json_equal(one, other)) ||
           changed_files(json_object_get(a, "init"), json_object_get(b, "init"));
}

bool gle_folder_same_data(const json_t *a, const json_t *b, const struct gle_experiment *exp)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const json_t *one = json_object_get(json_object_get(a, "dataset"), "sha256");
    const json_t *other = json_object_get(json_object_get(b, "dataset"), "sha256");

    return same_files(json_object_get(a, "init"), json_object_get(b, "init")) &&
           (set->signal || set->divides || !one || !other || json_equal(one, other));
}
