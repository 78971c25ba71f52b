#include "local/pubsub_filter.h"

#include <stdlib.h>

enum kind { HAS, EQUAL, UNEQUAL, PREFIX, NOT, AND, OR };

/* Texts are kept unescaped in the filter's own buffer; children are node indices. */
struct node {
    uint8_t kind;
    uint16_t key, key_bytes, value, value_bytes;
    uint16_t left, right;
};

/* A node needs at least one byte of text, so that both arrays are large enough for any filter. */
struct mr_pubsub_filter {
    uint16_t root, node_count, text_bytes;
    uint8_t text[MR_PUBSUB_FILTER_BYTES];
    struct node nodes[MR_PUBSUB_FILTER_BYTES];
};

/* The first error sticks; `at` then stays where it was found. */
struct parser {
    struct mr_span in;
    uint32_t at;
    const char *why;
    struct mr_pubsub_filter *filter;
};

static uint16_t parse_expression(struct parser *p);

static void fail(struct parser *p, const char *why)
{
    if (!p->why)
        p->why = why;
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->in.bytes && strchr(" \t\r\n", p->in.data[p->at]) && p->in.data[p->at])
        p->at++;
}

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Takes a punctuation mark. */
static bool take(struct parser *p, const char *mark)
{
    size_t bytes = strlen(mark);

    skip_blanks(p);
    if (p->why || p->in.bytes - p->at < bytes || memcmp(p->in.data + p->at, mark, bytes) != 0)
        return false;
    p->at += (uint32_t)bytes;
    return true;
}

/* Takes a keyword, which must end where it ends. */
static bool take_word(struct parser *p, const char *word)
{
    uint32_t start = p->at;

    if (!take(p, word))
        return false;
    if (p->at == p->in.bytes || !is_word(p->in.data[p->at]))
        return true;
    p->at = start;
    return false;
}

static void keep(struct parser *p, uint8_t c)
{
    p->filter->text[p->filter->text_bytes++] = c;
}

static void parse_quoted(struct parser *p, uint16_t *text, uint16_t *bytes)
{
    *text = p->filter->text_bytes;
    if (!take(p, "\"")) {
        fail(p, "a quoted string was expected");
        return;
    }
    while (p->at < p->in.bytes && p->in.data[p->at] != '"') {
        if (p->in.data[p->at] == '\\' && p->at + 1 < p->in.bytes)
            p->at++;
        keep(p, p->in.data[p->at++]);
    }
    if (p->at == p->in.bytes) {
        fail(p, "the string has no end");
        return;
    }
    p->at++;
    *bytes = (uint16_t)(p->filter->text_bytes - *text);
}

static void parse_key(struct parser *p, struct node *node)
{
    skip_blanks(p);
    if (p->at < p->in.bytes && p->in.data[p->at] == '"') {
        parse_quoted(p, &node->key, &node->key_bytes);
    } else {
        node->key = p->filter->text_bytes;
        while (p->at < p->in.bytes && is_word(p->in.data[p->at]))
            keep(p, p->in.data[p->at++]);
        node->key_bytes = (uint16_t)(p->filter->text_bytes - node->key);
    }
    if (node->key_bytes == 0)
        fail(p, "an attribute key was expected");
}

static uint16_t add(struct parser *p, struct node node)
{
    struct mr_pubsub_filter *f = p->filter;

    MR_ASSERT(f->node_count < MR_PUBSUB_FILTER_BYTES);
    f->nodes[f->node_count] = node;
    return f->node_count++;
}

static uint16_t parse_comparison(struct parser *p)
{
    struct node node = {.kind = HAS};

    if (take(p, ":")) {
        parse_key(p, &node);
    } else if (take(p, ".")) {
        parse_key(p, &node);
        if (take(p, "!="))
            node.kind = UNEQUAL;
        else if (take(p, "="))
            node.kind = EQUAL;
        else
            fail(p, "= or != was expected");
        if (!p->why)
            parse_quoted(p, &node.value, &node.value_bytes);
    } else {
        fail(p, "attributes must be followed by . or :");
    }
    return p->why ? 0 : add(p, node);
}

static uint16_t parse_prefix(struct parser *p)
{
    struct node node = {.kind = PREFIX};

    if (!take(p, "(") || !take_word(p, "attributes") || !take(p, "."))
        fail(p, "hasPrefix(attributes.KEY, \"prefix\") was expected");
    if (!p->why)
        parse_key(p, &node);
    if (!p->why && !take(p, ","))
        fail(p, "a comma was expected");
    if (!p->why)
        parse_quoted(p, &node.value, &node.value_bytes);
    if (!p->why && !take(p, ")"))
        fail(p, "a closing parenthesis was expected");
    return p->why ? 0 : add(p, node);
}

/* Recursion is bounded by the length of the filter. */
static uint16_t parse_term(struct parser *p)
{
    uint16_t inner;

    if (take_word(p, "NOT") || take(p, "-")) {
        inner = parse_term(p);
        return p->why ? 0 : add(p, (struct node){.kind = NOT, .left = inner});
    }
    if (take(p, "(")) {
        inner = parse_expression(p);
        if (!p->why && !take(p, ")"))
            fail(p, "a closing parenthesis was expected");
        return inner;
    }
    if (take_word(p, "attributes"))
        return parse_comparison(p);
    if (take_word(p, "hasPrefix"))
        return parse_prefix(p);
    fail(p, "attributes, hasPrefix, NOT or ( was expected");
    return 0;
}

static uint16_t parse_expression(struct parser *p)
{
    uint16_t left = parse_term(p);
    int joint = -1;

    while (!p->why) {
        uint32_t start = p->at;
        int next = take_word(p, "AND") ? AND : take_word(p, "OR") ? OR : -1;
        if (next < 0)
            break;
        if (joint >= 0 && next != joint) {
            p->at = start;
            fail(p, "AND and OR need parentheses when mixed");
            break;
        }
        joint = next;
        uint16_t right = parse_term(p);
        if (!p->why)
            left = add(p, (struct node){.kind = (uint8_t)joint, .left = left, .right = right});
    }
    return left;
}

struct mr_pubsub_filter *mr_pubsub_filter_create(struct mr_span text, uint32_t *position,
                                                 const char **why)
{
    struct parser p = {.in = text};

    *position = MR_PUBSUB_FILTER_BYTES;
    *why = "a filter has at most 256 bytes";
    if (text.bytes > MR_PUBSUB_FILTER_BYTES)
        return NULL;
    p.filter = calloc(1, sizeof *p.filter);
    MR_ASSERT(p.filter);
    p.filter->root = parse_expression(&p);
    skip_blanks(&p);
    if (p.at < text.bytes)
        fail(&p, "the filter should end here");
    *position = p.at;
    *why = p.why;
    if (p.why) {
        free(p.filter);
        return NULL;
    }
    return p.filter;
}

static const struct mr_span *find(const struct mr_pubsub_pair *pairs, uint32_t count,
                                  struct mr_span key)
{
    for (uint32_t i = 0; i < count; i++)
        if (mr_span_equal(pairs[i].key, key))
            return &pairs[i].value;
    return NULL;
}

static bool holds(const struct mr_pubsub_filter *f, uint16_t index,
                  const struct mr_pubsub_pair *pairs, uint32_t count)
{
    const struct node *n = &f->nodes[index];
    struct mr_span wanted = mr_span_of(f->text + n->value, n->value_bytes);
    const struct mr_span *value;

    switch ((enum kind)n->kind) {
    case NOT:
        return !holds(f, n->left, pairs, count);
    case AND:
        return holds(f, n->left, pairs, count) && holds(f, n->right, pairs, count);
    case OR:
        return holds(f, n->left, pairs, count) || holds(f, n->right, pairs, count);
    case HAS:
    case EQUAL:
    case UNEQUAL:
    case PREFIX:
        break;
    }
    value = find(pairs, count, mr_span_of(f->text + n->key, n->key_bytes));
    if (n->kind == HAS)
        return value != NULL;
    if (n->kind == EQUAL)
        return value && mr_span_equal(*value, wanted);
    if (n->kind == UNEQUAL)
        return !value || !mr_span_equal(*value, wanted);
    return value && value->bytes >= wanted.bytes &&
           (wanted.bytes == 0 || memcmp(value->data, wanted.data, wanted.bytes) == 0);
}

bool mr_pubsub_filter_matches(const struct mr_pubsub_filter *filter,
                              const struct mr_pubsub_pair *pairs, uint32_t count)
{
    return holds(filter, filter->root, pairs, count);
}
