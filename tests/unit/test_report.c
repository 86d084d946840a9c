/* The states of a run directory: whose its files are, from call to call. */
#include "../support/folder.h"
#include "../support/trial.h"
#include "base/file.h"
#include "base/memory.h"
#include "report/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const config = /* after a description, which makes no other run */
    "glesim: 1\nname: tiny\ndescription: %s\ndt: 0.1\ndataset: {type: xor, present: 0.7}\n"
    "network: {input: 2, layers: [{name: a, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}\n"
    "learning: {loss: cross_entropy}\ntraining: {epochs: 1}\n";

/* One process's part of a run. */
struct part {
    struct trial t;
    struct gle_provenance provenance;
    struct gle_report report;
    char yaml[1024];
};

static void open_part(struct part *p, const char *folder, const char *description)
{
    snprintf(p->yaml, sizeof p->yaml, config, description);
    p->t = trial_open(p->yaml, 1);
    gle_provenance_collect(&p->provenance, "test");
    p->report = gle_report_of(p->t.b.exp);
    p->report.graph = p->t.b.graph;
    p->report.data = p->t.data;
    p->report.provenance = &p->provenance;
    snprintf(p->report.dir, sizeof p->report.dir, "%s", folder);
}

static void close_part(struct part *p)
{
    gle_report_release(&p->report);
    gle_provenance_clear(&p->provenance);
    trial_close(&p->t);
}

static int write_report(struct part *p)
{
    return gle_report_write(&p->report, &p->t.m, p->t.b.net, &p->t.err);
}

static void put(const char *folder, const char *name)
{
    struct gle_error err = {0};

    assert_int_equal(gle_file_write(folder_path(folder, name), "x", 1, &err), 0);
}

static bool is_there(const char *folder, const char *name)
{
    return !access(folder_path(folder, name), F_OK);
}

/* Whether config.yaml has this description. */
static bool is_config_of(const char *folder, const char *description)
{
    struct gle_error err = {0};
    unsigned char *text;
    size_t size;
    bool found;

    assert_int_equal(gle_file_read(&text, &size, folder_path(folder, "config.yaml"), 4096, false, GLE_EDATA, &err), 0);
    text[size - 1] = '\0';
    found = strstr((const char *)text, description) != NULL;
    gle_free(text);
    return found;
}

/* What a run finds, how it is started, and where that leads; next: after a report is written. */
struct path {
    bool report, checkpoint;
    enum gle_start how;
    enum gle_report_state begun, next;
};

static const struct path paths[] = {
    {false, false, GLE_START_NEW, GLE_REPORT_FRESH, GLE_REPORT_FRESH},
    {false, false, GLE_START_REPLACE, GLE_REPORT_FRESH, GLE_REPORT_FRESH},
    {false, false, GLE_START_RESUME, GLE_REPORT_FRESH, GLE_REPORT_FRESH},
    {true, false, GLE_START_NEW, GLE_REPORT_UNBEGUN, GLE_REPORT_UNBEGUN},
    {true, false, GLE_START_REPLACE, GLE_REPORT_REPLACES, GLE_REPORT_FRESH},
    {true, false, GLE_START_RESUME, GLE_REPORT_REPLACES, GLE_REPORT_FRESH},
    {true, true, GLE_START_NEW, GLE_REPORT_UNBEGUN, GLE_REPORT_UNBEGUN},
    {true, true, GLE_START_REPLACE, GLE_REPORT_REPLACES, GLE_REPORT_FRESH},
    {true, true, GLE_START_RESUME, GLE_REPORT_RESUMES, GLE_REPORT_CONTINUED},
    {false, true, GLE_START_NEW, GLE_REPORT_UNBEGUN, GLE_REPORT_UNBEGUN},
    {false, true, GLE_START_REPLACE, GLE_REPORT_REPLACES, GLE_REPORT_FRESH},
    {false, true, GLE_START_RESUME, GLE_REPORT_RESUMES, GLE_REPORT_CONTINUED},
};

/* A former run's directory. */
static void leave_former(const char *folder, const struct path *path)
{
    struct part former = {.t = {.rc = 0}};

    if (!path->report && !path->checkpoint)
        return;
    open_part(&former, folder, "former");
    assert_int_equal(gle_report_begin(&former.report, GLE_START_NEW, &former.t.err), 0);
    assert_int_equal(write_report(&former), 0);
    put(folder, GLE_FILE_RECORDING);
    if (path->checkpoint)
        put(folder, GLE_FILE_CHECKPOINT);
    if (!path->report)
        assert_int_equal(unlink(folder_path(folder, "metrics.json")), 0);
    close_part(&former);
}

/* What is true in a state, as report.h numbers it; former: a former run was there. */
static void assert_invariants(const struct part *p, const char *folder, const struct path *path, bool former)
{
    const enum gle_report_state state = p->report.state;
    const bool own = state == GLE_REPORT_FRESH || state == GLE_REPORT_CONTINUED;

    assert_int_equal(gle_report_replaces(&p->report), state == GLE_REPORT_REPLACES);
    assert_int_equal(gle_report_resumes(&p->report), state == GLE_REPORT_RESUMES || state == GLE_REPORT_CONTINUED);
    assert_true(is_config_of(folder, own ? "present one" : "former"));
    if (state == GLE_REPORT_REPLACES)
        assert_int_equal(is_there(folder, "metrics.json"), path->report);
    assert_int_equal(is_there(folder, GLE_FILE_CHECKPOINT),
                     gle_report_resumes(&p->report) || (state == GLE_REPORT_UNBEGUN && path->checkpoint));
    assert_int_equal(is_there(folder, GLE_FILE_RECORDING), former && state != GLE_REPORT_FRESH);
    if (state != GLE_REPORT_UNBEGUN)
        assert_true(p->report.config_sha256[0] && p->report.inputs.data_sha256[0]);
}

static void fail_to_write(struct part *p)
{
    gle_memory_fail_after(0);
    assert_int_equal(write_report(p), -1);
    gle_memory_fail_after((size_t)-1);
    assert_int_equal(p->t.err.code, GLE_ENOMEM);
    p->t.err = (struct gle_error){0};
}

static void check_path(const struct path *path)
{
    const bool former = path->report || path->checkpoint;
    char folder[FOLDER_SIZE];
    struct part p = {.t = {.rc = 0}};

    folder_make(folder);
    leave_former(folder, path);
    open_part(&p, folder, "present one");
    assert_int_equal(p.report.state, GLE_REPORT_UNBEGUN);
    assert_int_equal(gle_report_begin(&p.report, path->how, &p.t.err), path->begun == GLE_REPORT_UNBEGUN ? -1 : 0);
    assert_int_equal(p.report.state, path->begun);
    assert_invariants(&p, folder, path, former);
    if (path->begun != GLE_REPORT_UNBEGUN) {
        assert_true(gle_report_due(&p.report));
        fail_to_write(&p);
        assert_int_equal(p.report.state, path->begun);
        assert_invariants(&p, folder, path, former);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(write_report(&p), 0);
            assert_int_equal(p.report.state, path->next);
            assert_invariants(&p, folder, path, former);
        }
        put(folder, GLE_FILE_RECORDING); /* this run's */
        assert_int_equal(write_report(&p), 0);
        assert_true(is_there(folder, GLE_FILE_RECORDING));
    }
    close_part(&p);
    folder_remove(folder);
}

static void every_start_leads_to_its_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        check_path(&paths[i]);
}

/* A directory is held from one call to another, whatever state the report is in. */
static void a_directory_is_held_until_it_is_released(void **state)
{
    char folder[FOLDER_SIZE];
    struct part p = {.t = {.rc = 0}};

    (void)state;
    folder_make(folder);
    open_part(&p, folder, "present one");
    assert_false(gle_report_is_held(folder));
    assert_int_equal(gle_report_hold(&p.report, &p.t.err), 0);
    assert_true(gle_report_is_held(folder));
    assert_int_equal(p.report.state, GLE_REPORT_UNBEGUN);
    assert_int_equal(gle_report_begin(&p.report, GLE_START_NEW, &p.t.err), 0);
    assert_true(gle_report_is_held(folder));
    close_part(&p);
    assert_false(gle_report_is_held(folder));
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_start_leads_to_its_state),
        cmocka_unit_test(a_directory_is_held_until_it_is_released),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
