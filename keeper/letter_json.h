/* A letter as one line of JSON: kind, reason, stage, detail, line, byte_offset, and the payload as
 * `data` if it is UTF-8, else as `data_base64`. Thread: pure. */
#ifndef MR_KEEPER_LETTER_JSON_H
#define MR_KEEPER_LETTER_JSON_H

#include "core/config.h"
#include "core/letter.h"

size_t mr_letter_json_bytes_max(const struct mr_letter *letter);
char *mr_letter_json_put(char *at, const struct mr_config *config, const struct mr_letter *letter);

#endif
