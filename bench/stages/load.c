#include "bench/stages/load.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/key.h"
#include "core/text.h"
#include "local/orders.h"

#define BATCH_ROWS      1024
#define ROW_BLOCK_BYTES ((size_t)64 << 10)
#define WIDE_BYTES_MAX  512

void mr_load_need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench: %s\n", what);
    abort();
}

static struct mr_field *add_field(struct mr_config *config, const char *name, enum mr_type type)
{
    struct mr_field *field = &config->decode.fields[config->decode.field_count];

    if (type == MR_TYPE_EVENT_TIME)
        config->decode.event_time = config->decode.field_count;
    config->decode.field_count++;
    *field = (struct mr_field){.name = name, .type = type, .path = {name}, .path_count = 1};
    return field;
}

void mr_load_config_orders(struct mr_config *config)
{
    memset(config, 0, sizeof *config);
    config->decode.payload_bytes_max = 1 << 20;
    add_field(config, "order_id", MR_TYPE_STRING);
    add_field(config, "product_id", MR_TYPE_STRING);
    add_field(config, "region", MR_TYPE_STRING);
    add_field(config, "amount", MR_TYPE_DECIMAL)->scale = 2;
    add_field(config, "timestamp", MR_TYPE_EVENT_TIME);
}

void mr_load_config_wide(struct mr_config *config)
{
    memset(config, 0, sizeof *config);
    config->decode.payload_bytes_max = 1 << 20;
    add_field(config, "product_id", MR_TYPE_STRING);
    add_field(config, "region", MR_TYPE_STRING);
    add_field(config, "amount", MR_TYPE_DECIMAL)->scale = 2;
    add_field(config, "timestamp", MR_TYPE_EVENT_TIME);
}

/* Windows as the product's example has them, by region and product. */
static void add_window(struct mr_config *config, uint32_t panes)
{
    static const struct mr_aggregate aggregates[] = {
        {MR_COUNT_OF, 0}, {MR_SUM_OF, 3}, {MR_MIN_OF, 3}, {MR_MAX_OF, 3}, {MR_AVG_OF, 3}};
    struct mr_window *window = &config->windows[config->window_count++];

    *window = (struct mr_window){
        .name = "orders_windows",
        .group_by = {2, 1},
        .group_count = 2,
        .size_us = panes * MR_LOAD_HOP_US,
        .hop_us = MR_LOAD_HOP_US,
        .late = {.count = 1},
        .aggregate_count = MR_COUNT(aggregates),
    };
    memcpy(window->aggregates, aggregates, sizeof aggregates);
    memcpy(config->route_by, window->group_by, sizeof window->group_by);
    config->route_count = window->group_count;
}

void mr_load_init(struct mr_load *load, uint32_t panes, bool dedup, uint32_t batches)
{
    memset(load, 0, sizeof *load);
    mr_load_config_orders(&load->config);
    add_window(&load->config, panes);
    load->config.decode.dedup_by = dedup ? MR_DEDUP_FIELD : MR_DEDUP_NONE;
    load->config.watermark.max_disorder_us = 5 * INT64_C(1000000);
    load->config.workers.batch_rows = BATCH_ROWS;
    mr_load_need(mr_plan_init(&load->plan, &load->config) == NULL, "no plan");
    size_t bytes = ((size_t)batches + 4) * load->plan.order.block_bytes;
    mr_load_need(mr_arena_init(&load->arena, bytes + ((size_t)8 << 20)) == MR_OK, "no arena");
    mr_load_need(mr_batcher_init(&load->batcher, &load->plan, &load->arena, batches + 3, 1, 0, 0,
                                 &load->jumbo_bytes) == MR_OK,
                 "no batches");
    load->batches = calloc(batches, sizeof(void *));
    load->batch_capacity = batches;
    mr_load_need(load->batches != NULL, "no memory");
}

void mr_load_finish(struct mr_load *load)
{
    free(load->batches);
    mr_arena_finish(&load->arena);
}

static void collect(struct mr_load *load)
{
    struct mr_batcher *batcher = &load->batcher;

    for (uint32_t i = 0; i < batcher->cut_count; i++) {
        mr_load_need(load->batch_count < load->batch_capacity, "more batches than asked for");
        batcher->cut[i]->watermark_us = MR_TIME_MIN;
        load->batches[load->batch_count++] = batcher->cut[i];
    }
    batcher->cut_count = 0;
}

/* A key as the decoder's event would have it: a region of four, a product. */
static void make_key(struct mr_load *load, uint32_t key, struct mr_event_key *out)
{
    static const char *const regions[] = {"us-east", "us-west", "europe", "asia"};
    char product[16];
    int bytes = snprintf(product, sizeof product, "P%03u", key / 4 + 1);
    uint8_t *at = mr_key_put_string(load->key_bytes, mr_span_text(regions[key % 4]));

    at = mr_key_put_string(at, mr_span_of(product, (size_t)bytes));
    out->bytes = mr_span_of(load->key_bytes, (size_t)(at - load->key_bytes));
    out->hash = mr_hash64(out->bytes.data, out->bytes.bytes, load->plan.hash_seed);
}

void mr_load_add(struct mr_load *load, uint32_t key, int64_t event_us, int64_t cents)
{
    struct mr_event event = {
        .event_us = event_us, .id = MR_ID_NONE, .measures = {cents}, .valid = 1};

    make_key(load, key, &event.keys[0]);
    event.route = event.keys[0].hash;
    /* A watermark at the end of time crosses nothing more: batches are cut when full. */
    load->batcher.watermark_us = MR_TIME_MAX;
    mr_load_need(mr_batcher_add(&load->batcher, &event), "the slab is empty");
    collect(load);
}

void mr_load_end(struct mr_load *load)
{
    mr_batcher_flush(&load->batcher);
    collect(load);
}

void mr_load_share_init(struct mr_load_share *s, const struct mr_load *load, uint32_t row_blocks)
{
    const struct mr_share_limits limits = {
        .memory_bytes = UINT64_C(4) << 30,
        .keys = 10000000,
        .dedup_bytes = UINT64_C(64) << 20,
        .clocks = 1,
    };

    memset(s, 0, sizeof *s);
    mr_load_need(mr_arena_init(&s->arena, (row_blocks + 8) * ROW_BLOCK_BYTES) == MR_OK &&
                     mr_slab_init(&s->rows, &s->arena, row_blocks, ROW_BLOCK_BYTES) == MR_OK &&
                     mr_slab_init(&s->letters, &s->arena, 2, ROW_BLOCK_BYTES) == MR_OK &&
                     mr_share_init(&s->share, &load->plan, 0, &limits, &s->rows, &s->letters) ==
                         MR_OK,
                 "no share");
}

void mr_load_share_finish(struct mr_load_share *share)
{
    mr_share_finish(&share->share);
    mr_arena_finish(&share->arena);
}

static size_t wide_payload(uint8_t *at, uint64_t *random, uint32_t n)
{
    static const char *const regions[] = {"us-east", "us-west", "europe", "asia"};
    char time[MR_TEXT_TIME_MAX + 1];
    uint32_t quantity = (uint32_t)(mr_load_random(random) % 9) + 1;
    uint32_t cents = (uint32_t)(mr_load_random(random) % 49000) + 1000;

    *mr_text_put_time(time, MR_LOAD_START_US + n * INT64_C(3607)) = '\0';
    return (size_t)snprintf(
        (char *)at, WIDE_BYTES_MAX,
        "{\"order_id\":\"%016llx\",\"customer_id\":%u,\"product_id\":\"P%03u\",\"quantity\":%u,"
        "\"amount\":%u.%02u,\"currency\":\"EUR\",\"channel\":\"%s\",\"region\":\"%s\","
        "\"priority\":%s,\"timestamp\":\"%s\"}",
        (unsigned long long)mr_load_random(random), (uint32_t)mr_load_random(random) % 1000000,
        (uint32_t)mr_load_random(random) % 4 + 1, quantity, cents / 100, cents % 100,
        n % 3 ? "web" : "store", regions[mr_load_random(random) % 4], n % 7 ? "false" : "true",
        time);
}

struct mr_span *mr_load_payloads(bool wide, uint32_t count, uint8_t **text)
{
    static struct mr_orders orders;
    struct mr_orders_settings settings;
    struct mr_span *spans = calloc(count, sizeof *spans);
    uint64_t random = 1;

    *text = malloc((size_t)count * MR_MAX(MR_ORDERS_BYTES_MAX, WIDE_BYTES_MAX));
    mr_orders_defaults(&settings);
    mr_load_need(spans != NULL && *text != NULL && mr_orders_init(&orders, &settings) == MR_OK,
                 "no memory");
    uint8_t *at = *text;
    for (uint32_t i = 0; i < count; i++) {
        struct mr_orders_info info;
        size_t bytes = wide ? wide_payload(at, &random, i)
                            : mr_orders_next(&orders, (char *)at, MR_ORDERS_BYTES_MAX, &info);
        spans[i] = mr_span_of(at, bytes);
        at += bytes;
    }
    mr_orders_finish(&orders);
    return spans;
}
