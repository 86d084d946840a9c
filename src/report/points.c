#include "report/points.h"
#include "report/folder.h"
#include "report/json.h"

#include <stdbool.h>
#include <string.h>

/* A column: numbers at a place of "final", in some unit. */
struct column {
    const char *split, *key; /* split NULL: of a phase */
    const char *head;
    double unit;
    const char *format;
};

/* Of these the first that a point has is shown; then the same of losses. */
static const struct column answers[] = {
    {"test", "accuracy", "test accuracy (%)", 100.0, "%.1f"},
    {"test", "nrmse", "test NRMSE", 1.0, "%.4g"},
    {"validation", "accuracy", "validation accuracy (%)", 100.0, "%.1f"},
    {"validation", "nrmse", "validation NRMSE", 1.0, "%.4g"},
    {"train_after", "accuracy", "accuracy of the training set after the epoch (%)", 100.0, "%.1f"},
    {"train_after", "nrmse", "NRMSE of the training set after the epoch", 1.0, "%.4g"},
    {"train", "accuracy", "training accuracy (%)", 100.0, "%.1f"},
    {"train", "nrmse", "training NRMSE", 1.0, "%.4g"},
};
static const struct column losses[] = {
    {"test", "loss", "test loss", 1.0, "%.4g"},
    {"validation", "loss", "validation loss", 1.0, "%.4g"},
    {"train_after", "loss", "loss of the training set after the epoch", 1.0, "%.4g"},
    {"train", "loss", "training loss", 1.0, "%.4g"},
    {NULL, "last_loss", "loss at the end of the last phase", 1.0, "%.4g"},
};
enum { N_ANSWERS = sizeof answers / sizeof *answers, N_LOSSES = sizeof losses / sizeof *losses, CELL = 64 };

static const json_t *number_of(const json_t *point, const struct column *c)
{
    const json_t *final = json_object_get(point, "final");
    const json_t *score = c->split ? json_object_get(final, c->split) : final;
    const json_t *number = json_object_get(score, c->key);

    return json_is_number(json_object_get(number, "mean")) ? number : NULL;
}

/* The first of n columns in which some point has a number; NULL: there is none. */
static const struct column *first_of(const json_t *points, const struct column *columns, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        const json_t *point;
        size_t i;
        json_array_foreach (points, i, point)
            if (number_of(point, &columns[k]))
                return &columns[k];
    }
    return NULL;
}

static const char *cell_of(char cell[static CELL], const json_t *point, const struct column *c)
{
    const json_t *number = number_of(point, c);
    char mean[CELL / 2 - 4], std[CELL / 2 - 4];

    if (!number)
        return "-";
    snprintf(mean, sizeof mean, c->format, c->unit * json_number_value(json_object_get(number, "mean")));
    snprintf(std, sizeof std, c->unit > 1.0 ? "%.1f" : "%.2g",
             c->unit * json_number_value(json_object_get(number, "std")));
    if (json_integer_value(json_object_get(number, "n")) < 2)
        snprintf(cell, CELL, "%s", mean);
    else
        snprintf(cell, CELL, "%s +- %s", mean, std);
    return cell;
}

/* Of UTF-8: bytes that go on with a character take no room of their own. */
static int width_of(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static const char *label_of(const json_t *point)
{
    const char *label = json_string_value(json_object_get(point, "sweep"));

    return label ? label : "?";
}

static const char *runs_of(char cell[static CELL], const json_t *point)
{
    const size_t n = json_array_size(json_object_get(point, "runs"));
    const size_t completed = (size_t)json_integer_value(json_object_get(point, "completed"));

    if (n == completed)
        snprintf(cell, CELL, "%zu", n);
    else
        snprintf(cell, CELL, "%zu of %zu", completed, n);
    return cell;
}

/* Widens *width to what a cell takes. */
static void widen(int *width, const char *cell)
{
    const int n = width_of(cell);

    *width = n > *width ? n : *width;
}

static void print_table(FILE *out, const json_t *points, const struct column *columns[2])
{
    int first = width_of("point"), runs = width_of("runs"), widths[2] = {0};
    const json_t *point;
    char cell[CELL];
    size_t i;

    for (int k = 0; k < 2; k++)
        if (columns[k])
            widen(&widths[k], columns[k]->head);
    json_array_foreach (points, i, point) {
        widen(&first, label_of(point));
        widen(&runs, runs_of(cell, point));
        for (int k = 0; k < 2; k++)
            if (columns[k])
                widen(&widths[k], cell_of(cell, point, columns[k]));
    }
    fprintf(out, "  %-*s  %*s", first, "point", runs, "runs");
    for (int k = 0; k < 2; k++)
        if (columns[k])
            fprintf(out, "  %*s", widths[k], columns[k]->head);
    fputc('\n', out);
    json_array_foreach (points, i, point) {
        fprintf(out, "  %s%*s  %*s", label_of(point), first - width_of(label_of(point)), "", runs,
                runs_of(cell, point));
        for (int k = 0; k < 2; k++)
            if (columns[k])
                fprintf(out, "  %*s", widths[k], cell_of(cell, point, columns[k]));
        fputc('\n', out);
    }
}

void gle_points_print(FILE *out, const char *dir)
{
    json_t *summary = gle_folder_summary(dir);
    const json_t *points = json_object_get(summary, "points");
    const struct column *columns[] = {first_of(points, answers, N_ANSWERS), first_of(points, losses, N_LOSSES)};

    if (json_array_size(points) > 1 && (columns[0] || columns[1]))
        print_table(out, points, columns);
    json_decref(summary);
}
