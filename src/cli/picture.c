#include "cli/picture.h"
#include "cli/tables.h"
#include "parts/activation.h"
#include "parts/feedback.h"

#include <stdio.h>

/* Inside a string of DOT. */
static void put_escaped(const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

/* A name that cannot be anything else in DOT: layers by number. */
static void put_node(long population)
{
    if (population == GLE_SOURCE_INPUT)
        fputs("input", stdout);
    else
        printf("layer_%ld", population);
}

static void put_population(const struct gle_graph *g, size_t i)
{
    const struct gle_layer_cfg *l = g->populations[i].cfg;
    char sizes[GLE_SHAPE_SIZES], tau_m[GLE_RANGE_WORDS], tau_r[GLE_RANGE_WORDS];

    putchar(' ');
    putchar(' ');
    put_node((long)i);
    fputs(" [label=\"", stdout);
    put_escaped(l->name);
    printf("%s\\n%s %s\\ntau_m %s, tau_r %s\"%s];\n", i == g->output ? " (output)" : "",
           gle_shape_sizes(sizes, &l->shape), l->act->row.name, gle_range_words(tau_m, l->tau_m, l->n),
           gle_range_words(tau_r, l->tau_r, l->n), i == g->output ? ", peripheries=2" : "");
}

static void put_projection(const struct gle_graph *g, const struct gle_projection *c)
{
    const bool sends = c->source != GLE_SOURCE_INPUT && c->cfg->feedback->sends;
    const size_t weights = gle_field_size(&c->weight->field);
    char words[GLE_LINK_WORDS];

    putchar(' ');
    putchar(' ');
    put_node(c->source);
    fputs(" -> ", stdout);
    put_node((long)c->target);
    printf(" [label=\"%s\\n%zu weight%s", gle_link_words(words, c), weights, weights == 1 ? "" : "s");
    if (c->delay != (c->source == GLE_SOURCE_INPUT ? 0 : 1))
        printf("\\ndelay %g", (double)c->delay * g->exp->dt);
    printf("\"%s];\n", sends && !c->feedback ? ", dir=both, arrowtail=odot" : "");
    if (!sends || !c->feedback)
        return;
    putchar(' ');
    putchar(' ');
    put_node((long)c->target);
    fputs(" -> ", stdout);
    put_node(c->source);
    printf(" [label=\"errors, %s\", style=dashed, constraint=false];\n", c->cfg->feedback->row.name);
}

int gle_picture_write(const struct gle_experiment *exp, struct gle_error *err)
{
    const struct gle_graph_options options = {.batch = 1, .train_rows = 1};
    char sizes[GLE_SHAPE_SIZES];
    struct gle_graph *g;

    if (gle_graph_build(&g, exp, &options, err))
        return -1;
    fputs("digraph \"", stdout);
    put_escaped(exp->name);
    if (exp->variant) {
        putchar(' ');
        put_escaped(exp->variant);
    }
    printf("\" {\n  rankdir=BT;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
           "  edge [fontname=\"sans-serif\", fontsize=10];\n  input [label=\"input\\n%s\", shape=ellipse];\n",
           gle_shape_sizes(sizes, &exp->input_shape));
    for (size_t i = 0; i < g->n_populations; i++)
        put_population(g, i);
    for (size_t i = 0; i < g->n_projections; i++)
        put_projection(g, &g->projections[i]);
    for (size_t i = 0; i < g->n_directs; i++) {
        fputs("  ", stdout);
        put_node((long)g->directs[i].from);
        fputs(" -> ", stdout);
        put_node((long)g->directs[i].to);
        puts(" [label=\"errors, direct\", style=dashed, constraint=false];");
    }
    puts("}");
    gle_graph_destroy(g);
    return 0;
}
