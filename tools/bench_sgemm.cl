/* C = A B of n x n matrices, n a multiple of 64: the most that products on a device do. */

/* For GPUs: a group makes a tile of 64 x 64 from stretches of A and B in local memory, an item 4 x 4 of it. */
__kernel __attribute__((reqd_work_group_size(256, 1, 1))) void sgemm_of_items(__global float *C,
                                                                             __global const float *A,
                                                                             __global const float *B, uint n)
{
    __local float a[16][64 + 1], b[16][64]; /* a: across, apart so that items write to different banks */
    const uint item = (uint)get_local_id(0), row = item / 16, col = item % 16;
    const uint first = (uint)get_group_id(0) * 64, across = (uint)get_group_id(1) * 64;
    float c[4][4] = {{0.0f}};

    for (uint depth = 0; depth < n; depth += 16) {
        for (uint i = item; i < 64 * 16; i += 256) {
            a[i % 16][i / 16] = A[(first + i / 16) * n + depth + i % 16];
            b[i / 64][i % 64] = B[(depth + i / 64) * n + across + i % 64];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint k = 0; k < 16; k++)
#pragma unroll
            for (uint r = 0; r < 4; r++)
#pragma unroll
                for (uint s = 0; s < 4; s++)
                    c[r][s] = fma(a[k][row * 4 + r], b[k][col + 16 * s], c[r][s]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (uint r = 0; r < 4; r++)
        for (uint s = 0; s < 4; s++)
            C[(first + row * 4 + r) * n + across + col + 16 * s] = c[r][s];
}

/* For processors: a group of one item makes 8 x 32 in vectors. Groups that follow each other read the same columns of
 * B. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void sgemm_of_vectors(__global float *C,
                                                                             __global const float *A,
                                                                             __global const float *B, uint n)
{
    const uint first = (uint)get_group_id(0) * 8, across = (uint)get_group_id(1) * 32;
    float16 c[8][2];

#pragma unroll
    for (uint r = 0; r < 8; r++)
        c[r][0] = c[r][1] = (float16)(0.0f);
    for (uint k = 0; k < n; k++) {
        const float16 y = vload16(0, B + k * n + across), z = vload16(1, B + k * n + across);
#pragma unroll
        for (uint r = 0; r < 8; r++) {
            const float16 x = (float16)(A[(first + r) * n + k]);
            c[r][0] = fma(x, y, c[r][0]);
            c[r][1] = fma(x, z, c[r][1]);
        }
    }
#pragma unroll
    for (uint r = 0; r < 8; r++) {
        vstore16(c[r][0], 0, C + (first + r) * n + across);
        vstore16(c[r][1], 1, C + (first + r) * n + across);
    }
}
