/* One table per message, both directions: a shape says which field number goes with which member of
 * a plain struct, and parse and put both follow it. For everything but the hot messages, which
 * pubsub.h walks by hand.
 *
 * Parse   unknown fields are skipped; a scalar or submessage given twice: the last wins. Text must
 *         be UTF-8 (else MR_E_PROTOBUF). Spans, lists and maps point into the input; nothing is
 *         allocated.
 * Put     proto3: zeroes and empty text are not written; `present` submessages always are.
 *
 * MR_SHAPE_MESSAGE(mr_x) declares, for a struct mr_x,
 *     int  mr_x_parse(struct mr_x *, struct mr_span bytes);                MR_OK or MR_E_PROTOBUF
 *     void mr_x_put(struct mr_pen *, const struct mr_x *);                 its fields, bare
 *     void mr_x_nest(struct mr_pen *, uint32_t number, const struct mr_x *);   as a submessage
 * and MR_SHAPE_DEFINE(mr_x, presence, slots...) defines them. */
#ifndef MR_WIRE_SHAPE_H
#define MR_WIRE_SHAPE_H

#include "wire/pb.h"

/* A submessage kept as its bytes; `present` tells an empty one from none. */
struct mr_pb_part {
    bool present;
    struct mr_span bytes;
};

/* A repeated string, bytes or submessage field. Parsed: `found` of them, walked by mr_pb_list_each.
 * To be written: those found, then `count` further `items` (the encoded bytes of submessages). */
struct mr_pb_list {
    struct mr_span message; /* the message they were found in */
    uint32_t number;
    uint32_t found;
    const struct mr_span *items;
    size_t count;
};

struct mr_pb_pair {
    struct mr_span key, value;
};

/* A map<string, string>, in the same way; walk with mr_pb_map_each and mr_pb_each_pair. */
struct mr_pb_map {
    struct mr_span message;
    uint32_t number;
    uint32_t found; /* entries on the wire, repeated keys counted each time */
    const struct mr_pb_pair *pairs;
    size_t count;
};

static inline struct mr_pb_each mr_pb_list_each(const struct mr_pb_list *list)
{
    return mr_pb_each_of(list->message, list->number ? list->number : 1);
}

static inline struct mr_pb_each mr_pb_map_each(const struct mr_pb_map *map)
{
    return mr_pb_each_of(map->message, map->number ? map->number : 1);
}

/* The value of `key`, the last one if given twice; `pairs` win over what was found. */
bool mr_pb_map_get(const struct mr_pb_map *map, struct mr_span key, struct mr_span *value);
void mr_pb_put_list(struct mr_pen *pen, uint32_t number, const struct mr_pb_list *list);
void mr_pb_put_map(struct mr_pen *pen, uint32_t number, const struct mr_pb_map *map);

enum mr_shape_kind {
    MR_SHAPE_TEXT,    /* struct mr_span, UTF-8 */
    MR_SHAPE_BYTES,   /* struct mr_span */
    MR_SHAPE_INT64,   /* int64_t */
    MR_SHAPE_INT32,   /* int32_t; enums too */
    MR_SHAPE_BOOL,    /* bool */
    MR_SHAPE_TIME,    /* struct mr_pb_time */
    MR_SHAPE_WRAPPED, /* struct mr_pb_int64 */
    MR_SHAPE_PART,    /* struct mr_pb_part */
    MR_SHAPE_TEXTS,   /* struct mr_pb_list of UTF-8 */
    MR_SHAPE_LIST,    /* struct mr_pb_list of bytes or submessages */
    MR_SHAPE_MAP,     /* struct mr_pb_map */
    MR_SHAPE_NESTED,  /* a struct with a shape, beginning with `bool present` */
};

struct mr_shape;

struct mr_shape_slot {
    uint32_t number; /* ascending within a shape */
    enum mr_shape_kind kind;
    size_t offset;
    const struct mr_shape *of; /* MR_SHAPE_NESTED */
};

struct mr_shape {
    const struct mr_shape_slot *slots;
    uint32_t count;
    uint32_t bytes; /* of the struct */
    bool presence;  /* the struct begins with `bool present` */
};

int mr_shape_parse(const struct mr_shape *shape, void *message, struct mr_span bytes);
void mr_shape_put(const struct mr_shape *shape, struct mr_pen *pen, const void *message);
void mr_shape_nest(const struct mr_shape *shape, struct mr_pen *pen, uint32_t number,
                   const void *message);

#define MR_SHAPE_MESSAGE(name)                                                                     \
    extern const struct mr_shape name##_shape;                                                     \
    int name##_parse(struct name *message, struct mr_span bytes);                                  \
    void name##_put(struct mr_pen *pen, const struct name *message);                               \
    void name##_nest(struct mr_pen *pen, uint32_t number, const struct name *message)

#define MR_SHAPE_DEFINE(name, has_presence, ...)                                                   \
    static const struct mr_shape_slot name##_slots[] = {__VA_ARGS__};                              \
    const struct mr_shape name##_shape = {name##_slots, MR_COUNT(name##_slots),                    \
                                          sizeof(struct name), has_presence};                      \
    int name##_parse(struct name *message, struct mr_span bytes)                                   \
    {                                                                                              \
        return mr_shape_parse(&name##_shape, message, bytes);                                      \
    }                                                                                              \
    void name##_put(struct mr_pen *pen, const struct name *message)                                \
    {                                                                                              \
        mr_shape_put(&name##_shape, pen, message);                                                 \
    }                                                                                              \
    void name##_nest(struct mr_pen *pen, uint32_t number, const struct name *message)              \
    {                                                                                              \
        mr_shape_nest(&name##_shape, pen, number, message);                                        \
    }                                                                                              \
    _Static_assert(MR_COUNT(name##_slots) > 0, "a shape has fields")

#endif
