/* Everything wrong with a configuration, told at once: collected, sorted by place, each once.
 *
 * A complaint has five parts: code, place, what was found, the rule, one fix. mr_complain opens it
 * with the first three; the rule and the fix start as those of core/err.def and may be sharpened.
 *
 * Owns    texts are copied into the `strings` given at start; sources must outlive the printing.
 * Thread  one. */
#ifndef MR_CORE_COMPLAINT_H
#define MR_CORE_COMPLAINT_H

#include <stdio.h>

#include "core/base.h"
#include "core/texts.h"

#define MR_COMPLAINTS_MAX 200 /* kept; the rest is only counted */

/* Where: line and column from 1, in characters; `set` is 0 for the file, n for the n-th --set. */
struct mr_place {
    uint32_t set, line, column, width;
};

struct mr_complaint {
    int err;
    struct mr_place at, also; /* also.line 0: one place only */
    const char *found, *rule, *fix, *note;
    uint32_t order;
};

struct mr_complaints {
    struct mr_texts *strings;
    const char *path;        /* of the file, as said to people */
    struct mr_span source;   /* its bytes */
    const char *const *sets; /* "a.b=c" */
    uint32_t set_count;
    struct mr_complaint list[MR_COMPLAINTS_MAX];
    uint32_t count, unkept;
};

void mr_complain(struct mr_complaints *all, int err, struct mr_place at, const char *found, ...)
    MR_PRINTF(4, 5);
/* These three sharpen the complaint opened last. */
void mr_complain_rule(struct mr_complaints *all, const char *rule, ...) MR_PRINTF(2, 3);
void mr_complain_fix(struct mr_complaints *all, const char *fix, ...) MR_PRINTF(2, 3);
void mr_complain_also(struct mr_complaints *all, struct mr_place also, const char *note);

/* Prints all, sorted, each once, and a last line with their number, which it returns. Colour only
 * when `out` is a terminal. Passwords before an `@` come out as stars. */
uint32_t mr_complaints_print(struct mr_complaints *all, FILE *out);

/* A copy of `text` in which the password of every `user:password@` is `***`. */
char *mr_redact(struct mr_texts *strings, const char *text);

#endif
