#include "config/claims.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a report has at its top and a claim can be about, what a run comes to and how large it is; beside `final`. */
#define OTHERS(X)                                                                                                      \
    X(best) X(epochs) X(phases) X(evaluations) X(parameters) X(confusion) X(network) X(diagnostics) X(stopped_early)   \
    X(dataset) X(clip) X(timing)
#define AS_NAME(top) #top,
#define AS_CHOICE(top) "|" #top
static const char *const tops[] = {"final", OTHERS(AS_NAME)};
/* Paths, as gle_claim_step_take() takes them. */
#define PATH_PATTERN "^(final" OTHERS(AS_CHOICE) ")(\\.[^.\\[\\]]+|\\[-?[0-9]+\\])*$"
enum { N_TOPS = sizeof tops / sizeof *tops, SHA256_DIGITS = 64 };

struct claim_keys {
    const char *path, *weights, *seeds, *variant, *point;
    double value, tolerance;
    uint64_t seed;
};

static const struct gle_key claim_keys[] = {
    GLE_KEY_PATTERN(struct claim_keys, path, GLE_ABSENT, PATH_PATTERN,
                    "where in metrics.json the number is: keys with dots between them, items of lists by [0], [1] ..., "
                    "from the end by [-1], as in final.test.accuracy or phases[-1].last_loss"),
    GLE_KEY_REAL(struct claim_keys, value, GLE_ABSENT, -1e300, 1e300, "", "what the number is claimed to be"),
    GLE_KEY_REAL(struct claim_keys, tolerance, GLE_ABSENT, 0.0, 1e300, "",
                 "how far it may be off, in either direction; 0: not at all"),
    GLE_KEY_PATTERN(struct claim_keys, weights, GLE_ABSENT, "^[0-9a-f]{64}$",
                    "in place of path, value and tolerance: the SHA-256 of weights.npz; such bits can be had again by "
                    "the same program on the same kind of machine"),
    GLE_KEY_COUNT(struct claim_keys, seed, GLE_ABSENT, 0, 9.2e18, "", "the seed of the run"),
    GLE_KEY_TEXT(struct claim_keys, seeds, GLE_ABSENT, "seeds of runs, as in 0-9,12, of which the mean is claimed"),
    GLE_KEY_TEXT(struct claim_keys, variant, GLE_ABSENT, "the variant; default: each one, if there are any"),
    GLE_KEY_TEXT(struct claim_keys, point, GLE_ABSENT,
                 "the combination of the sweep, by the name of its folder; default: each one, if there is a sweep"),
    GLE_KEY_END,
};

/* --- paths --- */

int gle_claim_step_take(struct gle_claim_step *step, const char *p)
{
    const char *end;
    char *behind;

    *step = (struct gle_claim_step){.key = NULL};
    if (*p == '[') {
        step->index = strtol(p + 1, &behind, 10);
        if (!strchr("-0123456789", p[1]) || behind == p + 1 || *behind != ']')
            return -1;
        end = behind + 1;
    } else {
        step->key = p;
        step->len = strcspn(p, ".[]");
        end = p + step->len;
        if (!step->len)
            return -1;
    }
    if (*end == ']' || (step->key == NULL && *end && *end != '.' && *end != '['))
        return -1;
    step->rest = *end == '.' ? end + 1 : end;
    return *end == '.' && (!end[1] || end[1] == '[') ? -1 : 0;
}

static int check_path(const char *path, const struct gle_node *map, struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = NULL};
    struct gle_claim_step step;
    char first[64];
    bool known = false;

    for (const char *at = path; *at || at == path; at = step.rest)
        if (gle_claim_step_take(&step, at))
            return gle_node_error(errs, GLE_ECONFIG, map, "path",
                                  "a path into metrics.json is wanted, as in final.test.accuracy or "
                                  "phases[-1].last_loss");
    snprintf(first, sizeof first, "%.*s", (int)strcspn(path, ".["), path);
    near.word = first;
    for (size_t i = 0; i < N_TOPS; i++) {
        known = known || !strcmp(first, tops[i]);
        gle_suggest(&near, tops[i]);
    }
    if (known)
        return 0;
    return gle_node_error(errs, GLE_ECONFIG, map, "path",
                          near.best ? "no number of a report is under '%s' (did you mean '%s'?)"
                                    : "no number of a report is under '%s'; most are under final, epochs or phases",
                          first, near.best);
}

/* --- a claim --- */

static int check_weights(const struct gle_node *map, const char *weights, struct gle_errors *errs)
{
    static const char *const others[] = {"path", "value", "tolerance", "seeds"};
    int rc = 0;

    if (strlen(weights) != SHA256_DIGITS || strspn(weights, "0123456789abcdef") != SHA256_DIGITS)
        rc = gle_node_error(errs, GLE_ECONFIG, map, "weights",
                            "the SHA-256 of weights.npz is wanted: %d digits 0-9, a-f", SHA256_DIGITS);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (gle_node_get(map, others[i]))
            rc = gle_node_error(errs, GLE_ECONFIG, map, others[i],
                                "beside weights only 'seed' can stand, and 'variant' and 'point'");
    return rc;
}

static int check_number(const struct gle_node *map, const char *path, struct gle_errors *errs)
{
    static const char *const needed[] = {"value", "tolerance"};
    int rc = 0;

    if (!path)
        return gle_node_error(errs, GLE_ECONFIG, map, NULL, "needs the key 'path', or 'weights'");
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!gle_node_get(map, needed[i]))
            rc = gle_node_error(errs, GLE_ECONFIG, map, NULL, "needs the key '%s'", needed[i]);
    return rc | check_path(path, map, errs);
}

/* The seeds of a claim, in doc's arena. */
static int take_seeds(struct gle_claim *out, const struct claim_keys *keys, struct gle_doc *doc,
                      const struct gle_node *map, struct gle_errors *errs)
{
    struct gle_error why = {0};
    uint64_t *found = NULL, *kept;
    size_t n = 0;
    int rc = 0;

    if (!gle_node_get(map, "seed") == !keys->seeds)
        return gle_node_error(errs, GLE_ECONFIG, map, NULL,
                              keys->seeds ? "either 'seed' or 'seeds', not both" : "needs the key 'seed', or 'seeds'");
    if (keys->seeds && gle_seeds_add(&found, &n, keys->seeds, &why))
        rc = gle_node_error(errs, why.code == GLE_ENOMEM ? GLE_ENOMEM : GLE_ECONFIG, map, "seeds", "%s", why.text);
    kept = gle_arena_alloc(doc->arena, n ? n : 1, sizeof *kept);
    if (!rc && !kept)
        rc = gle_node_error(errs, GLE_ENOMEM, map, NULL, "no memory");
    if (!rc) {
        kept[0] = keys->seed;
        for (size_t i = 0; i < n; i++)
            kept[i] = found[i];
        out->seeds = kept;
        out->n_seeds = n ? n : 1;
    }
    gle_free(found);
    return rc;
}

static int decode_claim(struct gle_claim *out, struct gle_doc *doc, struct gle_node *map, struct gle_errors *errs)
{
    struct claim_keys keys = {0};
    int rc;

    if (gle_decode(&keys, claim_keys, doc, map, errs))
        return -1;
    *out = (struct gle_claim){.path = keys.path, .value = keys.value, .tolerance = keys.tolerance,
                              .weights = keys.weights, .variant = keys.variant, .point = keys.point, .src = map};
    rc = keys.weights ? check_weights(map, keys.weights, errs) : check_number(map, keys.path, errs);
    return rc | take_seeds(out, &keys, doc, map, errs);
}

static int decode_claims(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_claims *out = field;
    int rc = 0;

    if (node->kind != GLE_NODE_LIST)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "a list of claims is wanted, as in [{path: "
                                                             "final.test.accuracy, value: 0.9, tolerance: 0.01, "
                                                             "seed: 1}]");
    if (!node->n_items)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "is empty: leave the key out where nothing is claimed");
    out->item = gle_arena_alloc(doc->arena, node->n_items, sizeof *out->item);
    if (!out->item)
        return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for %zu claims", node->n_items);
    for (size_t i = 0; i < node->n_items; i++)
        rc |= decode_claim(&out->item[out->n++], doc, node->items[i], errs);
    return rc;
}

static const struct gle_key claim_key = {.name = "claim", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = claim_keys};
static const struct gle_form claims_forms[] = {{.kind = GLE_FORM_LIST, .key = &claim_key}, {.kind = GLE_FORM_END}};
const struct gle_custom gle_claims_custom = {
    .decode = decode_claims, .type = "list of claims", .forms = claims_forms};

/* --- of an experiment --- */

bool gle_claim_concerns(const struct gle_claim *claim, const struct gle_experiment *exp)
{
    return (!claim->variant || (exp->variant && !strcmp(claim->variant, exp->variant))) &&
           (!claim->point || (exp->sweep.label && !strcmp(claim->point, exp->sweep.label)));
}

/* A map with the section of those that are of this run. */
static int keep_section(struct gle_experiment *exp, struct gle_errors *errs)
{
    struct gle_node *root = gle_arena_alloc(exp->doc->arena, 1, sizeof *root);
    struct gle_node *list = gle_arena_alloc(exp->doc->arena, 1, sizeof *list), *copy = NULL;

    if (!root || !list)
        return gle_node_error(errs, GLE_ENOMEM, exp->src, NULL, "no memory for the claims");
    *root = (struct gle_node){.kind = GLE_NODE_MAP, .file = exp->src->file};
    *list = (struct gle_node){.kind = GLE_NODE_LIST, .file = exp->src->file, .key = "expect"};
    if (gle_node_add(exp->doc, root, list))
        return gle_node_error(errs, GLE_ENOMEM, exp->src, NULL, "no memory for the claims");
    for (size_t i = 0; i < exp->n_claims; i++) {
        if (!gle_claim_concerns(&exp->claims[i], exp))
            continue;
        copy = gle_node_copy(exp->doc, exp->claims[i].src);
        if (!copy || gle_node_add(exp->doc, list, copy))
            return gle_node_error(errs, GLE_ENOMEM, exp->src, NULL, "no memory for the claims");
        gle_node_remove(copy, "variant");
        gle_node_remove(copy, "point");
    }
    exp->expect = list->n_items ? root : NULL;
    return 0;
}

int gle_claims_build(struct gle_experiment *exp, const struct gle_claims *claims, struct gle_errors *errs)
{
    exp->claims = claims->item;
    exp->n_claims = claims->n;
    gle_node_remove(exp->doc->root, "expect");
    return exp->n_claims ? keep_section(exp, errs) : 0;
}
