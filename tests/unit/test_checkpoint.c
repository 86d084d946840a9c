/* Checkpoints whose numbers were edited, with right checksums: each is refused, with the name of the file, or the run
 * ends. No assert is reached, nothing hangs. Of a long array two numbers are tried, or all with GLE_EVERY_NUMBER in
 * the environment; GLE_KIND: one kind of run alone. */
#include "../support/folder.h"
#include "../support/trial.h"
#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "report/checkpoint.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_SIZE = 2048, ENTRIES_MAX = 400, NAME_MAX_SIZE = 192, SECONDS = 60, SEEN_MAX = 1000 };

static const char *const layers =
    "layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0], tau_r: [0.4, 0.5, 0.1]}, activation: "
    "tanh}, {name: c, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}}]}\n";

/* A config after its head, and the steps after which its run is stopped. */
struct kind {
    const char *name, *rest;
    uint64_t stops[2];
};

#define XOR "dataset: {type: xor, present: 0.7, repeat: 3, noise: 0.3}\n"
#define NOISE "dataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}\n"
#define DELAYED "dataset: {type: delayed_xor, pulse: 0.2, pause: 0.3, answer: 0.2, samples: 8, test_samples: 4}\n"
#define TEACHER "teacher: {a: {weight: 0.7, tau_m: 1.5}}\n"

static const struct kind kinds[] = {
    {"epochs", XOR "learning: {loss: cross_entropy, schedule: {type: plateau, metric: train_loss, patience: 0}}\n"
                   "training: {epochs: 2, batch_size: 5}\nrecord: {every: 3, variables: [u]}\n",
     {21, 45}},
    {"validation", XOR "learning: {loss: mse, rule: bp, optimizer: {type: sgd, lr: 0.1, momentum: 0.9}}\n"
                       "training: {epochs: 1, batch_size: 3, test_batch_size: 3, validation: 0.4, state: reset}\n"
                       "record: {every: 1}\n",
     {2, 25}},
    {"stopping", XOR "learning: {loss: cross_entropy}\n"
                     "training: {epochs: 5, batch_size: 6, test_batch_size: 12, stop: {metric: train_loss, patience: "
                     "1, min_delta: 9}}\nrecord: {every: 1, variables: [u]}\n",
     {27, 45}}, /* between two epochs, and in the last test */
    {"windows", XOR "learning: {loss: mse, rule: bptt, window: 0.3, plastic: [weight, tau_m, tau_r]}\n"
                    "training: {epochs: 1, batch_size: 4}\ndiagnose: {window: 0.6, every: 6}\n"
                    "record: {every: 1, variables: [lambda]}\n",
     {15, 19}},
    {"no_targets", DELAYED "learning: {loss: cross_entropy, rule: bptt, window: 0.9}\n"
                           "training: {epochs: 1, batch_size: 4}\nrecord: {every: 1, variables: [u]}\n",
     {2, 13}},
    {"no_targets_by_phases", DELAYED "learning: {loss: cross_entropy}\ntraining: {batch_size: 4, phases: "
                                     "[{duration: 0.6}, {duration: 1.7}]}\ndiagnose: {window: 0.7, every: 8}\n"
                                     "record: {every: 1, variables: [u]}\n",
     {12, 16}},
    {"gradients", XOR "learning: {loss: cross_entropy}\ntraining: {epochs: 1, batch_size: 5}\n"
                      "diagnose: {window: 0.4, every: 5}\nrecord: {every: 1, variables: [u]}\n",
     {23, 30}},
    {"means", XOR "learning: {loss: cross_entropy, update: {every: 4}, clip: 0.2}\n"
                  "training: {epochs: 1, batch_size: 5}\nrecord: {every: 1, variables: [u]}\n",
     {22, 30}},
    {"streams", XOR "learning: {loss: cross_entropy}\ntraining: {batch_size: 4, phases: [{duration: 2.0}, "
                    "{duration: 1.3, learn: false}, {duration: 1.3}]}\nrecord: {every: 2, offset: 6, variables: [u]}\n",
     {16, 24}},
    {"settings", NOISE "learning: {loss: mse, plastic: [weight, bias, tau_m, tau_r]}\n"
                       "training: {phases: [{duration: 1.2, set: {a.weight: 0.3, c.tau_m: 2.0, c.tau_r: 0.7}}, "
                       "{duration: 1.6}, {duration: 0.5, set: {a.tau_m: 1.1}}]}\n"
                       TEACHER "record: {every: 2, variables: [r]}\n",
     {6, 30}},
    {"signal_windows", NOISE "learning: {loss: mse, rule: bptt, window: 0.5, plastic: [weight, bias, tau_m]}\n"
                             "training: {phases: [{duration: 1.7}, {duration: 1.4}]}\n" TEACHER
                             "diagnose: {window: 1.0, every: 10}\nrecord: {every: 1, offset: 5, variables: [lambda]}\n",
     {14, 22}},
    {"adjoint", NOISE "learning: {loss: mse, rule: adjoint, window: 0.5}\n"
                      "training: {phases: [{duration: 1.7}, {duration: 1.4}]}\n" TEACHER
              "record: {every: 1, variables: [u]}\n",
     {3, 20}},
    {"sounds", "dataset: {type: speech_commands, path: FOLDER, task: {words: [low, high]}, sample_rate: 4000, split: "
               "{type: hashed, validation: 20, test: 20}, features: {type: mel, bins: 2, window: 128, hop: 100}, "
               "upsample: 2, balance: true, augment: {shift: 100}}\nlearning: {loss: cross_entropy}\n"
               "training: {epochs: 1, batch_size: 4}\nrecord: {every: 1, variables: [u]}\n",
     {3, 60}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* --- a run with its checkpoint and recording, as the command has it --- */

struct world {
    struct trial t;
    struct gle_report report;
    struct gle_provenance provenance;
    struct gle_recorder *recorder;
    struct gle_checkpoint checkpoint;
    uint64_t stop_after;
    volatile sig_atomic_t stop;
};

/* A signal comes in a step that is recorded. */
static int on_moment(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct world *w = ctx;

    w->stop = m->step >= w->stop_after;
    return gle_recorder_moment(w->recorder, m, err);
}

static int on_window(void *ctx, const struct gle_closed_window *window, struct gle_error *err)
{
    return gle_recorder_window(((struct world *)ctx)->recorder, window, err);
}

static int on_pause(void *ctx, struct gle_run *run, enum gle_pause when, struct gle_error *err)
{
    struct world *w = ctx;

    return when == GLE_PAUSE_STOP ? gle_checkpoint_write(&w->checkpoint, run, err) : 0;
}

static int on_resume(void *ctx, struct gle_run *run, struct gle_error *err)
{
    return gle_checkpoint_read(&((struct world *)ctx)->checkpoint, run, err);
}

static void close_world(struct world *w)
{
    gle_recorder_discard(w->recorder);
    gle_report_release(&w->report);
    gle_provenance_clear(&w->provenance);
    trial_close(&w->t);
}

static struct world run_world(const char *yaml, const char *folder, bool resumes, uint64_t stop_after)
{
    struct world w = {.t = trial_open(yaml, 1), .stop_after = stop_after};
    const struct gle_observer observer = {.ctx = &w,
                                          .moment = on_moment,
                                          .window = on_window,
                                          .pause = on_pause,
                                          .resume = resumes ? on_resume : NULL};
    char path[GLE_REPORT_PATH], spool[GLE_REPORT_PATH];

    w.report = gle_report_of(w.t.b.exp);
    w.report.graph = w.t.b.graph;
    w.report.data = w.t.data;
    w.report.provenance = &w.provenance;
    snprintf(w.report.dir, sizeof w.report.dir, "%s", folder);
    gle_provenance_collect(&w.provenance, "test");
    gle_report_path(path, &w.report, GLE_FILE_RECORDING);
    gle_report_path(spool, &w.report, GLE_FILE_RECORDS);
    if (gle_recorder_open(&w.recorder, path, spool, w.t.b.graph, &w.t.err))
        fail_msg("%s", w.t.err.text);
    gle_checkpoint_start(&w.checkpoint, &w.report, w.recorder);
    trial_run(&w.t, &observer, &w.stop);
    if (!w.t.rc && w.t.m.status == GLE_COMPLETED) {
        struct gle_recorder *recorder = w.recorder;
        w.recorder = NULL;
        w.t.rc = gle_recorder_close(recorder, &w.t.err);
    }
    return w;
}

/* --- edits --- */

static char editing[NAME_MAX_SIZE + 128]; /* what is being tried, for the message of a signal */

static void on_death(int number)
{
    static const char why[] = "\nended by a signal, or too slow: ";

    (void)number;
    (void)!write(STDERR_FILENO, why, sizeof why - 1);
    (void)!write(STDERR_FILENO, editing, strlen(editing));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(1);
}

/* A checkpoint in memory, and the records beside it. */
struct copy {
    struct gle_array arrays[ENTRIES_MAX];
    char names[ENTRIES_MAX][NAME_MAX_SIZE];
    size_t n;
    unsigned char *records;
    size_t n_records;
};

static struct copy *read_copy(const char *folder)
{
    struct copy *c = calloc(1, sizeof *c);
    struct gle_error err = {0};
    struct gle_npz *npz;

    assert_non_null(c);
    assert_int_equal(gle_npz_open(&npz, folder_path(folder, GLE_FILE_CHECKPOINT), &err), 0);
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        const char *name = gle_npz_name(npz, i);
        if (!strcmp(name, "format") || !strcmp(name, "sha256"))
            continue;
        assert_true(c->n < ENTRIES_MAX && strlen(name) < NAME_MAX_SIZE);
        strcpy(c->names[c->n], name);
        assert_int_equal(gle_npz_read(&c->arrays[c->n++], npz, name, &err), 0);
    }
    gle_npz_close(npz);
    if (gle_file_read(&c->records, &c->n_records, folder_path(folder, GLE_FILE_RECORDS), SIZE_MAX / 4, false, GLE_EDATA,
                      &err))
        fail_msg("%s", err.text);
    return c;
}

static void free_copy(struct copy *c)
{
    for (size_t i = 0; i < c->n; i++)
        gle_array_clear(&c->arrays[i]);
    gle_free(c->records);
    free(c);
}

/* Puts it back, with a right checksum; entry `of` has n values. */
static void write_copy(const struct copy *c, const char *folder, size_t of, size_t n)
{
    struct gle_error err = {0};
    struct gle_archive *a;
    FILE *records = fopen(folder_path(folder, GLE_FILE_RECORDS), "w");

    assert_non_null(records);
    assert_int_equal(fwrite(c->records, 1, c->n_records, records), c->n_records);
    assert_int_equal(fclose(records), 0);
    assert_int_equal(gle_archive_create(&a, &err), 0);
    for (size_t i = 0; i < c->n; i++) {
        const struct gle_array *x = &c->arrays[i];
        assert_int_equal(gle_archive_spread(a, c->names[i], x->type, x->values, i == of ? n : x->n,
                                            gle_npy_item(x->type), &err),
                         0);
    }
    assert_int_equal(gle_archive_write(a, folder_path(folder, GLE_FILE_CHECKPOINT), &err), 0);
    gle_archive_destroy(a);
}

/* Hostile value k in place of number i; false: there is no such value, or it is there already. */
static bool edit(struct gle_array *x, size_t i, size_t k)
{
    static const double reals[] = {0.0, DBL_MAX, -1.0, (double)NAN, (double)INFINITY};
    static const uint64_t counts[] = {0, UINT64_MAX, UINT64_C(1) << 63, 2};
    const size_t item = gle_npy_item(x->type);
    unsigned char *at = (unsigned char *)x->values + i * item, old[8], new[8];

    memcpy(old, at, item);
    memcpy(new, at, item);
    if (x->type == GLE_NPY_F64 || x->type == GLE_NPY_F32) {
        const double was = gle_array_real(x, i);
        const double real = k < 5 ? reals[k] : was + 1.0;
        const float single = k == 1 ? FLT_MAX : (float)real;
        if (k > 5)
            return false;
        memcpy(new, x->type == GLE_NPY_F64 ? (const void *)&real : (const void *)&single, item);
    } else if (k < 4) {
        memcpy(new, &counts[k], item); /* little-endian, as the archive */
        if (k == 2 && item < 8)
            new[item - 1] = 0x80;
    } else if (k < 6) {
        new[0] = (unsigned char)(new[0] + (k == 4 ? 1 : -1)); /* a carry is no matter */
    } else {
        return false;
    }
    memcpy(at, new, item);
    return memcmp(old, new, item) != 0;
}

/* Numbers that a run can have another of and still be one. Any other whole number, or flag, is refused. */
static bool may_be_another(const char *name)
{
    static const char *const some[] = {"rng.", "order.", "rows", "confusion", "window_first", "bad_epochs", "missed",
                                       "updates", "due", "first", "right", "pending", "comparisons", "diagnostics.step",
                                       "forwarded", "config", "maker", "earlier", "resumed", "start", "taped",
                                       "checksum", "clip"};

    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        if (strstr(name, some[i]))
            return true;
    return false;
}

static bool is_real(enum gle_npy_type type)
{
    return type == GLE_NPY_F32 || type == GLE_NPY_F64;
}

/* Time constants that a phase keeps for later, of which one is no time. */
static bool is_no_time(const char *name, const struct gle_array *x)
{
    const size_t n = strlen(name);
    bool any = false;

    if (n < 6 || (strcmp(name + n - 6, ".tau_m") && strcmp(name + n - 6, ".tau_r")))
        return false;
    for (size_t i = 0; i < x->n; i++)
        any = any || !(gle_array_real(x, i) > 0.0);
    return any;
}

/* What becomes of a run whose entry `of` was edited. Returns whether it was refused. */
static bool check_edited(const char *yaml, const char *folder, const struct copy *c, size_t of)
{
    struct world w;
    bool refused;

    alarm(SECONDS);
    w = run_world(yaml, folder, true, UINT64_MAX);
    alarm(0);
    refused = w.t.rc && w.t.err.code == GLE_EDATA;
    if (refused && (!w.t.err.text[0] || strncmp(w.t.err.file, folder, strlen(folder))))
        fail_msg("%s: %s: %s: %s", editing, w.t.err.file, w.t.err.path, w.t.err.text);
    /* a network whose numbers are edited may diverge, as another one may */
    if (!refused && w.t.rc && (w.t.err.code != GLE_EDIVERGED || !is_real(c->arrays[of].type)))
        fail_msg("%s: code %d: %s", editing, (int)w.t.err.code, w.t.err.text);
    if (!w.t.rc)
        assert_int_equal(w.t.m.status, GLE_COMPLETED);
    if (!refused && is_no_time(c->names[of], &c->arrays[of]))
        fail_msg("%s: was not refused, and is no time", editing);
    if (!refused && !is_real(c->arrays[of].type) && !may_be_another(c->names[of]))
        fail_msg("%s: was not refused", editing);
    close_world(&w);
    return refused;
}

/* The numbers of an array that are tried: all of a short one. */
static size_t next_number(size_t i, size_t n)
{
    enum { SHORT = 4 };

    if (n <= SHORT || getenv("GLE_EVERY_NUMBER"))
        return i + 1;
    return i ? n : n / 2;
}

/* Real numbers are seen one by one where they are read, which is the same place in all kinds of runs and wherever these
 * stop: the entries of each name are tried once. */
static bool is_tried(const struct gle_array *x, const char *name)
{
    static char *seen[SEEN_MAX];
    static size_t n;

    if (!is_real(x->type) || getenv("GLE_EVERY_NUMBER"))
        return true;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(seen[i], name))
            return false;
    assert_true(n < SEEN_MAX);
    assert_non_null(seen[n++] = strdup(name));
    return true;
}

static size_t edit_entry(const char *yaml, const char *folder, const char *kind, struct copy *c, size_t of)
{
    struct gle_array *x = &c->arrays[of];
    const size_t item = gle_npy_item(x->type);
    size_t tried = 0;

    for (size_t i = 0; i < x->n; i = next_number(i, x->n))
        for (size_t k = 0; k < 6; k++) {
            unsigned char *at = (unsigned char *)x->values + i * item, kept[8];
            memcpy(kept, at, item);
            snprintf(editing, sizeof editing, "%s, %s: value %zu, edit %zu", kind, c->names[of], i, k);
            if (edit(x, i, k)) {
                write_copy(c, folder, of, x->n);
                (void)check_edited(yaml, folder, c, of);
                tried++;
            }
            memcpy(at, kept, item);
        }
    snprintf(editing, sizeof editing, "%s, %s: one less", kind, c->names[of]);
    if (x->n) {
        write_copy(c, folder, of, x->n - 1);
        (void)check_edited(yaml, folder, c, of);
    }
    return tried;
}

static struct gle_array *find(struct copy *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->names[i], name))
            return &c->arrays[i];
    return NULL;
}

/* An open window that began at another step, with all that tells of it in agreement. */
static void edit_window(const char *yaml, const char *folder, const char *kind, struct copy *c)
{
    enum { LONGEST = 8 }; /* beyond any tape here */
    const struct gle_array *open = find(c, "run.in_window"), *step = find(c, "run.step");
    struct gle_array *first = find(c, "run.window_first"), *taped = find(c, "run.net.taped");

    if (!*(const unsigned char *)open->values)
        return;
    for (uint64_t t = 0; t < LONGEST; t++) {
        const uint64_t then = *(const uint64_t *)step->values - t, first_was = *(uint64_t *)first->values;
        const uint64_t taped_was = *(uint64_t *)taped->values;
        snprintf(editing, sizeof editing, "%s: a window of %zu steps", kind, (size_t)t);
        *(uint64_t *)first->values = then;
        *(uint64_t *)taped->values = t;
        write_copy(c, folder, c->n, 0);
        (void)check_edited(yaml, folder, c, (size_t)(first - c->arrays));
        *(uint64_t *)first->values = first_was;
        *(uint64_t *)taped->values = taped_was;
    }
}

static void check_kind(const struct kind *kind, const char *folder)
{
    char yaml[YAML_SIZE], text[YAML_SIZE];
    size_t tried = 0;

    snprintf(text, sizeof text, "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\nnetwork: {input: %d, %s%s",
             strstr(kind->rest, "delayed_xor") ? 1 : 2, layers, kind->rest);
    snprintf(yaml, sizeof yaml, "%s", folder_text(folder, text));
    for (size_t i = 0; i < sizeof kind->stops / sizeof *kind->stops; i++) {
        struct world w = run_world(yaml, folder, false, kind->stops[i]);
        struct copy *c;
        if (w.t.rc || w.t.m.status != GLE_INTERRUPTED)
            fail_msg("%s, stop %zu: status %d, %s", kind->name, i, (int)w.t.m.status, w.t.err.text);
        close_world(&w);
        c = read_copy(folder);
        write_copy(c, folder, c->n, 0);
        w = run_world(yaml, folder, true, UINT64_MAX);
        if (w.t.rc)
            fail_msg("%s, stop %zu: %s: %s", kind->name, i, w.t.err.path, w.t.err.text);
        close_world(&w);
        for (size_t of = 0; of < c->n; of++)
            tried += is_tried(&c->arrays[of], c->names[of]) ? edit_entry(yaml, folder, kind->name, c, of) : 0;
        edit_window(yaml, folder, kind->name, c);
        free_copy(c);
    }
    print_message("%s: %zu edits\n", kind->name, tried);
}

/* Two words, tones of two heights, by many speakers. */
static void make_sounds(const char *folder)
{
    for (unsigned speaker = 0; speaker < 12; speaker++)
        for (int word = 0; word < 2; word++) {
            char name[64];
            int16_t x[900];
            const size_t n = 600 + 20 * (size_t)speaker;
            for (size_t i = 0; i < n; i++)
                x[i] = (int16_t)(8000.0 * sin((word ? 1.1 : 0.31) * (double)i));
            snprintf(name, sizeof name, "%s/%08x_nohash_0.wav", word ? "high" : "low", speaker * 0x9e3779b9u);
            folder_put_sound(folder, name, x, n, 4000);
        }
}

/* Many thousand files are written and made safe: in memory, where there is such a place. */
static void make_folder(char folder[FOLDER_SIZE])
{
    snprintf(folder, FOLDER_SIZE, "/dev/shm/glesim_test_XXXXXX");
    if (!mkdtemp(folder))
        folder_make(folder);
}

static void edited_checkpoints_are_refused_or_end_well(void **state)
{
    const char *only = getenv("GLE_KIND");

    (void)state;
    signal(SIGALRM, on_death);
    signal(SIGABRT, on_death);
    for (size_t i = 0; i < KINDS; i++) {
        char folder[FOLDER_SIZE];
        if (only && strcmp(only, kinds[i].name))
            continue;
        make_folder(folder);
        make_sounds(folder);
        check_kind(&kinds[i], folder);
        folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(edited_checkpoints_are_refused_or_end_well)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
