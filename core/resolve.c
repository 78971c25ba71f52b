#include "core/socket.h"

#include <netdb.h>

#define HOST_MAX 256 /* a DNS name has at most 253 characters (RFC 1035, section 2.3.4) */

/* Splits "[host]:port" or "host:port"; the port is digits only, in [0, 65535]. */
static bool split(const char *text, char host[HOST_MAX], const char **port)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[';
    size_t bytes;
    uint32_t number = 0;

    if (!colon || (bracketed && (colon == text || colon[-1] != ']')))
        return false;
    bytes = (size_t)(colon - text) - (bracketed ? 2 : 0);
    if (bytes == 0 || bytes >= HOST_MAX)
        return false;
    memcpy(host, text + bracketed, bytes);
    host[bytes] = '\0';
    if (!bracketed && memchr(host, ':', bytes))
        return false;
    for (const char *p = colon + 1; *p; p++) {
        number = number * 10 + (uint32_t)(*p - '0');
        if (*p < '0' || *p > '9' || number > 65535)
            return false;
    }
    *port = colon + 1;
    return colon[1] != '\0';
}

int mr_resolve(const char *host_port, struct mr_address *addresses, uint32_t max, uint32_t *count)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    char host[HOST_MAX];
    const char *port;

    *count = 0;
    if (!split(host_port, host, &port))
        return MR_E_ADDRESS;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return MR_E_RESOLVE;
    for (struct addrinfo *at = found; at && *count < max; at = at->ai_next) {
        struct mr_address *address = &addresses[(*count)++];
        memset(address, 0, sizeof *address);
        memcpy(&address->storage, at->ai_addr, at->ai_addrlen);
        address->bytes = at->ai_addrlen;
    }
    freeaddrinfo(found);
    return *count > 0 ? MR_OK : MR_E_RESOLVE;
}
