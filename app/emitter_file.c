#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/emitter.h"

#define KEPT_BYTES (1 << 18) /* before one write */

struct file {
    struct mr_emitter emitter;
    int fd;
    size_t used, capacity;
    char kept[];
};

static int file_flush(struct mr_emitter *emitter)
{
    struct file *file = MR_CONTAINER(emitter, struct file, emitter);

    for (size_t done = 0; done < file->used;) {
        ssize_t wrote = write(file->fd, file->kept + done, file->used - done);
        if (wrote < 0 && errno != EINTR)
            return errno;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    file->used = 0;
    return 0;
}

static int file_put(struct mr_emitter *emitter, const char *payload, size_t bytes)
{
    struct file *file = MR_CONTAINER(emitter, struct file, emitter);
    int error = file->used + bytes + 1 > file->capacity ? file_flush(emitter) : 0;

    if (error)
        return error;
    memcpy(file->kept + file->used, payload, bytes);
    file->used += bytes;
    file->kept[file->used++] = '\n';
    return 0;
}

static void file_destroy(struct mr_emitter *emitter)
{
    free(MR_CONTAINER(emitter, struct file, emitter));
}

struct mr_emitter *mr_emitter_file(int fd, size_t payload_bytes_max)
{
    size_t capacity = KEPT_BYTES + payload_bytes_max + 1;
    struct file *file = malloc(sizeof *file + capacity);

    if (!file)
        return NULL;
    *file = (struct file){
        .emitter = {file_put, file_flush, file_flush, file_destroy, ""},
        .fd = fd,
        .capacity = capacity,
    };
    return &file->emitter;
}
