#include "data/npz_names.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *const gle_npz_names[GLE_NPZ_ROLES][GLE_SPLITS] = {
    [GLE_NPZ_X] = {[GLE_TRAIN] = "x", [GLE_VALIDATION] = "x_validation", [GLE_TEST] = "x_test"},
    [GLE_NPZ_Y] = {[GLE_TRAIN] = "y", [GLE_VALIDATION] = "y_validation", [GLE_TEST] = "y_test"},
    [GLE_NPZ_TARGETS] = {[GLE_TRAIN] = "targets",
                         [GLE_VALIDATION] = "targets_validation",
                         [GLE_TEST] = "targets_test"},
    [GLE_NPZ_MASK] = {[GLE_TRAIN] = "mask", [GLE_VALIDATION] = "mask_validation", [GLE_TEST] = "mask_test"},
    [GLE_NPZ_LENGTHS] = {[GLE_TRAIN] = "lengths",
                         [GLE_VALIDATION] = "lengths_validation",
                         [GLE_TEST] = "lengths_test"},
};

/* Words by which people call the parts of a data set. */
struct word {
    const char *text;
    int means; /* a role, or a split */
};
static const struct word role_words[] = {
    {"x", GLE_NPZ_X},          {"input", GLE_NPZ_X},        {"inputs", GLE_NPZ_X},   {"image", GLE_NPZ_X},
    {"images", GLE_NPZ_X},     {"data", GLE_NPZ_X},         {"feature", GLE_NPZ_X},  {"features", GLE_NPZ_X},
    {"sample", GLE_NPZ_X},     {"samples", GLE_NPZ_X},      {"y", GLE_NPZ_Y},        {"label", GLE_NPZ_Y},
    {"labels", GLE_NPZ_Y},     {"target", GLE_NPZ_TARGETS}, {"targets", GLE_NPZ_TARGETS},
    {"output", GLE_NPZ_TARGETS}, {"outputs", GLE_NPZ_TARGETS}, {"mask", GLE_NPZ_MASK}, {"masks", GLE_NPZ_MASK},
    {"length", GLE_NPZ_LENGTHS}, {"lengths", GLE_NPZ_LENGTHS}, {NULL, 0},
};
static const struct word split_words[] = {
    {"train", GLE_TRAIN},      {"training", GLE_TRAIN},     {"valid", GLE_VALIDATION}, {"val", GLE_VALIDATION},
    {"dev", GLE_VALIDATION},   {"validation", GLE_VALIDATION}, {"test", GLE_TEST},     {"testing", GLE_TEST},
    {NULL, 0},
};

/* What a word of n letters means; -1: nothing that is known. */
static int meaning(const struct word *words, const char *text, size_t n)
{
    for (; words->text; words++)
        if (strlen(words->text) == n && !strncasecmp(words->text, text, n))
            return words->means;
    return -1;
}

/* The length of the word at the beginning of a text: letters, up to a capital one behind a small one. */
static size_t word_length(const char *text)
{
    size_t n = 0;

    while (isalpha((unsigned char)text[n]) &&
           !(n && isupper((unsigned char)text[n]) && islower((unsigned char)text[n - 1])))
        n++;
    return n;
}

/* The name that a set's array should have, by the words of the one that it has: "X_test", "testX", "xtest"; NULL: it is
 * no set's. */
static const char *meant(const char *name)
{
    int role = -1, split = -1;

    for (size_t n; *name; name += n ? n : 1) {
        n = word_length(name);
        if (role < 0)
            role = meaning(role_words, name, n);
        if (split < 0)
            split = meaning(split_words, name, n);
        if (split < 0 && n && strchr("xXyY", *name) && meaning(split_words, name + 1, n - 1) >= 0) {
            split = meaning(split_words, name + 1, n - 1);
            role = meaning(role_words, name, 1);
        }
    }
    return role >= 0 && split >= 0 ? gle_npz_names[role][split] : NULL;
}

static bool is_known(const char *name)
{
    for (int role = 0; role < GLE_NPZ_ROLES; role++)
        for (int split = 0; split < GLE_SPLITS; split++)
            if (!strcmp(name, gle_npz_names[role][split]))
                return true;
    return false;
}

/* A name that begins as those of a role do, and is none of them. */
static int fail_of_role(const char *name, const char *const names[GLE_SPLITS], const struct gle_npz *npz,
                        const char *file, struct gle_error *err)
{
    struct gle_suggestion near = {.word = name};
    char hint[64] = "";

    for (int split = 0; split < GLE_SPLITS; split++)
        if (!gle_npz_has(npz, names[split]))
            gle_suggest(&near, names[split]);
    if (near.best)
        snprintf(hint, sizeof hint, " (did you mean '%s'?)", near.best);
    return gle_fail_in(err, GLE_EDATA, file, NULL, "%s is none of %s, %s and %s%s", name, names[GLE_TRAIN],
                       names[GLE_VALIDATION], names[GLE_TEST], hint);
}

static int check_name(const char *name, const struct gle_npz *npz, const char *file, struct gle_error *err)
{
    struct gle_suggestion near = {.word = name};
    const char *better = meant(name);

    for (int role = 0; role < GLE_NPZ_ROLES; role++) {
        const char *const *names = gle_npz_names[role];
        const size_t len = strlen(names[GLE_TRAIN]);
        if (!better && !strncmp(name, names[GLE_TRAIN], len) && name[len] == '_')
            return fail_of_role(name, names, npz, file, err);
        for (int split = 0; split < GLE_SPLITS; split++)
            if (strlen(name) > 2 || !strcasecmp(name, names[split])) /* of "z" anything would be near */
                gle_suggest(&near, names[split]);
    }
    if (!better && near.distance <= 1) /* "latest" is not meant for x_test */
        better = near.best;
    if (!better)
        return 0;
    if (gle_npz_has(npz, better))
        return gle_fail_in(err, GLE_EDATA, file, NULL,
                           "nothing uses an array '%s': %s, which it seems to be, is there, too; leave one of them out",
                           name, better);
    return gle_fail_in(err, GLE_EDATA, file, NULL, "nothing uses an array '%s' (did you mean '%s'?)", name, better);
}

int gle_npz_names_check(const struct gle_npz *npz, const char *file, struct gle_error *err)
{
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        const char *name = gle_npz_name(npz, i);
        if (!is_known(name) && check_name(name, npz, file, err))
            return -1;
    }
    return 0;
}

void gle_npz_note_unused(char *note, size_t size, const struct gle_npz *npz, const char *file,
                         bool (*is_used)(const void *ctx, const char *name), const void *ctx, const char *known)
{
    const size_t tail = strlen(known) + sizeof " and 18446744073709551615 more ()";
    size_t at = 0, n = 0, named = 0;

    note[0] = '\0';
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        const char *name = gle_npz_name(npz, i);
        if (is_used(ctx, name))
            continue;
        if (!n++)
            at = (size_t)snprintf(note, size, "%.200s: nothing uses", file);
        if (named + 1 < n || at + strlen(name) + tail > size)
            continue;
        at += (size_t)snprintf(note + at, size - at, "%s '%s'", named ? "," : "", name);
        named++;
    }
    if (n > named)
        at += (size_t)snprintf(note + at, size - at, named ? " and %zu more" : " %zu arrays", n - named);
    if (n)
        snprintf(note + at, size - at, " (%s)", known);
}
