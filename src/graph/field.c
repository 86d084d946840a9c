#include "graph/field.h"

#include <stdio.h>

void gle_field_label(char *buf, size_t size, const struct gle_field *field)
{
    snprintf(buf, size, "%s.%s", field->owner, field->name);
}
