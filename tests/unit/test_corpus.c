#include "../support/folder.h"
#include "base/memory.h"
#include "data/corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char folder[FOLDER_SIZE]; /* fresh for every test */
static const char *const yes_no[] = {"yes", "no"};

static struct gle_corpus_settings settings(void)
{
    return (struct gle_corpus_settings){
        .path = folder, .words = yes_no, .n_words = 2, .validation = 20.0, .test = 20.0, .seed = 3};
}

/* n files of different speakers. */
static void put_word(const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%08zx_nohash_0.%s", word, i * 2654435761u % 4294967296u,
                 i % 2 ? "wav" : "flac");
        folder_put(folder, name, "");
    }
}

static struct gle_corpus *open_corpus(const struct gle_corpus_settings *how)
{
    struct gle_error err = {0};
    struct gle_corpus *corpus;

    if (gle_corpus_open(&corpus, how, &err))
        fail_msg("%s", err.text);
    return corpus;
}

/* want: "FOLDER" stands for the corpus. */
static void assert_refused(const struct gle_corpus_settings *how, enum gle_code code, const char *want)
{
    struct gle_error err = {0};
    struct gle_corpus *corpus;
    char found[1024];

    assert_int_equal(gle_corpus_open(&corpus, how, &err), -1);
    assert_null(corpus);
    gle_error_format(found, sizeof found, &err);
    assert_string_equal(found, folder_text(folder, want));
    assert_int_equal(err.code, code);
}

static size_t count_label(const struct gle_corpus *corpus, enum gle_split split, int32_t label)
{
    size_t n = 0;

    for (size_t i = 0; i < corpus->n[split]; i++)
        n += corpus->split[split][i].label == label;
    return n;
}

static size_t count_all(const struct gle_corpus *corpus, int32_t label)
{
    return count_label(corpus, GLE_TRAIN, label) + count_label(corpus, GLE_VALIDATION, label) +
           count_label(corpus, GLE_TEST, label);
}

static const struct gle_corpus_sample *find(const struct gle_corpus *corpus, enum gle_split split, const char *file)
{
    for (size_t i = 0; i < corpus->n[split]; i++)
        if (corpus->split[split][i].file && !strcmp(corpus->split[split][i].file, file))
            return &corpus->split[split][i];
    return NULL;
}

static void words_are_classes_in_their_order(void **state)
{
    const struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    put_word("yes", 30);
    put_word("no", 20);
    put_word("maybe", 20);
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n_classes, 2);
    assert_string_equal(corpus->classes[0], "yes");
    assert_string_equal(corpus->classes[1], "no");
    assert_int_equal(count_all(corpus, 0), 30);
    assert_int_equal(count_all(corpus, 1), 20);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        for (size_t i = 0; i < corpus->n[s]; i++) {
            const struct gle_corpus_sample *sample = &corpus->split[s][i];
            assert_int_equal(strncmp(sample->file, sample->label ? "no/" : "yes/", sample->label ? 3 : 4), 0);
        }
    gle_corpus_close(corpus);
}

static void unknown_and_silence_come_first_or_silence_last(void **state)
{
    static const char *const first[] = {"unknown", "silence", "yes", "no"};
    static const char *const last[] = {"unknown", "yes", "no", "silence"};
    struct gle_corpus_settings how = settings();

    (void)state;
    put_word("yes", 40);
    put_word("no", 40);
    put_word("maybe", 40);
    how.unknown = true;
    how.silence = 0.25;
    for (int k = 0; k < 2; k++) {
        struct gle_corpus *corpus;
        how.silence_last = k;
        corpus = open_corpus(&how);
        assert_int_equal(corpus->n_classes, 4);
        for (size_t c = 0; c < 4; c++)
            assert_string_equal(corpus->classes[c], k ? last[c] : first[c]);
        for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
            const size_t wanted = count_label(corpus, s, k ? 1 : 2) + count_label(corpus, s, k ? 2 : 3);
            const size_t unknown = count_label(corpus, s, 0), silence = count_label(corpus, s, k ? 3 : 1);
            assert_int_equal(unknown, (wanted + 9) / 10);
            assert_int_equal(silence, (wanted + unknown) / 4);
            for (size_t i = 0; i < corpus->n[s]; i++)
                assert_int_equal(!corpus->split[s][i].file, i >= wanted + unknown);
        }
        gle_corpus_close(corpus);
    }
}

/* Of one speaker all files are in one set. */
static void speakers_are_divided_as_the_percentages_say(void **state)
{
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    put_word("yes", 500);
    put_word("no", 500);
    corpus = open_corpus(&how);
    assert_in_range(corpus->n[GLE_VALIDATION], 140, 260);
    assert_in_range(corpus->n[GLE_TEST], 140, 260);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        assert_int_equal(count_label(corpus, s, 0), count_label(corpus, s, 1));
        for (size_t i = 0; i < corpus->n[s]; i++)
            if (!corpus->split[s][i].label) {
                char other[64];
                snprintf(other, sizeof other, "no/%s", corpus->split[s][i].file + 4);
                assert_non_null(find(corpus, s, other));
            }
    }
    gle_corpus_close(corpus);
    how.validation = 0.0;
    how.test = 0.0;
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n[GLE_TRAIN], 1000);
    assert_true(!corpus->n[GLE_VALIDATION] && !corpus->n[GLE_TEST]);
    gle_corpus_close(corpus);
}

static bool same_order(const struct gle_corpus *a, const struct gle_corpus *b)
{
    bool same = a->n[GLE_TRAIN] == b->n[GLE_TRAIN];

    for (size_t i = 0; same && i < a->n[GLE_TRAIN]; i++)
        same = !strcmp(a->split[GLE_TRAIN][i].file, b->split[GLE_TRAIN][i].file);
    return same;
}

static void the_order_depends_on_the_seed_alone(void **state)
{
    struct gle_corpus_settings how = settings();
    struct gle_corpus *a, *b, *c;

    (void)state;
    put_word("yes", 30);
    put_word("no", 30);
    a = open_corpus(&how);
    b = open_corpus(&how);
    how.seed++;
    c = open_corpus(&how);
    assert_true(same_order(a, b));
    assert_false(same_order(a, c));
    gle_corpus_close(a);
    gle_corpus_close(b);
    gle_corpus_close(c);
}

static void what_is_no_sample_is_passed_over(void **state)
{
    static const char *const others[] = {"yes/.DS_Store",         "yes/._a_nohash_0.wav",  "yes/notes_nohash_0.txt",
                                         "yes/a_nohash_0.wav.asd", "_extra/a_nohash_0.wav", ".trash/a_nohash_0.wav",
                                         "yes/texts/a_nohash_0.TextGrid", "yes/.git/a.wav", ".a.wav", "Thumbs.db"};
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    put_word("yes", 30);
    put_word("no", 30);
    for (size_t i = 0; i < COUNT(others); i++)
        folder_put(folder, others[i], "");
    folder_put(folder, "LICENSE", "");
    how.unknown = true;
    put_word("maybe", 100);
    corpus = open_corpus(&how);
    assert_int_equal(count_all(corpus, 1), 30);
    assert_int_equal(count_all(corpus, 2), 30);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        for (size_t i = 0; i < corpus->n[s]; i++)
            if (!corpus->split[s][i].label)
                assert_int_equal(strncmp(corpus->split[s][i].file, "maybe/", 6), 0);
    assert_int_equal(corpus->n_passed, 0);
    assert_int_equal(corpus->passed.code, GLE_OK);
    gle_corpus_close(corpus);
}

static void extensions_count_in_any_case(void **state)
{
    static const char *const names[] = {"yes/a_nohash_0.WAV", "yes/a_nohash_1.Wav", "no/a_nohash_0.FLAC",
                                        "no/a_nohash_1.fLaC"};
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    how.validation = how.test = 0.0;
    how.noise = true;
    for (size_t i = 0; i < COUNT(names); i++)
        folder_put(folder, names[i], "");
    folder_put(folder, "_background_noise_/rain.WAV", "");
    corpus = open_corpus(&how);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_non_null(find(corpus, GLE_TRAIN, names[i]));
    assert_int_equal(corpus->n_noises, 1);
    assert_string_equal(corpus->noises[0], "_background_noise_/rain.WAV");
    gle_corpus_close(corpus);
}

/* What looks like a sound and is none of the samples is an error, or left out and counted. */
static void no_sound_is_passed_over_in_silence(void **state)
{
    static const char *const names[][2] = {
        {"yes/speaker.wav", "has no '_nohash_' in its name, as in SPEAKER_nohash_NUMBER.wav"},
        {"maybe/speaker.FLAC", "has no '_nohash_' in its name, as in SPEAKER_nohash_NUMBER.wav"},
        {"yes/a_nohash_0.mp3", "is called neither .wav nor .flac"},
        {"yes/a.OGG", "is called neither .wav nor .flac"},
        {"yes/a_nohash_0.aiff", "is called neither .wav nor .flac"},
        {"a_nohash_0.wav", "lies beside the folders of words, not in one"},
        {"a.m4a", "lies beside the folders of words, not in one"},
        {"_background_noise_/rain.mp3", "is called neither .wav nor .flac"},
        {"yes/session_2/a_nohash_0.wav", "is a folder of sounds within the folder of a word"},
        {"yes/d_nohash_0.wav/text", "is a folder"},
    };
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    how.unknown = how.noise = true;
    put_word("yes", 30);
    put_word("no", 30);
    put_word("maybe", 100);
    folder_put(folder, "_background_noise_/a.wav", "");
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[PATH_SIZE], want[PATH_SIZE + 200], found[1024];
        folder_put(folder, names[i][0], "");
        snprintf(path, sizeof path, "%s/%s", folder, names[i][0]);
        if (!strcmp(strrchr(path, '/'), "/text") || strstr(path, "session_2"))
            *strrchr(path, '/') = '\0';
        snprintf(want, sizeof want, "%s: %s; skip_bad: true leaves such files out", path, names[i][1]);
        how.skip_bad = false;
        assert_refused(&how, GLE_EDATA, want);
        how.skip_bad = true;
        corpus = open_corpus(&how);
        assert_int_equal(corpus->n_passed, 1);
        snprintf(want, sizeof want, "%s: %s", path, names[i][1]);
        gle_error_format(found, sizeof found, &corpus->passed);
        assert_string_equal(found, want);
        assert_int_equal(count_all(corpus, 1), 30);
        assert_int_equal(corpus->n_noises, 1);
        gle_corpus_close(corpus);
        unlink(folder_path(folder, names[i][0]));
        rmdir(path);
    }
    for (size_t i = 0; i < COUNT(names); i++)
        folder_put(folder, names[i][0], "");
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n_passed, COUNT(names));
    gle_corpus_close(corpus);
    how.unknown = how.noise = false; /* then nobody looks there */
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n_passed, COUNT(names) - 2);
    gle_corpus_close(corpus);
}

/* An umlaut may be one character, or two, of which a disk keeps what it was given. */
static void forms_of_unicode_make_no_difference(void **state)
{
    static const char *const composed[] = {"zw\xc3\xb6lf", "f\xc3\xbcnf"};
    static const char *const decomposed[] = {"zwo\xcc\x88lf", "fu\xcc\x88nf"};
    struct gle_corpus_settings how = {.path = folder, .words = composed, .n_words = 2};
    struct gle_corpus *corpus;

    (void)state;
    folder_put(folder, "zwo\xcc\x88lf/jo\xcc\x88rg_nohash_0.wav", "");
    folder_put(folder, "zwo\xcc\x88lf/b_nohash_0.wav", "");
    folder_put(folder, "f\xc3\xbcnf/a_nohash_0.wav", "");
    folder_put(folder, "maybe/a_nohash_0.wav", "");
    for (int k = 0; k < 2; k++) {
        how.words = k ? decomposed : composed;
        corpus = open_corpus(&how);
        assert_int_equal(count_all(corpus, 0), 2);
        assert_int_equal(count_all(corpus, 1), 1);
        assert_string_equal(corpus->classes[0], how.words[0]); /* as the user wrote it */
        assert_non_null(find(corpus, GLE_TRAIN, "zwo\xcc\x88lf/jo\xcc\x88rg_nohash_0.wav"));
        gle_corpus_close(corpus);
    }
    how.official = true;
    folder_put(folder, "validation_list.txt", "zw\xc3\xb6lf/j\xc3\xb6rg_nohash_0.wav\n");
    folder_put(folder, "testing_list.txt", "zwo\xcc\x88lf/k_nohash_0.wav\n");
    assert_refused(&how, GLE_EDATA, "FOLDER/testing_list.txt:1:1: there is no sound file "
                                    "'zwo\xcc\x88lf/k_nohash_0.wav' in FOLDER");
    folder_put(folder, "testing_list.txt", "zw\xc3\xb6lf/jo\xcc\x88rg_nohash_0.wav\n");
    assert_refused(&how, GLE_EDATA, "FOLDER/testing_list.txt:1:1: 'zw\xc3\xb6lf/jo\xcc\x88rg_nohash_0.wav' is in "
                                    "validation_list.txt, too");
    folder_put(folder, "testing_list.txt", "fu\xcc\x88nf/a_nohash_0.wav\n");
    folder_put(folder, "f\xc3\xbcnf/b_nohash_0.wav", "");
    corpus = open_corpus(&how);
    assert_non_null(find(corpus, GLE_VALIDATION, "zwo\xcc\x88lf/jo\xcc\x88rg_nohash_0.wav"));
    assert_non_null(find(corpus, GLE_TEST, "f\xc3\xbcnf/a_nohash_0.wav"));
    gle_corpus_close(corpus);
}

static void two_folders_of_one_word_are_refused(void **state)
{
    static const char *const word[] = {"zw\xc3\xb6lf", "yes"};
    struct gle_corpus_settings how = {.path = folder, .words = word, .n_words = 2};
    struct gle_corpus *corpus;

    (void)state;
    folder_put(folder, "zwo\xcc\x88lf/a_nohash_0.wav", "");
    folder_put(folder, "zw\xc3\xb6lf/a_nohash_0.wav", "");
    put_word("yes", 3);
    put_word("no", 3);
    assert_refused(&how, GLE_EDATA, "there are two folders 'zw\xc3\xb6lf' in FOLDER, whose names differ in their form "
                                    "of Unicode alone: put their files together");
    how.words = yes_no;
    corpus = open_corpus(&how); /* nobody asks for them */
    gle_corpus_close(corpus);
    how.unknown = true;
    assert_refused(&how, GLE_EDATA, "there are two folders 'zw\xc3\xb6lf' in FOLDER, whose names differ in their form "
                                    "of Unicode alone: put their files together");
}

/* It cannot be read as a sound, which is for the reader to say. */
static void a_pipe_is_not_passed_over(void **state)
{
    const struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    put_word("yes", 30);
    put_word("no", 30);
    assert_int_equal(mkfifo(folder_path(folder, "yes/pipe_nohash_0.wav"), 0600), 0);
    corpus = open_corpus(&how);
    assert_int_equal(count_all(corpus, 0), 31);
    gle_corpus_close(corpus);
}

/* Whoever moves a corpus to another disk leaves links; one to nowhere must not make a file vanish in silence. */
static void links_are_followed(void **state)
{
    const struct gle_corpus_settings how = settings();
    char elsewhere[FOLDER_SIZE], path[PATH_SIZE];
    struct gle_corpus *corpus;

    (void)state;
    put_word("yes", 30);
    put_word("no", 30);
    folder_make(elsewhere);
    snprintf(path, sizeof path, "%s/no", elsewhere);
    assert_int_equal(rename(folder_path(folder, "no"), path), 0);
    assert_int_equal(symlink(path, folder_path(folder, "no")), 0);
    assert_int_equal(symlink("/nowhere/at/all", folder_path(folder, "yes/lost_nohash_0.wav")), 0);
    assert_int_equal(symlink("loop", folder_path(folder, "loop")), 0);
    assert_int_equal(symlink(folder, folder_path(folder, "around")), 0);
    corpus = open_corpus(&how);
    assert_int_equal(count_all(corpus, 0), 31);
    assert_int_equal(count_all(corpus, 1), 30);
    gle_corpus_close(corpus);
    folder_remove(elsewhere);
}

static void odd_names_are_names(void **state)
{
    static const char *const odd[] = {"%s %n", "a\nb", "\xff\xfe", "-rf *"};
    const struct gle_corpus_settings how = {.path = folder, .words = odd, .n_words = COUNT(odd)};
    struct gle_corpus *corpus;

    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++)
        put_word(odd[i], 3);
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n[GLE_TRAIN], 12);
    for (size_t i = 0; i < COUNT(odd); i++)
        assert_string_equal(corpus->classes[i], odd[i]);
    gle_corpus_close(corpus);
}

static void noises_are_sorted(void **state)
{
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    put_word("yes", 30);
    put_word("no", 30);
    folder_put(folder, "_background_noise_/b.wav", "");
    folder_put(folder, "_background_noise_/a.flac", "");
    folder_put(folder, "_background_noise_/README.md", "");
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n_noises, 0);
    gle_corpus_close(corpus);
    how.noise = true;
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n_noises, 2);
    assert_string_equal(corpus->noises[0], "_background_noise_/a.flac");
    assert_string_equal(corpus->noises[1], "_background_noise_/b.wav");
    gle_corpus_close(corpus);
}

static void official_lists_say_which_set(void **state)
{
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "yes/s%zu_nohash_0.wav", i);
        folder_put(folder, name, "");
        snprintf(name, sizeof name, "no/s%zu_nohash_0.wav", i);
        folder_put(folder, name, "");
    }
    folder_put(folder, "validation_list.txt", "yes/s1_nohash_0.wav\nbed/not_unpacked_nohash_0.wav\r\n\n");
    folder_put(folder, "testing_list.txt", "no/s1_nohash_0.wav\r\nyes/s2_nohash_0.wav"); /* no end of the line */
    how.official = true;
    corpus = open_corpus(&how);
    assert_int_equal(corpus->n[GLE_TRAIN], 5);
    assert_int_equal(corpus->n[GLE_VALIDATION], 1);
    assert_int_equal(corpus->n[GLE_TEST], 2);
    assert_non_null(find(corpus, GLE_VALIDATION, "yes/s1_nohash_0.wav"));
    assert_non_null(find(corpus, GLE_TEST, "yes/s2_nohash_0.wav"));
    assert_non_null(find(corpus, GLE_TEST, "no/s1_nohash_0.wav"));
    gle_corpus_close(corpus);
}

static void wrong_lists_are_refused(void **state)
{
    struct gle_corpus_settings how = settings();

    (void)state;
    put_word("yes", 10);
    put_word("no", 10);
    how.official = true;
    assert_refused(&how, GLE_EDATA, "FOLDER/validation_list.txt: cannot be read: No such file or directory");
    folder_put(folder, "validation_list.txt", "yes/00000000_nohash_0.flac\nyes/sx_nohash_0.wav\n");
    assert_refused(&how, GLE_EDATA,
                   "FOLDER/validation_list.txt:2:1: there is no sound file 'yes/sx_nohash_0.wav' in FOLDER");
    folder_put(folder, "validation_list.txt", "00000000_nohash_0.wav\n");
    assert_refused(&how, GLE_EDATA,
                   "FOLDER/validation_list.txt:1:1: '00000000_nohash_0.wav' is not WORD/NAME.wav");
    folder_put(folder, "validation_list.txt", "yes/00000000_nohash_0.flac\n");
    folder_put(folder, "testing_list.txt", "\nyes/00000000_nohash_0.flac\n");
    assert_refused(&how, GLE_EDATA,
                   "FOLDER/testing_list.txt:2:1: 'yes/00000000_nohash_0.flac' is in validation_list.txt, too");
    folder_put(folder, "testing_list.txt", "");
    assert_refused(&how, GLE_ERANGE,
                   "the official split leaves no samples for the test set, of 20 files in FOLDER");
}

/* What an editor may put before the first line is no part of it. */
static void a_list_may_begin_with_a_mark_of_utf_8(void **state)
{
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus;

    (void)state;
    put_word("yes", 10);
    put_word("no", 10);
    folder_put(folder, "validation_list.txt", "\xEF\xBB\xBFyes/00000000_nohash_0.flac\n");
    folder_put(folder, "testing_list.txt", "no/00000000_nohash_0.flac\n");
    how.official = true;
    corpus = open_corpus(&how);
    assert_non_null(find(corpus, GLE_VALIDATION, "yes/00000000_nohash_0.flac"));
    gle_corpus_close(corpus);
}

/* A line that is passed over in silence would leave its file in the training set. */
static void lines_that_name_no_word_are_refused(void **state)
{
    static const char *const wrong[] = {"/data/yes/00000000_nohash_0.flac", "./yes/00000000_nohash_0.flac",
                                        " yes/00000000_nohash_0.flac", "_yes/00000000_nohash_0.flac"};
    struct gle_corpus_settings how = settings();

    (void)state;
    put_word("yes", 10);
    put_word("no", 10);
    how.official = true;
    folder_put(folder, "testing_list.txt", "no/00000000_nohash_0.flac\n");
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char want[256];
        folder_put(folder, "validation_list.txt", wrong[i]);
        snprintf(want, sizeof want, "FOLDER/validation_list.txt:1:1: '%s' is not WORD/NAME.wav", wrong[i]);
        assert_refused(&how, GLE_EDATA, want);
    }
}

static void a_list_with_zero_bytes_is_refused(void **state)
{
    static const char list[] = "yes/00000000_nohash_0.flac\n\0no/00000000_nohash_0.flac\n";
    struct gle_corpus_settings how = settings();
    FILE *out;

    (void)state;
    put_word("yes", 10);
    put_word("no", 10);
    how.official = true;
    out = fopen(folder_path(folder, "validation_list.txt"), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(list, 1, sizeof list - 1, out), sizeof list - 1);
    assert_int_equal(fclose(out), 0);
    assert_refused(&how, GLE_EDATA, "FOLDER/validation_list.txt: not a list of names: it has bytes that are zero");
}

static void missing_words_are_named(void **state)
{
    static const char *const wrong[] = {"yess"}, *const alien[] = {"backward"}, *const up[] = {"../yes"};
    struct gle_corpus_settings how = settings();

    (void)state;
    how.n_words = 1;
    put_word("yes", 10);
    put_word("no", 10);
    how.words = wrong;
    assert_refused(&how, GLE_EDATA, "there is no folder 'yess' in FOLDER (did you mean 'yes'?)");
    how.words = alien;
    assert_refused(&how, GLE_EDATA, "there is no folder 'backward' in FOLDER");
    how.words = up;
    assert_refused(&how, GLE_EDATA, "there is no folder '../yes' in FOLDER (did you mean 'yes'?)");
}

static void folders_without_sounds_are_refused(void **state)
{
    struct gle_corpus_settings how = settings();

    (void)state;
    put_word("yes", 10);
    folder_put(folder, "no/speaker_1.txt", "");
    assert_refused(&how, GLE_EDATA, "FOLDER/no: no sound files in this folder (SPEAKER_nohash_NUMBER.wav or .flac are "
                                    "wanted)");
    put_word("no", 10);
    how.noise = true;
    assert_refused(&how, GLE_EDATA, "FOLDER/_background_noise_: cannot be read: No such file or directory");
    folder_put(folder, "_background_noise_/README.md", "");
    assert_refused(&how, GLE_EDATA, "FOLDER/_background_noise_: no recordings of noise (.wav or .flac) in this folder");
    how.path = folder_path(folder, "LICENSE");
    folder_put(folder, "LICENSE", "");
    assert_refused(&how, GLE_EDATA, "FOLDER/LICENSE: cannot be read: Not a directory");
    how.path = "/nowhere/at/all";
    assert_refused(&how, GLE_EDATA, "/nowhere/at/all: there is no such folder; datasets/README.md says how to "
                                      "get or make a corpus");
}

static void unreadable_folders_are_refused(void **state)
{
    enum { nobody = 65534 };
    const struct gle_corpus_settings how = settings();
    const bool root = !geteuid();

    (void)state;
    put_word("yes", 10);
    put_word("no", 10);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(folder_path(folder, "yes"), 0755), 0);
    assert_int_equal(chmod(folder_path(folder, "no"), 0), 0);
    if (root)
        assert_int_equal(seteuid(nobody), 0); /* root may read all */
    assert_refused(&how, GLE_EDATA, "FOLDER/no: cannot be read: Permission denied");
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder_path(folder, "no"), 0700), 0);
}

static void sets_and_classes_without_samples_are_refused(void **state)
{
    struct gle_corpus_settings how = settings();

    (void)state;
    folder_put(folder, "yes/a_nohash_0.wav", "");
    folder_put(folder, "no/a_nohash_0.wav", "");
    assert_refused(&how, GLE_ERANGE, "the split by speakers leaves no samples for the validation set, of 2 files in "
                                     "FOLDER");
    how.validation = how.test = 0.0;
    how.silence = 0.4;
    assert_refused(&how, GLE_ERANGE,
                   "no sample of 'silence': a fraction of 0.4 of 2 training samples is less than one");
    how.silence = 0.0;
    how.unknown = true;
    assert_refused(&how, GLE_ERANGE, "no sample of 'unknown' in the training set, of 2 files in FOLDER");
}

static void every_failed_allocation_is_survived(void **state)
{
    struct gle_corpus_settings how = settings();
    struct gle_corpus *corpus = NULL;
    size_t k;

    (void)state;
    put_word("yes", 70);
    put_word("no", 70);
    put_word("maybe", 10);
    put_word("fu\xcc\x88nf", 3);
    folder_put(folder, "yes/sub/a.wav", "");
    folder_put(folder, "_background_noise_/a.wav", "");
    folder_put(folder, "validation_list.txt", "yes/00000000_nohash_0.flac\nf\xc3\xbcnf/00000000_nohash_0.flac\n");
    folder_put(folder, "testing_list.txt", "no/00000000_nohash_0.flac\n");
    how.skip_bad = true;
    how.unknown = how.noise = how.official = true;
    how.silence = 0.1;
    for (k = 0; !corpus; k++) {
        struct gle_error err = {0};
        int status;
        gle_memory_fail_after(k);
        status = gle_corpus_open(&corpus, &how, &err);
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(status, corpus ? 0 : -1);
        assert_int_equal(err.code, corpus ? GLE_OK : GLE_ENOMEM);
    }
    assert_true(k > 10);
    gle_corpus_close(corpus);
    gle_corpus_close(NULL);
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, folder_setup, folder_teardown, folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(words_are_classes_in_their_order),
        TEST(unknown_and_silence_come_first_or_silence_last),
        TEST(speakers_are_divided_as_the_percentages_say),
        TEST(the_order_depends_on_the_seed_alone),
        TEST(what_is_no_sample_is_passed_over),
        TEST(extensions_count_in_any_case),
        TEST(no_sound_is_passed_over_in_silence),
        TEST(forms_of_unicode_make_no_difference),
        TEST(two_folders_of_one_word_are_refused),
        TEST(a_pipe_is_not_passed_over),
        TEST(links_are_followed),
        TEST(odd_names_are_names),
        TEST(noises_are_sorted),
        TEST(official_lists_say_which_set),
        TEST(wrong_lists_are_refused),
        TEST(a_list_may_begin_with_a_mark_of_utf_8),
        TEST(lines_that_name_no_word_are_refused),
        TEST(a_list_with_zero_bytes_is_refused),
        TEST(missing_words_are_named),
        TEST(folders_without_sounds_are_refused),
        TEST(unreadable_folders_are_refused),
        TEST(sets_and_classes_without_samples_are_refused),
        TEST(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
