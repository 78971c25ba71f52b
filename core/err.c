#include "core/err.h"

#include <stddef.h>

static const struct row {
    int err;
    const char *code, *cause, *fix;
} rows[] = {
#define MR_ERROR(name, number, cause, fix) {-(number), "MR" #number, cause, fix},
#include "core/err.def"
#undef MR_ERROR
};

static const struct row *find(int err)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].err == err)
            return &rows[i];
    return NULL;
}

const char *mr_err_code(int err)
{
    const struct row *row = find(err);
    return row ? row->code : "MR0000";
}

const char *mr_err_cause(int err)
{
    const struct row *row = find(err);
    return row ? row->cause : "";
}

const char *mr_err_fix(int err)
{
    const struct row *row = find(err);
    return row ? row->fix : "";
}
