#include "cli/options.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/seeds.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { CHECK = 256, DRY_RUN, SET, SEED, VARIANT, OUTPUT, FORCE, THREADS, QUIET, LIST, SCHEMA, VERSION, HELP, SEEDS,
       JOBS, RESUME, ANYWHERE, GRAPH, SUMMARY, POINT, RUNS, VERIFY };

/* All there is to know of an option, in the order of --help; the manual and the completions of shells are made of that
 * text. */
struct entry {
    const char *name, *argument; /* argument NULL: none */
    const char *help;
    int option;
};
static const struct entry entries[] = {
    {"check", NULL, "only say whether the configs are right", CHECK},
    {"dry-run", NULL, "show shapes, parameters, memory and the estimated time, train nothing", DRY_RUN},
    {"graph", NULL, "with --dry-run: write the network as DOT, which Graphviz draws, and nothing else", GRAPH},
    {"set", "a.b=VALUE", "put VALUE at a key of the config, as in learning.beta=2 or "
                         "'network.layers[1].repeat=3' (quoted)", SET},
    {"runs", NULL, "show the folder, variant, combination and seed of each run, a line each between tabs, run nothing",
     RUNS},
    {"seed", "N", "the same as --set seed=N", SEED},
    {"seeds", "0-9,12", "one run for each of these seeds, side by side, and a summary.json of all", SEEDS},
    {"jobs", "N", "runs at a time, also of variants; default under --seeds: one for each processor", JOBS},
    {"variant", "A,B", "run these variants of the config only", VARIANT},
    {"point", "LABEL", "run this combination of the sweep only, by the name of its folder; may be there several times",
     POINT},
    {"output", "DIR", "use DIR in place of results/<name>", OUTPUT},
    {"force", NULL, "replace a run that is there already", FORCE},
    {"summary", NULL, "write summary.json of the runs that lie in folders, say what is missing, run nothing",
     SUMMARY},
    {"verify", NULL, "say whether claims of configs (expect) hold, or whether runs in folders give the same bits again",
     VERIFY},
    {"resume", NULL, "go on with a run that was broken off, from its last checkpoint", RESUME},
    {"anywhere", NULL, "with --resume: also on another backend or device, whose bits are others", ANYWHERE},
    {"threads", "N", "use N threads; the results are the same with any number", THREADS},
    {"quiet", NULL, "no progress, no closing line", QUIET},
    {"list", NULL, "show everything a config can name", LIST},
    {"schema", NULL, "show the format of configs as a JSON Schema, which editors can use", SCHEMA},
    {"version", NULL, "show the version of the program; also -v", VERSION},
    {"help", NULL, "show this text; also -h", HELP},
};
enum { N_ENTRIES = sizeof entries / sizeof *entries };

void gle_options_help(FILE *file)
{
    fputs("usage: glesim CONFIG.yaml... [options]\n"
          "       glesim --summary FOLDER...\n"
          "       glesim --verify CONFIG.yaml|FOLDER... [options]\n"
          "\n"
          "Trains the network that a config describes and leaves metrics.json, weights.npz and the resolved "
          "config.yaml in\n"
          "results/<name>[/<variant>]/seed_<n>/.\n"
          "\n", file);
    for (size_t i = 0; i < N_ENTRIES; i++) {
        const struct entry *e = &entries[i];
        char name[32];
        snprintf(name, sizeof name, "%s%s%s", e->name, e->argument ? " " : "", e->argument ? e->argument : "");
        fprintf(file, "  --%-14s %s\n", name, e->help);
    }
    fputs("\n"
          "Exit: 0 done; 2 config or usage; 3 cannot write; 4 bad input data or checkpoint; 5 resources or a device;\n"
          "6 diverged; 7 a claim does not hold; 128+n signal n.\n", file);
}

static const struct option *long_options(void)
{
    static struct option list[N_ENTRIES + 1];

    for (size_t i = 0; i < N_ENTRIES; i++)
        list[i] = (struct option){.name = entries[i].name,
                                  .has_arg = entries[i].argument ? required_argument : no_argument,
                                  .val = entries[i].option};
    return list;
}

static int no_memory(struct gle_error *err)
{
    return gle_fail(err, GLE_ENOMEM, "no memory for the command line");
}

static char *own(struct gle_options *o, const char *text, size_t len)
{
    char *copy = gle_calloc(len + 1, 1), **owned = gle_resize(o->owned, o->n_owned + 1, sizeof *owned);

    if (owned)
        o->owned = owned;
    if (!copy || !owned) {
        gle_free(copy);
        return NULL;
    }
    owned[o->n_owned++] = copy;
    return memcpy(copy, text, len);
}

static int add_override(struct gle_options *o, const char *path, const char *value, const char *where,
                        struct gle_error *err)
{
    struct gle_override *list = gle_resize(o->overrides, o->n_overrides + 1, sizeof *list);

    if (list)
        o->overrides = list;
    if (!list || !path || !where)
        return no_memory(err);
    list[o->n_overrides++] = (struct gle_override){.path = path, .value = value, .where = where};
    return 0;
}

static int add_text(const char ***list, size_t *n, const char *text, struct gle_error *err)
{
    const char **longer = gle_resize((void *)*list, *n + 1, sizeof *longer);

    if (longer)
        *list = longer;
    if (!longer || !text)
        return no_memory(err);
    longer[(*n)++] = text;
    return 0;
}

static int parse_set(struct gle_options *o, const char *text, struct gle_error *err)
{
    const char *equals = strchr(text, '=');
    char where[160];

    if (!equals || equals == text || !equals[1])
        return gle_fail(err, GLE_EUSAGE, "--set %s: key=value is wanted, as in learning.optimizer.lr=1e-4", text);
    snprintf(where, sizeof where, "--set %s", text);
    return add_override(o, own(o, text, (size_t)(equals - text)), equals + 1, own(o, where, strlen(where)), err);
}

static int parse_seed(struct gle_options *o, const char *text, struct gle_error *err)
{
    char where[64];
    uint64_t seed;

    if (gle_text_count(&seed, text))
        return gle_fail(err, GLE_EUSAGE, "--seed %s: a whole number is wanted", text);
    o->seed_given = true;
    snprintf(where, sizeof where, "--seed %.40s", text);
    return add_override(o, "seed", text, own(o, where, strlen(where)), err);
}

/* "0-9,12" */
static int parse_seeds(struct gle_options *o, const char *text, struct gle_error *err)
{
    struct gle_error why = {0};

    if (!gle_seeds_add(&o->seeds, &o->n_seeds, text, &why))
        return 0;
    return why.code == GLE_ENOMEM ? no_memory(err) : gle_fail(err, why.code, "--seeds %.300s: %s", text, why.text);
}

static int parse_number(size_t *number, const char *name, const char *text, struct gle_error *err)
{
    uint64_t n;

    if (gle_text_count(&n, text) || !n || n > 4096)
        return gle_fail(err, GLE_EUSAGE, "--%s %s: a number from 1 to 4096 is wanted", name, text);
    *number = (size_t)n;
    return 0;
}

static int parse_variants(struct gle_options *o, const char *text, struct gle_error *err)
{
    for (;;) {
        const size_t n = strcspn(text, ",");
        if (!n)
            return gle_fail(err, GLE_EUSAGE, "--variant: an empty name");
        if (add_text(&o->variants, &o->n_variants, own(o, text, n), err))
            return -1;
        if (!text[n])
            return 0;
        text += n + 1;
    }
}

/* getopt's own messages are off: an unknown option gets ours, with a suggestion. */
static int unknown(const char *word, struct gle_error *err)
{
    char name[64];
    struct gle_suggestion near = {.word = name};

    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (size_t i = 0; i < N_ENTRIES; i++) {
        if (entries[i].option == optopt && !strncmp(entries[i].name, name, strlen(name)))
            return gle_fail(err, GLE_EUSAGE, "--%s %s", entries[i].name,
                            entries[i].argument ? "wants a value" : "takes no value");
        gle_suggest(&near, entries[i].name);
    }
    if (near.best)
        return gle_fail(err, GLE_EUSAGE, "unknown option --%s (did you mean --%s?)", name, near.best);
    return gle_fail(err, GLE_EUSAGE, "unknown option --%s; glesim --help lists them", name);
}

static int parse_option(struct gle_options *o, int option, const char *name, struct gle_error *err)
{
    switch (option) {
    case CHECK:
        o->action = GLE_CHECK;
        return 0;
    case DRY_RUN:
        o->action = GLE_DRY_RUN;
        return 0;
    case GRAPH:
        o->graph = true;
        return 0;
    case SUMMARY:
        o->action = GLE_SUMMARISE;
        return 0;
    case VERIFY:
        o->action = GLE_VERIFY;
        return 0;
    case LIST:
        o->action = GLE_LIST;
        return 0;
    case SCHEMA:
        o->action = GLE_SHOW_SCHEMA;
        return 0;
    case VERSION:
    case 'v':
        o->action = GLE_SHOW_VERSION;
        return 0;
    case HELP:
    case 'h':
        o->action = GLE_HELP;
        return 0;
    case RUNS:
        o->action = GLE_SHOW_RUNS;
        return 0;
    case SET:
        return parse_set(o, optarg, err);
    case SEED:
        return parse_seed(o, optarg, err);
    case VARIANT:
        return parse_variants(o, optarg, err);
    case POINT:
        return add_text(&o->points, &o->n_points, optarg, err);
    case THREADS:
        return parse_number(&o->threads, name, optarg, err);
    case SEEDS:
        return parse_seeds(o, optarg, err);
    case JOBS:
        return parse_number(&o->jobs, name, optarg, err);
    case OUTPUT:
        o->output = optarg;
        return optarg[0] ? 0 : gle_fail(err, GLE_EUSAGE, "--output: a directory is wanted");
    case FORCE:
        o->force = true;
        return 0;
    case RESUME:
        o->resume = true;
        return 0;
    case ANYWHERE:
        o->anywhere = true;
        return 0;
    case QUIET:
        o->quiet = true;
        return 0;
    default:
        return 0;
    }
}

static bool sets_seed(const struct gle_options *o)
{
    for (size_t i = 0; i < o->n_overrides; i++)
        if (!strcmp(o->overrides[i].path, "seed"))
            return true;
    return false;
}

int gle_options_parse(struct gle_options *o, int argc, char **argv, struct gle_error *err)
{
    const struct option *known = long_options();
    int option, index = 0;

    *o = (struct gle_options){.action = GLE_RUN};
    opterr = 0;
    optind = 1;
    for (;;) {
        option = getopt_long(argc, argv, "hv", known, &index);
        if (option == -1)
            break;
        if (option == '?' && optopt && optopt < CHECK) /* one letter */
            return gle_fail(err, GLE_EUSAGE, "unknown option -%c; glesim --help lists them", optopt);
        if (option == '?')
            return unknown(argv[optind - 1], err);
        if (parse_option(o, option, known[index].name, err))
            return -1;
    }
    for (int i = optind; i < argc; i++)
        if (add_text(&o->configs, &o->n_configs, argv[i], err))
            return -1;
    if (o->n_seeds && o->seed_given)
        return gle_fail(err, GLE_EUSAGE, "either --seed or --seeds, not both");
    if (o->resume && o->force)
        return gle_fail(err, GLE_EUSAGE, "either --resume or --force, not both");
    if (o->anywhere && !o->resume)
        return gle_fail(err, GLE_EUSAGE, "--anywhere goes with --resume");
    if (o->graph && o->action != GLE_DRY_RUN)
        return gle_fail(err, GLE_EUSAGE, "--graph goes with --dry-run");
    if (!o->n_configs && o->action == GLE_SUMMARISE)
        return gle_fail(err, GLE_EUSAGE, "--summary: folders with runs are wanted, as in glesim --summary results/xor");
    if (o->action == GLE_SUMMARISE && (o->n_overrides || o->n_seeds || o->n_variants || o->n_points || o->output ||
                                       o->resume || o->jobs || o->threads))
        return gle_fail(err, GLE_EUSAGE, "--summary takes folders, --force and --quiet alone: nothing is run");
    if (o->action == GLE_VERIFY && (o->n_seeds || sets_seed(o)))
        return gle_fail(err, GLE_EUSAGE, "--verify takes seeds from the claims of a config, or from folders");
    if (!o->n_configs && o->action == GLE_VERIFY)
        return gle_fail(err, GLE_EUSAGE,
                        "--verify: configs with claims, or folders with runs, are wanted, as in glesim --verify "
                        "results/xor");
    if (!o->n_configs && o->action <= GLE_SHOW_RUNS)
        return gle_fail(err, GLE_EUSAGE, "a config file is wanted; glesim --help tells more");
    return 0;
}

void gle_options_clear(struct gle_options *o)
{
    for (size_t i = 0; i < o->n_owned; i++)
        gle_free(o->owned[i]);
    gle_free(o->owned);
    gle_free((void *)o->configs);
    gle_free((void *)o->variants);
    gle_free((void *)o->points);
    gle_free(o->overrides);
    gle_free(o->seeds);
    *o = (struct gle_options){0};
}
