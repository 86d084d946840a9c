/* schema.h - the format of configs as a JSON Schema, for editors and other programs. */
#ifndef GLE_SCHEMA_SCHEMA_H
#define GLE_SCHEMA_SCHEMA_H

/* A JSON Schema (draft 7) of a config, made from the tables of keys, as text ending in a newline. Beside what draft 7
 * defines it has `enumDescriptions` (one for each of an enum) and `x-unit` (the unit of a number).
 * Owns: the caller, gle_free(). NULL: no memory. */
char *gle_schema_json(void);

#endif
