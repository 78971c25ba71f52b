/* The filter language of subscriptions, over attributes only.
 *   attributes:KEY   attributes.KEY = "v"   attributes.KEY != "v"   hasPrefix(attributes.KEY, "p")
 *   NOT x   -x   x AND y   x OR y   (x)
 * `!=` holds when the key is absent. Mixing AND and OR needs parentheses. A KEY of other characters
 * than letters, digits and _ is quoted. */
#ifndef MR_LOCAL_PUBSUB_FILTER_H
#define MR_LOCAL_PUBSUB_FILTER_H

#include "local/pubsub.h"

struct mr_pubsub_filter;

/* Compiles `text` (at most MR_PUBSUB_FILTER_BYTES); NULL if it is wrong, with the offending byte
 * offset and a static sentence in *position and *why. Freed with free(). */
struct mr_pubsub_filter *mr_pubsub_filter_create(struct mr_span text, uint32_t *position,
                                                 const char **why);
bool mr_pubsub_filter_matches(const struct mr_pubsub_filter *filter,
                              const struct mr_pubsub_pair *pairs, uint32_t count);

#endif
