#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "local/bq_time.h"

#define NO_VALUE "the value does not fit the type of the column"

/* ---- decimals ---- */

bool mr_bq_decimal_parse(struct mr_span text, struct mr_bq_decimal *decimal)
{
    struct mr_cursor c = mr_cursor_of(text);
    int32_t exponent = 0;
    bool point = false, any = false;

    *decimal = (struct mr_bq_decimal){0};
    if (!mr_cursor_done(&c) && (*c.at == '-' || *c.at == '+'))
        decimal->negative = *c.at++ == '-';
    for (; !mr_cursor_done(&c) && ((*c.at >= '0' && *c.at <= '9') || (*c.at == '.' && !point));
         c.at++) {
        if (*c.at == '.') {
            point = true;
            continue;
        }
        any = true;
        decimal->scale += point;
        if (*c.at == '0' && decimal->count == 0)
            continue;
        if (decimal->count == MR_BQ_DIGITS_MAX)
            return false;
        decimal->digits[decimal->count++] = (char)*c.at;
    }
    if (any && !mr_cursor_done(&c) && (*c.at == 'e' || *c.at == 'E')) {
        c.at++;
        bool down = !mr_cursor_done(&c) && *c.at == '-';
        if (!mr_cursor_done(&c) && (*c.at == '-' || *c.at == '+'))
            c.at++;
        any = !mr_cursor_done(&c);
        for (; !mr_cursor_done(&c) && *c.at >= '0' && *c.at <= '9' && exponent < 1000; c.at++)
            exponent = exponent * 10 + (*c.at - '0');
        exponent = down ? -exponent : exponent;
    }
    if (!any || !mr_cursor_done(&c))
        return false;
    decimal->scale -= exponent;
    while (decimal->count && decimal->scale > 0 && decimal->digits[decimal->count - 1] == '0') {
        decimal->count--;
        decimal->scale--;
    }
    if (decimal->count == 0)
        *decimal = (struct mr_bq_decimal){0};
    for (; decimal->scale < 0; decimal->scale++) {
        if (decimal->count == MR_BQ_DIGITS_MAX)
            return false;
        decimal->digits[decimal->count++] = '0';
    }
    return decimal->scale < MR_BQ_DIGITS_MAX;
}

size_t mr_bq_decimal_print(const struct mr_bq_decimal *decimal, char text[MR_BQ_DECIMAL_MAX])
{
    char *at = text;
    int32_t whole = decimal->count - decimal->scale;

    if (decimal->negative)
        *at++ = '-';
    if (whole <= 0)
        *at++ = '0';
    for (int32_t i = 0; i < decimal->count; i++) {
        if (i == MR_MAX(whole, 0)) {
            *at++ = '.';
            for (int32_t zero = whole; zero < 0; zero++)
                *at++ = '0';
        }
        *at++ = decimal->digits[i];
    }
    *at = 0;
    return (size_t)(at - text);
}

/* The magnitude of a two's complement, little-endian number of up to 32 bytes, divided down nine
 * digits at a time. */
static void decimal_of_bytes(struct mr_span bytes, int32_t scale, struct mr_bq_decimal *decimal)
{
    uint32_t limbs[8] = {0};
    char digits[MR_BQ_DIGITS_MAX + 10];
    int32_t count = 0;
    bool negative = bytes.bytes && (bytes.data[bytes.bytes - 1] & 128);

    for (size_t i = 0; i < 32; i++) {
        uint8_t byte = i < bytes.bytes ? bytes.data[i] : negative ? 255 : 0;
        limbs[i / 4] |= (uint32_t)byte << (i % 4 * 8);
    }
    uint64_t carry = 1;
    for (int i = 0; negative && i < 8; i++) {
        carry += (uint32_t)~limbs[i];
        limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    for (bool more = true; more;) {
        uint64_t rest = 0;
        more = false;
        for (int i = 7; i >= 0; i--) {
            rest = rest << 32 | limbs[i];
            limbs[i] = (uint32_t)(rest / 1000000000);
            rest %= 1000000000;
            more |= limbs[i] != 0;
        }
        for (int i = 0; i < 9; i++, rest /= 10)
            digits[count++] = (char)('0' + rest % 10);
    }
    char text[MR_BQ_DECIMAL_MAX];
    char *at = text;
    if (negative)
        *at++ = '-';
    while (count)
        *at++ = digits[--count];
    at += sprintf(at, "e-%d", scale);
    bool good = mr_bq_decimal_parse(mr_span_of(text, (size_t)(at - text)), decimal);
    MR_ASSERT(good);
}

static const char *cell_of_decimal(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                   const struct mr_bq_decimal *decimal, struct mr_bq_cell *cell)
{
    static const char big_max[] = "578960446186580977117854925043439539266";
    bool big = column->type == MR_BIGQUERY_BIGNUMERIC;
    int32_t scale = big ? 38 : 9, whole = big ? 39 : 29;
    int32_t digits = decimal->count - decimal->scale;
    char text[MR_BQ_DECIMAL_MAX];

    if (column->precision) {
        scale = (int32_t)column->scale;
        whole = (int32_t)(column->precision - column->scale);
    }
    if (decimal->scale > scale)
        return "the number has more digits behind the point than the column holds";
    if (digits > whole || (digits == 39 && memcmp(decimal->digits, big_max, 39) > 0))
        return "the number is out of range";
    size_t bytes = mr_bq_decimal_print(decimal, text);
    if (decimal->scale == 0 && decimal->count <= 18)
        *cell = (struct mr_bq_cell){.kind = MR_BQ_INTEGER, .integer = strtoll(text, NULL, 10)};
    else if (decimal->count <= 15)
        *cell = (struct mr_bq_cell){.kind = MR_BQ_REAL, .real = strtod(text, NULL)};
    else
        *cell = (struct mr_bq_cell){.kind = MR_BQ_TEXT,
                                    .bytes = (uint32_t)bytes,
                                    .data = mr_bq_heap_copy(heap, mr_span_of(text, bytes))};
    return NULL;
}

static const char *cell_of_decimal_text(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                        struct mr_span text, struct mr_bq_cell *cell)
{
    struct mr_bq_decimal decimal;

    if (!mr_bq_decimal_parse(text, &decimal))
        return "the text is not a decimal number";
    return cell_of_decimal(heap, column, &decimal, cell);
}

/* ---- dates and times ---- */

static void cell_text(struct mr_bq_heap *heap, const char *text, const char *end,
                      struct mr_bq_cell *cell)
{
    struct mr_span span = mr_span_of(text, (size_t)(end - text));
    *cell = (struct mr_bq_cell){
        .kind = MR_BQ_TEXT, .bytes = (uint32_t)span.bytes, .data = mr_bq_heap_copy(heap, span)};
}

static const char *cell_of_us(struct mr_bq_heap *heap, int64_t us, bool zone,
                              struct mr_bq_cell *cell)
{
    if (us < MR_BQ_TIME_US_MIN || us > MR_BQ_TIME_US_MAX)
        return "the time lies outside the years 1 to 9999";
    char *text = mr_bq_heap_take(heap, MR_BQ_TIME_BYTES);
    mr_bq_timestamp_print(us, zone, text);
    *cell = (struct mr_bq_cell){
        .kind = MR_BQ_TEXT, .bytes = MR_BQ_TIME_BYTES - 2 + zone, .data = text};
    return NULL;
}

static const char *cell_of_days(struct mr_bq_heap *heap, int64_t days, struct mr_bq_cell *cell)
{
    struct mr_bq_civil civil = {0};
    char text[MR_BQ_TIME_BYTES];

    if (days < MR_BQ_DAYS_MIN || days > MR_BQ_DAYS_MAX)
        return "the date lies outside the years 1 to 9999";
    mr_bq_date_of(days, &civil);
    cell_text(heap, text, mr_bq_date_put(text, &civil), cell);
    return NULL;
}

/* Packed: us bits 0-19, second 20-25, minute 26-31, hour 32-36, day 37-41, month 42-45, year 46-59.
 * Source: the official clients' civil time encoding. */
static const char *cell_of_packed(struct mr_bq_heap *heap, uint64_t packed, bool dated,
                                  struct mr_bq_cell *cell)
{
    struct mr_bq_civil civil = {.us = packed & 0xFFFFF,
                                .second = packed >> 20 & 63,
                                .minute = packed >> 26 & 63,
                                .hour = packed >> 32 & 31,
                                .day = packed >> 37 & 31,
                                .month = packed >> 42 & 15,
                                .year = packed >> 46 & 16383};
    char text[MR_BQ_TIME_BYTES];

    if (packed >> (dated ? 60 : 37))
        return "the packed time has bits beyond its fields";
    if (!dated)
        civil.year = civil.month = civil.day = 1;
    if (!mr_bq_civil_valid(&civil))
        return "the packed time names no time";
    char *at = text;
    if (dated) {
        at = mr_bq_date_put(at, &civil);
        *at++ = 'T';
    }
    cell_text(heap, text, mr_bq_time_put(at, &civil), cell);
    return NULL;
}

static const char *cell_of_time_text(struct mr_bq_heap *heap, int32_t type, struct mr_span value,
                                     struct mr_bq_cell *cell)
{
    struct mr_cursor cursor = mr_cursor_of(value);
    struct mr_bq_civil civil = {0};
    char text[MR_BQ_TIME_BYTES];
    int64_t us;

    if (type == MR_BIGQUERY_TIMESTAMP || type == MR_BIGQUERY_DATETIME) {
        bool zone = type == MR_BIGQUERY_TIMESTAMP;
        if (!mr_bq_timestamp_parse(value, zone, &us))
            return zone ? "the text is not a timestamp" : "the text is not a date and time";
        return cell_of_us(heap, us, zone, cell);
    }
    if (type == MR_BIGQUERY_DATE) {
        if (!mr_bq_date_take(&cursor, &civil) || !mr_cursor_done(&cursor))
            return "the text is not a date";
        cell_text(heap, text, mr_bq_date_put(text, &civil), cell);
        return NULL;
    }
    civil.year = civil.month = civil.day = 1;
    if (!mr_bq_time_take(&cursor, &civil) || !mr_cursor_done(&cursor))
        return "the text is not a time of day";
    cell_text(heap, text, mr_bq_time_put(text, &civil), cell);
    return NULL;
}

/* ---- by kind of source ---- */

const char *mr_bq_cell_of_int(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                              int64_t value, struct mr_bq_cell *cell)
{
    char text[24];

    switch (column->type) {
    case MR_BIGQUERY_INT64:
        *cell = (struct mr_bq_cell){.kind = MR_BQ_INTEGER, .integer = value};
        return NULL;
    case MR_BIGQUERY_BOOL:
        *cell = (struct mr_bq_cell){.kind = MR_BQ_INTEGER, .integer = value != 0};
        return NULL;
    case MR_BIGQUERY_DOUBLE:
        *cell = (struct mr_bq_cell){.kind = MR_BQ_REAL, .real = (double)value};
        return NULL;
    case MR_BIGQUERY_TIMESTAMP:
        return cell_of_us(heap, value, true, cell);
    case MR_BIGQUERY_DATE:
        return cell_of_days(heap, value, cell);
    case MR_BIGQUERY_DATETIME:
    case MR_BIGQUERY_TIME:
        return cell_of_packed(heap, (uint64_t)value, column->type == MR_BIGQUERY_DATETIME, cell);
    case MR_BIGQUERY_NUMERIC:
    case MR_BIGQUERY_BIGNUMERIC:
        return cell_of_decimal_text(
            heap, column, mr_span_of(text, (size_t)sprintf(text, "%lld", (long long)value)), cell);
    default:
        return NO_VALUE;
    }
}

const char *mr_bq_cell_of_uint(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                               uint64_t value, struct mr_bq_cell *cell)
{
    char text[24];

    if (value <= INT64_MAX)
        return mr_bq_cell_of_int(heap, column, (int64_t)value, cell);
    if (column->type == MR_BIGQUERY_BOOL)
        return mr_bq_cell_of_int(heap, column, 1, cell);
    if (column->type != MR_BIGQUERY_NUMERIC && column->type != MR_BIGQUERY_BIGNUMERIC)
        return NO_VALUE;
    int bytes = sprintf(text, "%llu", (unsigned long long)value);
    return cell_of_decimal_text(heap, column, mr_span_of(text, (size_t)bytes), cell);
}

const char *mr_bq_cell_of_double(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                 double value, struct mr_bq_cell *cell)
{
    char text[512];

    if (column->type == MR_BIGQUERY_DOUBLE) {
        *cell = (struct mr_bq_cell){.kind = MR_BQ_REAL, .real = value};
        /* SQLite keeps no NaN: it would come back as NULL. */
        if (isnan(value))
            *cell = (struct mr_bq_cell){.kind = MR_BQ_TEXT, .bytes = 3, .data = "NaN"};
        return NULL;
    }
    if (column->type != MR_BIGQUERY_NUMERIC && column->type != MR_BIGQUERY_BIGNUMERIC)
        return NO_VALUE;
    if (!isfinite(value) || fabs(value) >= 1e39)
        return "the number is out of range";
    int scale = column->precision ? (int)column->scale : 9;
    int bytes = snprintf(text, sizeof text, "%.*f", scale, value);
    return cell_of_decimal_text(heap, column, mr_span_of(text, (size_t)bytes), cell);
}

const char *mr_bq_cell_of_bytes(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                struct mr_span value, struct mr_bq_cell *cell)
{
    struct mr_bq_decimal decimal;
    bool big = column->type == MR_BIGQUERY_BIGNUMERIC;

    if (column->type == MR_BIGQUERY_BYTES) {
        if (column->max_length && value.bytes > (size_t)column->max_length)
            return "the value is longer than the column's maximum length";
        *cell = (struct mr_bq_cell){
            .kind = MR_BQ_BLOB, .bytes = (uint32_t)value.bytes, .data = value.data};
        return NULL;
    }
    if (!big && column->type != MR_BIGQUERY_NUMERIC)
        return NO_VALUE;
    if (value.bytes == 0 || value.bytes > (big ? 32 : 16))
        return "the packed number has a wrong length";
    decimal_of_bytes(value, big ? 38 : 9, &decimal);
    return cell_of_decimal(heap, column, &decimal, cell);
}

static int64_t characters(struct mr_span text)
{
    int64_t count = 0;
    for (size_t i = 0; i < text.bytes; i++)
        count += (text.data[i] & 0xC0) != 0x80;
    return count;
}

static const char *cell_of_number_text(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                       struct mr_span value, struct mr_bq_cell *cell)
{
    const char *text = mr_bq_heap_copy(heap, value);
    struct mr_bq_decimal decimal;
    char *end;

    if (column->type == MR_BIGQUERY_DOUBLE) {
        double real = strtod(text, &end);
        if (value.bytes == 0 || *end || (size_t)(end - text) != value.bytes)
            return "the text is not a number";
        return mr_bq_cell_of_double(heap, column, real, cell);
    }
    if (!mr_bq_decimal_parse(value, &decimal) || decimal.scale || decimal.count > 19)
        return "the text is not a whole number of 64 bits";
    char digits[MR_BQ_DECIMAL_MAX];
    mr_bq_decimal_print(&decimal, digits);
    *cell = (struct mr_bq_cell){.kind = MR_BQ_INTEGER, .integer = strtoll(digits, NULL, 10)};
    bool capped = cell->integer == INT64_MAX || cell->integer == INT64_MIN;
    if (capped &&
        strcmp(digits, cell->integer < 0 ? "-9223372036854775808" : "9223372036854775807") != 0)
        return "the text is not a whole number of 64 bits";
    return NULL;
}

static bool is_word(struct mr_span text, const char *word)
{
    size_t bytes = strlen(word);
    if (text.bytes != bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if ((text.data[i] | 32) != (word[i] | 32))
            return false;
    return true;
}

const char *mr_bq_cell_of_text(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                               struct mr_span value, struct mr_bq_cell *cell)
{
    switch (column->type) {
    case MR_BIGQUERY_STRING:
        if (column->max_length && characters(value) > column->max_length)
            return "the value is longer than the column's maximum length";
        break;
    case MR_BIGQUERY_JSON:
    case MR_BIGQUERY_GEOGRAPHY:
    case MR_BIGQUERY_INTERVAL:
    case MR_BIGQUERY_RANGE:
        break;
    case MR_BIGQUERY_BYTES:
        return mr_bq_cell_of_bytes(heap, column, value, cell);
    case MR_BIGQUERY_BOOL:
        if (!is_word(value, "true") && !is_word(value, "false"))
            return "the text is neither true nor false";
        return mr_bq_cell_of_int(heap, column, is_word(value, "true"), cell);
    case MR_BIGQUERY_INT64:
    case MR_BIGQUERY_DOUBLE:
        return cell_of_number_text(heap, column, value, cell);
    case MR_BIGQUERY_NUMERIC:
    case MR_BIGQUERY_BIGNUMERIC:
        return cell_of_decimal_text(heap, column, value, cell);
    case MR_BIGQUERY_TIMESTAMP:
    case MR_BIGQUERY_DATETIME:
    case MR_BIGQUERY_DATE:
    case MR_BIGQUERY_TIME:
        return cell_of_time_text(heap, column->type, value, cell);
    default:
        return NO_VALUE;
    }
    if (!mr_utf8_valid(value))
        return "the text is not UTF-8";
    *cell = (struct mr_bq_cell){.kind = MR_BQ_TEXT,
                                .bytes = (uint32_t)value.bytes,
                                .data = value.bytes ? (const void *)value.data : ""};
    return NULL;
}

/* ---- default expressions ---- */

const char *mr_bq_cell_of_default(struct mr_bq_heap *heap, const struct mr_bq_column *column,
                                  int64_t now_us, struct mr_bq_cell *cell)
{
    struct mr_span text = mr_span_text(column->default_text);
    char now[MR_BQ_TIME_BYTES];

    while (text.bytes && text.data[text.bytes - 1] == ' ')
        text.bytes--;
    if (text.bytes > 2 && memcmp(text.data + text.bytes - 2, "()", 2) == 0)
        text.bytes -= 2;
    if (is_word(text, "null")) {
        *cell = (struct mr_bq_cell){.kind = MR_BQ_NULL};
        return NULL;
    }
    mr_bq_timestamp_print(now_us, true, now);
    if (is_word(text, "current_timestamp") && column->type == MR_BIGQUERY_TIMESTAMP)
        return cell_of_us(heap, now_us, true, cell);
    if (is_word(text, "current_datetime") && column->type == MR_BIGQUERY_DATETIME)
        return cell_of_us(heap, now_us, false, cell);
    if (is_word(text, "current_date") && column->type == MR_BIGQUERY_DATE)
        return mr_bq_cell_of_text(heap, column, mr_span_of(now, 10), cell);
    if (is_word(text, "current_time") && column->type == MR_BIGQUERY_TIME)
        return mr_bq_cell_of_text(heap, column, mr_span_of(now + 11, 15), cell);
    if (text.bytes >= 2 && (text.data[0] == '\'' || text.data[0] == '"') &&
        text.data[text.bytes - 1] == text.data[0]) {
        struct mr_span inner = mr_span_of(text.data + 1, text.bytes - 2);
        return mr_bq_cell_of_text(heap, column, inner, cell);
    }
    bool bare = column->type == MR_BIGQUERY_INT64 || column->type == MR_BIGQUERY_DOUBLE ||
                column->type == MR_BIGQUERY_BOOL || column->type == MR_BIGQUERY_NUMERIC ||
                column->type == MR_BIGQUERY_BIGNUMERIC;
    return bare ? mr_bq_cell_of_text(heap, column, text, cell)
                : "the default is neither a literal nor a CURRENT_ function";
}
