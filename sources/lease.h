/* Leases: our hold on messages, an ack id each with its ack deadline, from arrival until the
 * acknowledgement has been written into a request.
 *
 * A lease is a cell of a table, named by its index. All leases get the same time from arrival or
 * extension, so the list in that order is the list by deadline, and those near it are at its head.
 *
 * Owns    memory of the arena, taken once; ack ids are copied in.
 * Thread  the puller's. */
#ifndef MR_SOURCES_LEASE_H
#define MR_SOURCES_LEASE_H

#include "core/arena.h"

#define MR_ACK_ID_BYTES_MAX 608 /* the service gives 190 to 196 today; 500 are to be expected */
#define MR_LEASE_NONE       UINT32_MAX
#define MR_LEASE_SECONDS    60 /* asked for on arrival and by each extension */
#define MR_LEASE_NS         (UINT64_C(1000000000) * MR_LEASE_SECONDS)
#define MR_LEASE_SLACK_NS   UINT64_C(20000000000)   /* extended when less than this is left */
#define MR_LEASE_MAX_NS     UINT64_C(3600000000000) /* held no longer than this, an hour */

struct mr_lease {
    uint64_t deadline_ns, arrived_ns;
    uint32_t previous, next; /* by deadline; `next` also links free cells */
    uint16_t ack_id_bytes;
    uint8_t ack_id[MR_ACK_ID_BYTES_MAX];
};

struct mr_leases {
    struct mr_lease *cells;
    uint32_t capacity, count;
    uint32_t first, last, free;   /* lists; MR_LEASE_NONE: empty */
    uint32_t fresh;               /* cells never used so far */
    uint64_t extended, abandoned; /* counters: extensions; held beyond MR_LEASE_MAX_NS */
};

/* Errors: MR_E_MEMORY. */
int mr_leases_init(struct mr_leases *leases, struct mr_arena *arena, uint32_t capacity);

/* A new lease on `ack_id` (at most MR_ACK_ID_BYTES_MAX bytes); MR_LEASE_NONE: the table is full. */
uint32_t mr_lease_take(struct mr_leases *leases, struct mr_span ack_id, uint64_t now_ns);
void mr_lease_end(struct mr_leases *leases, uint32_t lease);

static inline struct mr_span mr_lease_ack_id(const struct mr_leases *leases, uint32_t lease)
{
    return mr_span_of(leases->cells[lease].ack_id, leases->cells[lease].ack_id_bytes);
}

/* The lease that must be extended now, or MR_LEASE_NONE. mr_lease_extend moves it behind all
 * others; one that is too old is let go: it is not offered again and the service redelivers. */
uint32_t mr_lease_due(struct mr_leases *leases, uint64_t now_ns);
void mr_lease_extend(struct mr_leases *leases, uint32_t lease, uint64_t now_ns);

#endif
