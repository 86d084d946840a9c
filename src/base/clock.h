/* clock.h - time that only goes forward. */
#ifndef GLE_BASE_CLOCK_H
#define GLE_BASE_CLOCK_H

/* Seconds since some moment in the past. */
double gle_clock(void);

#endif
