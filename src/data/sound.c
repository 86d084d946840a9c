#include "data/sound.h"

#include "base/memory.h"
#include "data/sound_pieces.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <samplerate.h>
#include <sndfile.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK = 8192,         /* values that are read at once; more than channels of any file that libsndfile opens */
    FIRST_ROOM = 1 << 18, /* samples; longer sounds get room as they turn out to be there */
    FULL_SCALE = 32768,
};

/* What a sound may have beyond full scale, to be cut off there: peaks of a mix that went a little too high. More means
 * that its samples are on another scale. */
static const double PEAK_MAX = 1.5, BEYOND_MAX = 0.01;

/* One channel at the file's own rate; full scale 1. */
struct track {
    float *x; /* gle_free */
    size_t n, room;
    double peak;      /* of all samples, without sign */
    size_t n_beyond;  /* samples above full scale */
};

/* What libsndfile reads, and where it is. */
struct stream {
    struct gle_sound_pieces pieces;
    off_t at;
};

/* FLAC files that were made on the fly may not say how long they are. */
static bool is_open_ended(const SF_INFO *info)
{
    return info->frames == SF_COUNT_MAX;
}

static int check_header(const SF_INFO *info, const char *path, uint32_t rate, double longest, struct gle_error *err)
{
    const int kind = info->format & SF_FORMAT_TYPEMASK;

    if (kind != SF_FORMAT_WAV && kind != SF_FORMAT_WAVEX && kind != SF_FORMAT_FLAC)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "not a sound file: neither WAV nor FLAC");
    if (info->channels < 1 || info->channels > BLOCK)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "has %d channels", info->channels);
    if (info->samplerate < 1 || !src_is_valid_ratio((double)rate / (double)info->samplerate))
        return gle_fail_in(err, GLE_EDATA, path, NULL, "has %d samples a second, too far from the %lu that are wanted",
                           info->samplerate, (unsigned long)rate);
    if (info->frames < 1)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "has no samples");
    if (!is_open_ended(info) && (double)info->frames > longest * (double)info->samplerate)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "is %.9g s long, where %.9g s are allowed",
                           (double)info->frames / (double)info->samplerate, longest);
    return 0;
}

/* Room for n more of the `expected` samples. Memory grows as samples are read, not by what the header says. */
static int make_room(struct track *track, size_t n, size_t expected)
{
    size_t room = track->room ? 2 * track->room : FIRST_ROOM;
    float *x;

    if (track->n + n <= track->room)
        return 0;
    if (room > expected)
        room = expected;
    if (room < track->n + n)
        room = track->n + n;
    x = gle_resize(track->x, room, sizeof *x);
    if (!x)
        return -1;
    track->x = x;
    track->room = room;
    return 0;
}

/* Appends the mean of the channels of n samples. Returns -1 if one is not finite. */
static int mix(struct track *track, const double *block, size_t n, size_t n_channels)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0, mean;
        for (size_t c = 0; c < n_channels; c++)
            sum += block[i * n_channels + c];
        if (!isfinite(sum))
            return -1;
        mean = sum / (double)n_channels;
        track->peak = fmax(track->peak, fabs(mean));
        track->n_beyond += fabs(mean) > 1.0;
        track->x[track->n++] = (float)fmax(-FLT_MAX, fmin(mean, FLT_MAX));
    }
    return 0;
}

/* Nothing more can be read: is that the end? */
static int check_end(const struct track *track, SNDFILE *file, const SF_INFO *info, const char *path,
                     struct gle_error *err)
{
    if (is_open_ended(info) && !sf_error(file))
        return track->n ? 0 : gle_fail_in(err, GLE_EDATA, path, NULL, "has no samples");
    if (is_open_ended(info))
        return gle_fail_in(err, GLE_EDATA, path, NULL, "cut short: %zu samples can be read", track->n);
    return gle_fail_in(err, GLE_EDATA, path, NULL, "cut short: %zu of its %lld samples can be read", track->n,
                       (long long)info->frames);
}

static int read_track(struct track *track, SNDFILE *file, const SF_INFO *info, const char *path, double longest,
                      struct gle_error *err)
{
    const size_t expected = (size_t)info->frames, n_channels = (size_t)info->channels;
    const double most = longest * (double)info->samplerate;
    double block[BLOCK];

    while (track->n < expected) {
        const size_t wanted = expected - track->n < BLOCK / n_channels ? expected - track->n : BLOCK / n_channels;
        const sf_count_t n = sf_readf_double(file, block, (sf_count_t)wanted);
        if (n <= 0 || (size_t)n > wanted)
            return check_end(track, file, info, path, err);
        if ((double)track->n + (double)n > most) /* only if it did not say so */
            return gle_fail_in(err, GLE_EDATA, path, NULL, "is longer than the %.9g s that are allowed", longest);
        if (make_room(track, (size_t)n, expected))
            return gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory for more than %zu samples", track->n);
        if (mix(track, block, (size_t)n, n_channels))
            return gle_fail_in(err, GLE_EDATA, path, NULL, "sample %zu is not finite", track->n);
    }
    return 0;
}

static int check_scale(const struct track *track, const char *path, struct gle_error *err)
{
    if (track->peak <= PEAK_MAX && (double)track->n_beyond <= BEYOND_MAX * (double)track->n)
        return 0;
    return gle_fail_in(err, GLE_EDATA, path, NULL, "its samples go up to %.6g, where full scale is 1 (%zu of %zu lie "
                       "beyond): divide them, so that all are between -1 and 1", track->peak, track->n_beyond,
                       track->n);
}

/* The track at another rate, of its length times the ratio, rounded: where the library's last sample falls short of
 * that, it is zero. */
static int resample(struct track *track, uint32_t rate, int own_rate, const char *path, struct gle_error *err)
{
    const double ratio = (double)rate / (double)own_rate;
    const long n = lround((double)track->n * ratio), spare = 1;
    SRC_DATA job = {.data_in = track->x, .input_frames = (long)track->n, .output_frames = n + spare,
                    .src_ratio = ratio};
    struct track other = {.n = (size_t)n, .room = (size_t)(n + spare)};
    int wrong;

    if (n < 1)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "has no samples at %lu a second", (unsigned long)rate);
    other.x = gle_calloc(other.room, sizeof *other.x);
    if (!other.x)
        return gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory for %zu samples", other.room);
    job.data_out = other.x;
    wrong = src_simple(&job, SRC_SINC_BEST_QUALITY, 1);
    gle_free(track->x);
    *track = other;
    if (wrong) /* all that is left to go wrong is the library's own memory */
        return gle_fail_in(err, GLE_ENOMEM, path, NULL, "cannot be brought to another rate: %s", src_strerror(wrong));
    if (labs(job.output_frames_gen - n) > 1)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "gives %ld samples instead of %ld at %lu a second",
                           job.output_frames_gen, n, (unsigned long)rate);
    return 0;
}

static int round_off(struct gle_sound *sound, const struct track *track, const char *path, struct gle_error *err)
{
    sound->x = gle_calloc(track->n, sizeof *sound->x);
    if (!sound->x)
        return gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory for %zu samples", track->n);
    sound->n = track->n;
    for (size_t i = 0; i < track->n; i++) {
        const double v = rint((double)track->x[i] * FULL_SCALE);
        sound->x[i] = (int16_t)fmax(-FULL_SCALE, fmin(v, FULL_SCALE - 1));
    }
    return 0;
}

/* --- what libsndfile reads with: it closes a descriptor that it is given when it finds a file damaged, whatever it was
 * told, and by then the number may be another thread's file --- */

static sf_count_t stream_size(void *stream)
{
    return ((struct stream *)stream)->pieces.size;
}

static sf_count_t stream_seek(sf_count_t by, int whence, void *stream_)
{
    struct stream *stream = stream_;
    const off_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? stream->at : stream->pieces.size;

    if (by < -from || by > SF_COUNT_MAX - from)
        return -1;
    return stream->at = from + by;
}

static sf_count_t stream_read(void *bytes, sf_count_t n, void *stream_)
{
    struct stream *stream = stream_;
    const sf_count_t done = (sf_count_t)gle_sound_pieces_get(&stream->pieces, bytes, (size_t)n, stream->at);

    stream->at += done;
    return done;
}

static sf_count_t stream_tell(void *stream)
{
    return ((struct stream *)stream)->at;
}

/* The library keeps its last error, which is all that it says of a file that it cannot open, in one variable for all
 * threads. */
static SNDFILE *open_sound(struct stream *stream, SF_INFO *info, int *number)
{
    SF_VIRTUAL_IO with = {.get_filelen = stream_size, .seek = stream_seek, .read = stream_read, .tell = stream_tell};
    SNDFILE *file;

#pragma omp critical(gle_sound_open)
    {
        file = sf_open_virtual(&with, SFM_READ, info, stream);
        *number = file ? 0 : sf_error(NULL);
    }
    return file;
}

/* --- */

static int read_file(struct gle_sound *sound, struct stream *stream, const char *path, uint32_t rate, double longest,
                     struct gle_error *err)
{
    struct track track = {0};
    SF_INFO info = {0};
    int number, rc;
    SNDFILE *file = open_sound(stream, &info, &number);

    if (!file) /* sf_strerror() would show a buffer that all threads share */
        return gle_fail_in(err, GLE_EDATA, path, NULL, "not a sound file: %s", sf_error_number(number));
    rc = check_header(&info, path, rate, longest, err) || read_track(&track, file, &info, path, longest, err) ||
         check_scale(&track, path, err);
    sf_close(file);
    if (!rc && (uint32_t)info.samplerate != rate)
        rc = resample(&track, rate, info.samplerate, path, err);
    if (!rc)
        rc = round_off(sound, &track, path, err);
    gle_free(track.x);
    return rc ? -1 : 0;
}

int gle_sound_read(struct gle_sound *sound, const char *path, uint32_t rate, double longest, struct gle_error *err)
{
    /* O_NONBLOCK: a pipe is to be refused, not waited for */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stream stream = {.at = 0};
    struct stat info;
    int rc;

    *sound = (struct gle_sound){0};
    if (fd < 0 || fstat(fd, &info))
        rc = gle_fail_in(err, GLE_EDATA, path, NULL, "cannot be read: %s", strerror(errno));
    else if (!S_ISREG(info.st_mode))
        rc = gle_fail_in(err, GLE_EDATA, path, NULL, "not a regular file");
    else
        rc = gle_sound_pieces_find(&stream.pieces, fd, info.st_size, path, err) ||
             read_file(sound, &stream, path, rate, longest, err);
    if (fd >= 0)
        close(fd);
    return rc ? -1 : 0;
}
