/* A JSON document that a service or a file gave us, read by path: "error.errors.0.reason". Small
 * documents only: each question walks the text again.
 * Owns    values point into the document.   Thread  pure.   Allocates never.
 * Errors  a document that is not JSON, or nests deeper than 32, answers every path with NONE.
 * Source  RFC 8259. */
#ifndef MR_KEEPER_DOCUMENT_H
#define MR_KEEPER_DOCUMENT_H

#include "core/base.h"

enum mr_value_kind {
    MR_VALUE_NONE, /* there is no such value */
    MR_VALUE_OBJECT,
    MR_VALUE_ARRAY,
    MR_VALUE_STRING,
    MR_VALUE_NUMBER,
    MR_VALUE_WORD, /* true, false, null */
};

struct mr_value {
    enum mr_value_kind kind;
    struct mr_span text; /* as it stands, quotes included */
};

bool mr_document_is_valid(struct mr_span document);

/* The value at `path`: members by name, array items by index from 0, joined by dots; "" is the
 * document itself. Names are compared as they stand, without resolving escapes; of a name given
 * twice the first counts. */
struct mr_value mr_document_get(struct mr_span document, const char *path);

/* The string at `path` with escapes resolved and a final zero. Returns its bytes, or -1: not a
 * string, longer than limit - 1, or holding a zero. */
int64_t mr_document_text(struct mr_span document, const char *path, char *text, size_t limit);

/* The integer at `path`, written as a number or, as Google's services do, as a string. */
bool mr_document_int(struct mr_span document, const char *path, int64_t *number);

#endif
