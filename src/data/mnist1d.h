/* mnist1d.h - the generator of MNIST-1D (Greydanus & Kobak, "Scaling down deep learning with MNIST-1D",
 * arXiv:2011.14439) in double precision, as published; the data set is made of it. */
#ifndef GLE_DATA_MNIST1D_H
#define GLE_DATA_MNIST1D_H

#include "data/sets.h"

/* The published arguments, by their published names but for length (final_seq_length); gle_mnist1d_keys tells more. */
struct gle_mnist1d {
    uint64_t samples;
    double train_split;
    uint64_t template_length;
    struct gle_reals padding; /* two whole numbers, fewest and most (gle_mnist1d_check) */
    double scale_coeff;
    uint64_t max_translation;
    double corr_noise_scale;
    double iid_noise_scale;
    double shear_scale;
    bool shuffle_seq;
    uint64_t length;
    uint64_t seed;
    const char *template; /* NULL: the ten digits */
};

/* Generates all samples in their final order, training samples first, standardised over all of them. The draws are
 * numpy's legacy ones from `seed`, so that the same arguments give the published numbers, to the last bit where the
 * C library's log() agrees. Tells ctx->progress.
 * Shapes: *x (*n, how->length) row-major, *labels (*n), with *n the samples rounded down to a multiple of the number of
 *         templates, and labels in 0 ... *n_classes - 1.
 * Owns:   *x and *labels belong to the caller (gle_free).
 * Errors: GLE_EDATA (the template file), GLE_ERANGE (fewer samples than templates; nothing but a constant),
 *         GLE_ESTOPPED, GLE_ENOMEM. On error both are NULL. */
GLE_MUST_CHECK int gle_mnist1d_generate(double **x, int32_t **labels, size_t *n, size_t *n_classes,
                                        const struct gle_mnist1d *how, const struct gle_data_context *ctx,
                                        struct gle_error *err);

#endif
