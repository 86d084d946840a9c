#include "base/memory.h"
#include "data/sound.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    RATE = 16000,
    WAV_16 = SF_FORMAT_WAV | SF_FORMAT_PCM_16,
    WAV_FLOAT = SF_FORMAT_WAV | SF_FORMAT_FLOAT,
    FLAC_16 = SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
};
static const double pi = 3.14159265358979323846;

static char folder[] = "/tmp/glesim_test_sound_XXXXXX";
static char file[sizeof folder + 16];

static SNDFILE *begin(int format, int rate, int n_channels)
{
    SF_INFO info = {.samplerate = rate, .channels = n_channels, .format = format};
    SNDFILE *out = sf_open(file, SFM_WRITE, &info);

    if (!out)
        fail_msg("%s", sf_strerror(NULL));
    return out;
}

/* n values of all channels */
static void store(int format, int rate, int n_channels, const double *values, size_t n)
{
    SNDFILE *out = begin(format, rate, n_channels);

    assert_int_equal(sf_write_double(out, values, (sf_count_t)n), n);
    assert_int_equal(sf_close(out), 0);
}

static void store_shorts(int format, int rate, int n_channels, const int16_t *values, size_t n)
{
    SNDFILE *out = begin(format, rate, n_channels);

    assert_int_equal(sf_write_short(out, values, (sf_count_t)n), n);
    assert_int_equal(sf_close(out), 0);
}

static void store_sine(int format, int rate, double frequency, double amplitude, size_t n)
{
    double *x = gle_calloc(n, sizeof *x);

    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = amplitude * sin(2.0 * pi * frequency * (double)i / (double)rate);
    store(format, rate, 1, x, n);
    gle_free(x);
}

static void store_bytes(const void *bytes, size_t n)
{
    FILE *out = fopen(file, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static void patch(off_t at, const char *bytes, size_t n)
{
    const int fd = open(file, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    close(fd);
}

static void shorten(off_t by)
{
    struct stat info;

    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(truncate(file, info.st_size - by), 0);
}

static struct gle_sound read_back(double longest)
{
    struct gle_error err = {0};
    struct gle_sound sound;

    if (gle_sound_read(&sound, file, RATE, longest, &err))
        fail_msg("%s", err.text);
    return sound;
}

static void assert_path_refused(const char *path, double longest, const char *text)
{
    struct gle_error err = {0};
    struct gle_sound sound = {.n = 1};

    assert_int_equal(gle_sound_read(&sound, path, RATE, longest, &err), -1);
    assert_string_equal(err.text, text);
    assert_string_equal(err.file, path);
    assert_int_equal(err.code, GLE_EDATA);
    assert_null(sound.x);
    assert_int_equal(sound.n, 0);
}

static void assert_refused(const char *text)
{
    assert_path_refused(file, 1.0, text);
}

static void assert_samples(const int16_t *want, size_t n)
{
    struct gle_sound sound = read_back(10.0);

    assert_int_equal(sound.n, n);
    for (size_t i = 0; i < n; i++)
        if (sound.x[i] != want[i])
            fail_msg("sample %zu is %d, not %d", i, sound.x[i], want[i]);
    gle_free(sound.x);
}

static void assert_samples_sum(long want)
{
    struct gle_sound sound = read_back(10.0);
    long sum = 0;

    for (size_t i = 0; i < sound.n; i++)
        sum += sound.x[i];
    assert_int_equal(sum, want);
    gle_free(sound.x);
}

/* --- sample formats --- */

static void sixteen_bits_come_through_as_they_are(void **state)
{
    static const int formats[] = {WAV_16, SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, WAV_16 | SF_ENDIAN_BIG, FLAC_16};
    enum { N = 65536 };
    static int16_t all[N];

    (void)state;
    for (int i = 0; i < N; i++)
        all[i] = (int16_t)((uint32_t)i * 40503 % N);
    for (size_t k = 0; k < COUNT(formats); k++) {
        store_shorts(formats[k], RATE, 1, all, N);
        assert_samples(all, N);
    }
}

static void a_long_sound_is_read_whole(void **state)
{
    enum { N = 700001 }; /* several blocks, and more than the first room */
    int16_t *x = gle_calloc(N, sizeof *x);
    struct gle_sound sound;

    (void)state;
    assert_non_null(x);
    for (int i = 0; i < N; i++)
        x[i] = (int16_t)(i % 30011);
    store_shorts(WAV_16, RATE, 1, x, N);
    sound = read_back(60.0);
    assert_int_equal(sound.n, N);
    assert_memory_equal(sound.x, x, N * sizeof *x);
    gle_free(sound.x);
    gle_free(x);
}

static void channels_are_averaged(void **state)
{
    static const int16_t stereo[] = {100, 200, -32768, 32766, 32767, 32767, 1, 2, 3, 4};
    static const int16_t mono[] = {150, -1, 32767, 2, 4}; /* halves go to the even number */

    (void)state;
    store_shorts(WAV_16, RATE, 2, stereo, COUNT(stereo));
    assert_samples(mono, COUNT(mono));
    store_shorts(FLAC_16, RATE, 2, stereo, COUNT(stereo));
    assert_samples(mono, COUNT(mono));
}

static void a_thousand_channels_are_averaged(void **state)
{
    enum { C = 1000, N = 50 };
    static int16_t x[N * C], mean[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        mean[i] = (int16_t)(100 * i);
        for (int c = 0; c < C; c++)
            x[i * C + c] = (int16_t)(mean[i] + (c % 2 ? 7 : -7));
    }
    store_shorts(WAV_16, RATE, C, x, N * C);
    assert_samples(mean, N);
}

static void other_sample_formats_are_rounded_to_sixteen_bits(void **state)
{
    static const int formats[] = {
        SF_FORMAT_WAV | SF_FORMAT_PCM_24, SF_FORMAT_WAV | SF_FORMAT_PCM_32, SF_FORMAT_WAV | SF_FORMAT_FLOAT,
        SF_FORMAT_WAV | SF_FORMAT_DOUBLE, SF_FORMAT_FLAC | SF_FORMAT_PCM_24,
    };
    static const double x[] = {0.0, 0.25, 1000.3 / 32768, 1000.7 / 32768, -1000.7 / 32768, -1.0};
    static const int16_t want[] = {0, 8192, 1000, 1001, -1001, -32768};

    (void)state;
    for (size_t k = 0; k < COUNT(formats); k++) {
        store(formats[k], RATE, 1, x, COUNT(x));
        assert_samples(want, COUNT(want));
    }
}

static void eight_bits_are_full_scale_at_128(void **state)
{
    static const int16_t want[] = {0, 16384, -32768, 127 * 256};

    (void)state;
    store_shorts(SF_FORMAT_WAV | SF_FORMAT_PCM_U8, RATE, 1, want, COUNT(want));
    assert_samples(want, COUNT(want));
}

static void compressed_sounds_are_read(void **state)
{
    static const int formats[] = {SF_FORMAT_ULAW, SF_FORMAT_ALAW, SF_FORMAT_IMA_ADPCM, SF_FORMAT_MS_ADPCM};

    (void)state;
    for (size_t k = 0; k < COUNT(formats); k++) {
        struct gle_sound sound;
        store_sine(SF_FORMAT_WAV | formats[k], RATE, 440.0, 0.5, RATE / 2);
        sound = read_back(1.0);
        assert_true(sound.n >= RATE / 2 && sound.n < RATE / 2 + 1024); /* ADPCM comes in blocks */
        for (size_t i = 200; i < RATE / 2; i++)
            assert_true(fabs((double)sound.x[i] - 16384.0 * sin(2.0 * pi * 440.0 * (double)i / RATE)) < 1500.0);
        gle_free(sound.x);
    }
}

/* A mix may go a little too high in places; what goes beyond that is on another scale. */
static void values_just_above_full_scale_are_cut_off(void **state)
{
    enum { N = 300 };
    static double x[N];
    static int16_t want[N];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        x[i] = i % 2 ? 0.5 : 1.0; /* full scale itself is none too high */
        want[i] = i % 2 ? 16384 : 32767;
    }
    x[7] = 1.5;
    want[7] = 32767;
    x[8] = x[9] = -1.25;
    want[8] = want[9] = -32768;
    store(WAV_FLOAT, RATE, 1, x, N);
    assert_samples(want, N);
}

static void sounds_on_another_scale_are_refused(void **state)
{
    enum { N = 1000 };
    static double x[N];

    (void)state;
    for (size_t i = 0; i < N; i++)
        x[i] = 16384.0 * sin(2.0 * pi * (double)i / 100.0 + 0.1);
    x[25] = -16384.0;
    store(WAV_FLOAT, RATE, 1, x, N);
    assert_refused("its samples go up to 16384, where full scale is 1 (1000 of 1000 lie beyond): divide them, so that "
                   "all are between -1 and 1");
    for (size_t i = 0; i < N; i++)
        x[i] = i < 990 ? 0.25 : 1.125;
    store(WAV_FLOAT, RATE, 1, x, N); /* one in a hundred may be */
    assert_samples_sum(990 * 8192 + 10 * 32767);
    x[0] = -1.125;
    store(WAV_FLOAT, RATE, 1, x, N);
    assert_refused("its samples go up to 1.125, where full scale is 1 (11 of 1000 lie beyond): divide them, so that "
                   "all are between -1 and 1");
    x[0] = 0.0;
    x[500] = 1.5001;
    x[999] = 0.0;
    store(SF_FORMAT_WAV | SF_FORMAT_DOUBLE, RATE / 2, 1, x, N);
    assert_refused("its samples go up to 1.5001, where full scale is 1 (10 of 1000 lie beyond): divide them, so that "
                   "all are between -1 and 1");
    x[500] = 1e300;
    store(SF_FORMAT_WAV | SF_FORMAT_DOUBLE, RATE, 1, x, N);
    assert_refused("its samples go up to 1e+300, where full scale is 1 (10 of 1000 lie beyond): divide them, so that "
                   "all are between -1 and 1");
}

/* --- rates --- */

/* Amplitude of a frequency, away from the ends, by its projection on sine and cosine. */
static double amplitude_at(const struct gle_sound *sound, double frequency)
{
    const size_t margin = 2000, n = sound->n - 2 * margin;
    double re = 0.0, im = 0.0;

    for (size_t i = margin; i < margin + n; i++) {
        const double w = 1.0 - cos(2.0 * pi * ((double)(i - margin) + 0.5) / (double)n); /* mean 1 */
        re += w * (double)sound->x[i] * cos(2.0 * pi * frequency * (double)i / RATE);
        im += w * (double)sound->x[i] * sin(2.0 * pi * frequency * (double)i / RATE);
    }
    return 2.0 * sqrt(re * re + im * im) / (double)n / 32768.0;
}

static void a_sine_stays_itself_at_another_rate(void **state)
{
    static const int rates[] = {8000, 11025, 22050, 44100, 48000, 96000};

    (void)state;
    for (size_t k = 0; k < COUNT(rates); k++) {
        struct gle_sound sound;
        store_sine(WAV_16, rates[k], 1000.0, 0.5, (size_t)rates[k]);
        sound = read_back(1.0);
        assert_int_equal(sound.n, RATE);
        assert_true(fabs(amplitude_at(&sound, 1000.0) - 0.5) < 1e-4);
        assert_true(amplitude_at(&sound, 1100.0) < 1e-4);
        for (size_t i = 2000; i < 14000; i++) /* and in phase */
            if (fabs((double)sound.x[i] - 16384.0 * sin(2.0 * pi * 1000.0 * (double)i / RATE)) > 3.0)
                fail_msg("from %d/s: sample %zu is %d", rates[k], i, sound.x[i]);
        gle_free(sound.x);
    }
}

static void what_a_lower_rate_cannot_hold_is_gone(void **state)
{
    struct gle_sound sound;

    (void)state;
    store_sine(WAV_16, 48000, 11000.0, 0.5, 48000); /* would show up at 5000 */
    sound = read_back(1.0);
    assert_true(amplitude_at(&sound, 5000.0) < 1e-4);
    gle_free(sound.x);
}

static void the_length_follows_the_rate(void **state)
{
    static const int rates[] = {63, 8000, 11025, 44100, 48000, 4000000};
    static const size_t lengths[] = {1, 2, 3, 10, 999, 20001};

    (void)state;
    for (size_t k = 0; k < COUNT(rates); k++)
        for (size_t i = 0; i < COUNT(lengths); i++) {
            const long want = lround((double)lengths[i] * RATE / rates[k]);
            store_sine(WAV_16, rates[k], 10.0, 0.5, lengths[i]);
            if (want) {
                struct gle_sound sound = read_back(1000.0);
                assert_int_equal(sound.n, want);
                gle_free(sound.x);
            } else {
                assert_refused("has no samples at 16000 a second");
            }
        }
}

/* --- what is refused --- */

static void things_that_are_no_sound_files_are_refused(void **state)
{
    (void)state;
    unlink(file);
    assert_refused("cannot be read: No such file or directory");
    assert_path_refused(folder, 1.0, "not a regular file");
    assert_path_refused("/dev/null", 1.0, "not a regular file");
    store_bytes("", 0);
    assert_refused("not a sound file: it is empty");
    store_bytes("hello, this is a text\n", 22);
    assert_refused("not a sound file: neither WAV nor FLAC");
    store_bytes("RIFF", 4);
    assert_refused("not a sound file: neither WAV nor FLAC");
    store_bytes("RIFF\x10\0\0\0AVI LIST\0\0\0\0", 20);
    assert_refused("not a sound file: RIFF of the kind 'AVI ', where WAVE is wanted");
    store_bytes((char[100]){0}, 100);
    assert_refused("not a sound file: it begins with zeros, as files do whose copy was broken off");
    store_bytes("\xff\xfeH\0e\0l\0l\0o\0", 12); /* a text in UTF-16 */
    assert_refused("not a sound file: neither WAV nor FLAC");
}

/* What is found under the name of a sound is called what it is. */
static void other_kinds_of_files_are_named(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } kinds[] = {
        {"\xff\xfb\x90\x64\0\0\0\0", 8, "is an MP3 file; WAV or FLAC is wanted"},
        {"\xff\xf3\x88\xc4\0\0\0\0", 8, "is an MP3 file; WAV or FLAC is wanted"},
        {"ID3\3\0\0\0\0\0\2ab\xff\xfb\x90\x64", 16, "is an MP3 file; WAV or FLAC is wanted"},
        {"ID3\3\0\0\0\0\0\2ab", 12, "not a sound file: there is nothing behind its ID3 tag"},
        {"\xff\xf1\x50\x80\0\0\0\0", 8, "is an AAC file; WAV or FLAC is wanted"},
        {"OggS\0\2\0\0\0\0", 10, "is an Ogg file (Vorbis, Opus or FLAC in Ogg); WAV or FLAC is wanted"},
        {"FORM\0\0\0\x10" "AIFF", 12, "is an AIFF file; WAV or FLAC is wanted"},
        {"RF64\xff\xff\xff\xffWAVEds64", 16, "is an RF64 file, WAV's form for more than 4 GB; WAV or FLAC is wanted"},
        {"\0\0\0\x18" "ftypM4A ", 12, "is an MP4 file (M4A); WAV or FLAC is wanted"},
        {"\x1a\x45\xdf\xa3\0\0\0\0", 8, "is a Matroska or WebM file; WAV or FLAC is wanted"},
        {"version https://git-lfs.github.com/spec/v1\noid ", 47,
         "is a pointer of Git LFS; 'git lfs pull' fetches the file itself"},
        {"/annex/objects/SHA256-s1--0\n", 28, "is a pointer of git-annex; 'git annex get' fetches the file itself"},
        {"<!DOCTYPE html><html>", 21, "is a web page (HTML); the download went wrong"},
        {"<HTML><body>", 12, "is a web page (HTML); the download went wrong"},
        {"PK\3\4\0\0\0\0", 8, "is a zip archive; unpack it"},
    };

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        store_bytes(kinds[k].bytes, kinds[k].n);
        assert_refused(kinds[k].text);
    }
}

static size_t load(unsigned char *bytes, size_t size)
{
    FILE *in = fopen(file, "rb");
    size_t n;

    assert_non_null(in);
    n = fread(bytes, 1, size, in);
    assert_true(n < size);
    fclose(in);
    return n;
}

/* Programs that name songs put one before FLAC, too; some put several. */
static void a_sound_is_found_behind_tags(void **state)
{
    static const int formats[] = {FLAC_16, WAV_16};
    static const char tag[] = "ID3\3\0\0\0\0\1\2"; /* of 130 bytes */
    enum { TAG = 10 + 130, N = 3000, SIZE = 1 << 16 };
    static unsigned char bytes[2 * TAG + 10 + SIZE];
    static int16_t x[N];

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = (int16_t)(7 * i);
    for (size_t k = 0; k < COUNT(formats); k++) {
        size_t n;
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, tag, 10);
        store_shorts(formats[k], RATE, 1, x, N);
        n = load(bytes + TAG, SIZE);
        store_bytes(bytes, TAG + n);
        assert_samples(x, N);
        memmove(bytes + 2 * TAG + 10, bytes + TAG, n);
        memset(bytes + TAG, 0, TAG + 10);
        memcpy(bytes + TAG, tag, 10);
        bytes[TAG + 5] = 0x10; /* with a footer of ten bytes */
        store_bytes(bytes, 2 * TAG + 10 + n);
        assert_samples(x, N);
    }
}

static void a_pipe_is_refused_without_waiting(void **state)
{
    char pipe_name[sizeof folder + 16];

    (void)state;
    snprintf(pipe_name, sizeof pipe_name, "%s/pipe.wav", folder);
    assert_int_equal(mkfifo(pipe_name, 0600), 0);
    alarm(20); /* fails the test instead of letting it hang */
    assert_path_refused(pipe_name, 1.0, "not a regular file");
    alarm(0);
    unlink(pipe_name);
}

static void broken_headers_are_refused(void **state)
{
    static const char *const names[] = {"RIFF\xff\xff\xff\x7fWAVE", "RIFF\x04\0\0\0WAVEfmt ", "fLaC\0\0\0\x22"};
    static const size_t sizes[] = {12, 16, 8};

    (void)state;
    for (size_t k = 0; k < COUNT(names); k++) {
        struct gle_error err = {0};
        struct gle_sound sound;
        store_bytes(names[k], sizes[k]);
        assert_int_equal(gle_sound_read(&sound, file, RATE, 1.0, &err), -1);
        assert_int_equal(err.code, GLE_EDATA);
        assert_memory_equal(err.text, "not a sound file: ", 18);
        assert_null(sound.x);
    }
}

/* Offsets in a plain WAV file: channels 22, rate 24, bytes of data 40, data 44. */
static void impossible_numbers_in_a_header_are_refused(void **state)
{
    struct gle_error err = {0};
    struct gle_sound sound;

    (void)state;
    store_sine(WAV_16, RATE, 440.0, 0.5, 1000);
    patch(22, "\0\0", 2);
    assert_int_equal(gle_sound_read(&sound, file, RATE, 1.0, &err), -1);
    assert_int_equal(err.code, GLE_EDATA);
    store_sine(WAV_16, RATE, 440.0, 0.5, 1000);
    patch(24, "\0\0\0\0", 4);
    assert_int_equal(gle_sound_read(&sound, file, RATE, 1.0, &err), -1);
    patch(24, "\x01\0\0\0", 4);
    assert_refused("has 1 samples a second, too far from the 16000 that are wanted");
    patch(24, "\xff\xff\xff\x7f", 4);
    assert_refused("has 2147483647 samples a second, too far from the 16000 that are wanted");
}

static void a_header_that_claims_too_much_is_refused(void **state)
{
    (void)state;
    store_sine(WAV_16, RATE, 440.0, 0.5, 1000);
    patch(40, "\xd1\x07\0\0", 4); /* a byte more than there are */
    assert_refused("cut short: it ends before its data do");
    patch(40, "\xff\x93\x35\x77", 4); /* 2,000,000,000 - 1 */
    assert_refused("cut short: it ends before its data do");
    store_sine(FLAC_16, RATE, 440.0, 0.5, 1000);
    patch(21, "\xff\xff\xff\xff\xff", 5); /* 36 bits of samples, and 4 more */
    assert_refused("is 4294967.3 s long, where 1 s are allowed");
}

static void a_file_that_was_cut_short_is_refused(void **state)
{
    (void)state;
    store_sine(WAV_16, RATE, 440.0, 0.5, 1000);
    shorten(1);
    assert_refused("cut short: it ends before its data do");
    store_sine(SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, RATE, 440.0, 0.5, 5000);
    shorten(100);
    assert_refused("cut short: it ends before its data do");
    store_sine(FLAC_16, RATE, 440.0, 0.5, 12000); /* frames of 4096 */
    shorten(10);
    assert_refused("cut short: 8192 of its 12000 samples can be read");
}

/* As programs write it that do not know beforehand how long a sound will be, or were killed before they did. */
static void data_of_unknown_length_go_on_to_the_end(void **state)
{
    static const struct {
        char riff[5], data[5];
    } lengths[] = {
        {"\xff\xff\xff\xff", "\xff\xff\xff\xff"}, {"\x24\xf0\xff\x7f", "\0\xf0\xff\x7f"},
        {"\xff\xff\xff\xff", "\xdb\xff\xff\xff"}, {"\x24\0\0\x80", "\0\0\0\x80"},
        {"\xf4\x07\0\0", "\0\x94\x35\x77"},       {"\0\0\0\0", "\0\0\0\0"},
        {"\x08\0\0\0", "\0\0\0\0"},               {"\x24\0\0\0", "\0\0\0\0"},
        {"\xff\xff\xff\xff", "\0\0\0\0"},
    };
    static int16_t x[1000];
    struct gle_sound sound;

    (void)state;
    for (int i = 0; i < 1000; i++)
        x[i] = (int16_t)(31 * i);
    for (size_t k = 0; k < COUNT(lengths); k++) {
        store_shorts(WAV_16, RATE, 1, x, COUNT(x));
        patch(4, lengths[k].riff, 4);
        patch(40, lengths[k].data, 4);
        assert_samples(x, COUNT(x));
        shorten(1); /* killed in the middle of a sample */
        assert_samples(x, COUNT(x) - 1);
    }
    store_shorts(WAV_16 | SF_ENDIAN_BIG, RATE, 1, x, COUNT(x));
    patch(40, "\x7f\xff\xf0\0", 4);
    assert_samples(x, COUNT(x));
    store_sine(FLAC_16, RATE, 440.0, 0.5, 12000);
    patch(21, "\xf0\0\0\0\0", 5);
    sound = read_back(1.0);
    assert_int_equal(sound.n, 12000);
    gle_free(sound.x);
    assert_path_refused(file, 0.7, "is longer than the 0.7 s that are allowed");
    shorten(10);
    assert_refused("cut short: 8192 samples can be read");
}

/* Texts behind the data, as some programs add them to a stream, are no sound; but samples that look like the name of a
 * chunk are. */
static void data_of_unknown_length_end_before_the_last_chunks(void **state)
{
    enum { N = 8194, INFO = 12, SIZE_AT = 40 }; /* more than is looked through at once */
    static const char info[] = "LIST\x04\0\0\0INFO";
    static const char two[] = "LIST\x04\0\0\0INFOid3 \x03\0\0\0abc"; /* the last padding is left out */
    static const char *const sizes[] = {"\xff\xff\xff\xff", "\0\0\0\0"};
    static int16_t want[N + 6];
    FILE *out;

    (void)state;
    for (int i = 0; i < N; i++)
        want[i] = (int16_t)(i * 7919);
    for (size_t k = 0; k < COUNT(sizes); k++)
        for (size_t n = N - 8; n <= N; n++) { /* wherever the chunk lies between two looks */
            store_shorts(WAV_16, RATE, 1, want, n);
            patch(4, "\xff\xff\xff\xff", 4);
            patch(SIZE_AT, sizes[k], 4);
            assert_non_null(out = fopen(file, "ab"));
            assert_int_equal(fwrite(k ? two : info, 1, k ? sizeof two - 1 : INFO, out), k ? sizeof two - 1 : INFO);
            assert_int_equal(fclose(out), 0);
            assert_samples(want, n);
        }
    memcpy(want + N, "LIST\x05\0\0\0INFO", INFO); /* as a chunk it would be cut short */
    store_shorts(WAV_16, RATE, 1, want, N + 6);
    patch(4, "\xff\xff\xff\xff", 4);
    patch(SIZE_AT, sizes[0], 4);
    assert_samples(want, N + 6);
}

/* RIFX and RIFF say in which order the bytes of numbers are. */
static void numbers_in_the_other_order_are_named(void **state)
{
    static const int16_t x[] = {1, 2};

    (void)state;
    store_shorts(WAV_16, RATE, 1, x, COUNT(x));
    patch(0, "RIFX", 4);
    assert_refused("damaged: it begins with RIFX, which stands before big-endian numbers, but has little-endian ones, "
                   "as behind RIFF; a WAV file written anew (RIFF) is wanted");
    store_shorts(WAV_16 | SF_ENDIAN_BIG, RATE, 1, x, COUNT(x));
    assert_samples(x, COUNT(x));
    patch(0, "RIFF", 4);
    assert_refused("damaged: it begins with RIFF, which stands before little-endian numbers, but has big-endian ones, "
                   "as behind RIFX; a WAV file written anew (RIFF) is wanted");
}

/* The same four bytes of a head, and one of two samples behind a chunk of three or five bytes. */
static void a_chunk_of_odd_length_may_lack_its_padding(void **state)
{
#define HEAD "RIFF\x36\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
#define DATA "data\x04\0\0\0\x01\0\x02\0"
    static const char *const files[] = {
        HEAD "LIST\x03\0\0\0abc\0" DATA, HEAD "LIST\x03\0\0\0abcx" DATA, HEAD "LIST\x03\0\0\0abc" DATA,
        HEAD "note\x05\0\0\0abcde" DATA, HEAD "note\x01\0\0\0aLIST\x03\0\0\0abc" DATA,
        HEAD "note\x01\0\0\0amine\x04\0\0\0abcd" DATA, HEAD "note\x01\0\0\0a\0mine\x04\0\0\0abcd" DATA,
    };
    static const size_t sizes[] = {sizeof HEAD + 23, sizeof HEAD + 23, sizeof HEAD + 22, sizeof HEAD + 24,
                                   sizeof HEAD + 31, sizeof HEAD + 32, sizeof HEAD + 33};
    static const char both[] = HEAD "note\x01\0\0\0adata\x41\x19\0\0"; /* "ataA" with 25 bytes, if it were padded */
    static const int16_t want[] = {1, 2};
    static char large[sizeof both - 1 + 0x1941];
    static int16_t zeros[0x1941 / 2];

    (void)state;
    for (size_t k = 0; k < COUNT(files); k++) {
        store_bytes(files[k], sizes[k]);
        assert_samples(want, COUNT(want));
    }
    memcpy(large, both, sizeof both - 1);
    store_bytes(large, sizeof large);
    assert_samples(zeros, COUNT(zeros));
    store_bytes(HEAD "note\x03\0\0\0abcdefghijklmnop", sizeof HEAD + 23); /* neither reading makes sense */
    assert_refused("damaged: a chunk is longer than the file");
#undef HEAD
#undef DATA
}

static void chunks_beside_the_data_do_not_matter(void **state)
{
    static const char head[] = "RIFF\x36\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
                               "junk\x03\0\0\0abc\0data\x04\0\0\0\x01\0\x02\0more\x02\0\0\0xy";
    static const int16_t want[] = {1, 2};

    (void)state;
    store_bytes(head, sizeof head - 1);
    assert_samples(want, COUNT(want));
}

/* In such chunks libsndfile reads for minutes, wherever the file ends. */
static void chunks_that_claim_too_much_end_at_once(void **state)
{
    static const char before[] = "RIFF\x50\0\0\0WAVEfmt \x10\0\0\0\x03\0\0\x01\x80\x3e\x02\0WAVE\x04\0\x20\0"
                                 "LIST\x04\0\xff\xff\xff\0\0\0\0\0\0\0\x08\xff\xff\xff";
    static const char after[] = "RIFF\x36\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
                                "data\x04\0\0\0\x01\0\x02\0LIST\x04\0\xff\xffINFO";
    static const char inside[] = "RIFFP\0\0AWAVELIST\x10\0\0\0\x03\0\x01\0\xf8\xff\xff\xffRF64\0\xfa\x79\0";
    static const int16_t want[] = {1, 2};
    struct gle_error err = {0};
    struct gle_sound sound;

    (void)state;
    alarm(20); /* fails the test instead of letting it hang */
    store_bytes(before, sizeof before - 1);
    assert_refused("damaged: a chunk is longer than the file");
    store_bytes(after, sizeof after - 1);
    assert_samples(want, COUNT(want));
    store_bytes(inside, sizeof inside - 1);
    assert_int_equal(gle_sound_read(&sound, file, RATE, 1.0, &err), -1);
    assert_memory_equal(err.text, "not a sound file: ", 18);
    alarm(0);
}

static void a_sound_without_samples_is_refused(void **state)
{
    static const char nothing[] = "RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
                                  "data\0\0\0\0LIST\0\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff";

    (void)state;
    store(WAV_16, RATE, 1, NULL, 0);
    assert_refused("has no samples");
    alarm(20); /* libsndfile would look for minutes into what follows */
    store_bytes(nothing, sizeof nothing - 1);
    assert_refused("has no samples");
    alarm(0);
}

static void a_sound_may_be_as_long_as_allowed_but_not_longer(void **state)
{
    struct gle_sound sound;

    (void)state;
    store_sine(WAV_16, RATE, 440.0, 0.5, RATE);
    sound = read_back(1.0);
    assert_int_equal(sound.n, RATE);
    gle_free(sound.x);
    store_sine(WAV_16, RATE, 440.0, 0.5, RATE + 1);
    assert_refused("is 1.0000625 s long, where 1 s are allowed");
    store_sine(WAV_16, 8000, 440.0, 0.5, 98400);
    assert_path_refused(file, 10.0, "is 12.3 s long, where 10 s are allowed");
}

static void values_that_are_not_finite_are_refused(void **state)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    double x[9000] = {0};

    (void)state;
    for (size_t k = 0; k < COUNT(bad); k++) {
        x[8999] = bad[k];
        store(WAV_FLOAT, RATE, 1, x, COUNT(x));
        assert_refused("sample 8999 is not finite");
        store(WAV_FLOAT, RATE, 3, x, COUNT(x));
        assert_refused("sample 2999 is not finite");
    }
}

/* Whatever comes: a sound of at most a second, or an error. */
static void damaged_files_do_no_harm(void **state)
{
    static const int formats[] = {WAV_16, WAV_FLOAT, SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, FLAC_16};
    enum { TRIES = 400, SIZE_MAX_HERE = 1 << 16 };
    static unsigned char bytes[SIZE_MAX_HERE], damaged[SIZE_MAX_HERE];
    uint32_t random = 1;

    (void)state;
    for (size_t k = 0; k < COUNT(formats); k++) {
        FILE *in;
        size_t n;
        store_sine(formats[k], RATE, 440.0, 0.5, 3000);
        in = fopen(file, "rb");
        assert_non_null(in);
        n = fread(bytes, 1, sizeof bytes, in);
        fclose(in);
        for (int i = 0; i < TRIES; i++) {
            struct gle_error err = {0};
            struct gle_sound sound;
            memcpy(damaged, bytes, n);
            for (int j = 0; j < 3; j++) {
                random = random * 1664525 + 1013904223;
                damaged[(random >> 8) % (i % 2 ? n : 64)] = (unsigned char)(random >> 24);
            }
            store_bytes(damaged, i % 5 ? n : n / 2);
            if (gle_sound_read(&sound, file, RATE, 1.0, &err)) {
                assert_int_equal(err.code, GLE_EDATA);
                assert_null(sound.x);
            } else {
                assert_true(sound.n && sound.n <= RATE);
            }
            gle_free(sound.x);
        }
    }
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    store_sine(WAV_16, 8000, 440.0, 0.5, 600000);
    for (size_t k = 0, rc = 1; rc; k++) {
        struct gle_error err = {0};
        struct gle_sound sound;
        gle_memory_fail_after(k);
        rc = gle_sound_read(&sound, file, RATE, 100.0, &err) != 0;
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(err.code, rc ? GLE_ENOMEM : GLE_OK);
        assert_true(rc ? !sound.x && !sound.n : sound.n == 1200000);
        assert_true(rc || k >= 4);
        gle_free(sound.x);
    }
}

static void several_threads_read_the_same_as_one(void **state)
{
    enum { READS = 64 };
    struct gle_sound want;
    int different = 0;

    (void)state;
    store_sine(FLAC_16, 44100, 440.0, 0.5, 20000);
    want = read_back(1.0);
#pragma omp parallel for num_threads(4) reduction(+ : different)
    for (int i = 0; i < READS; i++) {
        struct gle_error err = {0};
        struct gle_sound sound;
        if (gle_sound_read(&sound, i % 4 ? file : folder, RATE, 1.0, &err))
            different += i % 4 != 0;
        else
            different += sound.n != want.n || memcmp(sound.x, want.x, want.n * sizeof *want.x) != 0;
        gle_free(sound.x);
    }
    assert_int_equal(different, 0);
    gle_free(want.x);
}

/* Of what the library shares between threads nothing may go from one file to another: neither a file's reason to be
 * refused, nor its descriptor. */
static void damaged_files_do_not_disturb_others(void **state)
{
    enum { N = 3000 };
    char bad[sizeof file + 4];
    struct gle_sound sound, good;
    struct gle_error err = {0}, alone = {0};
    int wrong = 0;

    (void)state;
    store_sine(WAV_16, RATE, 440.0, 0.5, N);
    patch(12, "tmf ", 4);
    snprintf(bad, sizeof bad, "%s_bad", file);
    assert_int_equal(rename(file, bad), 0);
    assert_int_equal(gle_sound_read(&sound, bad, RATE, 10.0, &alone), -1);
    store_sine(WAV_16, RATE, 440.0, 0.5, N);
    assert_int_equal(gle_sound_read(&good, file, RATE, 10.0, &err), 0);
#pragma omp parallel for num_threads(4) reduction(+ : wrong) schedule(dynamic)
    for (int i = 0; i < 4000; i++) {
        struct gle_sound own;
        struct gle_error why = {0};
        const int rc = gle_sound_read(&own, i % 2 ? bad : file, RATE, 10.0, &why);
        if (i % 2)
            wrong += rc != -1 || strcmp(why.text, alone.text) != 0;
        else
            wrong += rc || own.n != N || memcmp(own.x, good.x, N * sizeof *own.x) != 0;
        gle_free(own.x);
    }
    assert_int_equal(wrong, 0);
    gle_free(good.x);
    unlink(bad);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/sound", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_bits_come_through_as_they_are),
        cmocka_unit_test(a_long_sound_is_read_whole),
        cmocka_unit_test(channels_are_averaged),
        cmocka_unit_test(a_thousand_channels_are_averaged),
        cmocka_unit_test(other_sample_formats_are_rounded_to_sixteen_bits),
        cmocka_unit_test(eight_bits_are_full_scale_at_128),
        cmocka_unit_test(compressed_sounds_are_read),
        cmocka_unit_test(values_just_above_full_scale_are_cut_off),
        cmocka_unit_test(sounds_on_another_scale_are_refused),
        cmocka_unit_test(a_sine_stays_itself_at_another_rate),
        cmocka_unit_test(what_a_lower_rate_cannot_hold_is_gone),
        cmocka_unit_test(the_length_follows_the_rate),
        cmocka_unit_test(things_that_are_no_sound_files_are_refused),
        cmocka_unit_test(other_kinds_of_files_are_named),
        cmocka_unit_test(a_sound_is_found_behind_tags),
        cmocka_unit_test(a_pipe_is_refused_without_waiting),
        cmocka_unit_test(broken_headers_are_refused),
        cmocka_unit_test(impossible_numbers_in_a_header_are_refused),
        cmocka_unit_test(a_header_that_claims_too_much_is_refused),
        cmocka_unit_test(a_file_that_was_cut_short_is_refused),
        cmocka_unit_test(data_of_unknown_length_go_on_to_the_end),
        cmocka_unit_test(data_of_unknown_length_end_before_the_last_chunks),
        cmocka_unit_test(numbers_in_the_other_order_are_named),
        cmocka_unit_test(a_chunk_of_odd_length_may_lack_its_padding),
        cmocka_unit_test(chunks_beside_the_data_do_not_matter),
        cmocka_unit_test(chunks_that_claim_too_much_end_at_once),
        cmocka_unit_test(a_sound_without_samples_is_refused),
        cmocka_unit_test(a_sound_may_be_as_long_as_allowed_but_not_longer),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(every_failing_allocation_is_an_error),
        cmocka_unit_test(several_threads_read_the_same_as_one),
        cmocka_unit_test(damaged_files_do_not_disturb_others),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
