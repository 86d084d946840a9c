#include "slopes.h"
#include "build.h"

#include <math.h>
#include <stdbool.h>

static double bend_at(const struct sampled *s, size_t i)
{
    return fabs((double)s->slope[i - 1] - 2.0 * (double)s->slope[i] + (double)s->slope[i + 1]);
}

/* Between neighbouring points f must grow by the integral of its slope, and so by the mean of the two slopes. The mean
 * is off by half of what the slope bends there (its second difference) at most: by a twelfth where the slope is smooth,
 * by a quarter where the slope of the slope jumps, by a half where the slope itself jumps between the two points.
 * Returns the first point from which that is not so; 0 if there is none. */
static size_t misfit(const struct sampled *s)
{
    const double noise = 1e-6; /* of f, of its size or of 1; of the slope */

    for (size_t i = 1; i + 2 < s->m; i++) {
        const double a = (double)s->f[i], b = (double)s->f[i + 1];
        const double off = fabs((b - a) / s->step - 0.5 * ((double)s->slope[i] + (double)s->slope[i + 1]));
        const double bend = fmax(bend_at(s, i), bend_at(s, i + 1)), size = fmax(1.0, fmax(fabs(a), fabs(b)));
        if (!(off <= 0.5 * bend + noise * size / s->step + noise) && !(fabs(b - a) > s->jump))
            return i;
    }
    return 0;
}

/* Points behind which f jumps, or between which the slope bends so much that misfit() would let a wrong one pass. */
static size_t blind_points(const struct sampled *s)
{
    size_t n = 0;

    for (size_t i = 1; i + 2 < s->m; i++)
        n += fmax(bend_at(s, i), bend_at(s, i + 1)) > 1e-2 ||
             fabs((double)s->f[i + 1] - (double)s->f[i]) > s->jump;
    return n;
}

enum { MISTAKES = 6 };

/* Slopes with the mistakes that are made. Returns whether that changes any, the first and last ones not counted. */
static bool make_mistake(float *wrong, const struct sampled *s, int mistake)
{
    double most = 0.0;

    for (size_t i = 0; i < s->m; i++) {
        const float right = s->slope[i];
        const float made[MISTAKES] = {right * 1.01f, right + 4e-3f, -right, 0.0f, 0.5f * right,
                                      s->slope[i + 8 < s->m ? i + 8 : s->m - 1]};
        wrong[i] = made[mistake];
        if (i > 16 && i + 16 < s->m)
            most = fmax(most, fabs((double)wrong[i] - (double)right));
    }
    return most > 2e-3;
}

void check_slope(const struct sampled *s, const char *what, const char *name, const char *isa)
{
    static float wrong[SAMPLED_MAX];
    size_t at = misfit(s);

    assert_true(s->m <= SAMPLED_MAX);
    if (at)
        fail_msg("%s of %s (%s), point %zu: %.9g and %.9g, but there it grows by %.9g", what, name, isa, at,
                 (double)s->slope[at], (double)s->slope[at + 1], ((double)s->f[at + 1] - (double)s->f[at]) / s->step);
    at = blind_points(s);
    if (at > 3 * s->kinks) /* one makes three points blind */
        fail_msg("%s of %s (%s) jumps at too many points, %zu, to be checked", what, name, isa, at);
    for (int mistake = 0; mistake < MISTAKES; mistake++)
        if (make_mistake(wrong, s, mistake) &&
            !misfit(&(struct sampled){s->f, wrong, s->m, s->step, s->jump, s->kinks}))
            fail_msg("%s of %s (%s): mistake %d is not seen", what, name, isa, mistake);
}
