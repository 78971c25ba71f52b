#include "sources/walk.h"

#include "sources/decode.h"

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

void mr_walk_begin(struct mr_walk *walk, struct mr_span payload)
{
    walk->json = (struct mr_json){payload.data, payload.data, payload.data + payload.bytes, NULL};
    walk->present = 0;
    walk->scratch_used = 0;
    walk->depth = 0;
    walk->scalar_count = 0;
}

/* A string as its value: in place, or decoded at the scratch's end (kept only if `keep`). */
static struct mr_span decoded(struct mr_walk *walk, const struct mr_json_text *text, bool keep)
{
    uint8_t *to = walk->scratch + walk->scratch_used;
    size_t bytes;

    if (MR_LIKELY(!text->escaped))
        return text->raw;
    bytes = mr_json_unescape(text->raw, to);
    if (keep)
        walk->scratch_used += bytes;
    return mr_span_of(to, bytes);
}

static struct mr_slot *fill(struct mr_walk *walk, uint16_t leaf, enum mr_found found)
{
    struct mr_slot *slot = &walk->slots[leaf];

    slot->found = found;
    slot->at = walk->json.at;
    slot->scalar = (uint16_t)MR_MIN(walk->scalar_count, MR_SCALARS_MAX);
    walk->present |= UINT64_C(1) << leaf;
    return slot;
}

static bool string(struct mr_walk *walk, uint16_t leaf)
{
    struct mr_json_text text;

    if (leaf == MR_NONE)
        return mr_json_string(&walk->json, &text);
    struct mr_slot *slot = fill(walk, leaf, MR_FOUND_STRING);
    if (!mr_json_string(&walk->json, &text))
        return false;
    slot->text = decoded(walk, &text, true);
    return true;
}

static bool number(struct mr_walk *walk, uint16_t leaf)
{
    struct mr_number unwanted;

    if (leaf == MR_NONE)
        return mr_json_number(&walk->json, &unwanted);
    return mr_json_number(&walk->json, &fill(walk, leaf, MR_FOUND_NUMBER)->number);
}

static bool word(struct mr_walk *walk, uint16_t leaf, enum mr_found found, const char *spelling)
{
    if (leaf != MR_NONE)
        fill(walk, leaf, found);
    return mr_json_word(&walk->json, spelling);
}

bool mr_walk_scalar(struct mr_walk *walk, uint16_t leaf)
{
    struct mr_json *json = &walk->json;

    if (json->at == json->end)
        return mr_json_fail(json, json->at, "a value is missing at the end");
    switch (*json->at) {
    case '"':
        return string(walk, leaf);
    case 't':
        return word(walk, leaf, MR_FOUND_TRUE, "true");
    case 'f':
        return word(walk, leaf, MR_FOUND_FALSE, "false");
    case 'n':
        return word(walk, leaf, MR_FOUND_NULL, "null");
    case '-':
    case '0' ... '9':
        return number(walk, leaf);
    default:
        return mr_json_fail(json, json->at, "no JSON value begins so");
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
        *node = child_of(tree, object, decoded(walk, &text, false));
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
            fill(walk, leaf, MR_FOUND_CONTAINER);
        walk->depth++;
        good = first == '{' ? object(walk, tree, node) : array(walk, tree);
        walk->depth--;
        return good;
    }
    const uint8_t *start = json->at;
    if (!mr_walk_scalar(walk, leaf))
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
