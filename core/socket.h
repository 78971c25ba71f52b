/* A byte stream over TCP on top of core/io.h: a connection made or adopted, with a bounded send
 * buffer; and the listener that yields such connections.
 *
 *     mr_socket_init -> mr_socket_connect | mr_socket_adopt
 *        opened      connected; bytes may now be sent (adopt: in the next turn as well)
 *        bytes       received bytes, valid during the call
 *        room        a send has ended: mr_socket_room has grown
 *        ended       the peer sends no more; sending still works
 *        closed      the last call, exactly once: descriptor closed, nothing in flight, the struct
 *                    and its buffer are the owner's again
 *
 * All come from mr_io_turn. After mr_socket_close only `closed` comes.
 *
 * Sending  Write into mr_socket_room, then mr_socket_commit. The buffer has two halves: one on its
 *          way in the kernel, one being filled. What was committed during a turn leaves as one send
 *          at the head of the next one.
 * Owns     the owner lends the send buffer from init to `closed`; nothing is allocated.
 * Thread   the owner of the mr_io. */
#ifndef MR_CORE_SOCKET_H
#define MR_CORE_SOCKET_H

#include "core/io.h"

struct mr_socket;

/* `opened`, `room` and `ended` may be NULL. Without `ended`, the peer's end closes the socket. */
struct mr_socket_calls {
    void (*opened)(struct mr_socket *s);
    void (*bytes)(struct mr_socket *s, struct mr_span bytes);
    void (*room)(struct mr_socket *s);
    void (*ended)(struct mr_socket *s);
    void (*closed)(struct mr_socket *s, int error); /* 0, or -errno of what broke it */
};

struct mr_address {
    struct sockaddr_storage storage;
    socklen_t bytes;
};

/* Embedded in the owner's struct (MR_CONTAINER leads back); the fields are private. */
struct mr_socket {
    struct mr_io *io;
    const struct mr_socket_calls *calls;
    struct mr_io_recv recv;
    struct mr_io_op connect, send, flush;
    struct mr_address address;
    uint8_t *halves[2];
    uint32_t half_bytes, filled; /* capacity of a half; bytes in the half being filled */
    int fd, error;
    uint8_t filling; /* which half, 0 or 1 */
    bool connecting, open, receiving, sending, flush_due, paused, closing, end_wanted, end_told;
};

/* `buffer` of `bytes` (even, >= 2, at most 2^30) is the send buffer. */
void mr_socket_init(struct mr_socket *s, struct mr_io *io, const struct mr_socket_calls *calls,
                    uint8_t *buffer, size_t bytes);

/* Starts connecting; what fails later is told by `closed`. Returns 0, or -errno when no socket
 * could be made (then `closed` does not come). `tcp` NULL: NODELAY, keep-alive after 30 s. */
int mr_socket_connect(struct mr_socket *s, const struct mr_address *address,
                      const struct mr_io_tcp *tcp);

/* Takes over an accepted descriptor. Returns 0, or -errno with the descriptor closed. */
int mr_socket_adopt(struct mr_socket *s, int fd, const struct mr_io_tcp *tcp);

/* Where to write and how much fits, *bytes >= 0; good until the next commit or turn. */
uint8_t *mr_socket_room(struct mr_socket *s, size_t *bytes);
void mr_socket_commit(struct mr_socket *s, size_t bytes);

/* Bytes committed that the kernel has not taken over entirely. */
size_t mr_socket_unsent(const struct mr_socket *s);

void mr_socket_pause(struct mr_socket *s); /* no `bytes` until resume */
void mr_socket_resume(struct mr_socket *s);

/* Once all committed bytes are sent, tells the peer that no more follow. Nothing may be committed
 * afterwards. */
void mr_socket_end(struct mr_socket *s);

/* Drops what is unsent and closes; `closed` comes in a later turn with the error given. Any number
 * of calls; the first counts. */
void mr_socket_close(struct mr_socket *s, int error);

/* A listening socket. `accepted` owns the descriptor and hands it to mr_socket_adopt or
 * mr_io_close. `failed` (-EMFILE, ...): accepting has stopped, mr_listener_resume starts it again.
 * `closed` is the last call, after mr_listener_close. */
struct mr_listener {
    void (*accepted)(struct mr_listener *l, int fd);
    void (*failed)(struct mr_listener *l, int error);
    void (*closed)(struct mr_listener *l); /* may be NULL */
    struct mr_io *io;
    struct mr_io_accept accept;
    int fd;
    uint16_t port; /* in host order, for reading; the one chosen when port 0 was asked for */
    bool accepting, closing;
};

/* The owner sets the three callbacks first. Returns 0 or -errno (-EADDRINUSE, ...). */
int mr_listener_open(struct mr_listener *l, struct mr_io *io, const struct mr_address *address);
void mr_listener_resume(struct mr_listener *l);
void mr_listener_close(struct mr_listener *l);

/* mr_resolve turns "host:port", "127.0.0.1:8085" or "[::1]:8085" into up to `max` addresses, in the
 * order in which to try them; *count says how many.
 * Thread  blocks on the name service: at start or in the cold room only.
 * Errors  MR_E_ADDRESS: not of that form, or a port outside [0, 65535]; MR_E_RESOLVE: no such host,
 *         or no answer. */
int mr_resolve(const char *host_port, struct mr_address *addresses, uint32_t max, uint32_t *count);

#endif
