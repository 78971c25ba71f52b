#include "app/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"

#define TERMINAL_NS UINT64_C(100000000)
#define PLAIN_NS    UINT64_C(10000000000)

void mr_progress_init(struct mr_progress *progress, bool quiet, int64_t every_us,
                      uint64_t bytes_total)
{
    uint64_t now_ns = mr_now_ns();
    *progress = (struct mr_progress){.terminal = isatty(STDERR_FILENO),
                                     .quiet = quiet,
                                     .started_ns = now_ns,
                                     .told_ns = now_ns,
                                     .bytes_total = bytes_total};
    progress->every_ns = progress->terminal ? TERMINAL_NS : PLAIN_NS;
    if (every_us > 0)
        progress->every_ns = (uint64_t)every_us * 1000;
}

void mr_progress_tell(struct mr_progress *progress, uint64_t count, uint64_t bytes)
{
    uint64_t now_ns = mr_now_ns(), passed_ns = now_ns - progress->told_ns;
    char rest[64] = "";

    if (progress->quiet || passed_ns < progress->every_ns)
        return;
    double rate = (double)(count - progress->told_count) / ((double)passed_ns / 1e9);
    if (progress->bytes_total > 0 && bytes > 0 && bytes <= progress->bytes_total) {
        double done = (double)bytes / (double)progress->bytes_total;
        double elapsed = (double)(now_ns - progress->started_ns) / 1e9;
        snprintf(rest, sizeof rest, "  %3.0f %%  %.0f s left", 100 * done,
                 elapsed / done - elapsed);
    }
    fprintf(stderr, "%s  %" PRIu64 " orders  %.2f M/s%s%s", progress->terminal ? "\r" : "", count,
            rate / 1e6, rest, progress->terminal ? "\033[K" : "\n");
    fflush(stderr);
    progress->told_ns = now_ns;
    progress->told_count = count;
}

void mr_progress_end(struct mr_progress *progress)
{
    if (progress->terminal && !progress->quiet)
        fputs("\r\033[K", stderr);
}
