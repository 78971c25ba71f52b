#include "wire/bigquery.h"

#define COLUMN_NAME 454943157u /* extension of FieldOptions, annotations.proto */

/* ---- reading ---- */

static int options_parse(struct mr_bigquery_field *field, struct mr_span bytes)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field option;

    while (mr_pb_next(&cursor, &option)) {
        if (option.tag == MR_PB_TAG(2, MR_PB_VARINT))
            field->packed = option.value != 0;
        else if (option.tag == MR_PB_TAG(COLUMN_NAME, MR_PB_BYTES))
            field->column_name = option.bytes;
    }
    return cursor.err;
}

static int field_parse(struct mr_bigquery_field *out, struct mr_span bytes)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field field;
    int err = MR_OK;

    *out = (struct mr_bigquery_field){.label = MR_PROTO_OPTIONAL,
                                      .message = MR_BIGQUERY_NO_MESSAGE,
                                      .enumeration = MR_BIGQUERY_NO_MESSAGE};
    while (err == MR_OK && mr_pb_next(&cursor, &field)) {
        if (field.tag == MR_PB_TAG(1, MR_PB_BYTES))
            out->name = field.bytes;
        else if (field.tag == MR_PB_TAG(3, MR_PB_VARINT))
            out->number = (uint32_t)field.value;
        else if (field.tag == MR_PB_TAG(4, MR_PB_VARINT))
            out->label = (int32_t)field.value;
        else if (field.tag == MR_PB_TAG(5, MR_PB_VARINT))
            out->type = (int32_t)field.value;
        else if (field.tag == MR_PB_TAG(6, MR_PB_BYTES))
            out->type_name = field.bytes;
        else if (field.tag == MR_PB_TAG(8, MR_PB_BYTES))
            err = options_parse(out, field.bytes);
    }
    if (err != MR_OK || cursor.err != MR_OK)
        return MR_E_PROTOBUF;
    bool legal = out->name.bytes && out->number > 0 && out->number <= MR_PB_NUMBER_MAX &&
                 out->label >= MR_PROTO_OPTIONAL && out->label <= MR_PROTO_REPEATED &&
                 out->type >= MR_PROTO_DOUBLE && out->type <= MR_PROTO_SINT64 &&
                 out->type != MR_PROTO_GROUP;
    return legal && mr_utf8_valid(out->name) && mr_utf8_valid(out->column_name) ? MR_OK
                                                                                : MR_E_PROTOBUF;
}

static int enum_parse(struct mr_bigquery_descriptor *d, struct mr_span bytes, uint32_t parent)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field field;

    if (d->enum_count == d->enum_max)
        return MR_E_WIRE_ROOM;
    struct mr_bigquery_enum *out = &d->enums[d->enum_count++];
    *out = (struct mr_bigquery_enum){.parent = parent, .bytes = bytes};
    while (mr_pb_next(&cursor, &field))
        if (field.tag == MR_PB_TAG(1, MR_PB_BYTES))
            out->name = field.bytes;
    return cursor.err;
}

static int fields_parse(struct mr_bigquery_descriptor *d, struct mr_bigquery_message *message,
                        struct mr_span bytes)
{
    struct mr_pb_each each = mr_pb_each_of(bytes, 2);
    struct mr_span span;

    while (mr_pb_each_span(&each, &span)) {
        if (d->field_count == d->field_max)
            return MR_E_WIRE_ROOM;
        int err = field_parse(&d->fields[d->field_count++], span);
        if (err != MR_OK)
            return err;
        message->field_count++;
    }
    return each.cursor.err;
}

static int message_parse(struct mr_bigquery_descriptor *d, struct mr_span bytes, uint32_t parent,
                         uint32_t depth)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field field;
    uint32_t index = d->message_count;

    if (depth > MR_BIGQUERY_NESTING_MAX)
        return MR_E_PROTOBUF;
    if (d->message_count == d->message_max)
        return MR_E_WIRE_ROOM;
    struct mr_bigquery_message *message = &d->messages[d->message_count++];
    *message = (struct mr_bigquery_message){.parent = parent, .field_first = d->field_count};
    /* All fields first, then what is nested, so that the fields of a message stand together. */
    int err = fields_parse(d, message, bytes);
    while (err == MR_OK && mr_pb_next(&cursor, &field)) {
        if (field.tag == MR_PB_TAG(1, MR_PB_BYTES))
            message->name = field.bytes;
        else if (field.tag == MR_PB_TAG(3, MR_PB_BYTES))
            err = message_parse(d, field.bytes, index, depth + 1);
        else if (field.tag == MR_PB_TAG(4, MR_PB_BYTES))
            err = enum_parse(d, field.bytes, index);
    }
    return err == MR_OK ? cursor.err : err;
}

/* ---- resolving type names ---- */

static uint32_t depth_of(const struct mr_bigquery_descriptor *d, uint32_t message)
{
    uint32_t depth = 0;
    for (; message != MR_BIGQUERY_NO_MESSAGE; message = d->messages[message].parent)
        depth++;
    return depth;
}

static bool is_within(const struct mr_bigquery_descriptor *d, uint32_t message, uint32_t scope)
{
    while (message != MR_BIGQUERY_NO_MESSAGE && message != scope)
        message = d->messages[message].parent;
    return message == scope;
}

/* Takes `name` and the dot before it off the end of *path. */
static bool peel(struct mr_span *path, struct mr_span name)
{
    if (name.bytes == 0 || path->bytes < name.bytes ||
        memcmp(path->data + path->bytes - name.bytes, name.data, name.bytes) != 0)
        return false;
    path->bytes -= name.bytes;
    if (path->bytes == 0)
        return true;
    return path->data[--path->bytes] == '.';
}

/* How well `path`, written in a field of message `from`, names the type `name` declared in
 * `parent`: 0 not at all, 1 by its absolute name, 1 + depth of the scope where it was found. */
static uint32_t rank(const struct mr_bigquery_descriptor *d, struct mr_span path, uint32_t from,
                     struct mr_span name, uint32_t parent)
{
    bool absolute = path.bytes && path.data[0] == '.';

    for (;;) {
        if (!peel(&path, name))
            return 0;
        if (parent == MR_BIGQUERY_NO_MESSAGE)
            return 1; /* what is left over is a package */
        if (path.bytes == 0)
            return !absolute && is_within(d, from, parent) ? 1 + depth_of(d, parent) : 0;
        name = d->messages[parent].name;
        parent = d->messages[parent].parent;
    }
}

static int resolve(struct mr_bigquery_descriptor *d, struct mr_bigquery_field *field, uint32_t from)
{
    bool is_message = field->type == MR_PROTO_MESSAGE;
    uint32_t best = 0, count = is_message ? d->message_count : d->enum_count;

    if (!is_message && field->type != MR_PROTO_ENUM)
        return MR_OK;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t found =
            is_message ? rank(d, field->type_name, from, d->messages[i].name, d->messages[i].parent)
                       : rank(d, field->type_name, from, d->enums[i].name, d->enums[i].parent);
        if (found <= best)
            continue;
        best = found;
        *(is_message ? &field->message : &field->enumeration) = i;
    }
    return best ? MR_OK : MR_E_BIGQUERY_TYPE_NAME;
}

int mr_bigquery_descriptor_parse(struct mr_bigquery_descriptor *descriptor, struct mr_span bytes)
{
    struct mr_bigquery_descriptor *d = descriptor;

    d->message_count = d->field_count = d->enum_count = 0;
    int err = message_parse(d, bytes, MR_BIGQUERY_NO_MESSAGE, 1);
    for (uint32_t m = 0; err == MR_OK && m < d->message_count; m++) {
        const struct mr_bigquery_message *message = &d->messages[m];
        for (uint32_t f = 0; err == MR_OK && f < message->field_count; f++)
            err = resolve(d, &d->fields[message->field_first + f], m);
    }
    return err;
}

static bool too_deep(const struct mr_bigquery_descriptor *d, uint32_t index, uint32_t depth)
{
    struct mr_bigquery_message *message = &d->messages[index];

    /* Depth alone tells recursion from nesting; `deepest` spares one seen so deep before. */
    if (depth > MR_BIGQUERY_NESTING_MAX)
        return true;
    if (message->deepest >= depth)
        return false;
    message->deepest = depth;
    for (uint32_t f = 0; f < message->field_count; f++) {
        uint32_t next = d->fields[message->field_first + f].message;
        if (next != MR_BIGQUERY_NO_MESSAGE && too_deep(d, next, depth + 1))
            return true;
    }
    return false;
}

bool mr_bigquery_descriptor_recursive(const struct mr_bigquery_descriptor *descriptor)
{
    for (uint32_t i = 0; i < descriptor->message_count; i++)
        descriptor->messages[i].deepest = 0;
    return descriptor->message_count && too_deep(descriptor, 0, 1);
}

bool mr_bigquery_enum_name(const struct mr_bigquery_enum *enumeration, int32_t number,
                           struct mr_span *name)
{
    struct mr_pb_each each = mr_pb_each_of(enumeration->bytes, 2);
    struct mr_span value;
    struct mr_pb_field field;

    while (mr_pb_each_span(&each, &value)) {
        struct mr_cursor cursor = mr_cursor_of(value);
        struct mr_span found = {NULL, 0};
        int32_t its_number = 0;
        while (mr_pb_next(&cursor, &field)) {
            if (field.tag == MR_PB_TAG(1, MR_PB_BYTES))
                found = field.bytes;
            else if (field.tag == MR_PB_TAG(2, MR_PB_VARINT))
                its_number = (int32_t)field.value;
        }
        if (cursor.err == MR_OK && its_number == number && found.bytes) {
            *name = found;
            return true;
        }
    }
    return false;
}

/* ---- writing ---- */

static void field_put(struct mr_pen *pen, const struct mr_bigquery_field *field)
{
    size_t mark = mr_pb_open(pen, 2);

    mr_pb_put_bytes(pen, 1, field->name);
    mr_pb_put_int(pen, 3, field->number);
    mr_pb_put_int(pen, 4, field->label);
    mr_pb_put_int(pen, 5, field->type);
    mr_pb_add_bytes(pen, 6, field->type_name);
    if (field->packed || field->column_name.bytes) {
        size_t options = mr_pb_open(pen, 8);
        mr_pb_add_int(pen, 2, field->packed);
        mr_pb_add_bytes(pen, COLUMN_NAME, field->column_name);
        mr_pb_close(pen, options);
    }
    mr_pb_close(pen, mark);
}

static void message_put(struct mr_pen *pen, const struct mr_bigquery_descriptor *d, uint32_t index)
{
    const struct mr_bigquery_message *message = &d->messages[index];

    mr_pb_put_bytes(pen, 1, message->name);
    for (uint32_t f = 0; f < message->field_count; f++)
        field_put(pen, &d->fields[message->field_first + f]);
    /* A message stands after its parent, so this ends. */
    for (uint32_t m = index + 1; m < d->message_count; m++) {
        if (d->messages[m].parent != index)
            continue;
        size_t mark = mr_pb_open(pen, 3);
        message_put(pen, d, m);
        mr_pb_close(pen, mark);
    }
    for (uint32_t e = 0; e < d->enum_count; e++)
        if (d->enums[e].parent == index)
            mr_pb_put_bytes(pen, 4, d->enums[e].bytes);
}

void mr_bigquery_descriptor_put(struct mr_pen *pen, const struct mr_bigquery_descriptor *descriptor)
{
    MR_ASSERT(descriptor->message_count > 0);
    message_put(pen, descriptor, 0);
}
