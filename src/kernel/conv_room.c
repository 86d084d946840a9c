#include "kernel/conv_plan.h"

size_t gle_conv_room(const struct gle_conv *conv)
{
    const struct gle_conv_plan p = plan_of(conv);
    const size_t columns = forward_columns(&p), places = gradient_places(&p, conv);
    const size_t width = gle_padded(gradient_lines(&p, conv) * conv->kernel[1]);
    const size_t forward = images_room(&p, together(&p, columns)) + p.depth * columns + conv->out_channels * columns;
    const size_t back = images_room(&p, 1) + back_channels(&p, conv) * p.taps * back_columns(&p);
    const size_t gradient = images_room(&p, together(&p, places)) + places * (width + gle_padded(conv->out_channels)) +
                            conv->out_channels * width;

    return most(forward, most(back, gradient)) + OVER;
}
