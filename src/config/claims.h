/* claims.h - what a config says that its runs come to: the section `expect`. */
#ifndef GLE_CONFIG_CLAIMS_H
#define GLE_CONFIG_CLAIMS_H

#include "config/experiment.h"
#include "yaml/key.h"

extern const struct gle_custom gle_claims_custom;

/* As the section is decoded. */
struct gle_claims {
    struct gle_claim *item; /* (n), in the order of the file */
    size_t n;
};

/* A part of a path into a report, "phases[-1].last_loss": a key, or, without one, an index. */
struct gle_claim_step {
    const char *key; /* (len); NULL: it is */
    size_t len;
    long index; /* from 0; -1: the last */
    const char *rest; /* what follows; "" after the last part */
};
/* Takes the part that begins at p, up to a dot or bracket. Returns -1: it is malformed. */
GLE_MUST_CHECK int gle_claim_step_take(struct gle_claim_step *step, const char *p);

/* Takes the claims over into exp, whose variant and sweep are known, and `expect` out of its tree, since it is no part
 * of what makes two configs the same. exp->expect gets those that are of this variant and point, without these keys.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_claims_build(struct gle_experiment *exp, const struct gle_claims *claims,
                                    struct gle_errors *errs);

/* Whether a claim is of the variant and the point of exp. */
bool gle_claim_concerns(const struct gle_claim *claim, const struct gle_experiment *exp);

#endif
