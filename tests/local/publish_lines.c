/* A tool of the proofs: publishes each line of standard input as one message, as `millrace sim`
 * publishes its orders. publish_lines HOST:PORT TOPIC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/emitter.h"

static int fail(struct mr_emitter *emitter, const char *why)
{
    fprintf(stderr, "publish_lines: %s\n", why);
    if (emitter)
        emitter->destroy(emitter);
    return 1;
}

int main(int argc, char **argv)
{
    char why[256], *line = NULL;
    size_t capacity = 0;
    ssize_t bytes;

    if (argc != 3)
        return fail(NULL, "usage: publish_lines HOST:PORT projects/P/topics/T < LINES");
    struct mr_emitter *emitter = mr_emitter_topic(argv[1], argv[2], why);
    if (!emitter)
        return fail(NULL, why);
    while ((bytes = getline(&line, &capacity, stdin)) > 0) {
        bytes -= line[bytes - 1] == '\n';
        if (emitter->put(emitter, line, (size_t)bytes) != 0)
            return fail(emitter, emitter->why);
    }
    free(line);
    if (emitter->finish(emitter) != 0)
        return fail(emitter, emitter->why);
    emitter->destroy(emitter);
    return 0;
}
