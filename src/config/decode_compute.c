/* The keys of `compute`: what a network runs on, and what ranks do. */
#include "base/text.h"
#include "config/decode.h"

static const struct gle_row backends[] = {
    [GLE_BACKEND_AUTO] = {.name = "auto", .help = "a GPU where steps are faster there, else the processors"},
    [GLE_BACKEND_CPU] = {.name = "cpu", .help = "this machine's processors"},
    [GLE_BACKEND_OPENCL] = {.name = "opencl", .help = "a GPU of any vendor, or another device that has OpenCL 1.2"},
    {.name = NULL},
};
const struct gle_table gle_backend_table = {"backend", backends, sizeof *backends};
#define ON_GPUS "is no backend: opencl runs on GPUs of any vendor"
static const struct gle_note backend_notes[] = {
    {"gpu", ON_GPUS},   {"cuda", ON_GPUS},  {"nvidia", ON_GPUS}, {"amd", ON_GPUS},   {"rocm", ON_GPUS},
    {"hip", ON_GPUS},   {"intel", ON_GPUS}, {"sycl", ON_GPUS},   {"metal", ON_GPUS}, {"mps", ON_GPUS},
    {"vulkan", ON_GPUS}, {NULL, NULL},
};
#undef ON_GPUS

static const struct gle_row ranks[] = {
    [GLE_RANKS_MAKE_RUNS] = {.name = "runs",
                             .help = "each makes runs by itself, which give the bits that they give alone"},
    [GLE_RANKS_MAKE_ROWS] = {.name = "rows",
                             .help = "all make one run, each the steps of its part of the batch's rows; gradients are "
                                     "added in the order of ranks"},
    {.name = NULL},
};
const struct gle_table gle_ranks_table = {"ranks", ranks, sizeof *ranks};

/* device: its number, or a part of its name */
static const struct gle_key device_number_key = {
    .name = "number", .kind = GLE_KEY_KIND_COUNT, .low = 0, .high = 1e6, .unit = "", .help = "its number in --list"};
static const struct gle_key device_name_key = {
    .name = "name", .kind = GLE_KEY_KIND_TEXT, .unit = "", .more = ".", .help = "a part of its name, in any case"};

static int decode_device(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    const char **device = field;
    uint64_t number;
    double real;

    if (node->kind != GLE_NODE_SCALAR)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL,
                              "the number of one device, or a part of its name, is wanted, not a %s",
                              node->kind == GLE_NODE_LIST ? "list" : "map");
    if (!node->quoted && !gle_text_real(&real, node->text)) {
        if (gle_decode_value(&number, &device_number_key, doc, node, errs))
            return -1;
        *device = node->text;
        return 0;
    }
    if (gle_decode_value(device, &device_name_key, doc, node, errs))
        return -1;
    return **device ? 0 : gle_node_error(errs, GLE_ECONFIG, node, NULL, "has no value");
}

static const struct gle_form device_forms[] = {{.kind = GLE_FORM_VALUE, .key = &device_number_key},
                                               {.kind = GLE_FORM_VALUE, .key = &device_name_key},
                                               {.kind = GLE_FORM_END}};
static const struct gle_custom device_custom = {
    .decode = decode_device, .type = "number or name of a device", .forms = device_forms};

const struct gle_key gle_compute_key_table[] = {
    GLE_KEY_NAME_NOTED(struct gle_compute_keys, backend, "auto", &gle_backend_table, "where the network runs",
                       backend_notes),
    GLE_KEY_CUSTOM(struct gle_compute_keys, device, GLE_ABSENT, &device_custom,
                   "the device: its number, or a part of its name, in --list; default under opencl: the first one"),
    GLE_KEY_NAME(struct gle_compute_keys, ranks, "runs", &gle_ranks_table,
                 "what the ranks do that mpirun has started; one alone makes the run as ever"),
    GLE_KEY_END,
};
