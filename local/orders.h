/* The one generator of orders: from a seed and settings to JSON payloads, one after another.
 * The simulator, the load source of the benchmarks and the tests all draw from here, so an order
 * means the same everywhere.
 *
 * An order has five fields, spelled as Python's json.dumps spells them: order_id (UUID version 4),
 * product_id (P001 ...), timestamp (ISO-8601 without zone, UTC, fraction of six digits or none),
 * amount (10.0 to 500.0), region. Amounts are integer cents until they are printed.
 *
 * Two clocks. The publish clock ticks 1/orders_per_s from one payload to the next; the event clock
 * starts at start_us and runs `speed` times as fast. Neither is the host's clock: the same seed and
 * settings give the same bytes on any day.
 *
 * Ratios are met by strata: with a ratio of 1 % each run of 100 payloads holds one of its kind, at
 * a random place. When kinds fall on the same payload one of them moves to the next. */
#ifndef MR_LOCAL_ORDERS_H
#define MR_LOCAL_ORDERS_H

#include "core/base.h"
#include "core/reason.h"

#define MR_ORDERS_BYTES_MAX       512     /* of a payload, unless too_large_bytes says more */
#define MR_ORDERS_REGIONS_MAX     64      /* names in a region list */
#define MR_ORDERS_REGION_BYTES    32      /* of one name, with its final zero */
#define MR_ORDERS_PRODUCTS_MAX    1000000 /* P001 to P1000000 */
#define MR_ORDERS_RECENT_MAX      4096    /* orders that a repeat may reach back */
#define MR_ORDERS_TOO_LARGE_EVERY 50      /* one broken payload in 50, when asked for */

enum mr_orders_profile {
    MR_ORDERS_LIVE, /* event time follows the event clock, at most disorder_us behind it */
    MR_ORDERS_SEED, /* event clock minus 0 to 120 days minus 0 to 86,400 s */
};

/* All ratios lie in [0, 1] and together do not exceed 1. */
struct mr_orders_settings {
    uint64_t seed;
    enum mr_orders_profile profile;
    int64_t start_us;         /* event time of the first tick; years 1 to 9999 */
    double orders_per_s;      /* of publish time, [0.001, 1e9] */
    double speed;             /* event seconds per publish second, [0, 1e6] */
    int64_t disorder_us;      /* live: uniform in [0, disorder_us] behind the event clock */
    double late_ratio;        /* live: beyond the disorder */
    int64_t late_by_us;       /* three in four late by (0, late_by], one by (late_by, 20 late_by] */
    double fast_ratio;        /* live: stamped by a clock that runs ahead ... */
    int64_t fast_by_us;       /* ... by (0, fast_by_us] */
    double invalid_ratio;     /* broken, in turn by each fault of the table in orders.c */
    uint32_t too_large_bytes; /* 0: none; else the size of payloads beyond the engine's limit */
    double duplicate_ratio;   /* the bytes of an earlier order again ... */
    uint32_t recent;          /* ... out of the last so many, [1, MR_ORDERS_RECENT_MAX] */
    double skew;              /* Zipf's exponent for products and regions, [0, 5]; 0 is uniform */
    uint32_t products;        /* [1, MR_ORDERS_PRODUCTS_MAX] */
    uint32_t region_count;    /* [1, MR_ORDERS_REGIONS_MAX] */
    char regions[MR_ORDERS_REGIONS_MAX][MR_ORDERS_REGION_BYTES]; /* A-Z a-z 0-9 _ . - only */
};

enum mr_orders_kind {
    MR_ORDERS_FRESH,   /* a valid order, within the disorder */
    MR_ORDERS_LATE,    /* valid, behind the disorder */
    MR_ORDERS_FAST,    /* valid, ahead of the event clock */
    MR_ORDERS_REPEAT,  /* the bytes of an earlier valid order */
    MR_ORDERS_INVALID, /* broken; `reason` says how */
    MR_ORDERS_KINDS,
};

/* What a payload was meant to be. */
struct mr_orders_info {
    enum mr_orders_kind kind;
    enum mr_reason reason; /* MR_REASON_NONE unless invalid */
    const char *fault;     /* "cut", "nan", ...; NULL unless invalid; static */
    int64_t event_us;      /* of the order before any fault */
    int64_t cents;
};

struct mr_orders_order {
    uint64_t id_high, id_low;
    int64_t event_us;
    uint32_t product, region, cents;
};

/* When the next payload of a kind is due. */
struct mr_orders_stratum {
    double ratio;
    uint64_t number, due;
};

/* One cell of an alias table: take `self` below the threshold of 2^32, else the alias. */
struct mr_orders_alias {
    uint32_t threshold, other;
};

/* Private but for the settings. */
struct mr_orders {
    struct mr_orders_settings settings;
    uint64_t random, index;
    mr_u128 step_q20; /* of event time from one payload to the next, in us / 2^20 */
    uint32_t fault, broken;
    struct mr_orders_stratum strata[MR_ORDERS_KINDS];
    uint64_t due_first;
    struct mr_orders_alias *products, *regions; /* NULL: uniform */
    uint64_t recent_count;
    struct mr_orders_order recent[MR_ORDERS_RECENT_MAX];
};

/* The seed's settings: 4 products, 4 regions, live, 250 orders a second from
 * 2025-07-22T12:00:00, disorder 5 s, nothing late, broken or repeated. */
void mr_orders_defaults(struct mr_orders_settings *settings);

/* mr_orders_init copies the settings and draws the first strata.
 * Owns    tables for a skew other than 0; mr_orders_finish gives them back and accepts zeroes.
 * Errors  MR_E_MEMORY. Settings outside their ranges are a broken belief: check them before. */
int mr_orders_init(struct mr_orders *orders, const struct mr_orders_settings *settings);
void mr_orders_finish(struct mr_orders *orders);

/* The capacity that mr_orders_next asks for. */
size_t mr_orders_bytes_max(const struct mr_orders_settings *settings);

/* mr_orders_next writes one payload, without a newline before, in or after it.
 * Shapes  buffer[capacity], capacity >= mr_orders_bytes_max; returns the bytes written, >= 1.
 * Thread  one at a time per generator; no I/O, no clock, never allocates.
 * Errors  none. */
size_t mr_orders_next(struct mr_orders *orders, char *buffer, size_t capacity,
                      struct mr_orders_info *info);

#endif
