#include "load.h"
#include "base/memory.h"
#include "input.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>

static void show(const struct gle_errors *errs)
{
    char text[1200];

    for (size_t i = 0; i < errs->n; i++) {
        gle_error_format(text, sizeof text, &errs->item[i]);
        if (!text[0] || strchr(text, '\n') || gle_code_exit(errs->item[i].code) == 0)
            fuzz_fail("an error that says nothing");
    }
}

/* The resolved config of the first experiment. Owns: gle_free(). NULL: it does not load. */
static char *resolve(const char *path, const struct gle_override *overrides, size_t n_overrides)
{
    struct gle_experiments list;
    struct gle_errors errs = {0};
    char *text = NULL;

    if (gle_experiments_load(&list, path, overrides, n_overrides, NULL, 0, &errs)) {
        gle_errors_sort(&errs);
        show(&errs);
        if (!errs.n)
            fuzz_fail("refused without an error");
        return NULL;
    }
    if (errs.n || !list.n)
        fuzz_fail("loaded with an error, or nothing");
    text = gle_node_text(list.item[0]->src);
    gle_experiments_clear(&list);
    return text;
}

void fuzz_load(const char *path, const struct gle_override *overrides, size_t n_overrides)
{
    char *first = resolve(path, overrides, n_overrides), *again;

    if (!first)
        return;
    again = resolve(fuzz_file(first, strlen(first)), NULL, 0);
    if (!again || strcmp(first, again)) {
        fprintf(stderr, "%s\n---\n%s\n", first, again ? again : "(refused)");
        fuzz_fail("the resolved config is not itself");
    }
    gle_free(first);
    gle_free(again);
}
