#include "build.h"
#include "backend/device.h"
#include "base/rng.h"
#include "solver/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show(const struct gle_errors *errs)
{
    char text[1024];

    for (size_t i = 0; i < errs->n; i++) {
        gle_error_format(text, sizeof text, &errs->item[i]);
        print_error("%s\n", text);
    }
}

static struct built load(const char *path, const struct gle_override *overrides, size_t n_overrides)
{
    struct built b = {0};
    struct gle_errors errs = {0};

    if (gle_experiments_load(&b.list, path, overrides, n_overrides, NULL, 0, &errs)) {
        show(&errs);
        fail_msg("%s does not load", path);
    }
    b.exp = b.list.item[0];
    return b;
}

static struct gle_device *device; /* of the whole program */

struct gle_device *test_device(void)
{
    return device;
}

struct gle_fleet *test_fleet(void)
{
    static struct gle_fleet *fleet; /* likewise */
    struct gle_error err = {0};

    if (!getenv("GLE_TEST_DEVICE"))
        return NULL;
    if (fleet)
        return fleet;
    if (gle_device_open(&device, getenv("GLE_TEST_DEVICE"), &err)) {
        print_message("%s\n", err.text);
        skip();
    }
    if (gle_fleet_open(&fleet, device, 1, &err))
        fail_msg("%s", err.text);
    return fleet;
}

void skip_on_device(const char *why)
{
    if (!getenv("GLE_TEST_DEVICE"))
        return;
    print_message("not on a device: %s\n", why);
    skip();
}

void to_device(struct gle_net *net)
{
    struct gle_error err = {0};

    if (test_fleet() && gle_net_move(net, test_fleet(), &err))
        fail_msg("%s", err.text);
}

static struct built build(const char *path, const struct gle_override *overrides, size_t n_overrides,
                          size_t tape_steps, size_t threads)
{
    struct built b = load(path, overrides, n_overrides);
    struct gle_graph_options options = {
        .observed = true, .errors = true, .e_inst = true, .tape_steps = tape_steps};
    struct gle_error err = {0};
    struct gle_rng rng;

    (void)test_fleet();
    if (!tape_steps && b.exp->window_steps)
        options.tape_steps = b.exp->window_steps + 1;
    gle_rng_seed(&rng, b.exp->seed);
    if (gle_graph_build(&b.graph, b.exp, &options, &err) ||
        gle_net_build(&b.net, b.graph, threads ? threads : 1, &err))
        fail_msg("%s", err.text);
    to_device(b.net);
    if (gle_net_init(b.net, &rng, &err))
        fail_msg("%s", err.text);
    return b;
}

void use_isa(const char *name)
{
    enum gle_isa wanted = GLE_ISA_BASE;

    unsetenv("GLESIM_ISA");
    if (!name)
        return;
    while (strcmp(gle_isa_name(wanted), name))
        assert_true(++wanted < GLE_ISA_COUNT);
    if (wanted > gle_isa_best()) {
        print_message("this processor has no %s\n", name);
        skip();
    }
    setenv("GLESIM_ISA", name, 1);
    assert_int_equal(gle_isa_best(), wanted);
}

struct built build_file(const char *path, const struct gle_override *overrides, size_t n_overrides, size_t threads)
{
    return build(path, overrides, n_overrides, 0, threads);
}

void temporary_file(char *path, const char *text)
{
    const int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

struct built built_load(const char *yaml)
{
    char path[] = "/tmp/glesim_test_XXXXXX";
    struct built b;

    temporary_file(path, yaml);
    b = load(path, NULL, 0);
    unlink(path);
    return b;
}

struct built build_windows(const char *yaml, size_t tape_steps, size_t threads)
{
    char path[] = "/tmp/glesim_test_XXXXXX";
    struct built b;

    temporary_file(path, yaml);
    b = build(path, NULL, 0, tape_steps, threads);
    unlink(path);
    return b;
}

struct built build_text(const char *yaml, size_t threads)
{
    return build_windows(yaml, 0, threads);
}

void built_clear(struct built *b)
{
    gle_net_destroy(b->net);
    gle_graph_destroy(b->graph);
    gle_experiments_clear(&b->list);
}

void put_rows(float *to, size_t ld, const float *from, size_t B, size_t n)
{
    for (size_t i = 0; i < B; i++)
        memcpy(to + i * ld, from + i * n, n * sizeof *to);
}

const char *test_path(const char *name)
{
    static char path[4096];
    const char *dir = getenv("GLE_TEST_DIR");

    snprintf(path, sizeof path, "%s/%s", dir ? dir : "tests", name);
    return path;
}
