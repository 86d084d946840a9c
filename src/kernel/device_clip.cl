/* Clipping, in three launches more behind those of a step or sweep that the optimizer follows: sum_squares and
 * follow_clipped over the tiles of learning, find_norm by one group. Sums run in the order of tiles. */
#ifdef CLIPS /* left out of programs for networks that need none */
/* What the sum of squares of n numbers is. */
CALLED float squares_of_run(__global const float *x, uint n)
{
    float sum = 0.0f;

    for (uint k = 0; k < n; k++)
        sum = fma(x[k], x[k], sum);
    return sum;
}

/* The squares of an item's part of what the optimizer follows in a tile, number by number, or row by row. */
CALLED float sum_weight_squares(const struct network *w, projection *c, uint item, uint first, uint across)
{
    const uint rows = smaller(c->weight.rows - first, TILE_ROWS), cols = smaller(c->weight.cols - across, TILE_COLS);
    __global const float *x = w->followed + c->weight.field.place + first * c->weight.ld + across;
    float sum = 0.0f;

#if ITEMS == 1
    for (uint row = 0; row < rows; row++)
        sum += squares_of_run(x + row * c->weight.ld, cols);
#else
    EACH_ELEMENT(row, col, rows, cols)
        sum += squares_of_run(x + row * c->weight.ld + col, 1);
#endif
    return sum;
}

CALLED float sum_listed_squares(const struct network *w, __global const struct gle_device_parameter *p, uint item,
                                uint first, uint n)
{
    float sum = 0.0f;

    for (uint i = first + item; w->updates[p->number].learns && i < smaller(first + TILE_ROWS, n); i += ITEMS)
        sum += squares_of_run(w->followed + p->field.place + i, 1);
    return sum;
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void sum_squares(NETWORK_ARGUMENTS)
{
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const uint item = (uint)get_local_id(0);
    const bool is_weight = task.task == GLE_TASK_WEIGHT;
    projection *c = &projections[is_weight ? task.which : 0];
    population *p = &populations[is_weight ? c->target : task.which];
    float sum = 0.0f;

    if (is_weight && w.updates[c->weight.number].learns)
        sum = sum_weight_squares(&w, c, item, task.first, task.across);
    if (task.task == GLE_TASK_BIAS)
        sum = sum_listed_squares(&w, &p->bias, item, task.first, p->bias.cols);
    if (task.task == GLE_TASK_TAU)
        sum = sum_listed_squares(&w, &p->tau_m, item, task.first, p->n) +
              sum_listed_squares(&w, &p->tau_r, item, task.first, p->n);
    w.squares[get_group_id(0) * ITEMS + item] = sum;
}

/* By one group: as torch's clip_grad_norm_. A norm whose square is no number of single precision leaves nothing. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void find_norm(NETWORK_ARGUMENTS)
{
    __local float sums[ITEMS];
    const struct network w = NETWORK;
    const uint item = (uint)get_local_id(0);
    float sum = 0.0f;

    for (uint k = item; k < shape.n_squares; k += ITEMS)
        sum += w.squares[k];
    sums[item] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item == 0) {
        float all = 0.0f, share;
        for (uint k = 0; k < ITEMS; k++)
            all += sums[k];
        share = shape.clip / (sqrt(all) + 1e-6f);
        *w.clipped = share < 1.0f;
        w.squares[shape.n_squares] = share < 1.0f ? share : 1.0f;
    }
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void follow_clipped(NETWORK_ARGUMENTS)
{
    const struct gle_device_tile task = tiles[get_group_id(0)];
    struct network w = NETWORK;
    const uint item = (uint)get_local_id(0);
    const bool is_weight = task.task == GLE_TASK_WEIGHT;
    projection *c = &projections[is_weight ? task.which : 0];
    population *p = &populations[is_weight ? c->target : task.which];

    w.follows_clipped = true;
    if (is_weight && w.updates[c->weight.number].learns)
        update_weights(&w, c, false, item, task.first, task.across);
    if (task.task == GLE_TASK_BIAS && w.updates[p->bias.number].learns)
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->bias.cols); i += ITEMS)
            update_bias(&w, p, i);
    if (task.task == GLE_TASK_TAU && taus_learn(&w, p))
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->n); i += ITEMS)
            update_taus(&w, p, i);
}
#endif
