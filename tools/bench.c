/* Speed of learning, evaluation and products, as tables or as JSON. Thread counts and kernels take turns within every
 * repeat, so that the drift of a shared machine hits all of them alike. */
#include "bench_product.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/experiment.h"
#include "data/data.h"
#include "graph/graph.h"
#include "report/provenance.h"
#include "solver/net.h"
#include "train/metrics.h"
#include "train/train.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = 64 };

static const char *const default_configs[] = {
    GLE_SOURCE_DIR "/configs/mnist1d_e2e.yaml",
    GLE_SOURCE_DIR "/configs/mnist1d_e2e_42k.yaml",
    GLE_SOURCE_DIR "/configs/mnist1d_static_lagnet.yaml",
    GLE_SOURCE_DIR "/configs/lagline.yaml",
    GLE_SOURCE_DIR "/configs/lagnet.yaml",
};

static const char help[] =
    "usage: bench [CONFIG.yaml...] [options]\n"
    "\n"
    "Measures steps and an epoch of each variant of each config, and single matrix products by the own kernel and by\n"
    "BLIS. Of training by duration there is no epoch; how long the whole run takes is worked out from its steps.\n"
    "\n"
    "  --threads 1,2      thread counts\n"
    "  --repeats N        measurements of everything but epochs and runs (5)\n"
    "  --seconds S        length of a measurement of steps (0.2)\n"
    "  --no-epoch         leave out the whole epoch\n"
    "  --whole-run        make whole runs by duration, without recording, instead of working out their time\n"
    "  --random-data      random inputs and labels in place of a data set by epochs, which need not be there\n"
    "  --no-products      leave out the table of products\n"
    "  --only-products    leave out everything else\n"
    "  --layers 53x10,..  layers (inputs x neurons) for the table of products\n"
    "  --json             print JSON\n";

struct settings {
    const char *const *configs;
    size_t n_configs;
    size_t threads[THREADS_MAX], n_threads;
    size_t repeats;
    double seconds;
    bool steps, epoch, whole_run, random_data, products, json;
    struct layer_size layers[LAYERS_MAX];
    size_t n_layers;
};

_Noreturn void stop(const char *text)
{
    fprintf(stderr, "bench: %s\n", text);
    exit(2);
}

static _Noreturn void stop_on(const struct gle_error *err)
{
    char text[1200];

    gle_error_format(text, sizeof text, err);
    stop(text);
}

/* --- repeated measurements --- */

struct samples {
    double *v;
    size_t n;
};

static struct samples samples_create(size_t max)
{
    struct samples s = {.v = gle_calloc(max, sizeof *s.v)};

    if (!s.v)
        stop("no memory");
    return s;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts; afterwards v[0] is the least. */
static double median(struct samples *s)
{
    qsort(s->v, s->n, sizeof *s->v, compare);
    return 0.5 * (s->v[(s->n - 1) / 2] + s->v[s->n / 2]);
}

/* --- steps and epochs of a config --- */

struct speed {
    double mflop; /* of one step, in products */
    double best, median;
    struct samples seconds;
};

struct thread_row {
    size_t asked, threads; /* threads: that its steps use */
    struct gle_net *net;
    struct speed learn, eval; /* eval: none in training by duration */
    double seconds;           /* of an epoch, or of a run by duration; NaN: not measured */
};

/* A variant of a config, or the config if it has none. */
struct bench {
    char name[256];
    const struct gle_experiment *exp;
    struct gle_data *data;
    struct gle_graph *graph;
    struct thread_row rows[THREADS_MAX];
    size_t n_rows;
};

/* Points of random numbers, with labels in turn, that fit the network: two training batches and a test batch. */
static void make_data(struct bench *b)
{
    enum { STEPS = 100 };
    const struct gle_experiment *exp = b->exp;
    struct gle_data *data = gle_calloc(1, sizeof *data);
    struct gle_error err = {0};

    if (!data)
        stop("no memory");
    data->n_steps = STEPS;
    data->n_channels = exp->n_input;
    data->n_targets = exp->layers[exp->n_layers - 1].n;
    data->held = 1;
    data->labelled = 1;
    for (int split = 0; split < GLE_SPLITS; split++) {
        const size_t n = split == GLE_TRAIN ? 2 * exp->batch_size : exp->test_batch_size;
        if (gle_data_room(data, (enum gle_split)split, n, &err))
            stop_on(&err);
        fill_noise(data->split[split].x, n * data->n_channels);
        for (size_t i = 0; i < n; i++)
            data->split[split].labels[i] = (int32_t)(i % data->n_targets);
    }
    b->data = data;
}

static void open_data(struct bench *b)
{
    const struct gle_experiment *exp = b->exp;
    const struct gle_data_context context = {
        .dt = exp->dt, .seed = exp->seed, .n_steps = exp->n_steps, .has_teacher = exp->has_teacher};
    struct gle_error err = {0};

    if (gle_data_open(&b->data, (const struct gle_dataset *)exp->dataset.row, exp->dataset.params, exp->validation,
                      &context, &err) ||
        gle_train_check(exp, b->data, &err))
        stop_on(&err);
}

static void open_row(struct bench *b, size_t threads, size_t repeats)
{
    struct thread_row *row = &b->rows[b->n_rows++];
    const size_t n_test = b->data->split[GLE_TEST].n, batch = b->exp->test_batch_size;
    const size_t eval_rows = n_test && n_test < batch ? n_test : batch;
    struct gle_error err = {0};

    *row = (struct thread_row){.asked = threads, .seconds = (double)NAN};
    if (gle_net_build(&row->net, b->graph, threads, &err))
        stop_on(&err);
    row->threads = gle_net_threads(row->net);
    row->learn.mflop = 1e-6 * (double)b->graph->train_rows * gle_graph_flops(b->graph, true);
    row->eval.mflop = 1e-6 * (double)eval_rows * gle_graph_flops(b->graph, false);
    row->learn.seconds = samples_create(repeats);
    row->eval.seconds = samples_create(repeats);
}

static void bench_open(struct bench *b, const struct gle_experiment *exp, const struct settings *set)
{
    struct gle_graph_options options;
    struct gle_errors errs = {0};
    struct gle_error err = {0};

    *b = (struct bench){.exp = exp};
    snprintf(b->name, sizeof b->name, "%s%s%s", exp->name, exp->variant ? "/" : "", exp->variant ? exp->variant : "");
    if (set->random_data && !exp->phases) {
        make_data(b);
    } else {
        if (gle_experiment_pending(exp, &errs))
            stop_on(&errs.item[0]);
        open_data(b);
    }
    options = gle_train_options(exp, b->data);
    if (gle_graph_build(&b->graph, exp, &options, &err))
        stop_on(&err);
    for (size_t i = 0; i < set->n_threads; i++)
        open_row(b, set->threads[i], set->repeats);
}

/* An epoch, or a run by duration. */
static void measure_training(struct thread_row *row, const struct bench *b)
{
    struct gle_metrics m;
    struct gle_error err = {0};

    if (gle_metrics_init(&m, b->exp, b->data, &err) || gle_train(&m, row->net, b->graph, b->data, NULL, NULL, &err))
        stop_on(&err);
    row->seconds = b->exp->phases ? m.train_seconds + m.eval_seconds : m.epochs[m.n_epochs - 1].seconds;
    gle_metrics_clear(&m);
}

static void measure_steps(struct thread_row *row, const struct bench *b, double seconds)
{
    struct gle_error err = {0};

    if (gle_train_measure(&row->learn.seconds.v[row->learn.seconds.n++], &row->eval.seconds.v[row->eval.seconds.n++],
                          row->net, b->graph, b->data, seconds, &err))
        stop_on(&err);
}

static void summarise(struct speed *speed)
{
    speed->median = median(&speed->seconds);
    speed->best = speed->seconds.v[0];
}

static void bench_run(struct bench *b, struct peak *peak, const struct settings *set)
{
    for (size_t r = 0; r < set->repeats; r++)
        for (size_t i = 0; i < b->n_rows; i++) {
            peak_measure(peak, b->rows[i].threads);
            measure_steps(&b->rows[i], b, set->seconds);
        }
    for (size_t i = 0; i < b->n_rows; i++) {
        summarise(&b->rows[i].learn);
        summarise(&b->rows[i].eval);
        if (b->exp->phases ? set->whole_run : set->epoch)
            measure_training(&b->rows[i], b);
        else if (b->exp->phases)
            b->rows[i].seconds = b->rows[i].learn.median * (double)b->exp->n_steps;
    }
}

static void bench_close(struct bench *b)
{
    for (size_t i = 0; i < b->n_rows; i++) {
        gle_net_destroy(b->rows[i].net);
        gle_free(b->rows[i].learn.seconds.v);
        gle_free(b->rows[i].eval.seconds.v);
    }
    gle_graph_destroy(b->graph);
    gle_data_close(b->data);
}

static double gflops(const struct speed *speed)
{
    return 1e-3 * speed->mflop / speed->best;
}

/* --- output --- */

struct results {
    struct gle_provenance machine;
    double load[3];
    struct peak peak;
    struct gle_experiments *files;
    size_t n_files;
    struct bench *benches;
    size_t n_benches;
    bool whole_run; /* runs by duration were made, not worked out */
    struct product_row *products;
    size_t n_products;
};

/* The variants of a file, of which one epoch will do. */
static void load(struct gle_experiments *list, const char *path)
{
    struct gle_errors errs = {0};

    if (gle_experiments_load(list, path, NULL, 0, NULL, 0, &errs))
        stop_on(&errs.item[0]);
    for (size_t i = 0; i < list->n; i++)
        list->item[i]->epochs = list->item[i]->phases ? 0 : 1;
}

static void measure_configs(struct results *r, const struct settings *set)
{
    size_t most = 0;

    r->files = gle_calloc(set->n_configs, sizeof *r->files);
    if (!r->files)
        stop("no memory");
    for (size_t i = 0; i < set->n_configs; i++) {
        load(&r->files[r->n_files++], set->configs[i]);
        most += r->files[i].n;
    }
    r->benches = gle_calloc(most, sizeof *r->benches);
    if (!r->benches)
        stop("no memory");
    peak_open(&r->peak, set->threads, set->n_threads);
    for (size_t i = 0; i < r->n_files; i++)
        for (size_t v = 0; v < r->files[i].n; v++) {
            struct bench *b = &r->benches[r->n_benches++];
            bench_open(b, r->files[i].item[v], set);
            bench_run(b, &r->peak, set);
        }
    peak_close(&r->peak);
}

static void results_clear(struct results *r)
{
    for (size_t i = 0; i < r->n_benches; i++)
        bench_close(&r->benches[i]);
    for (size_t i = 0; i < r->n_files; i++)
        gle_experiments_clear(&r->files[i]);
    gle_free(r->benches);
    gle_free(r->files);
    gle_free(r->products);
}

static void read_load(double load[3])
{
    FILE *f = fopen("/proc/loadavg", "r");

    if (!f || fscanf(f, "%lf %lf %lf", &load[0], &load[1], &load[2]) != 3)
        load[0] = load[1] = load[2] = (double)NAN;
    if (f)
        fclose(f);
}

static void print_speed(const struct speed *s, double peak)
{
    if (s->best > 0.0)
        printf(" %9.2f %9.2f %9.3f %8.1f %6.1f %% |", 1e6 * s->best, 1e6 * s->median, s->mflop, gflops(s),
               100.0 * gflops(s) / peak);
    else
        printf(" %9s %9s %9s %8s %8s |", "-", "-", "-", "-", "-");
}

static void print_training(const struct thread_row *row, const struct bench *b, bool whole_run)
{
    if (isnan(row->seconds))
        printf("        -\n");
    else if (b->exp->phases)
        printf(" %s%7.3f the run\n", whole_run ? " " : "~", row->seconds);
    else
        printf("  %7.3f an epoch\n", row->seconds);
}

static void print_configs(const struct results *r)
{
    printf("\n%-24s %7s | %-46s | %-46s | %s\n", "", "", "learning step", "evaluation step", "training");
    printf("%-24s %7s |", "config", "threads");
    for (int i = 0; i < 2; i++)
        printf(" %9s %9s %9s %8s %8s |", "us, least", "median", "MFLOP", "GFLOP/s", "of peak");
    printf(" seconds\n");
    for (size_t i = 0; i < r->n_benches; i++)
        for (size_t k = 0; k < r->benches[i].n_rows; k++) {
            const struct bench *b = &r->benches[i];
            const struct thread_row *row = &b->rows[k];
            printf("%-24.24s %3zu (%zu) |", b->name, row->asked, row->threads);
            print_speed(&row->learn, r->peak.gflops[row->threads]);
            print_speed(&row->eval, r->peak.gflops[row->threads]);
            print_training(row, b, r->whole_run);
        }
    printf("threads: asked for (used). GFLOP/s of the products in a step, at its least time; those of teachers and of\n"
           "sweeps over windows do not count. ~: worked out from the median step; recordings are left out.\n");
    for (size_t t = 1; t <= r->peak.most; t++)
        if (r->peak.gflops[t] > 0.0)
            printf("peak on %zu thread%s: %.1f GFLOP/s (the faster sgemm, BLIS or own, %d^3, one for each thread)\n",
                   t, t > 1 ? "s" : "", r->peak.gflops[t], PEAK_SIZE);
}

static void print_products(const struct results *r)
{
    printf("\n%-11s %5s  %-10s %5s %5s %5s %10s %10s %8s   (GFLOP/s on one thread, best of all repeats)\n", "layer",
           "batch", "product", "M", "N", "K", "own kernel", "BLIS", "own/BLIS");
    for (size_t i = 0; i < r->n_products; i++) {
        const struct product_row *row = &r->products[i];
        char layer[48];
        snprintf(layer, sizeof layer, "%zux%zu", row->layer.inputs, row->layer.neurons);
        printf("%-11s %5zu  %-10s %5zu %5zu %5zu %10.2f %10.2f %8.2f\n", layer, row->batch, product_name(row),
               row->M, row->N, row->K, row->gflops[0], row->gflops[1], row->gflops[0] / row->gflops[1]);
    }
}

static void print_text(const struct results *r)
{
    const struct gle_provenance *m = &r->machine;

    printf("%s, %d processors, load average %.2f %.2f %.2f at the start\nglesim %s %s, %s, %s, kernels for %s\n",
           m->cpu, omp_get_num_procs(), r->load[0], r->load[1], r->load[2], m->version, m->commit, m->compiler,
           m->blas, m->isa);
    if (r->n_benches)
        print_configs(r);
    if (r->n_products)
        print_products(r);
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *speed_json(const struct speed *s, double peak)
{
    if (!(s->best > 0.0))
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "us_least", number(1e6 * s->best), "us_median",
                     number(1e6 * s->median), "mflop", number(s->mflop), "gflops", number(gflops(s)), "of_peak",
                     number(gflops(s) / peak));
}

static json_t *config_json(const struct bench *b, const struct thread_row *row, const struct results *r)
{
    const double most = r->peak.gflops[row->threads];
    const bool run = b->exp->phases != NULL;

    return json_pack("{s:s, s:s?, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:b}", "config", b->exp->name, "variant",
                     b->exp->variant, "threads_asked", (json_int_t)row->asked, "threads", (json_int_t)row->threads,
                     "peak_gflops", number(most), "learn", speed_json(&row->learn, most), "eval",
                     speed_json(&row->eval, most), "epoch_seconds", number(run ? (double)NAN : row->seconds),
                     "run_seconds", number(run ? row->seconds : (double)NAN), "run_measured", run && r->whole_run);
}

static json_t *product_json(const struct product_row *row)
{
    return json_pack("{s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:o, s:o}", "inputs", (json_int_t)row->layer.inputs,
                     "neurons", (json_int_t)row->layer.neurons, "batch", (json_int_t)row->batch, "product",
                     product_name(row), "M", (json_int_t)row->M, "N", (json_int_t)row->N, "K",
                     (json_int_t)row->K, "own_gflops", number(row->gflops[0]), "blis_gflops", number(row->gflops[1]));
}

static void print_json(const struct results *r)
{
    const struct gle_provenance *m = &r->machine;
    json_t *configs = json_array(), *products = json_array(), *root;

    for (size_t i = 0; i < r->n_benches; i++)
        for (size_t k = 0; k < r->benches[i].n_rows; k++)
            json_array_append_new(configs, config_json(&r->benches[i], &r->benches[i].rows[k], r));
    for (size_t i = 0; i < r->n_products; i++)
        json_array_append_new(products, product_json(&r->products[i]));
    root = json_pack("{s:s, s:i, s:[o,o,o], s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "cpu", m->cpu, "processors",
                     omp_get_num_procs(), "load_average", number(r->load[0]), number(r->load[1]), number(r->load[2]),
                     "time", m->start, "version", m->version, "commit", m->commit, "compiler", m->compiler, "blas",
                     m->blas, "instruction_set", m->isa, "configs", configs, "products", products);
    if (!root)
        stop("no memory for the JSON");
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(root);
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

static void parse_threads(struct settings *set, const char *text)
{
    static const char what[] = "--threads: numbers from 1 to 16 are wanted, as in 1,2";

    for (set->n_threads = 0; set->n_threads < THREADS_MAX;) {
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

static struct settings parse(int argc, char **argv)
{
    enum {
        THREADS = 256, REPEATS, SECONDS, NO_EPOCH, WHOLE_RUN, RANDOM_DATA, NO_PRODUCTS, ONLY_PRODUCTS, LAYERS, JSON,
        HELP
    };
    static const struct option options[] = {
        {"threads", required_argument, NULL, THREADS},
        {"repeats", required_argument, NULL, REPEATS},
        {"seconds", required_argument, NULL, SECONDS},
        {"no-epoch", no_argument, NULL, NO_EPOCH},
        {"whole-run", no_argument, NULL, WHOLE_RUN},
        {"random-data", no_argument, NULL, RANDOM_DATA},
        {"no-products", no_argument, NULL, NO_PRODUCTS},
        {"only-products", no_argument, NULL, ONLY_PRODUCTS},
        {"layers", required_argument, NULL, LAYERS},
        {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    struct settings set = {.threads = {1, 2},
                           .n_threads = 2,
                           .repeats = 5,
                           .seconds = 0.2,
                           .steps = true,
                           .epoch = true,
                           .products = true};
    int option;

    parse_layers(&set, "1x1,1x53,10x10,53x10,53x53,90x90,200x200,300x300,400x400,512x512,750x750,1024x1024,2048x2048");
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == THREADS)
            parse_threads(&set, optarg);
        else if (option == REPEATS)
            set.repeats = whole(optarg, 10000, "--repeats: a number from 1 to 10000 is wanted");
        else if (option == SECONDS && !gle_text_real(&set.seconds, optarg) && set.seconds > 0.0 && set.seconds < 1e4)
            continue;
        else if (option == NO_EPOCH)
            set.epoch = false;
        else if (option == WHOLE_RUN)
            set.whole_run = true;
        else if (option == RANDOM_DATA)
            set.random_data = true;
        else if (option == NO_PRODUCTS)
            set.products = false;
        else if (option == ONLY_PRODUCTS)
            set.steps = false;
        else if (option == LAYERS)
            parse_layers(&set, optarg);
        else if (option == JSON)
            set.json = true;
        else if (option == HELP)
            exit(fputs(help, stdout) < 0);
        else
            stop(option == SECONDS ? "--seconds: a number above 0 is wanted" : "bench --help lists the options");
    }
    set.configs = optind < argc ? (const char *const *)argv + optind : default_configs;
    set.n_configs = optind < argc ? (size_t)(argc - optind) : sizeof default_configs / sizeof *default_configs;
    return set;
}

int main(int argc, char **argv)
{
    const struct settings set = parse(argc, argv);
    struct results r = {.whole_run = set.whole_run};

    gle_provenance_collect(&r.machine, "");
    read_load(r.load);
    if (set.steps)
        measure_configs(&r, &set);
    if (set.products)
        r.products = measure_products(&r.n_products, set.layers, set.n_layers, set.repeats);
    if (set.json)
        print_json(&r);
    else
        print_text(&r);
    results_clear(&r);
    return 0;
}
