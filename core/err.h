/* Every error code with its sentence, from core/err.def.
 * Flow (full, empty, partial, again) is not an error: see MR_PARTIAL and MR_AGAIN. */
#ifndef MR_CORE_ERR_H
#define MR_CORE_ERR_H

enum mr_err {
    MR_OK = 0,
    MR_PARTIAL = -1, /* a parser needs more bytes */
    MR_AGAIN = -2,   /* no room or no work now; ask again in a later turn */
#define MR_ERROR(name, number, cause, fix) MR_E_##name = -(number),
#include "core/err.def"
#undef MR_ERROR
};

/* "MR2001", "a file cannot be opened", "check the path ..."; "MR0000" and "" for no such code.
 * The strings are static. */
const char *mr_err_code(int err);
const char *mr_err_cause(int err);
const char *mr_err_fix(int err);

/* Exit codes (BSD sysexits, plus our own 2, 3, 75, 77). */
enum mr_exit {
    MR_EXIT_OK = 0,
    MR_EXIT_REGRESSION = 2,
    MR_EXIT_TEST_FAILED = 3,
    MR_EXIT_USAGE = 64,
    MR_EXIT_DATA = 65,
    MR_EXIT_NO_INPUT = 66,
    MR_EXIT_UNAVAILABLE = 69,
    MR_EXIT_SOFTWARE = 70,
    MR_EXIT_CANNOT_CREATE = 73,
    MR_EXIT_IO = 74,
    MR_EXIT_TEMPORARY = 75,
    MR_EXIT_PERMISSION = 77,
    MR_EXIT_CONFIG = 78,
};

#endif
