/* What connection.c and call.c share: the one moves bytes, the other knows calls. */
#ifndef MR_LOCAL_CONNECTION_PARTS_H
#define MR_LOCAL_CONNECTION_PARTS_H

#include "local/connection.h"

struct mr_connection {
    struct mr_hall *hall;
    struct mr_connection *next, **at, *next_dirty;
    struct mr_link *link;
    struct mr_socket socket;
    struct mr_served *calls;
    struct mr_served_buffer *buffers; /* given and not yet sent */
    size_t queued_bytes;              /* in them */
    int64_t since_us;                 /* accepted, later: began to end */
    bool dirty;                       /* something may be there to be sent */
    bool greeted;                     /* the client's SETTINGS came */
    bool broken, ending;
    uint8_t send[MR_CONNECTION_SEND_BYTES]; /* last: not cleared */
};

extern const struct mr_h2_events mr_served_events; /* self: struct mr_connection */

void mr_connection_dirty(struct mr_connection *c);
void mr_served_destroy(struct mr_served *call); /* calls `closed` */
void mr_served_buffer_destroy(struct mr_served_buffer *buffer);
uint32_t mr_served_due_all(struct mr_hall *hall);
uint32_t mr_served_room_all(struct mr_hall *hall);

#endif
