#include "sources/walk.h"

#include "sources/decode.h"
#include "sources/scalar.h"

static uint16_t child_of(const struct mr_tree *tree, uint16_t node, struct mr_span key)
{
    uint16_t child = tree->nodes[node].child;

    while (child != MR_NONE && !mr_span_equal(tree->nodes[child].key, key))
        child = tree->nodes[child].sibling;
    return child;
}

static uint16_t add_child(struct mr_tree *tree, uint16_t node, struct mr_span key)
{
    uint16_t child = (uint16_t)tree->node_count++;
    uint16_t *link = &tree->nodes[node].child;

    MR_ASSERT(child < MR_NODES_MAX);
    while (*link != MR_NONE)
        link = &tree->nodes[*link].sibling;
    *link = child;
    tree->nodes[child] = (struct mr_node){
        .key = key, .child = MR_NONE, .sibling = MR_NONE, .leaf = MR_NONE};
    return child;
}

static void add_path(struct mr_tree *tree, const struct mr_field *field, uint32_t index)
{
    uint16_t nodes[MR_PATH_MAX], node = 0;
    uint64_t bit;

    MR_ASSERT(field->path_count >= 1 && field->path_count <= MR_PATH_MAX);
    for (uint32_t i = 0; i < field->path_count; i++) {
        struct mr_span key = mr_span_text(field->path[i]);
        uint16_t child = child_of(tree, node, key);
        node = child != MR_NONE ? child : add_child(tree, node, key);
        nodes[i] = node;
    }
    if (tree->nodes[node].leaf == MR_NONE)
        tree->nodes[node].leaf = (uint16_t)tree->leaf_count++;
    tree->leaf_of_field[index] = tree->nodes[node].leaf;
    bit = UINT64_C(1) << tree->nodes[node].leaf;
    for (uint32_t i = 0; i < field->path_count; i++)
        tree->nodes[nodes[i]].leaves |= bit;
}

void mr_tree_init(struct mr_tree *tree, const struct mr_field *fields, uint32_t field_count)
{
    MR_ASSERT(field_count <= MR_FIELDS_MAX);
    tree->node_count = 1;
    tree->leaf_count = 0;
    tree->nodes[0] = (struct mr_node){.child = MR_NONE, .sibling = MR_NONE, .leaf = MR_NONE};
    for (uint32_t i = 0; i < field_count; i++) {
        bool outside = fields[i].type == MR_TYPE_EVENT_TIME &&
                       fields[i].time_from != MR_TIME_FROM_PAYLOAD;
        tree->leaf_of_field[i] = MR_NONE;
        if (!outside)
            add_path(tree, &fields[i], i);
    }
}

static bool value(struct mr_walk *walk, const struct mr_tree *tree, uint16_t node);

/* The node of the key at json.at, MR_NONE for one that no path names; `json.at` moves behind the
 * colon. An earlier occurrence of the same key is forgotten with all that was under it. */
static bool member_key(struct mr_walk *walk, const struct mr_tree *tree, uint16_t object,
                       uint16_t *node)
{
    struct mr_json *json = &walk->json;
    struct mr_json_text text;

    if (mr_json_space(json) != '"')
        return mr_json_fail(json, json->at, "a key is missing");
    if (!mr_json_string(json, &text))
        return false;
    if (object != MR_NONE && tree->nodes[object].child != MR_NONE)
        *node = child_of(tree, object, mr_scalar_text(walk, &text, false));
    if (*node != MR_NONE)
        walk->present &= ~tree->nodes[*node].leaves;
    if (mr_json_space(json) != ':')
        return mr_json_fail(json, json->at, "a colon is missing");
    json->at++;
    return true;
}

static bool object(struct mr_walk *walk, const struct mr_tree *tree, uint16_t node)
{
    struct mr_json *json = &walk->json;

    json->at++;
    if (mr_json_space(json) == '}') {
        json->at++;
        return true;
    }
    for (;;) {
        uint16_t child = MR_NONE;
        if (!member_key(walk, tree, node, &child) || !value(walk, tree, child))
            return false;
        int next = mr_json_space(json);
        if (next != ',' && next != '}')
            return mr_json_fail(json, json->at, "an object goes on without a comma or has no end");
        json->at++;
        if (next == '}')
            return true;
    }
}

static bool array(struct mr_walk *walk, const struct mr_tree *tree)
{
    struct mr_json *json = &walk->json;

    json->at++;
    if (mr_json_space(json) == ']') {
        json->at++;
        return true;
    }
    for (;;) {
        if (!value(walk, tree, MR_NONE))
            return false;
        int next = mr_json_space(json);
        if (next != ',' && next != ']')
            return mr_json_fail(json, json->at, "an array goes on without a comma or has no end");
        json->at++;
        if (next == ']')
            return true;
    }
}

/* One value with the white space before it. Recursion is bounded by MR_JSON_DEPTH_MAX. */
static bool value(struct mr_walk *walk, const struct mr_tree *tree, uint16_t node)
{
    struct mr_json *json = &walk->json;
    int first = mr_json_space(json);
    uint16_t leaf = node == MR_NONE ? MR_NONE : tree->nodes[node].leaf;
    bool good;

    if (first == '{' || first == '[') {
        if (walk->depth == MR_JSON_DEPTH_MAX)
            return mr_json_fail(json, json->at, "nested deeper than 256");
        if (leaf != MR_NONE)
            mr_scalar_slot(walk, leaf, MR_FOUND_CONTAINER, json->at);
        walk->depth++;
        good = first == '{' ? object(walk, tree, node) : array(walk, tree);
        walk->depth--;
        return good;
    }
    const uint8_t *start = json->at;
    if (!mr_scalar_take(walk, leaf))
        return false;
    if (walk->scalar_count < MR_SCALARS_MAX)
        walk->scalars[walk->scalar_count] = (struct mr_scalar){start, json->at};
    walk->scalar_count++;
    return true;
}

bool mr_walk_payload(struct mr_walk *walk, const struct mr_tree *tree, struct mr_span payload)
{
    mr_walk_begin(walk, payload);
    if (!value(walk, tree, 0))
        return false;
    if (mr_json_space(&walk->json) >= 0)
        return mr_json_fail(&walk->json, walk->json.at, "more bytes behind the value");
    return true;
}
