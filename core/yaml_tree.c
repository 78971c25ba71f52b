#include "core/yaml_tree.h"

#include <yaml.h>

#include "core/err.h"

struct reader {
    struct mr_complaints *complaints;
    struct mr_place origin;
    yaml_parser_t parser;
    uint32_t depth;
    bool broken;     /* the text cannot be read further */
    bool incomplete; /* an alias was refused: rules on what it stood for would mislead */
};

static struct mr_place place(const struct reader *r, yaml_mark_t start, yaml_mark_t end)
{
    size_t width = end.line == start.line && end.column > start.column ? end.column - start.column
                                                                       : 1;
    return (struct mr_place){
        .set = r->origin.set,
        .line = (uint32_t)start.line + 1,
        .column = (uint32_t)start.column + (start.line ? 1 : r->origin.column),
        .width = (uint32_t)width,
    };
}

static void syntax_error(struct reader *r)
{
    yaml_mark_t mark = r->parser.problem_mark;
    struct mr_place at = place(r, mark, mark);
    const char *problem = r->parser.problem ? r->parser.problem : "it cannot be read";

    r->broken = true;
    if (strstr(problem, "cannot start any token") && r->parser.buffer.pointer[0] == '\t') {
        mr_complain(r->complaints, MR_E_CONFIG_TAB, at, "a tab where spaces are expected");
        return;
    }
    mr_complain(r->complaints, MR_E_CONFIG_SYNTAX, at, "this is not YAML: %s", problem);
    if (r->parser.context) {
        yaml_mark_t begun = r->parser.context_mark;
        mr_complain_also(r->complaints, place(r, begun, begun), "begun here");
        mr_complain_rule(r->complaints, "%s, begun at line %zu", r->parser.context, begun.line + 1);
    }
}

static bool next(struct reader *r, yaml_event_t *event)
{
    if (r->broken)
        return false;
    if (yaml_parser_parse(&r->parser, event))
        return true;
    syntax_error(r);
    return false;
}

static void refuse(struct reader *r, const yaml_event_t *event, const char *what)
{
    mr_complain(r->complaints, MR_E_CONFIG_YAML, place(r, event->start_mark, event->end_mark), "%s",
                what);
}

static void refuse_extras(struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    if (anchor)
        refuse(r, event, "an anchor (`&name`)");
    if (tag)
        refuse(r, event, "a tag (`!name`)");
}

static struct mr_yaml *node_of(struct reader *r, const yaml_event_t *event)
{
    struct mr_yaml *node = mr_texts_take(r->complaints->strings, sizeof *node);

    node->at = node->key_at = place(r, event->start_mark, event->end_mark);
    refuse_extras(r, event);
    if (event->type == YAML_SCALAR_EVENT) {
        node->kind = MR_YAML_SCALAR;
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node->text = mr_texts_copy(r->complaints->strings, (char *)event->data.scalar.value,
                                   event->data.scalar.length);
        if (strlen(node->text) != event->data.scalar.length)
            refuse(r, event, "a zero byte (`\\0`) within a text");
    } else {
        node->kind = event->type == YAML_SEQUENCE_START_EVENT ? MR_YAML_LIST : MR_YAML_MAP;
    }
    return node;
}

static struct mr_yaml *read_node(struct reader *r, const yaml_event_t *event);

static bool too_deep(struct reader *r, const yaml_event_t *event)
{
    if (r->depth < MR_YAML_DEPTH_MAX)
        return false;
    refuse(r, event, "nesting deeper than any setting needs");
    r->broken = true;
    return true;
}

static void read_list(struct reader *r, struct mr_yaml *list)
{
    yaml_event_t event;

    while (next(r, &event)) {
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        struct mr_yaml *item = end ? NULL : read_node(r, &event);
        yaml_event_delete(&event);
        if (end)
            return;
        if (item)
            mr_yaml_append(list, item);
    }
}

/* A value whose key was refused is read all the same, so that the errors in it are told. */
static void accept_entry(struct reader *r, struct mr_yaml *map, struct mr_yaml *key,
                         struct mr_yaml *value)
{
    if (!value || !key)
        return;
    if (key->kind != MR_YAML_SCALAR) {
        mr_complain(r->complaints, MR_E_CONFIG_YAML, key->at, "a key that is %s",
                    mr_yaml_describe(r->complaints->strings, key));
        return;
    }
    struct mr_yaml *twin = mr_yaml_get(map, key->text);
    if (twin) {
        mr_complain(r->complaints, MR_E_CONFIG_DUPLICATE, key->at, "key `%s` is given twice",
                    key->text);
        mr_complain_also(r->complaints, twin->key_at, "first given here");
        return;
    }
    value->key = key->text;
    value->key_at = key->at;
    mr_yaml_append(map, value);
}

static void read_map(struct reader *r, struct mr_yaml *map)
{
    yaml_event_t event;

    while (next(r, &event)) {
        bool end = event.type == YAML_MAPPING_END_EVENT;
        struct mr_yaml *key = end ? NULL : read_node(r, &event), *value = NULL;
        yaml_event_delete(&event);
        if (end)
            return;
        if (!next(r, &event))
            return;
        value = read_node(r, &event);
        yaml_event_delete(&event);
        accept_entry(r, map, key, value);
    }
}

/* NULL for an alias (refused) or after the text broke off. */
static struct mr_yaml *read_node(struct reader *r, const yaml_event_t *event)
{
    if (event->type == YAML_ALIAS_EVENT) {
        refuse(r, event, "an alias (`*name`)");
        r->incomplete = true;
        return NULL;
    }
    struct mr_yaml *node = node_of(r, event);
    if (node->kind == MR_YAML_SCALAR || too_deep(r, event))
        return node;
    r->depth++;
    if (node->kind == MR_YAML_LIST)
        read_list(r, node);
    else
        read_map(r, node);
    r->depth--;
    return node;
}

static struct mr_yaml *read_documents(struct reader *r)
{
    struct mr_yaml *root = NULL;
    yaml_event_t event;
    uint32_t documents = 0;
    bool end = false;

    while (!end && next(r, &event)) {
        end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT) {
            if (++documents == 2)
                refuse(r, &event, "a second document");
        } else if (event.type == YAML_ALIAS_EVENT || event.type == YAML_SCALAR_EVENT ||
                   event.type == YAML_SEQUENCE_START_EVENT ||
                   event.type == YAML_MAPPING_START_EVENT) {
            struct mr_yaml *node = read_node(r, &event);
            if (documents < 2)
                root = node;
        }
        yaml_event_delete(&event);
        end = end || documents > 1;
    }
    return root;
}

/* How many bytes the UTF-8 character at `s` has; 0 if it is none that a text may hold. */
static size_t character(const uint8_t *s, size_t bytes)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80       ? 1
                    : s[0] >> 5 == 6  ? 2
                    : s[0] >> 4 == 14 ? 3
                    : s[0] >> 3 == 30 ? 4
                                      : 0;
    if (length == 0 || length > bytes)
        return 0;
    uint32_t code = length == 1 ? s[0] : s[0] & (0x7fu >> length);

    for (size_t i = 1; i < length; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    bool control = (code < 0x20 && code != '\t' && code != '\n' && code != '\r') ||
                   (code >= 0x7f && code < 0xa0 && code != 0x85);
    bool none = code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
                code == 0xfffe || code == 0xffff;
    return control || none ? 0 : length;
}

static bool is_text(struct reader *r, struct mr_span text)
{
    struct mr_place at = {r->origin.set, 1, r->origin.column, 1};

    for (size_t i = 0; i < text.bytes;) {
        size_t length = character(text.data + i, text.bytes - i);
        if (length == 0) {
            mr_complain(r->complaints, MR_E_CONFIG_ENCODING, at, "byte 0x%02x is no text here",
                        text.data[i]);
            return false;
        }
        at.column++;
        if (text.data[i] == '\n') {
            at.line++;
            at.column = 1;
        }
        i += length;
    }
    return true;
}

struct mr_yaml *mr_yaml_parse(struct mr_complaints *complaints, struct mr_span text,
                              struct mr_place origin)
{
    struct reader r = {.complaints = complaints, .origin = origin};

    if (!is_text(&r, text))
        return NULL;
    MR_ASSERT(yaml_parser_initialize(&r.parser));
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, text.data, text.bytes);
    struct mr_yaml *root = read_documents(&r);
    yaml_parser_delete(&r.parser);
    return r.broken || r.incomplete ? NULL : root;
}

struct mr_yaml *mr_yaml_get(const struct mr_yaml *node, const char *key)
{
    if (!node || node->kind != MR_YAML_MAP)
        return NULL;
    for (struct mr_yaml *child = node->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

struct mr_yaml *mr_yaml_item(const struct mr_yaml *node, uint32_t index)
{
    if (!node || node->kind == MR_YAML_SCALAR)
        return NULL;
    struct mr_yaml *child = node->first;
    while (child && index--)
        child = child->next;
    return child;
}

struct mr_yaml *mr_yaml_at(const struct mr_yaml *node, const char *path)
{
    char key[128];

    while (node && path) {
        const char *dot = strchrnul(path, '.');
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        node = mr_yaml_get(node, key);
        path = *dot ? dot + 1 : NULL;
    }
    return (struct mr_yaml *)node;
}

void mr_yaml_append(struct mr_yaml *parent, struct mr_yaml *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

const char *mr_yaml_describe(struct mr_texts *strings, const struct mr_yaml *node)
{
    if (!node)
        return "nothing";
    if (node->kind != MR_YAML_SCALAR)
        return node->kind == MR_YAML_LIST ? "a list" : "a mapping";
    if (!node->quoted && node->text[0] == '\0')
        return "nothing";
    return mr_texts_print(strings, "`%.80s`", node->text);
}
