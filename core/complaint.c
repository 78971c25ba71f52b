#include "core/complaint.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"

#define QUOTE_BYTES_MAX 160 /* of a source line; the rest is cut */

static const char *say(struct mr_texts *strings, const char *format, va_list args)
{
    char *text = NULL;

    MR_ASSERT(vasprintf(&text, format, args) >= 0);
    char *kept = mr_texts_copy(strings, text, strlen(text));
    free(text);
    return kept;
}

void mr_complain(struct mr_complaints *all, int err, struct mr_place at, const char *found, ...)
{
    va_list args;

    if (all->count == MR_COMPLAINTS_MAX) {
        all->unkept++;
        return;
    }
    va_start(args, found);
    all->list[all->count] = (struct mr_complaint){
        .err = err,
        .at = at,
        .found = say(all->strings, found, args),
        .rule = mr_err_cause(err),
        .fix = mr_err_fix(err),
        .order = all->count,
    };
    all->count++;
    va_end(args);
}

static struct mr_complaint *last(struct mr_complaints *all)
{
    return all->count && !all->unkept ? &all->list[all->count - 1] : NULL;
}

void mr_complain_rule(struct mr_complaints *all, const char *rule, ...)
{
    va_list args;

    va_start(args, rule);
    if (last(all))
        last(all)->rule = say(all->strings, rule, args);
    va_end(args);
}

void mr_complain_fix(struct mr_complaints *all, const char *fix, ...)
{
    va_list args;

    va_start(args, fix);
    if (last(all))
        last(all)->fix = say(all->strings, fix, args);
    va_end(args);
}

void mr_complain_also(struct mr_complaints *all, struct mr_place also, const char *note)
{
    if (last(all)) {
        last(all)->also = also;
        last(all)->note = note;
    }
}

static int by_place(const void *left, const void *right)
{
    const struct mr_complaint *a = left, *b = right;

    if (a->at.set != b->at.set)
        return a->at.set < b->at.set ? -1 : 1;
    if (a->at.line != b->at.line)
        return a->at.line < b->at.line ? -1 : 1;
    if (a->at.column != b->at.column)
        return a->at.column < b->at.column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool same(const struct mr_complaint *a, const struct mr_complaint *b)
{
    return a->err == b->err && a->at.set == b->at.set && a->at.line == b->at.line &&
           a->at.column == b->at.column && strcmp(a->found, b->found) == 0;
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '"' || c == '\'' || c == '`' || c == ',' || c == '\n';
}

/* The password of the word around text[at] == '@' is [begin, at); false if there is none. */
static bool password(const char *text, size_t word, size_t at, size_t *begin)
{
    for (size_t i = word; i < at; i++) {
        if (text[i] != ':')
            continue;
        if (text[i + 1] == '/' && text[i + 2] == '/') {
            i += 2;
            continue;
        }
        *begin = i + 1;
        return i + 1 < at;
    }
    return false;
}

char *mr_redact(struct mr_texts *strings, const char *text)
{
    size_t bytes = strlen(text), out = 0, word = 0, copied = 0, begin;
    char *clean = mr_texts_take(strings, 4 * bytes + 4);

    for (size_t i = 0; i <= bytes; i++) {
        if (i < bytes && !ends_word(text[i]))
            continue;
        size_t at = i;
        while (at > word && text[at - 1] != '@')
            at--;
        if (at > word && password(text, word, at - 1, &begin)) {
            memcpy(clean + out, text + copied, begin - copied);
            out += begin - copied;
            memcpy(clean + out, "***", 3);
            out += 3;
            copied = at - 1;
        }
        word = i + 1;
    }
    memcpy(clean + out, text + copied, bytes - copied);
    return clean;
}

/* Line `number` of the source, without its end; empty beyond the last. */
static struct mr_span line_of(struct mr_span source, uint32_t number)
{
    const uint8_t *at = source.data, *end = mr_span_end(source);

    for (; number > 1 && at < end; number--) {
        const uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
        at = feed ? feed + 1 : end;
    }
    const uint8_t *feed = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    size_t bytes = (size_t)((feed ? feed : end) - at);
    if (bytes && at[bytes - 1] == '\r')
        bytes--;
    return mr_span_of(at, bytes);
}

/* Control characters and bytes that are no text never reach a terminal. */
static char *printable(struct mr_texts *strings, struct mr_span line)
{
    char *text = mr_texts_copy(strings, (const char *)line.data,
                               MR_MIN(line.bytes, (size_t)QUOTE_BYTES_MAX));

    for (char *c = text; *c; c++)
        if ((uint8_t)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return text;
}

static void quote(struct mr_complaints *all, struct mr_place at, const char *note, bool colour,
                  FILE *out)
{
    const char *red = colour ? "\033[31m" : "", *plain = colour ? "\033[0m" : "";
    struct mr_span line = at.set ? mr_span_text(all->sets[at.set - 1])
                                 : line_of(all->source, at.line);
    char *text = mr_redact(all->strings, printable(all->strings, line));
    uint32_t width = at.width ? at.width : 1;

    if (at.column > QUOTE_BYTES_MAX || line.bytes == 0)
        return;
    if (at.set)
        fprintf(out, "      | --set %s\n      |       ", text);
    else
        fprintf(out, "%5u | %s\n      | ", at.line, text);
    fprintf(out, "%*s%s", (int)at.column - 1, "", red);
    for (uint32_t i = 0; i < MR_MIN(width, (uint32_t)QUOTE_BYTES_MAX); i++)
        fputc(i ? '~' : '^', out);
    fprintf(out, "%s%s%s\n", plain, note ? " " : "", note ? note : "");
}

static void print_one(struct mr_complaints *all, const struct mr_complaint *one, bool colour,
                      FILE *out)
{
    const char *bold = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "";

    if (one->at.set)
        fprintf(out, "%s--set %u:%u: ", bold, one->at.set, one->at.column);
    else
        fprintf(out, "%s%s:%u:%u: ", bold, all->path, one->at.line, one->at.column);
    fprintf(out, "%s%s %s\n", mr_err_code(one->err), plain, mr_redact(all->strings, one->found));
    quote(all, one->at, NULL, colour, out);
    if (one->also.line)
        quote(all, one->also, one->note, colour, out);
    fprintf(out, "  rule: %s\n  fix:  %s\n", mr_redact(all->strings, one->rule),
            mr_redact(all->strings, one->fix));
}

uint32_t mr_complaints_print(struct mr_complaints *all, FILE *out)
{
    bool colour = isatty(fileno(out)) && !getenv("NO_COLOR");
    uint32_t told = 0;

    qsort(all->list, all->count, sizeof all->list[0], by_place);
    for (uint32_t i = 0; i < all->count; i++) {
        if (i && same(&all->list[i - 1], &all->list[i]))
            continue;
        print_one(all, &all->list[i], colour, out);
        told++;
    }
    told += all->unkept;
    if (all->unkept)
        fprintf(out, "and %u more, not shown\n", all->unkept);
    if (told)
        fprintf(out, "%u error%s\n", told, told == 1 ? "" : "s");
    return told;
}
