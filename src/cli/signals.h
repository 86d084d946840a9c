/* signals.h - what the command does about signals: one table for all of them. */
#ifndef GLE_CLI_SIGNALS_H
#define GLE_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Takes hold of all signals of the table; once, before any other thread starts. A hang-up that is ignored already, as
 * under nohup, stays ignored. Returns where the number of the signal that asks for the end will be found; 0 before. */
const volatile sig_atomic_t *gle_signals_catch(void);

/* In a process of its own that `parent` has started and hands signals on to: one that comes from there and from
 * elsewhere, too, as when all processes of a job get it, does not count twice. */
void gle_signals_from(pid_t parent);

/* Ctrl-Z and its end. By default SIGTSTP stops a process at once; one that has others to stop with it asks for it to be
 * only remembered, with SIGCONT; or, on = false, for the default again. */
void gle_signals_remember_stops(bool on);
/* Whether one of these two has come since this was asked last. */
bool gle_signals_came(int number);
/* Stops this process, as SIGTSTP does by default, until it is told to go on. */
void gle_signals_stop_here(void);

#endif
