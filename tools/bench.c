/* Speed of learning, evaluation and products, as tables or as JSON. Thread counts and kernels take turns within every
 * repeat, so that the drift of a shared machine hits all of them alike. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/experiment.h"
#include "data/data.h"
#include "graph/graph.h"
#include "kernel/kernel.h"
#include "report/provenance.h"
#include "solver/net.h"
#include "train/metrics.h"
#include "train/train.h"

#include <blis.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 16, LAYERS_MAX = 64, PEAK_SIZE = 1024 };

static const char *const default_configs[] = {
    GLE_SOURCE_DIR "/configs/mnist1d_e2e.yaml",
    GLE_SOURCE_DIR "/configs/mnist1d_e2e_42k.yaml",
    GLE_SOURCE_DIR "/configs/mnist1d_static_lagnet.yaml",
};

static const char help[] =
    "usage: bench [CONFIG.yaml...] [options]\n"
    "\n"
    "Measures steps and an epoch of each config, and single matrix products by the own kernel and by BLIS.\n"
    "\n"
    "  --threads 1,2      thread counts\n"
    "  --repeats N        measurements of everything but the epoch (5)\n"
    "  --seconds S        length of a measurement of steps (0.2)\n"
    "  --no-epoch         leave out the whole epoch of each config\n"
    "  --no-products      leave out the table of products\n"
    "  --only-products    leave out everything else\n"
    "  --layers 53x10,..  layers (inputs x neurons) for the table of products\n"
    "  --json             print JSON\n";

struct layer_size {
    size_t inputs, neurons;
};

struct settings {
    const char *const *configs;
    size_t n_configs;
    size_t threads[THREADS_MAX], n_threads;
    size_t repeats;
    double seconds;
    bool steps, epoch, products, json;
    struct layer_size layers[LAYERS_MAX];
    size_t n_layers;
};

static _Noreturn void stop(const char *text)
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

/* --- products --- */

typedef void product_function(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                              size_t M, size_t N, size_t K, float alpha);

/* The call that gle_product() makes for large shapes, whatever its threshold. */
static void product_blis(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                         size_t M, size_t N, size_t K, float alpha)
{
    bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, (dim_t)M, (dim_t)N, (dim_t)K, &alpha, (float *)A, (inc_t)am,
              (inc_t)ak, (float *)B, (inc_t)ldb, 1, &(float){0.0f}, C, (inc_t)ldc, 1);
}

/* One product C (M,N) = A (M,K) B (K,N) with its arrays. */
struct product {
    size_t M, N, K, am, ak;
    float *A, *B, *C;
};

static float *noise(size_t n)
{
    float *x = gle_floats(n + GLE_SLACK);
    unsigned int state = 1;

    if (!x)
        stop("no memory");
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator: any numbers will do */
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
    return x;
}

/* transposed: A is held as (K,M), as in e^T r. */
static struct product product_create(size_t M, size_t N, size_t K, bool transposed)
{
    struct product p = {.M = M, .N = N, .K = K};

    p.am = transposed ? 1 : gle_padded(K);
    p.ak = transposed ? gle_padded(M) : 1;
    p.A = noise(transposed ? K * gle_padded(M) : M * gle_padded(K));
    p.B = noise(K * gle_padded(N));
    p.C = noise(M * gle_padded(N));
    return p;
}

static void product_clear(struct product *p)
{
    gle_free(p->A);
    gle_free(p->B);
    gle_free(p->C);
}

static double product_flops(const struct product *p)
{
    return 2.0 * (double)p->M * (double)p->N * (double)p->K;
}

/* Seconds for one of `count` products. */
static double time_product(const struct product *p, product_function *f, size_t count)
{
    const double start = gle_clock();

    for (size_t i = 0; i < count; i++)
        f(p->C, gle_padded(p->N), p->A, p->am, p->ak, p->B, gle_padded(p->N), p->M, p->N, p->K, 1.0f);
    return (gle_clock() - start) / (double)count;
}

static const char *const product_names[] = {"s = r W^T", "e W", "e^T r"};
enum { PRODUCTS = 3 };

struct product_row {
    struct layer_size layer;
    size_t batch;
    int which; /* of product_names */
    size_t M, N, K;
    double gflops[2]; /* own kernel, BLIS */
};

static struct product product_of(const struct product_row *row)
{
    const size_t B = row->batch, n = row->layer.neurons, m = row->layer.inputs;

    if (row->which == 0)
        return product_create(B, n, m, false);
    return row->which == 1 ? product_create(B, m, n, false) : product_create(n, m, B, true);
}

static void measure_product(struct product_row *row, size_t repeats)
{
    static const double AT_LEAST = 2e-3; /* seconds, some thousand times what reading the clock takes */
    product_function *const f[2] = {gle_kernels(gle_isa_best())->product, product_blis};
    struct product p = product_of(row);
    double best[2] = {INFINITY, INFINITY};
    size_t count[2];

    for (int k = 0; k < 2; k++) {
        time_product(&p, f[k], 1);
        count[k] = 1 + (size_t)(AT_LEAST / time_product(&p, f[k], 1));
    }
    for (size_t i = 0; i < repeats; i++)
        for (int k = 0; k < 2; k++)
            best[k] = fmin(best[k], time_product(&p, f[k], count[k]));
    row->M = p.M;
    row->N = p.N;
    row->K = p.K;
    for (int k = 0; k < 2; k++)
        row->gflops[k] = 1e-9 * product_flops(&p) / best[k];
    product_clear(&p);
}

static struct product_row *measure_products(const struct settings *set, size_t *n)
{
    static const size_t batches[] = {100, 256};
    struct product_row *rows = gle_calloc(set->n_layers * 2 * PRODUCTS, sizeof *rows);

    *n = 0;
    if (!rows)
        stop("no memory");
    for (size_t l = 0; l < set->n_layers; l++)
        for (size_t b = 0; b < 2; b++)
            for (int which = 0; which < PRODUCTS; which++) {
                struct product_row *row = &rows[(*n)++];
                *row = (struct product_row){.layer = set->layers[l], .batch = batches[b], .which = which};
                measure_product(row, set->repeats);
            }
    return rows;
}

/* --- the most that sgemm reaches, each thread with a product of its own --- */

struct peak {
    struct product p[THREADS_MAX];
    double gflops[THREADS_MAX + 1]; /* by number of threads: the best of all repeats */
    size_t most;
};

static void peak_open(struct peak *peak, const struct settings *set)
{
    *peak = (struct peak){0};
    for (size_t i = 0; i < set->n_threads; i++)
        peak->most = set->threads[i] > peak->most ? set->threads[i] : peak->most;
    for (size_t t = 0; t < peak->most; t++)
        peak->p[t] = product_create(PEAK_SIZE, PEAK_SIZE, PEAK_SIZE, false);
}

static void peak_measure(struct peak *peak, size_t n_threads)
{
    enum { TIMES = 3 };

    for (int i = 0; i < TIMES; i++) {
        const double start = gle_clock(), work = (double)n_threads * product_flops(&peak->p[0]);
#pragma omp parallel num_threads((int)n_threads)
        time_product(&peak->p[omp_get_thread_num()], product_blis, 1);
        peak->gflops[n_threads] = fmax(peak->gflops[n_threads], 1e-9 * work / (gle_clock() - start));
    }
}

static void peak_close(struct peak *peak)
{
    for (size_t t = 0; t < peak->most; t++)
        product_clear(&peak->p[t]);
}

/* --- steps and epochs of a config --- */

struct speed {
    double mflop; /* of one step, in products */
    double best, median;
    struct samples seconds;
};

struct config_row {
    size_t asked, threads; /* threads: that its steps use */
    struct gle_net *net;
    struct speed learn, eval;
    double epoch_seconds; /* NaN: not measured */
};

struct bench {
    struct gle_experiments list;
    const struct gle_experiment *exp;
    struct gle_data *data;
    struct gle_graph *graph;
    struct config_row rows[THREADS_MAX];
    size_t n_rows;
};

static void bench_open(struct bench *b, const char *path, const struct settings *set)
{
    static const struct gle_override one_epoch = {.path = "training.epochs", .value = "1", .where = "bench"};
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    struct gle_graph_options options;
    const struct gle_dataset *dataset;

    *b = (struct bench){0};
    if (gle_experiments_load(&b->list, path, &one_epoch, 1, NULL, 0, &errs))
        stop_on(&errs.item[0]);
    b->exp = b->list.item[0];
    if (gle_experiment_pending(b->exp, &errs))
        stop_on(&errs.item[0]);
    dataset = (const struct gle_dataset *)b->exp->dataset.row;
    if (gle_data_open(&b->data, dataset, b->exp->dataset.params, b->exp->validation,
                      &(struct gle_data_context){.dt = b->exp->dt,
                                                 .seed = b->exp->seed,
                                                 .n_steps = b->exp->n_steps,
                                                 .has_teacher = b->exp->has_teacher},
                      &err) ||
        gle_train_check(b->exp, b->data, &err))
        stop_on(&err);
    options = gle_train_options(b->exp, b->data);
    if (gle_graph_build(&b->graph, b->exp, &options, &err))
        stop_on(&err);
    for (size_t i = 0; i < set->n_threads; i++) {
        struct config_row *row = &b->rows[b->n_rows++];
        const size_t n_test = b->data->split[GLE_TEST].n, batch = b->exp->test_batch_size;
        *row = (struct config_row){.asked = set->threads[i], .epoch_seconds = (double)NAN};
        if (gle_net_build(&row->net, b->graph, row->asked, &err))
            stop_on(&err);
        row->threads = gle_net_threads(row->net);
        row->learn.mflop = 1e-6 * (double)b->exp->batch_size * gle_graph_flops(b->graph, true);
        row->eval.mflop = 1e-6 * (double)(n_test && n_test < batch ? n_test : batch) * gle_graph_flops(b->graph, false);
        row->learn.seconds = samples_create(set->repeats);
        row->eval.seconds = samples_create(set->repeats);
    }
}

static void measure_epoch(struct config_row *row, const struct bench *b)
{
    struct gle_metrics metrics;
    struct gle_error err = {0};

    if (gle_metrics_init(&metrics, b->exp, b->data, &err) ||
        gle_train(&metrics, row->net, b->graph, b->data, NULL, NULL, &err))
        stop_on(&err);
    row->epoch_seconds = metrics.epochs[metrics.n_epochs - 1].seconds;
    gle_metrics_clear(&metrics);
}

static void measure_steps(struct config_row *row, const struct bench *b, double seconds)
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
        if (set->epoch)
            measure_epoch(&b->rows[i], b);
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
    gle_experiments_clear(&b->list);
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
    struct bench *benches;
    size_t n_benches;
    struct product_row *products;
    size_t n_products;
};

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
    printf(" %9.2f %9.2f %9.3f %8.1f %6.1f %%", 1e6 * s->best, 1e6 * s->median, s->mflop, gflops(s),
           100.0 * gflops(s) / peak);
}

static void print_configs(const struct results *r)
{
    printf("\n%-24s %7s | %-46s | %-46s | %s\n", "", "", "learning step", "evaluation step", "epoch");
    printf("%-24s %7s |", "config", "threads");
    for (int i = 0; i < 2; i++)
        printf(" %9s %9s %9s %8s %8s |", "us, least", "median", "MFLOP", "GFLOP/s", "of peak");
    printf(" seconds\n");
    for (size_t i = 0; i < r->n_benches; i++)
        for (size_t k = 0; k < r->benches[i].n_rows; k++) {
            const struct config_row *row = &r->benches[i].rows[k];
            printf("%-24.24s %3zu (%zu) |", r->benches[i].exp->name, row->asked, row->threads);
            print_speed(&row->learn, r->peak.gflops[row->threads]);
            printf(" |");
            print_speed(&row->eval, r->peak.gflops[row->threads]);
            if (isnan(row->epoch_seconds))
                printf(" |       -\n");
            else
                printf(" | %7.3f\n", row->epoch_seconds);
        }
    printf("threads: asked for (used). GFLOP/s of the products in a step, at its least time.\n");
    for (size_t t = 1; t <= r->peak.most; t++)
        if (r->peak.gflops[t] > 0.0)
            printf("peak on %zu thread%s: %.1f GFLOP/s (sgemm by BLIS, %d^3, one for each thread)\n", t,
                   t > 1 ? "s" : "", r->peak.gflops[t], PEAK_SIZE);
}

static void print_products(const struct results *r)
{
    printf("\n%-11s %5s  %-10s %5s %5s %5s %10s %10s %8s   (GFLOP/s on one thread, best of all repeats)\n", "layer",
           "batch", "product", "M", "N", "K", "own kernel", "BLIS", "own/BLIS");
    for (size_t i = 0; i < r->n_products; i++) {
        const struct product_row *row = &r->products[i];
        char layer[48];
        snprintf(layer, sizeof layer, "%zux%zu", row->layer.inputs, row->layer.neurons);
        printf("%-11s %5zu  %-10s %5zu %5zu %5zu %10.2f %10.2f %8.2f\n", layer, row->batch, product_names[row->which],
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
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "us_least", number(1e6 * s->best), "us_median",
                     number(1e6 * s->median), "mflop", number(s->mflop), "gflops", number(gflops(s)), "of_peak",
                     number(gflops(s) / peak));
}

static json_t *config_json(const struct bench *b, const struct config_row *row, const struct peak *peak)
{
    const double most = peak->gflops[row->threads];

    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "config", b->exp->name, "threads_asked",
                     (json_int_t)row->asked, "threads", (json_int_t)row->threads, "peak_gflops", number(most), "learn",
                     speed_json(&row->learn, most), "eval", speed_json(&row->eval, most), "epoch_seconds",
                     number(row->epoch_seconds));
}

static json_t *product_json(const struct product_row *row)
{
    return json_pack("{s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:o, s:o}", "inputs", (json_int_t)row->layer.inputs,
                     "neurons", (json_int_t)row->layer.neurons, "batch", (json_int_t)row->batch, "product",
                     product_names[row->which], "M", (json_int_t)row->M, "N", (json_int_t)row->N, "K",
                     (json_int_t)row->K, "own_gflops", number(row->gflops[0]), "blis_gflops", number(row->gflops[1]));
}

static void print_json(const struct results *r)
{
    const struct gle_provenance *m = &r->machine;
    json_t *configs = json_array(), *products = json_array(), *root;

    for (size_t i = 0; i < r->n_benches; i++)
        for (size_t k = 0; k < r->benches[i].n_rows; k++)
            json_array_append_new(configs, config_json(&r->benches[i], &r->benches[i].rows[k], &r->peak));
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
    enum { THREADS = 256, REPEATS, SECONDS, NO_EPOCH, NO_PRODUCTS, ONLY_PRODUCTS, LAYERS, JSON, HELP };
    static const struct option options[] = {
        {"threads", required_argument, NULL, THREADS},
        {"repeats", required_argument, NULL, REPEATS},
        {"seconds", required_argument, NULL, SECONDS},
        {"no-epoch", no_argument, NULL, NO_EPOCH},
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
    struct results r = {0};

    gle_provenance_collect(&r.machine, "");
    read_load(r.load);
    if (set.steps) {
        r.benches = gle_calloc(set.n_configs, sizeof *r.benches);
        if (!r.benches)
            stop("no memory");
        peak_open(&r.peak, &set);
        for (size_t i = 0; i < set.n_configs; i++) {
            bench_open(&r.benches[r.n_benches++], set.configs[i], &set);
            bench_run(&r.benches[i], &r.peak, &set);
        }
        peak_close(&r.peak);
    }
    if (set.products)
        r.products = measure_products(&set, &r.n_products);
    if (set.json)
        print_json(&r);
    else
        print_text(&r);
    for (size_t i = 0; i < r.n_benches; i++)
        bench_close(&r.benches[i]);
    gle_free(r.benches);
    gle_free(r.products);
    return 0;
}
