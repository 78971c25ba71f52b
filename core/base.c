#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>

void mr_assert_failed(const char *belief, const char *file, int line)
{
    fprintf(stderr, "millrace: broken belief: %s (%s:%d)\n", belief, file, line);
    abort();
}
