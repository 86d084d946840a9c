/* error.h - how every module says that something failed, and where in the user's file. */
#ifndef GLE_BASE_ERROR_H
#define GLE_BASE_ERROR_H

#include <stddef.h>

#define GLE_MUST_CHECK __attribute__((warn_unused_result))
#define GLE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* What kind of failure it was; gle_code_exit() maps each to the exit code of the command. */
enum gle_code {
    GLE_OK = 0,
    GLE_ECONFIG,   /* malformed config: syntax, unknown name, wrong type */
    GLE_ERANGE,    /* a number outside its range */
    GLE_ESHAPE,    /* sizes that do not fit together */
    GLE_EUSAGE,    /* wrong command line */
    GLE_EWRITE,    /* output cannot be written */
    GLE_EDATA,     /* input data or checkpoint unreadable or wrong */
    GLE_ENOMEM,    /* out of memory or another resource */
    GLE_EDEVICE,   /* an accelerator that is missing, or fails */
    GLE_EDIVERGED, /* NaN or Inf in the network */
    GLE_ECLAIM,    /* what somebody claims does not hold */
    GLE_ESTOPPED,  /* by a signal, before there was a run to report */
};

/* One failure. Caller-owned, fixed-size, self-contained: no pointer in it outlives anything.
 * line and column are 1-based; line 0 means "no position". path is the config path, "" if none. */
struct gle_error {
    enum gle_code code;
    char file[256]; /* the tail is kept when a name is longer */
    size_t line, column;
    char path[192];  /* its head is kept: by that the section is known */
    char text[512];
};

/* The errors of one config file, collected so that all are shown at once. Zero-initialise. */
enum { GLE_ERRORS_MAX = 20 };
struct gle_errors {
    struct gle_error item[GLE_ERRORS_MAX];
    size_t n;       /* errors kept in item */
    size_t dropped; /* errors beyond GLE_ERRORS_MAX */
};

/* Records a failure without a position. The first error wins: a second call on the same err changes nothing.
 * Returns -1, so that `return gle_fail(...)` reads well. err is never NULL. */
int gle_fail(struct gle_error *err, enum gle_code code, const char *fmt, ...) GLE_PRINTF(3, 4);

/* The same, about a file that is read (no line): `path` names something in it, "" or NULL if nothing. */
int gle_fail_in(struct gle_error *err, enum gle_code code, const char *file, const char *path, const char *fmt, ...)
    GLE_PRINTF(5, 6);

/* Copies the tail of `file`, the position, and the head of `path` into err; used by whoever knows them. */
void gle_error_place(struct gle_error *err, const char *file, size_t line, size_t column, const char *path);

/* Appends a copy of err to the list (or counts it as dropped). An error at the position and path of one that is
 * already there is not repeated. Returns -1. */
int gle_errors_add(struct gle_errors *errs, const struct gle_error *err);

/* Puts the errors in the order of their places: by file, line and column; those at one place stay as they came. */
void gle_errors_sort(struct gle_errors *errs);

/* Writes "file:line:column: path: text" (parts that are unknown left out) into buf; always NUL-terminated.
 * Control characters become '?': a message is one line, and harmless to a terminal. */
void gle_error_format(char *buf, size_t size, const struct gle_error *err);

/* Exit code of the command for a failure: 2 config or usage, 3 cannot write, 4 bad data, 5 resources or
 * a device, 6 diverged, 7 a claim does not hold. */
int gle_code_exit(enum gle_code code);

#endif
