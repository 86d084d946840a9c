/* conv.h - the geometry of convolutions and of pooling, in one or two dimensions.
 *
 * A sample is a row of `channels` grids of size[0] rows and size[1] columns each, one after the other; a line is a grid
 * of one row. As in PyTorch, a convolution is a cross-correlation,
 *   s[m][i][j] = sum over c, k, l of w[m][c][k][l] * x[c][y][z],
 *   y = i * stride[0] + k - padding[0],  z = j * stride[1] + l - padding[1],
 * where x is zero outside of the grid. */
#ifndef GLE_KERNEL_CONV_H
#define GLE_KERNEL_CONV_H

#include <stddef.h>

struct gle_conv {
    size_t channels, size[2];       /* of the source */
    size_t out_channels, out[2];    /* of the target: out = (size + 2 padding - kernel) / stride + 1, rounded down */
    size_t kernel[2], stride[2], padding[2];
};

struct gle_pool {
    size_t channels, size[2]; /* of the source */
    size_t window[2], out[2]; /* out = size / window, rounded down */
};

/* Floats of scratch memory that the functions below need, whatever the number of rows. */
size_t gle_conv_room(const struct gle_conv *conv);

#endif
