/* A YAML text as a tree that knows its places. Every plain word is a string here: what `yes`, `012`
 * or `1:30` mean is the business of the setting that reads them, so YAML 1.1's surprises end here.
 *
 * Refused  anchors, aliases, tags, merge keys, several documents, duplicate keys, keys that are not
 *          words, bytes that are not UTF-8, tabs as indentation, nesting beyond MR_YAML_DEPTH_MAX.
 * Owns     nodes and texts live in the `strings` of `complaints`. */
#ifndef MR_CORE_YAML_TREE_H
#define MR_CORE_YAML_TREE_H

#include "core/complaint.h"

#define MR_YAML_DEPTH_MAX 16
#define MR_YAML_BYTES_MAX (1 << 20) /* a configuration is read by people */

enum mr_yaml_kind { MR_YAML_SCALAR, MR_YAML_LIST, MR_YAML_MAP };

struct mr_yaml {
    enum mr_yaml_kind kind;
    bool quoted;                /* a scalar in quotes or a block scalar */
    const char *key;            /* in a map; NULL elsewhere */
    const char *text;           /* of a scalar */
    const char *variable;       /* a scalar that came from ${variable}, else NULL */
    struct mr_place key_at, at; /* key_at equals at where there is no key */
    struct mr_yaml *first, *last, *next;
    uint32_t count;
};

/* Parses `text`; places are counted from `origin` (set number, and column of the first character).
 * Returns NULL after a complaint if there is no tree at all; complaints may come with a tree too.
 */
struct mr_yaml *mr_yaml_parse(struct mr_complaints *complaints, struct mr_span text,
                              struct mr_place origin);

/* The child of that key or index; NULL if there is none or `node` is NULL or of another kind. */
struct mr_yaml *mr_yaml_get(const struct mr_yaml *node, const char *key);
struct mr_yaml *mr_yaml_item(const struct mr_yaml *node, uint32_t index);
/* By a dotted path of keys, "source.pubsub.streams". */
struct mr_yaml *mr_yaml_at(const struct mr_yaml *node, const char *path);
void mr_yaml_append(struct mr_yaml *parent, struct mr_yaml *child);
/* "a list", "a mapping", "`text`" or "nothing". */
const char *mr_yaml_describe(struct mr_texts *strings, const struct mr_yaml *node);

#endif
