/* tiny.h - the smallest files that data sets can be opened with, for tests that loop over their table. */
#ifndef GLE_TESTS_TINY_H
#define GLE_TESTS_TINY_H

#include <stdbool.h>

/* A data set that is read from files. */
struct tiny {
    const char *name;                 /* of its row */
    void (*make)(const char *folder); /* writes the files into an empty folder; NULL: this glesim was built without the
                                         library that reads them */
    const char *settings;             /* those that open them, in which "FOLDER" stands for the folder */
};

/* NULL: there is none of that name. */
const struct tiny *tiny_find(const char *name);

#endif
