#include "keeper/letter_json.h"

#include "core/text.h"
#include "wire/pb.h"

#define FIXED_BYTES_MAX 256

static char *put(char *at, const char *text)
{
    return mr_text_put(at, mr_span_text(text));
}

size_t mr_letter_json_bytes_max(const struct mr_letter *letter)
{
    return FIXED_BYTES_MAX + MR_TEXT_STRING_MAX((size_t)letter->detail_bytes) + 6 * 256 +
           MR_TEXT_STRING_MAX((size_t)letter->payload_bytes);
}

static char *put_base64(char *at, struct mr_span data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < data.bytes; i += 3) {
        size_t left = data.bytes - i;
        uint32_t word = (uint32_t)data.data[i] << 16;
        if (left > 1)
            word |= (uint32_t)data.data[i + 1] << 8;
        if (left > 2)
            word |= data.data[i + 2];
        *at++ = digits[word >> 18];
        *at++ = digits[word >> 12 & 63];
        *at++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[word & 63] : '=';
    }
    return at;
}

const char *mr_letter_stage(const struct mr_letter *letter)
{
    switch ((enum mr_reason)letter->reason) {
    case MR_REASON_LATE:
    case MR_REASON_KEY_LIMIT:
        return "window";
    case MR_REASON_SINK_REJECTED:
        return "sink";
    default:
        return "decode";
    }
}

/* "`amount`: not a number" where a field is at fault, else the detail alone. */
static char *put_detail(char *at, const struct mr_config *config, const struct mr_letter *letter)
{
    char text[256 + MR_LETTER_DETAIL_MAX];
    char *end = text;

    if (letter->field != MR_NO_FIELD) {
        struct mr_span name = mr_span_text(config->decode.fields[letter->field].name);
        name.bytes = MR_MIN(name.bytes, (size_t)200);
        *end++ = '`';
        end = put(mr_text_put(end, name), "`: ");
    }
    end = mr_text_put(end, mr_letter_detail(letter));
    return mr_text_put_json(at, mr_span_of(text, (size_t)(end - text)));
}

char *mr_letter_json_put_data(char *at, struct mr_span body)
{
    if (mr_utf8_valid(body))
        return mr_text_put_json(put(at, ",\"data\":"), body);
    return put(put_base64(put(at, ",\"data_base64\":\""), body), "\"");
}

char *mr_letter_json_put(char *at, const struct mr_config *config, const struct mr_letter *letter)
{
    at = put(at, "{\"kind\":\"order\",\"reason\":\"");
    at = put(at, mr_reason_name((enum mr_reason)letter->reason));
    at = put(put(at, "\",\"stage\":\""), mr_letter_stage(letter));
    at = put(at, "\",\"detail\":");
    at = put_detail(at, config, letter);
    at = put(at, ",\"line\":");
    at = mr_text_put_u64(at, letter->position);
    at = put(at, ",\"byte_offset\":");
    at = mr_text_put_u64(at, letter->error_offset);
    at = mr_letter_json_put_data(at, mr_letter_payload(letter));
    return put(at, "}\n");
}
