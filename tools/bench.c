/* Speed of steps, and of what they are made of, as tables and as JSON. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "bench_results.h"

#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const default_configs[] = {
    GLE_SOURCE_DIR "/configs/mnist1d_e2e.yaml",
    GLE_SOURCE_DIR "/configs/mnist1d_e2e_42k.yaml",
    GLE_SOURCE_DIR "/configs/mnist1d_static_lagnet.yaml",
    GLE_SOURCE_DIR "/configs/gsc_mel_gle.yaml",
    GLE_SOURCE_DIR "/configs/synthetic_speech.yaml",
    GLE_SOURCE_DIR "/configs/spoken_digits.yaml",
    GLE_SOURCE_DIR "/configs/yinyang.yaml",
    GLE_SOURCE_DIR "/configs/xor.yaml",
    GLE_SOURCE_DIR "/configs/lagline.yaml",
    GLE_SOURCE_DIR "/configs/lagnet.yaml",
};

static const char help[] =
    "usage: bench [CONFIG.yaml...] [options]\n"
    "\n"
    "Measures what a step of each variant of each config (those in configs/, if none is named) costs and what it is\n"
    "made of, beside the most that the machine does; and how the cost grows with width, depth and batch. On a machine\n"
    "that has other work, the least times are those to look at.\n"
    "\n"
    "  --quick            shorter measurements\n"
    "  --json FILE        write everything as JSON, too\n"
    "  --threads 1,2      thread counts (1 and all processors; for the growth also 2, 4 ... between); the largest is\n"
    "                     also how many networks are trained side by side, each on one thread\n"
    "  --rounds N         measurements of each kind of step (3; quick: 1), and\n"
    "  --seconds S        the length of one (0.1; quick: 0.04)\n"
    "  --whole            train whole epochs, or runs by duration, beside the estimate\n"
    "  --backend NAME     opencl: steps on a device, with launches and traffic, beside the most that the device does;\n"
    "                     left out is what only processors have: threads, what a step is made of, networks as\n"
    "                     processes side by side. cpu: the processors, as without it\n"
    "  --device D         with it: the device's number in glesim --list, or a part of its name (the first one)\n"
    "  --random-data      random inputs and labels in place of data sets by epochs, not only of missing ones\n"
    "  --scaling          only how the cost grows\n"
    "  --no-scaling       all but that\n"
    "  --products         only single matrix products by the own kernel and by BLIS,\n"
    "  --layers 53x10,..  for layers of these inputs x neurons\n"
    "  --links            only single calls of links: convolutions, sparse and dense ones\n"
    "  --help             this text; also -h\n";

const char program_name[] = "bench";

/* --- measuring --- */

/* The variants of a file; of epochs, one will do. */
static void load(struct gle_experiments *list, const char *path)
{
    struct gle_errors errs = {0};

    if (gle_experiments_load(list, path, NULL, 0, NULL, 0, &errs))
        stop_on(&errs.item[0]);
    for (size_t i = 0; i < list->n; i++)
        list->item[i]->epochs = list->item[i]->phases ? 0 : 1;
}

static void measure_config(struct trial *t, const struct gle_experiment *exp, struct gle_device *device,
                           struct peaks *peaks, const struct settings *set)
{
    char text[256];

    snprintf(text, sizeof text, "%s%s%s", exp->name, exp->variant ? " " : "", exp->variant ? exp->variant : "");
    say(text);
    if (device)
        trial_open_on(t, exp, device, 1, set->random_data);
    else
        trial_open(t, exp, set->threads, set->n_threads, set->random_data);
    trial_run(t, peaks, set);
    if (set->whole && !t->random)
        trial_run_whole(t);
    trial_close(t);
}

/* Networks side by side are processes, which are made before this one has threads. */
static void measure_beside(struct results *r, size_t most)
{
    size_t copies = 0, n = 0;

    for (size_t i = 0; i < r->set.n_threads; i++)
        copies = r->set.threads[i] > copies ? r->set.threads[i] : copies;
    if (copies < 2)
        return;
    r->beside = gle_calloc(most, sizeof *r->beside);
    if (!r->beside)
        stop("no memory");
    for (size_t i = 0; i < r->n_files; i++)
        for (size_t v = 0; v < r->files[i].n; v++) {
            say(r->files[i].item[v]->name);
            beside_measure(&r->beside[n++], r->files[i].item[v], copies, &r->set);
        }
}

static void measure_configs(struct results *r)
{
    const struct settings *set = &r->set;
    size_t most = 0;

    r->files = gle_calloc(set->n_configs, sizeof *r->files);
    if (!r->files)
        stop("no memory");
    for (size_t i = 0; i < set->n_configs; i++) {
        load(&r->files[r->n_files++], set->configs[i]);
        most += r->files[i].n;
    }
    r->trials = gle_calloc(most, sizeof *r->trials);
    if (!r->trials)
        stop("no memory");
    if (!r->device)
        measure_beside(r, most);
    for (size_t i = 0; i < r->n_files; i++)
        for (size_t v = 0; v < r->files[i].n; v++)
            measure_config(&r->trials[r->n_trials++], r->files[i].item[v], r->device, &r->peaks, set);
}

static void read_load(double load[3])
{
    FILE *f = fopen("/proc/loadavg", "r");

    if (!f || fscanf(f, "%lf %lf %lf", &load[0], &load[1], &load[2]) != 3)
        load[0] = load[1] = load[2] = (double)NAN;
    if (f)
        fclose(f);
}

static void measure_all(struct results *r)
{
    const double start = gle_clock();

    gle_provenance_collect(&r->machine, "");
    r->n_processors = (size_t)omp_get_num_procs();
    read_load(r->load[0]);
    if (r->set.opencl) {
        r->device = card_open(r->set.device);
        card_measure(&r->card, r->device);
    }
    if (r->set.steps)
        measure_configs(r);
    if (r->set.scaling)
        r->scaling = measure_scaling(&r->n_scaling, &r->peaks, r->device, &r->set);
    if (r->set.products)
        r->products = measure_products(&r->n_products, r->set.layers, r->set.n_layers, r->set.rounds);
    if (r->set.links)
        r->links = measure_links(&r->n_links, r->set.rounds);
    if (r->device) /* where other programs are running, once more is surer */
        card_measure(&r->card, r->device);
    say(NULL);
    read_load(r->load[1]);
    r->seconds = gle_clock() - start;
}

static void results_clear(struct results *r)
{
    for (size_t i = 0; i < r->n_files; i++)
        gle_experiments_clear(&r->files[i]);
    peaks_clear(&r->peaks);
    gle_device_close(r->device);
    for (size_t i = 0; r->beside && i < r->n_trials; i++)
        gle_free(r->beside[i].learn);
    gle_free(r->files);
    gle_free(r->trials);
    gle_free(r->beside);
    gle_free(r->scaling);
    gle_free(r->products);
    gle_free(r->links);
}

/* --- the command line --- */

/* The whole number at *text, from 1 to most; moves *text behind it. */
static size_t take_count(const char **text, size_t most, const char *what)
{
    char *end;
    const unsigned long n = strtoul(*text, &end, 10);

    if (end == *text || **text == '-' || !n || n > most)
        stop(what);
    *text = end;
    return n;
}

static size_t whole(const char *text, size_t most, const char *what)
{
    const size_t n = take_count(&text, most, what);

    if (*text)
        stop(what);
    return n;
}

static double seconds(const char *text)
{
    double s;

    if (gle_text_real(&s, text) || !(s > 0.0) || s > 1e4)
        stop("--seconds: a number above 0 is wanted");
    return s;
}

static void parse_threads(struct settings *set, const char *text)
{
    static const char what[] = "--threads: up to 16 numbers from 1 to 256 are wanted, as in 1,2";

    for (set->n_threads = 0; set->n_threads < COUNTS_MAX;) {
        set->threads[set->n_threads++] = take_count(&text, THREADS_MAX, what);
        if (!*text)
            return;
        if (*text++ != ',')
            break;
    }
    stop(what);
}

static void parse_layers(struct settings *set, const char *text)
{
    static const char what[] = "--layers: up to 64 sizes are wanted, as in 53x10,200x200";

    for (set->n_layers = 0; set->n_layers < LAYERS_MAX;) {
        struct layer_size *layer = &set->layers[set->n_layers++];
        layer->inputs = take_count(&text, 1 << 16, what);
        if (*text++ != 'x')
            break;
        layer->neurons = take_count(&text, 1 << 16, what);
        if (!*text)
            return;
        if (*text++ != ',')
            break;
    }
    stop(what);
}

static void parse_backend(struct settings *set, const char *text)
{
    if (strcmp(text, "cpu") && strcmp(text, "opencl"))
        stop("--backend: cpu or opencl");
    set->opencl = !strcmp(text, "opencl");
}

/* What goes with one backend only is not dropped in silence. */
static void check_backend(const struct settings *set)
{
    if (!set->opencl && set->device)
        stop("--device goes with --backend opencl");
    if (set->opencl && set->n_threads)
        stop("--threads: steps with --backend opencl have none");
    if (set->opencl && (set->products || set->links))
        stop("--products and --links measure kernels of the processors, not of --backend opencl");
}

/* 1 and all processors; the growth has steps between. */
static void default_threads(struct settings *set)
{
    const size_t all = (size_t)omp_get_num_procs() < THREADS_MAX ? (size_t)omp_get_num_procs() : THREADS_MAX;

    set->threads[set->n_threads++] = 1;
    if (all > 1)
        set->threads[set->n_threads++] = all;
    for (size_t n = 1; n < all; n *= 2)
        set->scaling_threads[set->n_scaling_threads++] = n;
    set->scaling_threads[set->n_scaling_threads++] = all;
}

/* What was not asked for in so many words. */
static void fill_in(struct settings *set, int n_configs, const char *const *configs)
{
    if (!set->n_threads) {
        default_threads(set);
    } else {
        memcpy(set->scaling_threads, set->threads, sizeof set->threads);
        set->n_scaling_threads = set->n_threads;
    }
    if (!set->rounds)
        set->rounds = set->quick ? 1 : 3;
    if (!(set->seconds > 0.0))
        set->seconds = set->quick ? 0.04 : 0.1;
    set->configs = n_configs ? configs : default_configs;
    set->n_configs = n_configs ? (size_t)n_configs : sizeof default_configs / sizeof *default_configs;
}

static struct settings parse(int argc, char **argv)
{
    enum {
        QUICK = 256, JSON, THREADS, ROUNDS, SECONDS, WHOLE, RANDOM_DATA, SCALING, NO_SCALING, PRODUCTS, LAYERS, LINKS,
        BACKEND, DEVICE, HELP
    };
    static const struct option options[] = {
        {"quick", no_argument, NULL, QUICK},
        {"json", required_argument, NULL, JSON},
        {"threads", required_argument, NULL, THREADS},
        {"rounds", required_argument, NULL, ROUNDS},
        {"seconds", required_argument, NULL, SECONDS},
        {"whole", no_argument, NULL, WHOLE},
        {"random-data", no_argument, NULL, RANDOM_DATA},
        {"scaling", no_argument, NULL, SCALING},
        {"no-scaling", no_argument, NULL, NO_SCALING},
        {"products", no_argument, NULL, PRODUCTS},
        {"layers", required_argument, NULL, LAYERS},
        {"links", no_argument, NULL, LINKS},
        {"backend", required_argument, NULL, BACKEND},
        {"device", required_argument, NULL, DEVICE},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    struct settings set = {.steps = true, .scaling = true};
    int option;

    parse_layers(&set, "1x1,1x53,10x10,53x10,53x53,90x90,200x200,300x300,400x400,512x512,750x750,1024x1024,2048x2048");
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case QUICK: set.quick = true; break;
        case JSON: set.json = optarg; break;
        case THREADS: parse_threads(&set, optarg); break;
        case ROUNDS: set.rounds = whole(optarg, ROUNDS_MAX, "--rounds: a number from 1 to 100 is wanted"); break;
        case SECONDS: set.seconds = seconds(optarg); break;
        case WHOLE: set.whole = true; break;
        case RANDOM_DATA: set.random_data = true; break;
        case SCALING: set.steps = false; break;
        case NO_SCALING: set.scaling = false; break;
        case PRODUCTS: set.products = true, set.steps = set.scaling = false; break;
        case LAYERS: parse_layers(&set, optarg); break;
        case LINKS: set.links = true, set.steps = set.scaling = false; break;
        case BACKEND: parse_backend(&set, optarg); break;
        case DEVICE: set.device = optarg; break;
        case 'h':
        case HELP: exit(fputs(help, stdout) < 0);
        default: stop("bench --help lists the options");
        }
    }
    check_backend(&set);
    fill_in(&set, argc - optind, (const char *const *)argv + optind);
    return set;
}

int main(int argc, char **argv)
{
    static struct results r;

    r.set = parse(argc, argv);
    measure_all(&r);
    print_results(&r);
    if (r.set.json)
        write_results(&r, r.set.json);
    results_clear(&r);
    return 0;
}
