#include "wire/shape.h"

bool mr_pb_map_get(const struct mr_pb_map *map, struct mr_span key, struct mr_span *value)
{
    struct mr_pb_each each = mr_pb_map_each(map);
    struct mr_span found_key, found_value;
    bool found = false;

    for (size_t i = 0; i < map->count; i++) {
        if (mr_span_equal(map->pairs[i].key, key)) {
            *value = map->pairs[i].value;
            return true;
        }
    }
    while (mr_pb_each_pair(&each, &found_key, &found_value)) {
        if (mr_span_equal(found_key, key)) {
            *value = found_value;
            found = true;
        }
    }
    return found;
}

void mr_pb_put_list(struct mr_pen *pen, uint32_t number, const struct mr_pb_list *list)
{
    struct mr_pb_each each = mr_pb_list_each(list);
    struct mr_span item;

    while (mr_pb_each_span(&each, &item))
        mr_pb_put_bytes(pen, number, item);
    for (size_t i = 0; i < list->count; i++)
        mr_pb_put_bytes(pen, number, list->items[i]);
}

void mr_pb_put_map(struct mr_pen *pen, uint32_t number, const struct mr_pb_map *map)
{
    struct mr_pb_each each = mr_pb_map_each(map);
    struct mr_span key, value;

    while (mr_pb_each_pair(&each, &key, &value))
        mr_pb_put_pair(pen, number, key, value);
    for (size_t i = 0; i < map->count; i++)
        mr_pb_put_pair(pen, number, map->pairs[i].key, map->pairs[i].value);
}

static bool is_varint(enum mr_shape_kind kind)
{
    return kind == MR_SHAPE_INT64 || kind == MR_SHAPE_INT32 || kind == MR_SHAPE_BOOL;
}

static const struct mr_shape_slot *find(const struct mr_shape *shape,
                                        const struct mr_pb_field *field)
{
    for (uint32_t i = 0; i < shape->count; i++) {
        const struct mr_shape_slot *slot = &shape->slots[i];
        enum mr_pb_wire wire = is_varint(slot->kind) ? MR_PB_VARINT : MR_PB_BYTES;
        if (field->tag == MR_PB_TAG(slot->number, wire))
            return slot;
    }
    return NULL;
}

static int pair_check(struct mr_span entry)
{
    struct mr_cursor cursor = mr_cursor_of(entry);
    struct mr_pb_field field;

    while (mr_pb_next(&cursor, &field))
        if ((field.tag == MR_PB_TAG(1, MR_PB_BYTES) || field.tag == MR_PB_TAG(2, MR_PB_BYTES)) &&
            !mr_utf8_valid(field.bytes))
            mr_cursor_fail(&cursor, MR_E_PROTOBUF);
    return cursor.err;
}

static int take(const struct mr_shape_slot *slot, void *member, const struct mr_pb_field *field,
                struct mr_span message)
{
    struct mr_pb_list *list = member;
    struct mr_pb_map *map = member;

    switch (slot->kind) {
    case MR_SHAPE_TEXT:
    case MR_SHAPE_BYTES:
        *(struct mr_span *)member = field->bytes;
        return slot->kind == MR_SHAPE_BYTES || mr_utf8_valid(field->bytes) ? MR_OK : MR_E_PROTOBUF;
    case MR_SHAPE_INT64:
        *(int64_t *)member = (int64_t)field->value;
        return MR_OK;
    case MR_SHAPE_INT32:
        *(int32_t *)member = (int32_t)field->value;
        return MR_OK;
    case MR_SHAPE_BOOL:
        *(bool *)member = field->value != 0;
        return MR_OK;
    case MR_SHAPE_TIME:
        return mr_pb_time_parse(member, field->bytes);
    case MR_SHAPE_WRAPPED:
        return mr_pb_int64_parse(member, field->bytes);
    case MR_SHAPE_PART:
        *(struct mr_pb_part *)member = (struct mr_pb_part){true, field->bytes};
        return MR_OK;
    case MR_SHAPE_TEXTS:
    case MR_SHAPE_LIST:
        list->message = message;
        list->number = slot->number;
        list->found++;
        return slot->kind == MR_SHAPE_LIST || mr_utf8_valid(field->bytes) ? MR_OK : MR_E_PROTOBUF;
    case MR_SHAPE_MAP:
        map->message = message;
        map->number = slot->number;
        map->found++;
        return pair_check(field->bytes);
    case MR_SHAPE_NESTED:
        return mr_shape_parse(slot->of, member, field->bytes);
    }
    return MR_E_PROTOBUF;
}

int mr_shape_parse(const struct mr_shape *shape, void *message, struct mr_span bytes)
{
    struct mr_cursor cursor = mr_cursor_of(bytes);
    struct mr_pb_field field;

    memset(message, 0, shape->bytes);
    if (shape->presence)
        *(bool *)message = true;
    while (mr_pb_next(&cursor, &field)) {
        const struct mr_shape_slot *slot = find(shape, &field);
        int err = slot ? take(slot, (char *)message + slot->offset, &field, bytes) : MR_OK;
        if (err != MR_OK)
            mr_cursor_fail(&cursor, err);
    }
    return cursor.err;
}

static void put_slot(struct mr_pen *pen, const struct mr_shape_slot *slot, const void *member)
{
    const struct mr_pb_part *part = member;

    switch (slot->kind) {
    case MR_SHAPE_TEXT:
    case MR_SHAPE_BYTES:
        mr_pb_add_bytes(pen, slot->number, *(const struct mr_span *)member);
        break;
    case MR_SHAPE_INT64:
        mr_pb_add_int(pen, slot->number, *(const int64_t *)member);
        break;
    case MR_SHAPE_INT32:
        mr_pb_add_int(pen, slot->number, *(const int32_t *)member);
        break;
    case MR_SHAPE_BOOL:
        mr_pb_add_int(pen, slot->number, *(const bool *)member);
        break;
    case MR_SHAPE_TIME:
        mr_pb_put_time(pen, slot->number, member);
        break;
    case MR_SHAPE_WRAPPED:
        mr_pb_put_int64(pen, slot->number, member);
        break;
    case MR_SHAPE_PART:
        if (part->present)
            mr_pb_put_bytes(pen, slot->number, part->bytes);
        break;
    case MR_SHAPE_TEXTS:
    case MR_SHAPE_LIST:
        mr_pb_put_list(pen, slot->number, member);
        break;
    case MR_SHAPE_MAP:
        mr_pb_put_map(pen, slot->number, member);
        break;
    case MR_SHAPE_NESTED:
        MR_ASSERT(slot->of->presence);
        if (*(const bool *)member)
            mr_shape_nest(slot->of, pen, slot->number, member);
        break;
    }
}

void mr_shape_put(const struct mr_shape *shape, struct mr_pen *pen, const void *message)
{
    for (uint32_t i = 0; i < shape->count; i++)
        put_slot(pen, &shape->slots[i], (const char *)message + shape->slots[i].offset);
}

void mr_shape_nest(const struct mr_shape *shape, struct mr_pen *pen, uint32_t number,
                   const void *message)
{
    size_t mark = mr_pb_open(pen, number);
    mr_shape_put(shape, pen, message);
    mr_pb_close(pen, mark);
}
