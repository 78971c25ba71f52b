#include "local/orders.h"

#include <math.h>
#include <stdlib.h>

#include "core/err.h"

#define SECOND_US      INT64_C(1000000)
#define DAY_US         (86400 * SECOND_US)
#define EVENT_US_MIN   (INT64_C(-62135596800) * SECOND_US) /* 0001-01-01T00:00:00 */
#define EVENT_US_MAX   (INT64_C(253402300799) * SECOND_US) /* 9999-12-31T23:59:59 */
#define START_US       (INT64_C(1753185600) * SECOND_US)   /* 2025-07-22T12:00:00 */
#define CENTS_MIN      1000                                /* 10.00 */
#define CENTS_MAX      50000                               /* 500.00 */
#define SEED_DAYS      120                                 /* how far back the seed reaches */
#define SEED_SECONDS   86400
#define FAR_TIMES      20              /* how many late_by the far late orders reach */
#define WEIGHT_OF_ONE  1099511627776.0 /* 2^40: weights are integers, the same on all hosts */
#define STEP_FRACTIONS 1048576.0       /* 2^20 parts of a microsecond */

enum field { ORDER_ID, PRODUCT_ID, TIMESTAMP, AMOUNT, REGION, FIELDS, NO_FIELD = FIELDS };

static const struct {
    const char *text;
    size_t bytes;
} openings[FIELDS] = {
#define OPENING(text)                                                                              \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    [ORDER_ID] = OPENING("\"order_id\": "),   [PRODUCT_ID] = OPENING("\"product_id\": "),
    [TIMESTAMP] = OPENING("\"timestamp\": "), [AMOUNT] = OPENING("\"amount\": "),
    [REGION] = OPENING("\"region\": "),
#undef OPENING
};

enum shape { WHOLE, CUT, TRAILING_COMMA, TRAILING_BYTES, PADDED };

/* One way to break an order: leave a field out, write another value for it, or spoil the object. */
static const struct fault {
    const char *name;
    enum mr_reason reason;
    enum shape shape;
    enum field without, replaced;
    const char *value;
} faults[] = {
#define WITHOUT(field)                                                                             \
    {                                                                                              \
        "without", MR_REASON_MISSING_FIELD, WHOLE, field, NO_FIELD, NULL                           \
    }
#define SPOILT(name, shape)                                                                        \
    {                                                                                              \
        name, MR_REASON_MALFORMED_JSON, shape, NO_FIELD, NO_FIELD, NULL                            \
    }
#define VALUE(name, reason, field, value)                                                          \
    {                                                                                              \
        name, MR_REASON_##reason, WHOLE, NO_FIELD, field, value                                    \
    }
    SPOILT("cut", CUT),
    WITHOUT(ORDER_ID),
    VALUE("amount_string", BAD_TYPE, AMOUNT, "\"41.5\""),
    VALUE("february_30", BAD_TIMESTAMP, TIMESTAMP, "\"2025-02-30T12:00:00\""),
    VALUE("amount_huge", OUT_OF_RANGE, AMOUNT, "1e300"),
    VALUE("nan", MALFORMED_JSON, AMOUNT, "NaN"),
    WITHOUT(PRODUCT_ID),
    VALUE("region_number", BAD_TYPE, REGION, "7"),
    VALUE("month_13", BAD_TIMESTAMP, TIMESTAMP, "\"2025-13-01T12:00:00\""),
    VALUE("amount_past_64_bits", OUT_OF_RANGE, AMOUNT, "92233720368547758.08"),
    SPOILT("trailing_comma", TRAILING_COMMA),
    WITHOUT(TIMESTAMP),
    VALUE("amount_bool", BAD_TYPE, AMOUNT, "true"),
    VALUE("word", BAD_TIMESTAMP, TIMESTAMP, "\"yesterday\""),
    VALUE("amount_below_64_bits", OUT_OF_RANGE, AMOUNT, "-92233720368547758.09"),
    VALUE("bad_utf8", MALFORMED_JSON, REGION, "\"eu\xffrope\""),
    WITHOUT(AMOUNT),
    VALUE("product_object", BAD_TYPE, PRODUCT_ID, "{\"id\": 1}"),
    VALUE("empty", BAD_TIMESTAMP, TIMESTAMP, "\"\""),
    VALUE("control_character", MALFORMED_JSON, PRODUCT_ID, "\"P\x01\""),
    WITHOUT(REGION),
    VALUE("order_number", BAD_TYPE, ORDER_ID, "12"),
    VALUE("hour_25", BAD_TIMESTAMP, TIMESTAMP, "\"2025-07-22T25:00:00\""),
    SPOILT("trailing_bytes", TRAILING_BYTES),
    VALUE("null", MISSING_FIELD, AMOUNT, "null"),
#undef WITHOUT
#undef SPOILT
#undef VALUE
};

static const struct fault whole = {NULL, MR_REASON_NONE, WHOLE, NO_FIELD, NO_FIELD, NULL};
static const struct fault too_large = {"too_large", MR_REASON_TOO_LARGE, PADDED, NO_FIELD, NO_FIELD,
                                       NULL};

/* SplitMix64 (Steele, Lea and Flood, 2014): every state is good, so any seed is. */
static uint64_t draw(struct mr_orders *orders)
{
    uint64_t z = orders->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* In [0, bound); the bias of the product is below bound / 2^64. */
static uint64_t below(struct mr_orders *orders, uint64_t bound)
{
    return (uint64_t)((mr_u128)draw(orders) * bound >> 64);
}

static uint32_t pick(struct mr_orders *orders, const struct mr_orders_alias *table, uint32_t count)
{
    uint64_t bits = draw(orders);
    uint32_t i = (uint32_t)((bits >> 32) * count >> 32);
    return table && (uint32_t)bits >= table[i].threshold ? table[i].other : i;
}

/* Walker's alias table (1977) for weights 1/rank^skew, paired as Vose (1991) does. */
static struct mr_orders_alias *alias_create(uint32_t count, double skew)
{
    struct mr_orders_alias *table = calloc(count, sizeof *table);
    uint64_t *share = calloc(count, sizeof *share);
    uint32_t *queue = calloc(count, sizeof *queue);
    uint64_t total = 0;
    uint32_t small = 0, large = count; /* small ones stack up from the left, large from the right */

    if (!table || !share || !queue) {
        free(table);
        table = NULL;
        goto out;
    }
    for (uint32_t i = 0; i < count; i++) {
        share[i] = (uint64_t)(WEIGHT_OF_ONE * pow(i + 1.0, -skew) + 0.5);
        total += share[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        share[i] *= count; /* at most 2^40 * 10^6 < 2^60 */
        queue[share[i] < total ? small++ : --large] = i;
    }
    while (small > 0 && large < count) {
        uint32_t poor = queue[--small], rich = queue[large];
        table[poor] = (struct mr_orders_alias){(uint32_t)(((mr_u128)share[poor] << 32) / total),
                                               rich};
        share[rich] -= total - share[poor];
        if (share[rich] < total) {
            large++;
            queue[small++] = rich;
        }
    }
    /* What is left has a share of exactly one cell. */
    while (small > 0)
        table[queue[--small]].threshold = UINT32_MAX;
    while (large < count)
        table[queue[large++]].threshold = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (table[i].threshold == UINT32_MAX)
            table[i].other = i;
out:
    free(share);
    free(queue);
    return table;
}

static void stratum_advance(struct mr_orders *orders, enum mr_orders_kind kind)
{
    struct mr_orders_stratum *stratum = &orders->strata[kind];
    double place = (double)(draw(orders) >> 11) * 0x1p-53;

    stratum->due = UINT64_MAX;
    if (stratum->ratio > 0)
        stratum->due = (uint64_t)(((double)stratum->number++ + place) / stratum->ratio);
    orders->due_first = UINT64_MAX;
    for (int i = 0; i < MR_ORDERS_KINDS; i++)
        orders->due_first = MR_MIN(orders->due_first, orders->strata[i].due);
}

static bool is_ratio(double ratio)
{
    return ratio >= 0 && ratio <= 1;
}

static void check(const struct mr_orders_settings *s)
{
    MR_ASSERT(s->start_us >= EVENT_US_MIN && s->start_us <= EVENT_US_MAX);
    MR_ASSERT(s->orders_per_s >= 0.001 && s->orders_per_s <= 1e9);
    MR_ASSERT(s->speed >= 0 && s->speed <= 1e6);
    MR_ASSERT(s->disorder_us >= 0 && s->late_by_us >= 0 && s->fast_by_us >= 0);
    MR_ASSERT(is_ratio(s->late_ratio) && is_ratio(s->fast_ratio));
    MR_ASSERT(is_ratio(s->invalid_ratio) && is_ratio(s->duplicate_ratio));
    MR_ASSERT(s->recent >= 1 && s->recent <= MR_ORDERS_RECENT_MAX);
    MR_ASSERT(s->skew >= 0 && s->skew <= 5);
    MR_ASSERT(s->products >= 1 && s->products <= MR_ORDERS_PRODUCTS_MAX);
    MR_ASSERT(s->region_count >= 1 && s->region_count <= MR_ORDERS_REGIONS_MAX);
}

void mr_orders_defaults(struct mr_orders_settings *settings)
{
    static const char *const regions[] = {"us-west", "us-east", "europe", "asia"};

    *settings = (struct mr_orders_settings){
        .seed = 1,
        .profile = MR_ORDERS_LIVE,
        .start_us = START_US,
        .orders_per_s = 250,
        .speed = 1,
        .disorder_us = 5 * SECOND_US,
        .late_by_us = 120 * SECOND_US,
        .fast_by_us = 30 * SECOND_US,
        .recent = 1024,
        .products = 4,
        .region_count = MR_COUNT(regions),
    };
    for (size_t i = 0; i < MR_COUNT(regions); i++)
        memcpy(settings->regions[i], regions[i], strlen(regions[i]) + 1);
}

int mr_orders_init(struct mr_orders *orders, const struct mr_orders_settings *settings)
{
    const double ratios[MR_ORDERS_KINDS] = {
        [MR_ORDERS_LATE] = settings->late_ratio,
        [MR_ORDERS_FAST] = settings->fast_ratio,
        [MR_ORDERS_REPEAT] = settings->duplicate_ratio,
        [MR_ORDERS_INVALID] = settings->invalid_ratio,
    };

    check(settings);
    memset(orders, 0, sizeof *orders);
    orders->settings = *settings;
    orders->random = settings->seed;
    orders->random = draw(orders); /* neighbouring seeds start far apart */
    orders->step_q20 = (mr_u128)(settings->speed / settings->orders_per_s * 1e6 * STEP_FRACTIONS +
                                 0.5);
    for (int kind = 0; kind < MR_ORDERS_KINDS; kind++)
        orders->strata[kind].ratio = ratios[kind];
    for (int kind = 0; kind < MR_ORDERS_KINDS; kind++)
        stratum_advance(orders, (enum mr_orders_kind)kind);
    if (settings->skew > 0) {
        orders->products = alias_create(settings->products, settings->skew);
        orders->regions = alias_create(settings->region_count, settings->skew);
        if (!orders->products || !orders->regions) {
            mr_orders_finish(orders);
            return MR_E_MEMORY;
        }
    }
    return MR_OK;
}

void mr_orders_finish(struct mr_orders *orders)
{
    free(orders->products);
    free(orders->regions);
    orders->products = orders->regions = NULL;
}

size_t mr_orders_bytes_max(const struct mr_orders_settings *settings)
{
    return MR_MAX((size_t)MR_ORDERS_BYTES_MAX, (size_t)settings->too_large_bytes);
}

static char *bytes_put(char *p, const char *text, size_t bytes)
{
    memcpy(p, text, bytes);
    return p + bytes;
}

static char *text_put(char *p, const char *text)
{
    return bytes_put(p, text, strlen(text));
}

/* Decimal with at least `digits` digits. */
static char *number_put(char *p, uint64_t value, int digits)
{
    char reversed[20];
    int count = 0;

    do
        reversed[count++] = (char)('0' + value % 10);
    while ((value /= 10) > 0 || count < digits);
    while (count > 0)
        *p++ = reversed[--count];
    return p;
}

static char *two_put(char *p, uint32_t value)
{
    p[0] = (char)('0' + value / 10);
    p[1] = (char)('0' + value % 10);
    return p + 2;
}

static char *hex_put(char *p, uint64_t bits, int digits)
{
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        *p++ = "0123456789abcdef"[bits >> shift & 15];
    return p;
}

static char *uuid_put(char *p, uint64_t high, uint64_t low)
{
    p = hex_put(p, high >> 32, 8);
    *p++ = '-';
    p = hex_put(p, high >> 16, 4);
    *p++ = '-';
    p = hex_put(p, high, 4);
    *p++ = '-';
    p = hex_put(p, low >> 48, 4);
    *p++ = '-';
    return hex_put(p, low, 12);
}

/* Days since 1970 to a date of the Gregorian calendar, in years that begin on 1 March, so that the
 * leap day comes last; eras of 400 years have 146,097 days, and 0000-03-01 is day -719,468. */
static char *date_put(char *p, int64_t days)
{
    int64_t era = mr_floor_div(days + 719468, 146097);
    uint32_t day = (uint32_t)mr_floor_mod(days + 719468, 146097);
    uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint32_t of_year = day - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * of_year + 2) / 153; /* 0 is March; five months are 153 days */
    uint32_t of_month = of_year - (153 * month + 2) / 5 + 1;
    int64_t calendar_year = era * 400 + year + (month >= 10);

    p = number_put(p, (uint64_t)calendar_year, 4);
    *p++ = '-';
    p = two_put(p, month < 10 ? month + 3 : month - 9);
    *p++ = '-';
    return two_put(p, of_month);
}

static char *time_put(char *p, int64_t event_us)
{
    int64_t of_day = mr_floor_mod(event_us, DAY_US);
    uint32_t second = (uint32_t)(of_day / SECOND_US);
    uint32_t fraction = (uint32_t)(of_day % SECOND_US);

    p = date_put(p, mr_floor_div(event_us, DAY_US));
    *p++ = 'T';
    p = two_put(p, second / 3600);
    *p++ = ':';
    p = two_put(p, second / 60 % 60);
    *p++ = ':';
    p = two_put(p, second % 60);
    if (fraction > 0) {
        *p++ = '.';
        p = two_put(p, fraction / 10000);
        p = two_put(p, fraction / 100 % 100);
        p = two_put(p, fraction % 100);
    }
    return p;
}

/* As Python prints a float of two decimals: 41.5, 100.0, 33.27. */
static char *cents_put(char *p, uint32_t cents)
{
    p = number_put(p, cents / 100, 1);
    *p++ = '.';
    *p++ = (char)('0' + cents / 10 % 10);
    if (cents % 10 > 0)
        *p++ = (char)('0' + cents % 10);
    return p;
}

static char *value_put(char *p, const struct mr_orders *orders, const struct mr_orders_order *order,
                       enum field field)
{
    if (field == AMOUNT)
        return cents_put(p, order->cents);
    *p++ = '"';
    switch (field) {
    case ORDER_ID:
        p = uuid_put(p, order->id_high, order->id_low);
        break;
    case PRODUCT_ID:
        *p++ = 'P';
        p = number_put(p, order->product + 1, 3);
        break;
    case TIMESTAMP:
        p = time_put(p, order->event_us);
        break;
    default:
        p = text_put(p, orders->settings.regions[order->region]);
    }
    *p++ = '"';
    return p;
}

static char *object_put(char *p, const struct mr_orders *orders,
                        const struct mr_orders_order *order, const struct fault *fault)
{
    const char *separator = "{";

    for (int f = 0; f < FIELDS; f++) {
        enum field field = (enum field)f;
        if (field == fault->without)
            continue;
        p = text_put(p, separator);
        p = bytes_put(p, openings[field].text, openings[field].bytes);
        p = field == fault->replaced ? text_put(p, fault->value)
                                     : value_put(p, orders, order, field);
        separator = ", ";
    }
    if (fault->shape == TRAILING_COMMA)
        *p++ = ',';
    *p++ = '}';
    return p;
}

/* Fills the object up to `bytes` with a field that nobody reads. */
static char *pad_put(char *buffer, char *end, size_t bytes)
{
    static const char opening[] = ", \"note\": \"";
    size_t used = (size_t)(end - buffer) - 1; /* before the closing brace */

    MR_ASSERT(bytes >= MR_ORDERS_BYTES_MAX);
    char *p = bytes_put(buffer + used, opening, sizeof opening - 1);
    size_t fill = bytes - (size_t)(p - buffer) - 2;
    memset(p, 'x', fill);
    return bytes_put(p + fill, "\"}", 2);
}

static size_t payload_put(struct mr_orders *orders, char *buffer,
                          const struct mr_orders_order *order, const struct fault *fault)
{
    char *end = object_put(buffer, orders, order, fault);

    if (fault->shape == CUT)
        end = buffer + 1 + below(orders, (uint64_t)(end - buffer) - 1);
    else if (fault->shape == TRAILING_BYTES)
        end = bytes_put(end, " }", 2);
    else if (fault->shape == PADDED)
        end = pad_put(buffer, end, orders->settings.too_large_bytes);
    return (size_t)(end - buffer);
}

static int64_t live_event_us(struct mr_orders *orders, int64_t clock_us, enum mr_orders_kind kind)
{
    const struct mr_orders_settings *s = &orders->settings;
    uint64_t late_us = (uint64_t)s->late_by_us;

    if (kind == MR_ORDERS_FAST)
        return clock_us + 1 + (int64_t)below(orders, (uint64_t)MR_MAX(s->fast_by_us, 1));
    if (kind != MR_ORDERS_LATE)
        return clock_us - (int64_t)below(orders, (uint64_t)s->disorder_us + 1);
    uint64_t behind_us = below(orders, 4) > 0
                             ? below(orders, MR_MAX(late_us, 1))
                             : late_us + below(orders, MR_MAX((FAR_TIMES - 1) * late_us, 1));
    return clock_us - s->disorder_us - 1 - (int64_t)behind_us;
}

static int64_t event_us(struct mr_orders *orders, enum mr_orders_kind kind)
{
    int64_t past_us = (int64_t)MR_MIN(orders->index * orders->step_q20 >> 20,
                                      (mr_u128)(EVENT_US_MAX - EVENT_US_MIN));
    int64_t clock_us = MR_MIN(orders->settings.start_us + past_us, EVENT_US_MAX);
    int64_t at_us;

    if (orders->settings.profile == MR_ORDERS_SEED)
        at_us = clock_us - (int64_t)below(orders, SEED_DAYS + 1) * DAY_US -
                (int64_t)below(orders, SEED_SECONDS + 1) * SECOND_US;
    else
        at_us = live_event_us(orders, clock_us, kind);
    return MR_MAX(EVENT_US_MIN, MR_MIN(at_us, EVENT_US_MAX));
}

static struct mr_orders_order order_draw(struct mr_orders *orders, enum mr_orders_kind kind)
{
    const struct mr_orders_settings *s = &orders->settings;
    struct mr_orders_order order;

    /* Version 4 and the variant bits 10, where RFC 9562, section 5.4, puts them. */
    order.id_high = (draw(orders) & ~UINT64_C(0xF000)) | UINT64_C(0x4000);
    order.id_low = draw(orders) >> 2 | UINT64_C(1) << 63;
    order.product = pick(orders, orders->products, s->products);
    order.region = pick(orders, orders->regions, s->region_count);
    order.cents = CENTS_MIN + (uint32_t)below(orders, CENTS_MAX - CENTS_MIN + 1);
    order.event_us = event_us(orders, kind);
    return order;
}

static enum mr_orders_kind kind_next(struct mr_orders *orders)
{
    if (MR_LIKELY(orders->index < orders->due_first))
        return MR_ORDERS_FRESH;
    for (int kind = MR_ORDERS_KINDS - 1; kind > MR_ORDERS_FRESH; kind--) {
        if (orders->strata[kind].due > orders->index)
            continue;
        if (kind == MR_ORDERS_REPEAT && orders->recent_count == 0)
            continue; /* nothing to repeat yet: it stays due */
        stratum_advance(orders, (enum mr_orders_kind)kind);
        return (enum mr_orders_kind)kind;
    }
    return MR_ORDERS_FRESH;
}

static const struct fault *fault_next(struct mr_orders *orders)
{
    if (orders->settings.too_large_bytes > 0 && ++orders->broken % MR_ORDERS_TOO_LARGE_EVERY == 0)
        return &too_large;
    return &faults[orders->fault++ % MR_COUNT(faults)];
}

static const struct mr_orders_order *recent_pick(struct mr_orders *orders)
{
    uint64_t back = 1 + below(orders, MR_MIN(orders->recent_count, orders->settings.recent));
    return &orders->recent[(orders->recent_count - back) % orders->settings.recent];
}

size_t mr_orders_next(struct mr_orders *orders, char *buffer, size_t capacity,
                      struct mr_orders_info *info)
{
    enum mr_orders_kind kind = kind_next(orders);
    const struct fault *fault = kind == MR_ORDERS_INVALID ? fault_next(orders) : &whole;
    struct mr_orders_order order;

    MR_ASSERT(capacity >= mr_orders_bytes_max(&orders->settings));
    if (kind == MR_ORDERS_REPEAT)
        order = *recent_pick(orders);
    else
        order = order_draw(orders, kind);
    if (kind != MR_ORDERS_REPEAT && kind != MR_ORDERS_INVALID)
        orders->recent[orders->recent_count++ % orders->settings.recent] = order;
    orders->index++;
    *info = (struct mr_orders_info){kind, fault->reason, fault->name, order.event_us, order.cents};
    return payload_put(orders, buffer, &order, fault);
}
