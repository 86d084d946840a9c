/* The tables whose functions are compiled once per instruction set, and the row of each that suits a processor. */
#include "parts/activation.h"
#include "parts/loss.h"
#include "parts/optimizer.h"

#define CHOOSE(type, rows, table, what, choose)                                                    \
    const struct gle_table table = {what, rows##_base, sizeof(struct type)};                       \
    const struct type *choose(const struct type *row, enum gle_isa isa)                            \
    {                                                                                              \
        static const struct type *const variants[GLE_ISA_COUNT] = GLE_ISA_LIST(rows);              \
        return variants[isa] + (row - rows##_base);                                                \
    }

void gle_act_find_numbers(float c[GLE_ACT_NUMBERS], const struct gle_act *act, const void *params)
{
    for (size_t i = 0; i < GLE_ACT_NUMBERS; i++)
        c[i] = 0.0f;
    if (act->numbers)
        act->numbers(c, params);
}

CHOOSE(gle_act, gle_acts, gle_act_table, "activation", gle_act_for)
CHOOSE(gle_loss, gle_losses, gle_loss_table, "loss", gle_loss_for)
CHOOSE(gle_optimizer, gle_optimizers, gle_optimizer_table, "optimizer", gle_optimizer_for)
