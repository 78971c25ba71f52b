#include "core/fault.h"

#include <stdarg.h>
#include <stdio.h>

void mr_fault_raise(struct mr_fault *fault, int err, const char *format, ...)
{
    int none = 0;
    va_list arguments;

    if (!atomic_compare_exchange_strong(&fault->claimed, &none, 1))
        return;
    va_start(arguments, format);
    vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
    /* Release: whoever sees err sees the text. */
    atomic_store_explicit(&fault->err, err, memory_order_release);
}
