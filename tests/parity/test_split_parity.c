/* The published division of Speech Commands: 2,000 of its names, seed 1. */
#include "../support/folder.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/corpus.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_NAMES = 2000 };

static char folder[FOLDER_SIZE];
static char *text, *names[N_NAMES]; /* in the order of names.txt */

static size_t number_of(const char *name)
{
    for (size_t i = 0; i < N_NAMES; i++)
        if (!strcmp(names[i], name))
            return i;
    fail_msg("there is no '%s'", name);
    return 0;
}

static struct gle_corpus *open_corpus(const struct gle_corpus_settings *how)
{
    struct gle_error err = {0};
    struct gle_corpus *corpus;

    if (gle_corpus_open(&corpus, how, &err))
        fail_msg("%s", err.text);
    return corpus;
}

static void the_published_lists_come_out(void **state)
{
    static const char *const words[] = {"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"};
    static const char *const lists[GLE_SPLITS] = {"seed1_training", "seed1_validation", "seed1_testing"};
    const struct reference *ref = reference_get("gsc_split", "gsc_split");
    const struct gle_corpus_settings how = {.path = folder, .words = words, .n_words = 10, .unknown = true,
                                            .silence = 0.1, .validation = 10.0, .test = 10.0, .seed = 1};
    struct gle_corpus *corpus = open_corpus(&how);

    (void)state;
    assert_int_equal(corpus->n_classes, 12);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        const size_t n = reference_array(ref, lists[s])->n;
        assert_int_equal(corpus->n[s], n + n / 10);
        for (size_t i = 0; i < n; i++) {
            const struct gle_corpus_sample *sample = &corpus->split[s][i];
            const char *class = corpus->classes[sample->label];
            const size_t len = strlen(class);
            assert_int_equal(number_of(sample->file), reference_int(ref, lists[s], i));
            if (sample->label)
                assert_true(!strncmp(sample->file, class, len) && sample->file[len] == '/');
        }
        for (size_t i = n; i < corpus->n[s]; i++)
            assert_true(!corpus->split[s][i].file && corpus->split[s][i].label == 1);
    }
    gle_corpus_close(corpus);
}

/* Every folder is a word, so that every file is in some set. */
static void every_file_is_in_its_published_set(void **state)
{
    static const int codes[GLE_SPLITS] = {[GLE_TRAIN] = 0, [GLE_VALIDATION] = 1, [GLE_TEST] = 2};
    const struct reference *ref = reference_get("gsc_split", "gsc_split");
    const char *words[100];
    char word[100][32];
    struct gle_corpus_settings how = {.path = folder, .words = words, .validation = 10.0, .test = 10.0};
    struct gle_corpus *corpus;
    size_t found = 0;

    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        const size_t n = strcspn(names[i], "/");
        if (how.n_words && !strncmp(names[i], words[how.n_words - 1], n) && !words[how.n_words - 1][n])
            continue;
        assert_true(how.n_words < 100);
        snprintf(word[how.n_words], sizeof word[0], "%.*s", (int)n, names[i]);
        words[how.n_words] = word[how.n_words];
        how.n_words++;
    }
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n_classes, 35);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        for (size_t i = 0; i < corpus->n[s]; i++, found++)
            assert_int_equal(reference_int(ref, "which_set", number_of(corpus->split[s][i].file)), codes[s]);
    assert_int_equal(found, N_NAMES);
    gle_corpus_close(corpus);
}

/* Empty files with the names of names.txt. */
static int make_corpus(void **state)
{
    struct gle_error err = {0};
    unsigned char *bytes;
    char path[REFERENCE_PATH_SIZE];
    size_t size, n = 0;

    (void)state;
    folder_make(folder);
    reference_find(path, "gsc_split", "names.txt");
    if (gle_file_read(&bytes, &size, path, 1 << 20, false, GLE_EDATA, &err))
        return -1;
    text = (char *)bytes;
    for (char *line = strtok(text, "\n"); line && n < N_NAMES; line = strtok(NULL, "\n")) {
        names[n++] = line;
        folder_put(folder, line, "");
    }
    return n == N_NAMES ? 0 : -1;
}

static int remove_corpus(void **state)
{
    (void)state;
    folder_remove(folder);
    gle_free(text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_lists_come_out),
        cmocka_unit_test(every_file_is_in_its_published_set),
    };
    return cmocka_run_group_tests(tests, make_corpus, remove_corpus);
}
