/* folder.h - folders of files, made for a test and gone after it. */
#ifndef GLE_TESTS_FOLDER_H
#define GLE_TESTS_FOLDER_H

#include <stddef.h>
#include <stdint.h>

enum { FOLDER_SIZE = 64, PATH_SIZE = 512 };

/* Makes an empty folder of a new name. */
void folder_make(char folder[FOLDER_SIZE]);
/* Removes it, with all that is in it. */
void folder_remove(const char *folder);
/* For cmocka_unit_test_prestate_setup_teardown(), whose state is char[FOLDER_SIZE]: one for each test. */
int folder_setup(void **folder);
int folder_teardown(void **folder);

/* "folder/name". Static buffer. */
const char *folder_path(const char *folder, const char *name);
/* The text, in which every "FOLDER" stands for the folder. Static buffer. */
const char *folder_text(const char *folder, const char *text);
/* Writes a file "sub/name" with this text, making its folder. */
void folder_put(const char *folder, const char *name, const char *text);
/* The same with a sound: 16-bit WAV (FLAC if it is called so), one channel. */
void folder_put_sound(const char *folder, const char *name, const int16_t *x, size_t n, int rate);

#endif
