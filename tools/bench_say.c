#include "base/error.h"
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void stop(const char *text)
{
    fprintf(stderr, "%s: %s\n", program_name, text);
    exit(2);
}

_Noreturn void stop_on(const struct gle_error *err)
{
    char text[1200];

    gle_error_format(text, sizeof text, err);
    stop(text);
}

void say(const char *what)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%s\033[K", what ? what : "");
}
