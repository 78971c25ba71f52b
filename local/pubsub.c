#include "local/pubsub_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *mr_pubsub_memory(size_t bytes)
{
    void *memory = calloc(1, bytes);

    MR_ASSERT(memory);
    return memory;
}

struct mr_pubsub_status mr_pubsub_ok(void)
{
    return (struct mr_pubsub_status){MR_PUBSUB_OK, ""};
}

struct mr_pubsub_status mr_pubsub_fail(struct mr_pubsub_store *s, enum mr_pubsub_code code,
                                       const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vsnprintf(s->text, sizeof s->text, format, values);
    va_end(values);
    return (struct mr_pubsub_status){code, s->text};
}

/* splitmix64: any seed will do, and one word is the whole state. */
uint64_t mr_pubsub_random(struct mr_pubsub_store *s)
{
    uint64_t z = s->random += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Draws nothing for a fault that is off, so that switching one on leaves the others' dice alone. */
bool mr_pubsub_chance(struct mr_pubsub_store *s, double probability)
{
    return probability > 0 && (double)(mr_pubsub_random(s) >> 11) * 0x1p-53 < probability;
}

uint32_t mr_pubsub_slot_take(struct slots *slots, void *item)
{
    uint32_t slot;

    if (slots->free_count > 0) {
        slot = slots->free[--slots->free_count];
    } else {
        if (slots->count == slots->room) {
            slots->room = slots->room ? slots->room * 2 : 16;
            slots->items = realloc(slots->items, slots->room * sizeof *slots->items);
            MR_ASSERT(slots->items);
        }
        if (slots->count == 0)
            slots->items[slots->count++] = NULL;
        slot = slots->count++;
    }
    slots->items[slot] = item;
    return slot;
}

void mr_pubsub_slot_return(struct slots *slots, uint32_t slot)
{
    if (slots->free_count == slots->free_room) {
        slots->free_room = slots->free_room ? slots->free_room * 2 : 16;
        slots->free = realloc(slots->free, slots->free_room * sizeof *slots->free);
        MR_ASSERT(slots->free);
    }
    slots->items[slot] = NULL;
    slots->free[slots->free_count++] = slot;
}

static void slots_finish(struct slots *slots)
{
    free(slots->items);
    free(slots->free);
}

struct mr_pubsub_store *mr_pubsub_create(const struct mr_pubsub_options *options)
{
    struct mr_pubsub_store *s = mr_pubsub_memory(sizeof *s);

    s->options = *options;
    s->random = options->seed;
    s->secret = mr_pubsub_random(s);
    s->next_id = ID_FIRST + mr_pubsub_random(s) % (ID_BLOCK / 2);
    s->next_uid = 1;
    s->next_tick = s->retention_us = s->pullers_due_us = INT64_MAX;
    TAILQ_INIT(&s->roomy);
    TAILQ_INIT(&s->queued);
    mr_pubsub_directory_init(&s->topics);
    mr_pubsub_directory_init(&s->subscriptions);
    return s;
}

static void free_topics(struct mr_pubsub_store *s)
{
    struct resource *r;

    while ((r = TAILQ_FIRST(&s->topics.list)) != NULL)
        mr_pubsub_topic_delete(s, r->name);
}

void mr_pubsub_destroy(struct mr_pubsub_store *s)
{
    struct resource *r;

    if (!s)
        return;
    while ((r = TAILQ_FIRST(&s->subscriptions.list)) != NULL)
        mr_pubsub_subscription_delete(s, r->name);
    free_topics(s);
    for (uint32_t i = 1; i < s->puller_slots.count; i++)
        free(s->puller_slots.items[i]);
    for (uint32_t i = 1; i < s->chunk_slots.count; i++)
        free(s->chunk_slots.items[i]);
    slots_finish(&s->subscription_slots);
    slots_finish(&s->puller_slots);
    slots_finish(&s->key_slots);
    slots_finish(&s->chunk_slots);
    mr_pubsub_directory_finish(&s->topics);
    mr_pubsub_directory_finish(&s->subscriptions);
    free(s->late);
    free(s->decoded);
    free(s);
}

void mr_pubsub_faults_set(struct mr_pubsub_store *s, const struct mr_pubsub_faults *faults)
{
    s->options.faults = *faults;
}

struct mr_pubsub_figures mr_pubsub_figures(const struct mr_pubsub_store *s)
{
    struct mr_pubsub_figures figures = s->figures;

    figures.topics = s->topics.count;
    figures.subscriptions = s->subscriptions.count;
    return figures;
}
