/* Aim: the decoder's verdict on payloads from standard input, one line each, for comparison with
 * the plain parser of tests/oracle (see tests/prove/decode).
 *
 * decode_cli PAYLOAD_BYTES_MAX NAME,TYPE,SCALE,FLAGS,UNIT,PATH ...
 * FLAGS are letters: o optional, s numbers also as strings; PATH has dots. Each payload comes as
 * its length in 32 bits little-endian, then its bytes, and is decoded where a forbidden page
 * follows it. Two decoders judge it, one that remembers layouts and one that never does; if they
 * differ, the line says so. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "sources/decode.h"

#define PAYLOAD_LIMIT (UINT32_C(1) << 24)
#define PARTS         6

static struct mr_config config;

static enum mr_type type_of(const char *name)
{
    static const char *const names[] = {"string", "int", "bool", "decimal", "event_time"};

    for (uint32_t i = 0; i < MR_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum mr_type)i;
    fprintf(stderr, "decode_cli: no such type: %s\n", name);
    exit(MR_EXIT_USAGE);
}

static enum mr_time_unit unit_of(const char *name)
{
    static const char *const names[] = {"auto", "s", "ms", "us", "ns"};

    for (uint32_t i = 0; i < MR_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum mr_time_unit)i;
    fprintf(stderr, "decode_cli: no such unit: %s\n", name);
    exit(MR_EXIT_USAGE);
}

static void add_field(char *spec)
{
    struct mr_field *field = &config.decode.fields[config.decode.field_count];
    char *parts[PARTS] = {NULL}, *rest = spec;

    for (int i = 0; i < PARTS; i++)
        parts[i] = strsep(&rest, ",");
    if (parts[PARTS - 1] == NULL || config.decode.field_count == MR_FIELDS_MAX)
        exit(MR_EXIT_USAGE);
    field->name = parts[0];
    field->type = type_of(parts[1]);
    field->scale = (uint8_t)atoi(parts[2]);
    field->optional = strchr(parts[3], 'o') != NULL;
    field->from_string = strchr(parts[3], 's') != NULL;
    field->unit = unit_of(parts[4]);
    for (rest = parts[5]; rest != NULL && field->path_count < MR_PATH_MAX;)
        field->path[field->path_count++] = strsep(&rest, ".");
    if (field->type == MR_TYPE_EVENT_TIME)
        config.decode.event_time = config.decode.field_count;
    config.decode.field_count++;
}

static void print_value(FILE *out, const struct mr_field *field, const struct mr_value *value)
{
    fprintf(out, "\t%s=", field->name);
    if (value->kind == MR_VALUE_ABSENT)
        fputc('-', out);
    else if (field->type != MR_TYPE_STRING)
        fprintf(out, "%lld", (long long)value->number);
    else
        for (size_t i = 0; i < value->text.bytes; i++)
            fprintf(out, "%02x", value->text.data[i]);
}

/* The verdict as a line in `line`, which the caller frees. */
static char *verdict(struct mr_decoder *decoder, struct mr_span payload)
{
    static struct mr_decoded decoded;
    char *line = NULL;
    size_t bytes;
    FILE *out = open_memstream(&line, &bytes);

    if (mr_decode(decoder, payload, &decoded) != MR_REASON_NONE) {
        fputs(mr_reason_name(decoded.reason), out);
    } else {
        fprintf(out, "ok\t%lld", (long long)decoded.event_us);
        for (uint32_t i = 0; i < config.decode.field_count; i++)
            print_value(out, &config.decode.fields[i], &decoded.values[i]);
        fprintf(out, "\trounded=%u", decoded.decimals_rounded);
    }
    fclose(out);
    return line;
}

static void judge(struct mr_decoder *decoders[2], struct mr_span payload)
{
    char *quick = verdict(decoders[0], payload), *complete;

    mr_decoder_forget(decoders[1]);
    complete = verdict(decoders[1], payload);
    if (strcmp(quick, complete) == 0)
        puts(quick);
    else
        printf("the layout's verdict differs: %s | %s\n", quick, complete);
    free(quick);
    free(complete);
}

int main(int argc, char **argv)
{
    struct mr_decoder *decoders[2];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *arena, length[4];

    if (argc < 3)
        return MR_EXIT_USAGE;
    config.decode.payload_bytes_max = strtoull(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++)
        add_field(argv[i]);
    arena = mmap(NULL, PAYLOAD_LIMIT + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
    if (arena == MAP_FAILED || mprotect(arena + PAYLOAD_LIMIT, page, PROT_NONE) != 0 ||
        mr_decoder_create(&decoders[0], &config) != MR_OK ||
        mr_decoder_create(&decoders[1], &config) != MR_OK)
        return MR_EXIT_SOFTWARE;
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        uint32_t bytes = mr_load32(length);
        uint8_t *at = arena + PAYLOAD_LIMIT - bytes;
        if (bytes > PAYLOAD_LIMIT || fread(at, 1, bytes, stdin) != bytes)
            return MR_EXIT_DATA;
        judge(decoders, mr_span_of(at, bytes));
    }
    mr_decoder_destroy(decoders[0]);
    mr_decoder_destroy(decoders[1]);
    return MR_EXIT_OK;
}
