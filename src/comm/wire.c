#include "comm/wire.h"

static const double OVERHEAD = 0.1; /* of a further message, in latencies; assumed */

/* --- how sums are sent --- */

size_t gle_wire_bytes(size_t n_doubles, size_t n)
{
    return (n_doubles * sizeof(double) + n * sizeof(float) + 7) / 8 * 8;
}

bool gle_wire_goes_at_once(size_t ranks, size_t n_doubles, size_t n)
{
    enum { AT_ONCE = 1 << 16 }; /* bytes of all ranks, up to which waiting takes longer than the way */

    return ranks * gle_wire_bytes(n_doubles, n) <= AT_ONCE;
}

void gle_wire_add(float *sums, const float *parts, size_t n, size_t ld, size_t n_parts)
{
    enum { SOME = 64 }; /* sums side by side, which a compiler makes vectors of */
    double sum[SOME];

    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < SOME ? n - done : SOME;
        for (size_t i = 0; i < some; i++)
            sum[i] = 0.0;
        for (size_t p = 0; p < n_parts; p++)
            for (size_t i = 0; i < some; i++)
                sum[i] += (double)parts[p * ld + done + i];
        for (size_t i = 0; i < some; i++)
            sums[done + i] = (float)sum[i];
    }
}

/* --- what that costs --- */

/* Each sends so many bytes to every other rank. */
static double exchange(const struct gle_wire *wire, size_t ranks, double bytes)
{
    const double others = (double)ranks - 1.0;

    return wire->latency * (1.0 + OVERHEAD * (others - 1.0)) + others * bytes / wire->rate;
}

static double sum_slices(const struct gle_wire *wire, size_t ranks, size_t n)
{
    const double slice = (double)(n * sizeof(float)) / (double)ranks;
    const size_t pieces = (n + GLE_WIRE_PIECE - 1) / GLE_WIRE_PIECE;
    double seconds = (double)n * wire->adding;

    for (size_t i = 0; i < pieces; i++)
        seconds += 2.0 * exchange(wire, ranks, slice / (double)pieces);
    return seconds;
}

double gle_wire_sum(const struct gle_wire *wire, size_t ranks, size_t n_doubles, size_t n)
{
    const double numbers = (double)(n_doubles + n);

    if (ranks < 2)
        return 0.0;
    if (gle_wire_goes_at_once(ranks, n_doubles, n))
        return exchange(wire, ranks, (double)gle_wire_bytes(n_doubles, n)) + (double)ranks * numbers * wire->adding;
    return (n_doubles ? exchange(wire, ranks, (double)gle_wire_bytes(n_doubles, 0)) : 0.0) + sum_slices(wire, ranks, n);
}

struct gle_wire gle_wire_fit(size_t ranks, double few, double many, size_t n, double adding)
{
    const struct gle_wire unit = {.latency = 1.0, .rate = 1.0, .adding = 0.0};
    struct gle_wire none = {.latency = 0.0, .rate = 1.0, .adding = adding};
    const double bytes = sum_slices(&none, ranks, n) - (double)n * adding;
    struct gle_wire wire = {.latency = few / (exchange(&unit, ranks, 0.0)), .adding = adding};
    double left;

    none.latency = wire.latency;
    left = many - (sum_slices(&none, ranks, n) - bytes);
    /* what is sent cannot take less than no time, however times were disturbed */
    wire.rate = bytes / (left > 0.01 * many ? left : 0.01 * many);
    return wire;
}

double gle_wire_computation(const struct gle_wire_load *load, size_t ranks)
{
    const size_t rows = (load->rows[0] + ranks - 1) / ranks;
    size_t i = 0;
    double share;

    while (i < load->n_points && load->rows[i] > rows)
        i++;
    if (i == load->n_points)
        return load->seconds[i - 1];
    if (load->rows[i] == rows)
        return load->seconds[i];
    share = (double)(rows - load->rows[i]) / (double)(load->rows[i - 1] - load->rows[i]);
    return load->seconds[i] + share * (load->seconds[i - 1] - load->seconds[i]);
}

/* What ranks say of each step is its loss, and once, with the sum, two numbers of each and one of all. */
double gle_wire_communication(const struct gle_wire_load *load, const struct gle_wire *wire, size_t ranks)
{
    return gle_wire_sum(wire, ranks, load->every + 2 * ranks + 1, load->n_gradients) / (double)load->every;
}

size_t gle_wire_best(const struct gle_wire_load *load, const struct gle_wire *wire, size_t most)
{
    double least = 0.0;
    size_t best = 1;

    for (size_t ranks = 1; ranks <= most; ranks++) {
        const double seconds = gle_wire_computation(load, ranks) + gle_wire_communication(load, wire, ranks);
        if (ranks == 1 || seconds < least) {
            least = seconds;
            best = ranks;
        }
    }
    return best;
}

double gle_wire_pays_from(const struct gle_wire_load *load, const struct gle_wire *wire)
{
    double row;

    if (load->n_points < 2)
        return 0.0;
    row = (load->seconds[0] - load->seconds[1]) / (double)(load->rows[0] - load->rows[1]);
    return row > 0.0 ? 2.0 * gle_wire_communication(load, wire, 2) / row : 0.0;
}

double gle_wire_hand_out(const double *seconds, size_t n, double *until, size_t n_places)
{
    double last = 0.0;

    for (size_t p = 0; p < n_places; p++)
        until[p] = 0.0;
    for (size_t i = 0; i < n; i++) {
        size_t first = 0;
        for (size_t p = 1; p < n_places; p++)
            if (until[p] < until[first])
                first = p;
        until[first] += seconds[i];
        last = until[first] > last ? until[first] : last;
    }
    return last;
}
