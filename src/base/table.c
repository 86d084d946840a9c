#include "base/table.h"

#include <string.h>

const struct gle_row *gle_table_at(const struct gle_table *table, size_t i)
{
    const struct gle_row *row = (const void *)((const unsigned char *)table->rows + i * table->stride);
    return row->name ? row : NULL;
}

const struct gle_row *gle_table_find(const struct gle_table *table, const char *name)
{
    const struct gle_row *row;
    for (size_t i = 0; (row = gle_table_at(table, i)); i++)
        if (!strcmp(row->name, name))
            return row;
    return NULL;
}
