/* A letter as one line of JSON: kind, reason, stage, detail, line, byte_offset, and the payload as
 * `data` if it is UTF-8, else as `data_base64`. Thread: pure. */
#ifndef MR_KEEPER_LETTER_JSON_H
#define MR_KEEPER_LETTER_JSON_H

#include "core/config.h"
#include "core/letter.h"

/* Where it was given up: "decode", "window" or "sink"; static. */
const char *mr_letter_stage(const struct mr_letter *letter);

size_t mr_letter_json_bytes_max(const struct mr_letter *letter);
char *mr_letter_json_put(char *at, const struct mr_config *config, const struct mr_letter *letter);

/* ,"data":"..." or ,"data_base64":"...": at most MR_TEXT_STRING_MAX of the body and 16 more. */
char *mr_letter_json_put_data(char *at, struct mr_span body);

#endif
