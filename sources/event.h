/* One decoded event, ready for a batch: its columns, its keys as bytes, its route.
 * Thread  the puller's. */
#ifndef MR_SOURCES_EVENT_H
#define MR_SOURCES_EVENT_H

#include "core/order.h"
#include "core/plan.h"
#include "sources/decode.h"

struct mr_event_key {
    uint64_t hash;
    struct mr_span bytes;
};

struct mr_event {
    int64_t event_us;
    int64_t publish_us; /* the server's; MR_TIME_MAX where there is none (files) */
    uint32_t lease;     /* the puller's name for the message; unused by files */
    struct mr_id id;
    uint64_t route; /* hash of the route_by values */
    int64_t measures[MR_MEASURES_MAX];
    uint32_t valid; /* bit a measure: present */
    struct mr_event_key keys[MR_GROUPINGS_MAX];
};

/* Where the key bytes of one event are built. */
struct mr_event_scratch {
    uint8_t bytes[(MR_GROUPINGS_MAX + 1) * MR_KEY_BYTES_MAX];
};

/* mr_event_make fills `event` from a decoded payload; key bytes point into `scratch` until the
 * next call. The id is that of decode.dedup's field, bound to the route: an order is repeated when
 * id and route are the same, on any number of aggregators. Without one, `id` is MR_ID_NONE.
 * Returns false when a key is longer than MR_KEY_BYTES_MAX (an out_of_range letter). */
bool mr_event_make(const struct mr_plan *plan, const struct mr_decoded *decoded,
                   struct mr_event *event, struct mr_event_scratch *scratch);

#endif
