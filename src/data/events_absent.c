/* In place of events_hdf5.c, where HDF5 was not found. */
#include "data/events_file.h"

int gle_events_read(const char *path, const struct gle_events_taker *taker, const struct gle_data_context *ctx,
                    struct gle_error *err)
{
    (void)taker;
    (void)ctx;
    return gle_fail_in(err, GLE_EDATA, path, NULL,
                       "this glesim was built without HDF5, which reads such files: install it (Debian: tools/setup "
                       "--packages libhdf5-dev), remove the build folder, and build it anew");
}
