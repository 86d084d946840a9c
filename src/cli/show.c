#include "cli/show.h"
#include "comm/comm.h"
#include "backend/device.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/progress.h"
#include "cli/tables.h"
#include "config/keys.h"
#include "data/feed.h"
#include "data/shown.h"
#include "parts/optimizer.h"
#include "report/provenance.h"
#include "train/evaluation.h"
#include "yaml/key.h"

#include <math.h>
#include <stdio.h>

int gle_show_error(FILE *to, const struct gle_error *err)
{
    char text[1200];

    gle_error_format(text, sizeof text, err);
    fprintf(to, "%s%s\n", err->file[0] ? "" : "glesim: ", text);
    return gle_code_exit(err->code);
}

int gle_show_errors(struct gle_errors *errs)
{
    gle_errors_sort(errs);
    for (size_t i = 0; i < errs->n; i++)
        gle_show_error(stderr, &errs->item[i]);
    if (errs->dropped)
        fprintf(stderr, "glesim: and %zu more error%s\n", errs->dropped, errs->dropped > 1 ? "s" : "");
    return errs->n ? gle_code_exit(errs->item[0].code) : 5;
}

static void show_keys(const struct gle_key *keys, int indent);

/* What a key of a part can name, unless it has a section of its own. */
static void show_choice(const struct gle_table *table, int indent)
{
    const struct gle_row *row;

    for (size_t t = 0; gle_tables[t]; t++)
        if (gle_tables[t] == table)
            return;
    for (size_t i = 0; (row = gle_table_at(table, i)); i++) {
        printf("%*s%-*s %s\n", indent, "", 22 - indent, row->name, row->help);
        show_keys(row->keys, indent + 2);
    }
}

/* The maps that a custom value can be made of. */
static void show_forms(const struct gle_form *forms, int indent)
{
    const void *shown = NULL;

    for (const struct gle_form *f = forms; f->kind; f++)
        if (f->key && f->key->kind == GLE_KEY_KIND_MAP && f->key->more != gle_experiment_keys &&
            f->key->more != shown) {
            shown = f->key->more;
            show_keys(shown, indent);
        }
}

/* Keys of a map, and of the maps inside it. */
static void show_keys(const struct gle_key *keys, int indent)
{
    for (const struct gle_key *k = keys; k && k->name; k++) {
        const bool has_default = k->fallback && k->fallback[0];
        printf("%*s%-*s %s%s%s%s%s\n", indent, "", 22 - indent, k->name, k->help, has_default ? "; default " : "",
               has_default ? k->fallback : !k->fallback ? "; required" : "",
               k->unit[0] && has_default ? " " : "", has_default ? k->unit : "");
        if (k->kind == GLE_KEY_KIND_PART)
            show_choice(k->more, indent + 2);
        if (k->kind == GLE_KEY_KIND_MAP)
            show_keys(k->more, indent + 2);
        if (k->kind == GLE_KEY_KIND_CUSTOM)
            show_forms(((const struct gle_custom *)k->more)->forms, indent + 2);
    }
}

/* The devices that drivers offer; or why there is none. */
static void show_devices(void)
{
    struct gle_device_info *infos;
    struct gle_device *device;
    struct gle_error err = {0};
    size_t n;

    puts("\ndevice");
    if (gle_devices_list(&infos, &n, &err) || (!n && gle_device_open(&device, NULL, &err)))
        printf("  none: %s\n", err.text);
    for (size_t i = 0; i < n; i++)
        printf("  %-20zu %s: %s, %.3g GB; %s, driver %s\n", i, infos[i].name, infos[i].is_gpu ? "a GPU" : "no GPU",
               1e-9 * infos[i].memory, infos[i].platform, infos[i].driver);
    gle_free(infos);
}

void gle_show_list(void)
{
    puts("config");
    show_keys(gle_experiment_keys, 2);
    for (size_t t = 0; gle_tables[t]; t++) {
        const struct gle_row *row;
        printf("\n%s\n", gle_tables[t]->what);
        for (size_t i = 0; (row = gle_table_at(gle_tables[t], i)); i++) {
            printf("  %-20s %s\n", row->name, row->help);
            show_keys(row->keys, 4);
        }
    }
    show_devices();
}

void gle_show_version(void)
{
    struct gle_provenance p;

    gle_provenance_collect(&p, "");
    printf("glesim %s%s%s%s\n%s, %s\n%s, kernels for %s, %s\n", p.version, p.commit[0] ? " (" : "", p.commit,
           p.commit[0] ? ")" : "", p.compiler, p.blas, p.cpu, p.isa, gle_comm_library());
}

static void show_parameters(const struct gle_graph *g)
{
    size_t taus = 0;

    for (size_t i = 0; i < g->n_parameters; i++)
        if (gle_param_is_tau(g->parameters[i].kind) && g->parameters[i].plastic)
            taus += gle_field_size(&g->parameters[i].field);
    if (taus)
        printf("  parameters        %zu, and %zu plastic time constant%s; %zu of all these learn\n", g->n_params, taus,
               taus == 1 ? "" : "s", g->n_plastic);
    else
        printf("  parameters        %zu, of which %zu learn\n", g->n_params, g->n_plastic);
}

static void show_data(const struct gle_experiment *exp, const struct gle_data *data)
{
    const struct gle_samples *split = data->split;

    printf("%s%s%s, seed %llu\n", exp->name, exp->variant ? " " : "", exp->variant ? exp->variant : "",
           (unsigned long long)exp->seed);
    if (data->signal.play)
        printf("  data set %s: %zu sequence%s x %zu channel%s, without end\n", exp->dataset.row->name,
               data->signal.n_sequences, data->signal.n_sequences == 1 ? "" : "s", data->n_channels,
               data->n_channels == 1 ? "" : "s");
    else
        printf("  data set %s: %zu training, %zu validation, %zu test samples of %s%zu steps x %zu channels, %zu "
               "targets",
               exp->dataset.row->name, split[GLE_TRAIN].n, split[GLE_VALIDATION].n, split[GLE_TEST].n,
               data->maker.make && !data->maker.alike ? "at most " : "", data->n_steps, data->n_channels,
               data->n_targets);
    if (data->asked_end && !exp->has_teacher)
        printf(" in steps %zu to %zu", data->n_unasked, data->asked_end - 1);
    else if (data->n_unasked && !exp->has_teacher)
        printf(" in the last %zu steps", data->n_steps - data->n_unasked);
    if (gle_data_has_masks(data))
        printf("%s where a sample asks for them", data->n_unasked || data->asked_end ? "," : "");
    if (!data->signal.play)
        putchar('\n');
    if (exp->has_teacher)
        printf("  teacher           the same network with %zu parameter%s of its own\n", exp->teacher.n,
               exp->teacher.n == 1 ? "" : "s");
}

static double data_bytes(const struct gle_graph *graph, const struct gle_data *data)
{
    const double n = (double)(data->split[GLE_TRAIN].n + data->split[GLE_VALIDATION].n + data->split[GLE_TEST].n);

    if (data->maker.make)
        return data->bytes + (graph->exp->phases ? gle_shown_bytes(data, graph->max_batch)
                                                 : gle_feed_bytes(data, graph->max_batch));
    return 4.0 * n * (double)data->n_channels * (data->held ? 1.0 : (double)(data->n_steps / gle_data_repeat(data)));
}

/* Ends a line with the time that something takes, if it is known. */
static void end_with_time(bool known, double seconds)
{
    char text[32];

    gle_format_duration(text, sizeof text, seconds);
    printf("%s%s\n", known ? ", " : "", known ? text : "");
}

/* The time that all phases take, and each. */
static void show_phases(const struct gle_experiment *exp, const struct gle_data *data, const struct gle_costs *costs)
{
    static const struct gle_costs none = {0};
    const struct gle_costs *cost = costs ? costs : &none;
    char text[32];
    double total;

    for (size_t i = 0; i < exp->n_phases; i++) {
        const struct gle_phase *p = &exp->phases[i];
        printf("  phase %-11zu %g time units, %llu steps, %s%s", i + 1, p->duration, (unsigned long long)p->n_steps,
               p->learn ? "learning" : "not learning", p->set.n ? ", some parameters set" : "");
        end_with_time(costs, (double)p->n_steps * (p->learn ? &cost->learn : &cost->eval)->mean);
    }
    if (exp->evaluate_steps) {
        printf("  evaluations       %llu of %zu test samples", (unsigned long long)gle_evaluation_count(exp),
               data->split[GLE_TEST].n);
        end_with_time(costs, gle_train_estimate_evaluations(cost, exp, data));
    }
    gle_train_estimate(&total, cost, exp, data);
    gle_format_duration(text, sizeof text, total);
    if (costs)
        printf("  estimated time    %s\n", text);
}

/* In front of what early stopping may make less. */
static const char *at_most(const struct gle_experiment *exp)
{
    return exp->stop.metric ? "at most " : "";
}

/* How large recording.npz will be, which only the disk limits. */
static void show_recording(const struct gle_experiment *exp, const struct gle_data *data, double record)
{
    const double steps = gle_train_steps(exp, data) - (double)exp->record.offset;
    const double records = ceil(fmax(0.0, steps) / (double)exp->record.every), bytes = records * record;

    printf("  recording         %s%.16g records, about %.3g %cB\n", at_most(exp), records,
           bytes < 1e9 ? 1e-6 * bytes : 1e-9 * bytes, bytes < 1e9 ? 'M' : 'G');
}

static void show_epochs(const struct gle_experiment *exp, const struct gle_data *data, const struct gle_costs *costs)
{
    const struct gle_step_counts n = gle_train_count_steps(exp, data);
    double total = 0.0, epoch = costs ? gle_train_estimate(&total, costs, exp, data) : 0.0;
    char all[32];

    printf("  an epoch          %.16g learning and %.16g evaluating steps", n.learn, n.eval);
    end_with_time(costs, epoch);
    gle_format_duration(all, sizeof all, total);
    if (costs)
        printf("  estimated time    %s%s for %s%llu epochs\n", at_most(exp), all, at_most(exp),
               (unsigned long long)exp->epochs);
}

/* A kind of step: its products, and the time measured; cost NULL: none was. */
static void show_step(const char *what, double flops, size_t rows, const struct gle_step_cost *cost, const char *where)
{
    char text[32];

    printf("  %-17s %.3g %cFLOP (batch of %zu)", what, flops < 1e9 ? 1e-6 * flops : 1e-9 * flops,
           flops < 1e9 ? 'M' : 'G', rows);
    if (cost) {
        gle_format_duration(text, sizeof text, cost->mean);
        printf(", %s measured on %s", text, where);
    }
    putchar('\n');
}

/* What the networks take of a device that the run goes to, or might. */
static void show_room(const struct gle_plan_place *place)
{
    const struct gle_net_room *room = place->room;
    const struct gle_device_info *info = place->considered;

    printf("  device memory     %s of %s on %s; the largest piece has %s of %s, of at most %s; room for %zu such runs "
           "side by side\n",
           gle_text_bytes(room->each + room->shared).text, gle_text_bytes(info->memory).text, info->name,
           gle_text_bytes(room->largest).text, room->largest_is, gle_text_bytes(info->max_buffer).text,
           gle_net_room_for(room, info, 0.0));
}

static void show_steps(const struct gle_graph *graph, const struct gle_data *data,
                       const struct gle_device_info *device, size_t threads, const struct gle_costs *costs)
{
    const size_t rows = gle_train_eval_rows(graph, data);
    char where[GLE_DEVICE_NAME];

    if (device)
        snprintf(where, sizeof where, "%s", device->name);
    else
        snprintf(where, sizeof where, "%zu thread%s", threads, threads > 1 ? "s" : "");
    show_step("a learning step", (double)graph->train_rows * gle_graph_flops(graph, true), graph->train_rows,
              costs ? &costs->learn : NULL, where);
    show_step("evaluating step", (double)rows * gle_graph_flops(graph, false), rows, costs ? &costs->eval : NULL,
              where);
}

void gle_show_plan(const struct gle_graph *graph, const struct gle_data *data, const struct gle_plan_place *place,
                   const struct gle_costs *costs, uint64_t wild, double record)
{
    const struct gle_experiment *exp = graph->exp;
    const struct gle_optimizer *optimizer = (const struct gle_optimizer *)exp->optimizer.row;
    const double predictions = gle_predictions_bytes(exp, data);
    const double bytes = gle_graph_bytes(graph, optimizer->n_moments) + data_bytes(graph, data) + 2.0 * predictions;
    const double traces = gle_graph_trace_bytes(graph);

    show_data(exp, data);
    gle_show_network(graph);
    show_parameters(graph);
    printf("  memory            about %.3g %cB for network and data\n", bytes < 1e9 ? 1e-6 * bytes : 1e-9 * bytes,
           bytes < 1e9 ? 'M' : 'G');
    if (traces > 0.0)
        printf("  eligibilities     %s of that, for up to %zu samples side by side\n", gle_text_bytes(traces).text,
               graph->max_batch);
    if (place->room)
        show_room(place);
    if (exp->predictions)
        printf("  predictions       predictions.npz of about %s, and twice as much of that memory\n",
               gle_text_bytes(predictions).text);
    if (record > 0.0)
        show_recording(exp, data, record);
    show_steps(graph, data, place->device, place->threads, costs);
    if (exp->phases)
        show_phases(exp, data, costs);
    else
        show_epochs(exp, data, costs);
    if (!costs)
        printf("  estimated time    unknown: the network diverged at step %llu of the measurement; the run has %.16g "
               "steps\n", (unsigned long long)wild, gle_train_steps(exp, data));
}
