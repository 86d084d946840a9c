#include "data/sound_pieces.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    CHUNKS_MAX = 1000, /* of a WAV file, before its data */
    CHUNK_HEAD = 8,    /* bytes: name and length */
    RIFF_HEAD = 12,
    TAG_HEAD = 10,
    TAGS_MAX = 16,
    LOOK = 64, /* bytes by which a kind of file is known */
};
/* Longer data than this that are not there were never promised: 17 hours of 16-bit sound at 16 kHz. */
static const uint32_t PROMISE_MAX = 2000000000;

/* As many bytes of a file from offset `at` as there are, up to size. */
static size_t get(int fd, unsigned char *bytes, size_t size, off_t at)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t n = pread(fd, bytes + done, size - done, at + (off_t)done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            break;
    }
    return done;
}

size_t gle_sound_pieces_get(const struct gle_sound_pieces *pieces, unsigned char *bytes, size_t n, off_t at)
{
    size_t done = 0;
    off_t begin = 0;

    for (size_t i = 0; i < pieces->n; begin += pieces->piece[i++].size) {
        const struct gle_sound_piece *p = &pieces->piece[i];
        const off_t within = at + (off_t)done - begin, left = p->size - within;
        const size_t wanted = left < (off_t)(n - done) ? (size_t)(left < 0 ? 0 : left) : n - done;
        size_t got = wanted;
        if (within < 0 || !wanted)
            continue;
        if (p->made)
            memcpy(bytes + done, pieces->heads + p->from + within, wanted);
        else
            got = get(pieces->fd, bytes + done, wanted, p->from + within);
        done += got;
        if (got < wanted)
            break;
    }
    return done;
}

static void show(struct gle_sound_pieces *p, bool made, off_t from, off_t size)
{
    p->piece[p->n++] = (struct gle_sound_piece){made, from, size};
    p->size += size;
}

/* --- WAV --- */

/* A RIFF file that is gone through. */
struct riff {
    int fd;
    off_t start, size; /* of the file: where it begins, where it ends */
    bool big_endian;
    uint32_t length; /* of the whole, as it says */
};

struct chunk {
    char name[4];
    uint32_t length; /* as it says */
    off_t left;      /* bytes behind its head, to the end of the file */
};

static uint32_t number_at(const unsigned char *bytes, bool big_endian)
{
    uint32_t number = 0;

    for (int k = 0; k < 4; k++)
        number = number << 8 | bytes[big_endian ? k : 3 - k];
    return number;
}

static void put_number(unsigned char *bytes, uint32_t number, bool big_endian)
{
    for (int k = 0; k < 4; k++)
        bytes[big_endian ? 3 - k : k] = (unsigned char)(number >> 8 * k);
}

static bool is_called(const struct chunk *c, const char *name)
{
    return !memcmp(c->name, name, sizeof c->name);
}

/* False: the file ends before it. */
static bool read_chunk(struct chunk *c, const struct riff *riff, off_t at)
{
    unsigned char head[CHUNK_HEAD];

    if (get(riff->fd, head, sizeof head, at) < sizeof head)
        return false;
    memcpy(c->name, head, sizeof c->name);
    c->length = number_at(head + 4, riff->big_endian);
    c->left = riff->size - at - CHUNK_HEAD;
    return true;
}

/* The names of chunks that are often there; that of the data first. */
static const char often[][5] = {"data", "fmt ", "fact", "LIST", "bext", "cue ", "smpl", "JUNK", "junk", "PEAK", "id3 ",
                                "ID3 ", "iXML"};
enum { OFTEN = sizeof often / sizeof often[0] };

/* The number in `often` of the name that stands there; OFTEN: it is none of them. */
static size_t find_name(const void *bytes)
{
    size_t i = 0;

    while (i < OFTEN && memcmp(bytes, often[i], 4))
        i++;
    return i;
}

/* Whether the bytes at an offset can be the head of a chunk: 0 no, 1 yes, 2 of one that is often there. */
static int like_chunk(const struct riff *riff, off_t at)
{
    struct chunk c;
    size_t name;

    if (!read_chunk(&c, riff, at))
        return 0;
    name = find_name(c.name);
    if (name < OFTEN)
        return (off_t)c.length <= c.left || !name ? 2 : 0;
    for (size_t i = 0; i < sizeof c.name; i++)
        if (c.name[i] < ' ' || c.name[i] > '~')
            return 0;
    return (off_t)c.length <= c.left;
}

/* Where the chunk behind one at `at` begins. A chunk of odd length is to be followed by a byte of padding. */
static off_t behind(const struct riff *riff, off_t at, uint32_t length)
{
    const off_t end = at + CHUNK_HEAD + (off_t)length, padded = end + length % 2;

    return padded > end && like_chunk(riff, end) > like_chunk(riff, padded) ? end : padded;
}

/* Whether chunks follow one another from an offset to the very end of the file. */
static bool ends_in_chunks(const struct riff *riff, off_t at)
{
    struct chunk c;

    for (int i = 0; i < CHUNKS_MAX && read_chunk(&c, riff, at) && (off_t)c.length <= c.left; i++)
        at += CHUNK_HEAD + (off_t)c.length + c.length % 2;
    return at == riff->size || at == riff->size + 1; /* the last padding may be left out */
}

/* Bytes of data of unknown length, from an offset on: up to the chunks that end the file, if there are any. */
static off_t open_size(const struct riff *riff, off_t from)
{
    enum { BLOCK = 1 << 14, NAME = 4 };
    unsigned char block[BLOCK];
    size_t n = BLOCK;

    for (off_t at = from; n == BLOCK; at += BLOCK - NAME) {
        n = get(riff->fd, block, sizeof block, at);
        for (size_t i = 0; i + NAME <= n; i += 2) /* chunks begin at even offsets */
            if (find_name(block + i) < OFTEN && ends_in_chunks(riff, at + (off_t)i))
                return at + (off_t)i - from;
    }
    return riff->size - from;
}

/* Bytes of the data whose head is at `at`; -1: they are cut short. */
static off_t data_size(const struct riff *riff, const struct chunk *c, off_t at)
{
    const off_t said = (off_t)c->length;
    const bool idle = riff->length >= PROMISE_MAX || (off_t)riff->length <= at - riff->start;

    if (said > c->left)
        return c->length >= PROMISE_MAX ? open_size(riff, at + CHUNK_HEAD) : -1;
    return !said && idle ? open_size(riff, at + CHUNK_HEAD) : said;
}

/* Why the chunk at an offset is longer than the file. */
static const char *why_too_long(const struct riff *riff, off_t at)
{
    struct riff other = *riff;

    other.big_endian = !riff->big_endian;
    if (at > riff->start + RIFF_HEAD || !like_chunk(&other, at))
        return "damaged: a chunk is longer than the file";
    return riff->big_endian ? "damaged: it begins with RIFX, which stands before big-endian numbers, but has "
                              "little-endian ones, as behind RIFF; a WAV file written anew (RIFF) is wanted"
                            : "damaged: it begins with RIFF, which stands before little-endian numbers, but has "
                              "big-endian ones, as behind RIFX; a WAV file written anew (RIFF) is wanted";
}

static void show_data(struct gle_sound_pieces *p, const struct riff *riff, off_t at, off_t size)
{
    const off_t most = UINT32_MAX - 1 - p->size - CHUNK_HEAD, shown = size < most ? size : most;
    unsigned char *head = p->heads + RIFF_HEAD;

    memcpy(head, "data", 4);
    put_number(head + 4, (uint32_t)shown, riff->big_endian);
    show(p, true, RIFF_HEAD, CHUNK_HEAD);
    show(p, false, at + CHUNK_HEAD, shown);
    put_number(p->heads + 4, (uint32_t)(p->size - CHUNK_HEAD), riff->big_endian);
}

/* The chunks that are needed, up to the data. libsndfile spends minutes in others whose parts claim to be long, and is
 * silent about data that are cut short. Returns what is wrong, or NULL. */
static const char *show_chunks(struct gle_sound_pieces *p, const struct riff *riff)
{
    bool has_format = false, has_fact = false;
    off_t at = riff->start + RIFF_HEAD;
    struct chunk c;

    show(p, true, 0, RIFF_HEAD);
    for (int i = 0; i < CHUNKS_MAX && read_chunk(&c, riff, at); i++) {
        const bool format = is_called(&c, "fmt ") && !has_format, fact = is_called(&c, "fact") && !has_fact;
        if (is_called(&c, "data")) {
            const off_t size = data_size(riff, &c, at);
            if (size >= 0)
                show_data(p, riff, at, size);
            return size < 0 ? "cut short: it ends before its data do" : NULL;
        }
        if ((off_t)c.length > c.left)
            return why_too_long(riff, at);
        if (format || fact) /* with a byte of padding, whatever it is */
            show(p, false, at, CHUNK_HEAD + (off_t)c.length + c.length % 2);
        has_format = has_format || format;
        has_fact = has_fact || fact;
        at = behind(riff, at, c.length);
    }
    return NULL;
}

static const char *show_wav(struct gle_sound_pieces *p, off_t start, off_t size, const unsigned char *head)
{
    const bool big_endian = !memcmp(head, "RIFX", 4);
    const struct riff riff = {p->fd, start, size, big_endian, number_at(head + 4, big_endian)};

    memcpy(p->heads, head, RIFF_HEAD);
    return show_chunks(p, &riff);
}

/* --- other kinds --- */

#define BYTES(text) text, sizeof(text) - 1

/* Files that are found under the names of sounds; "" in place of a reason: WAV or FLAC is wanted. */
static const struct kind {
    size_t at; /* where its bytes are */
    const char *bytes;
    size_t n;
    const char *what, *why;
} kinds[] = {
    {0, BYTES("OggS"), "an Ogg file (Vorbis, Opus or FLAC in Ogg)", ""},
    {0, BYTES("FORM"), "an AIFF file", ""},
    {0, BYTES("RF64"), "an RF64 file, WAV's form for more than 4 GB", ""},
    {0, BYTES("BW64"), "a BW64 file, WAV's form for more than 4 GB", ""},
    {0, BYTES("riff\x2e\x91\xcf\x11"), "a Wave64 file", ""},
    {0, BYTES("caff"), "a Core Audio file (CAF)", ""},
    {0, BYTES(".snd"), "a Sun audio file (AU)", ""},
    {0, BYTES("NIST_1A"), "a NIST SPHERE file", ""},
    {0, BYTES("#!AMR"), "an AMR file", ""},
    {0, BYTES("wvpk"), "a WavPack file", ""},
    {0, BYTES("MAC "), "a Monkey's Audio file (APE)", ""},
    {0, BYTES("\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "a Windows Media file (WMA)", ""},
    {0, BYTES("\x1a\x45\xdf\xa3"), "a Matroska or WebM file", ""},
    {4, BYTES("ftyp"), "an MP4 file (M4A)", ""},
    {0, BYTES("version https://git-lfs.github.com/spec/"), "a pointer of Git LFS",
     "'git lfs pull' fetches the file itself"},
    {0, BYTES("/annex/objects/"), "a pointer of git-annex", "'git annex get' fetches the file itself"},
    {0, BYTES("<!doctype html"), "a web page (HTML)", "the download went wrong"},
    {0, BYTES("<html"), "a web page (HTML)", "the download went wrong"},
    {0, BYTES("<?xml"), "an XML text", "the download went wrong"},
    {0, BYTES("PK\x03\x04"), "a zip archive", "unpack it"},
    {0, BYTES("\x1f\x8b"), "a gzip archive", "unpack it"},
};

/* The head of an MPEG frame without tag: 11 bits of 1, then what numbers are in use for layers III and II. */
static bool is_mpeg(const unsigned char *head)
{
    const unsigned version = head[1] >> 3 & 3, layer = head[1] >> 1 & 3;

    return head[0] == 0xff && (head[1] & 0xe0) == 0xe0 && version != 1 && (layer == 1 || layer == 2) &&
           head[2] >> 4 != 15 && (head[2] >> 2 & 3) != 3;
}

static bool is_aac(const unsigned char *head)
{
    return head[0] == 0xff && (head[1] & 0xf6) == 0xf0;
}

static bool is_zero(const unsigned char *head, size_t n)
{
    size_t i = 0;

    while (i < n && !head[i])
        i++;
    return i == n;
}

static int refuse(const unsigned char head[LOOK], size_t n, const char *path, struct gle_error *err)
{
    const char *what = is_mpeg(head) ? "an MP3 file" : is_aac(head) ? "an AAC file" : NULL, *why = "";

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !what; i++) {
        const struct kind *k = &kinds[i];
        if (k->at + k->n <= n && !strncasecmp((const char *)head + k->at, k->bytes, k->n)) {
            what = k->what;
            why = k->why;
        }
    }
    if (what)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "is %s; %s", what, *why ? why : "WAV or FLAC is wanted");
    if (n == LOOK && is_zero(head, n))
        return gle_fail_in(err, GLE_EDATA, path, NULL,
                           "not a sound file: it begins with zeros, as files do whose copy was broken off");
    if (!memcmp(head, "RIFF", 4) && n >= RIFF_HEAD)
        return gle_fail_in(err, GLE_EDATA, path, NULL,
                           "not a sound file: RIFF of the kind '%.4s', where WAVE is wanted", (const char *)head + 8);
    return gle_fail_in(err, GLE_EDATA, path, NULL, "not a sound file: neither WAV nor FLAC");
}

/* --- */

/* Where the file begins behind its ID3 tags; their length is in four times 7 bits. */
static off_t behind_tags(int fd)
{
    unsigned char tag[TAG_HEAD];
    off_t at = 0;

    for (int i = 0; i < TAGS_MAX && get(fd, tag, sizeof tag, at) == sizeof tag && !memcmp(tag, "ID3", 3); i++) {
        off_t length = 0;
        for (int k = 6; k < TAG_HEAD; k++)
            length = length << 7 | (tag[k] & 0x7f);
        at += TAG_HEAD + length + (tag[5] & 0x10 ? TAG_HEAD : 0); /* a flag says that its head is repeated behind it */
    }
    return at;
}

int gle_sound_pieces_find(struct gle_sound_pieces *p, int fd, off_t size, const char *path, struct gle_error *err)
{
    unsigned char head[LOOK] = {0};
    const off_t start = behind_tags(fd);
    const size_t n = get(fd, head, sizeof head, start);
    const bool riff = !memcmp(head, "RIFF", 4) || !memcmp(head, "RIFX", 4);
    const char *wrong = NULL;

    *p = (struct gle_sound_pieces){.fd = fd};
    if (!n && start)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "not a sound file: there is nothing behind its ID3 tag");
    if (!n)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "not a sound file: it is empty");
    if (riff && !memcmp(head + 8, "WAVE", 4))
        wrong = show_wav(p, start, size, head);
    else if (!memcmp(head, "fLaC", 4))
        show(p, false, start, size - start);
    else
        return refuse(head, n, path, err);
    return wrong ? gle_fail_in(err, GLE_EDATA, path, NULL, "%s", wrong) : 0;
}
