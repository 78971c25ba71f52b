#include "sources/lease.h"

int mr_leases_init(struct mr_leases *leases, struct mr_arena *arena, uint32_t capacity)
{
    *leases = (struct mr_leases){
        .capacity = capacity, .first = MR_LEASE_NONE, .last = MR_LEASE_NONE, .free = MR_LEASE_NONE};
    leases->cells = mr_arena_take(arena, capacity * sizeof *leases->cells, MR_CACHE_LINE);
    return leases->cells ? MR_OK : MR_E_MEMORY;
}

static void append(struct mr_leases *leases, uint32_t lease)
{
    struct mr_lease *cell = &leases->cells[lease];

    cell->previous = leases->last;
    cell->next = MR_LEASE_NONE;
    if (leases->last == MR_LEASE_NONE)
        leases->first = lease;
    else
        leases->cells[leases->last].next = lease;
    leases->last = lease;
}

static void detach(struct mr_leases *leases, uint32_t lease)
{
    struct mr_lease *cell = &leases->cells[lease];

    if (cell->previous == MR_LEASE_NONE)
        leases->first = cell->next;
    else
        leases->cells[cell->previous].next = cell->next;
    if (cell->next == MR_LEASE_NONE)
        leases->last = cell->previous;
    else
        leases->cells[cell->next].previous = cell->previous;
}

/* A lease that was let go stands in no list; its deadline says so. */
static bool is_abandoned(const struct mr_lease *cell)
{
    return cell->deadline_ns == UINT64_MAX;
}

uint32_t mr_lease_take(struct mr_leases *leases, struct mr_span ack_id, uint64_t now_ns)
{
    uint32_t lease = leases->free;

    MR_ASSERT(ack_id.bytes <= MR_ACK_ID_BYTES_MAX);
    if (lease != MR_LEASE_NONE)
        leases->free = leases->cells[lease].next;
    else if (leases->fresh < leases->capacity)
        lease = leases->fresh++;
    else
        return MR_LEASE_NONE;
    struct mr_lease *cell = &leases->cells[lease];
    cell->arrived_ns = now_ns;
    cell->deadline_ns = now_ns + MR_LEASE_NS;
    cell->ack_id_bytes = (uint16_t)ack_id.bytes;
    memcpy(cell->ack_id, ack_id.data, ack_id.bytes);
    append(leases, lease);
    leases->count++;
    return lease;
}

void mr_lease_end(struct mr_leases *leases, uint32_t lease)
{
    struct mr_lease *cell = &leases->cells[lease];

    MR_ASSERT(lease < leases->fresh && leases->count > 0);
    if (!is_abandoned(cell))
        detach(leases, lease);
    cell->next = leases->free;
    leases->free = lease;
    leases->count--;
}

uint32_t mr_lease_due(struct mr_leases *leases, uint64_t now_ns)
{
    while (leases->first != MR_LEASE_NONE) {
        struct mr_lease *cell = &leases->cells[leases->first];
        if (cell->deadline_ns > now_ns + MR_LEASE_SLACK_NS)
            return MR_LEASE_NONE;
        if (now_ns - cell->arrived_ns < MR_LEASE_MAX_NS)
            return leases->first;
        detach(leases, leases->first);
        cell->deadline_ns = UINT64_MAX;
        leases->abandoned++;
    }
    return MR_LEASE_NONE;
}

void mr_lease_extend(struct mr_leases *leases, uint32_t lease, uint64_t now_ns)
{
    leases->cells[lease].deadline_ns = now_ns + MR_LEASE_NS;
    detach(leases, lease);
    append(leases, lease);
    leases->extended++;
}
