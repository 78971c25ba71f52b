/* Aim: no bytes as a configuration crash, hang or leak; what passes prints an effective form. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/mman.h>

#include "core/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mr_config config;
    static FILE *nowhere;
    char path[64];
    int fd = memfd_create("config", 0);

    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    MR_ASSERT(nowhere && fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mr_config_read(&config, path, NULL, 0, nowhere) == 0)
        mr_config_print_effective(&config, nowhere);
    mr_config_finish(&config);
    close(fd);
    return 0;
}
