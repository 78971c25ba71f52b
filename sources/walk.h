/* The complete parser: checks a whole payload as JSON and catches the values that fields ask for.
 * The paths of all fields form a tree, `a.b` and `a.c` sharing the node `a`; a node where a path
 * ends is a leaf, with a slot for what was found there. Private to this room's decoder. */
#ifndef MR_SOURCES_WALK_H
#define MR_SOURCES_WALK_H

#include "core/config.h"
#include "sources/json.h"

#define MR_NODES_MAX (MR_FIELDS_MAX * MR_PATH_MAX + 1)
#define MR_NONE      UINT16_MAX
/* A layout with more values than this is not remembered. */
#define MR_SCALARS_MAX 128

enum mr_found {
    MR_FOUND_NULL,
    MR_FOUND_FALSE,
    MR_FOUND_TRUE,
    MR_FOUND_NUMBER,
    MR_FOUND_STRING,
    MR_FOUND_CONTAINER, /* array or object */
};

/* What stood at a leaf. */
struct mr_slot {
    enum mr_found found;
    uint16_t scalar; /* its place among the payload's scalars, if below MR_SCALARS_MAX */
    const uint8_t *at;
    struct mr_number number;
    struct mr_span text; /* escapes decoded */
};

struct mr_node {
    struct mr_span key;
    uint16_t child, sibling; /* the children of a node form a list; MR_NONE ends it */
    uint16_t leaf;           /* its slot, or MR_NONE */
    uint64_t leaves;         /* all slots at and below it, one bit each */
};

struct mr_tree {
    struct mr_node nodes[MR_NODES_MAX]; /* [0] is the payload itself */
    uint32_t node_count, leaf_count;
    uint16_t leaf_of_field[MR_FIELDS_MAX];
};

/* One scalar of the payload, wanted or not: [start, end). */
struct mr_scalar {
    const uint8_t *start, *end;
};

struct mr_walk {
    struct mr_json json;
    uint64_t present; /* slots that hold something */
    struct mr_slot slots[MR_FIELDS_MAX];
    uint8_t *scratch; /* decoded strings, never more bytes than the payload has */
    size_t scratch_used;
    uint32_t depth;
    uint32_t scalar_count; /* beyond MR_SCALARS_MAX only counted */
    struct mr_scalar scalars[MR_SCALARS_MAX];
};

/* Builds the tree; the paths must outlive it. */
void mr_tree_init(struct mr_tree *tree, const struct mr_field *fields, uint32_t field_count);

/* Checks all of the payload and fills the slots. False if it is not JSON: walk->json says where. */
bool mr_walk_payload(struct mr_walk *walk, const struct mr_tree *tree, struct mr_span payload);

#endif
