/* text.h - names and numbers as people write them. */
#ifndef GLE_BASE_TEXT_H
#define GLE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keeps the best suggestion for a misspelt word: feed it every candidate; *best (start with NULL) is the nearest one,
 * if near enough to be worth suggesting (edits, a swap of neighbours counting as one; case ignored, so that a word that
 * differs in case alone has the distance 0). */
struct gle_suggestion {
    const char *word; /* what was written */
    const char *best;
    size_t distance;
};
void gle_suggest(struct gle_suggestion *s, const char *candidate);

/* Whole text as a number; YAML 1.2 core forms (1, -1.5, 1e-3, .5, .inf, -.inf, .nan) only: no hex floats, no blanks.
 * Returns 0, or -1 when the text is not a number. Independent of the locale. */
int gle_text_real(double *value, const char *text);
/* Whole text as an unsigned integer: digits, or an integral real such as 1e6 below 2^53. */
int gle_text_count(uint64_t *value, const char *text);
/* true/false, yes/no, on/off in any of YAML's spellings. Returns 0, or -1 when the text is none of them. */
int gle_text_bool(bool *value, const char *text);
/* Writes a text that gle_text_real() takes so that readers of YAML 1.1 and of YAML 1.2 take it for the same number:
 * 1e-8 as 1.0e-8 (without the point it is text in 1.1), 010 as 10 (octal in 1.1). size >= strlen(text) + 6. */
void gle_text_portable(char *buf, size_t size, const char *text);
/* Writes a word so that a shell reads it as this one word, in quotes if it takes them; size >= GLE_SHELL_ROOM of its
 * length. Returns the length of what was written. */
#define GLE_SHELL_ROOM(length) (4 * (length) + 3)
size_t gle_text_shell(char *buf, const char *word);
/* Shortest decimal text that reads back as the same double; size >= 32. */
void gle_text_from_real(char *buf, size_t size, double value);
/* Bytes in MiB, with three digits at least: "0.152 MiB", "13402 MiB". */
struct gle_text_bytes {
    char text[32];
};
struct gle_text_bytes gle_text_bytes(double bytes);

#endif
