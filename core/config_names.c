#include "core/config_parts.h"

#include <stdlib.h>

#include "core/err.h"
#include "core/units.h"

#define TABLE_BYTES_MAX 128
#define CPU_MAX         1023

static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char digits[] = "0123456789";

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 6 to 30 of a-z, 0-9 and -, beginning with a letter; short names are taken for local clouds;
 * "example.com:name" is the older form of a domain's project. */
static bool project_fits(const char *name, size_t bytes)
{
    const char *colon = memchr(name, ':', bytes);
    const char *own = colon ? colon + 1 : name;
    size_t own_bytes = bytes - (size_t)(own - name);

    if (own_bytes < 1 || own_bytes > 30 || !strchr(lower, own[0]) || own[own_bytes - 1] == '-')
        return false;
    for (size_t i = 0; i < own_bytes; i++)
        if (!strchr(lower, own[i]) && !strchr(digits, own[i]) && own[i] != '-')
            return false;
    for (const char *c = name; c < own; c++)
        if (!strchr(lower, *c) && !strchr(digits, *c) && !strchr(".-:", *c))
            return false;
    return true;
}

/* projects/P/KIND/NAME. */
static bool resource_fits(const char *text, const char *kind)
{
    static const char rest[] = "-_.~+%";
    const char *project = text + strlen("projects/");

    if (strncmp(text, "projects/", strlen("projects/")) != 0)
        return false;
    const char *slash = strchr(project, '/');
    if (!slash || !project_fits(project, (size_t)(slash - project)))
        return false;
    size_t bytes = strlen(kind);
    if (strncmp(slash + 1, kind, bytes) != 0 || slash[1 + bytes] != '/')
        return false;
    const char *name = slash + bytes + 2;
    if (strlen(name) < 3 || strlen(name) > 255 || !is_letter(name[0]) ||
        strncmp(name, "goog", 4) == 0)
        return false;
    for (const char *c = name; *c; c++)
        if (!is_letter(*c) && !strchr(digits, *c) && !strchr(rest, *c))
            return false;
    return true;
}

static void check_resource(struct mr_config *config, const char *text, const char *path,
                           const char *kind, const char *example)
{
    struct mr_complaints *all = &config->text->complaints;

    if (!text || resource_fits(text, kind))
        return;
    mr_complain(all, MR_E_CONFIG_NAME, mr_config_place(config->text->root, path), "`%s` is `%.80s`",
                path, text);
    mr_complain_rule(all,
                     "projects/PROJECT/%s/NAME; NAME of 3 to 255 letters, digits and -_.~+%%, "
                     "a letter first, not goog",
                     kind);
    mr_complain_fix(all, "write for example `%s`", example);
}

static bool word_fits(const char *text, size_t bytes, size_t bytes_max)
{
    if (bytes < 1 || bytes > bytes_max)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (!is_letter(text[i]) && !strchr(digits, text[i]) && text[i] != '_')
            return false;
    return true;
}

static void check_dataset(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    const char *text = config->sinks.bigquery.dataset;

    if (!text)
        return;
    const char *dot = strrchr(text, '.');
    if (dot && project_fits(text, (size_t)(dot - text)) &&
        word_fits(dot + 1, strlen(dot + 1), 1024))
        return;
    mr_complain(all, MR_E_CONFIG_NAME,
                mr_config_place(config->text->root, "sinks.bigquery.dataset"),
                "`sinks.bigquery.dataset` is `%.80s`", text);
    mr_complain_rule(all, "PROJECT.DATASET; DATASET of 1 to 1024 letters, digits and _");
    mr_complain_fix(all, "write for example `demo.realtime`");
}

static void check_window_names(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;

    for (uint32_t w = 0; w < config->window_count; w++) {
        const char *name = config->windows[w].name;
        struct mr_place at = mr_config_place(config->text->windows[w], "name");
        if (!name)
            continue;
        if (!word_fits(name, strlen(name), TABLE_BYTES_MAX)) {
            mr_complain(all, MR_E_CONFIG_NAME, at, "a window named `%.80s`", name);
            mr_complain_rule(all, "1 to %d letters, digits and _: it is also the table's name",
                             TABLE_BYTES_MAX);
            mr_complain_fix(all, "write for example `orders_windows`");
        }
        for (uint32_t other = 0; other < w; other++) {
            if (!config->windows[other].name || strcmp(config->windows[other].name, name) != 0)
                continue;
            mr_complain(all, MR_E_CONFIG_TWICE, at, "a second window named `%s`", name);
            mr_complain_also(all, mr_config_place(config->text->windows[other], "name"),
                             "the first");
            mr_complain_fix(all, "give each window its own name");
            break;
        }
    }
}

static bool cpu_at(const char **text, unsigned long *cpu)
{
    char *end;

    if (!strchr(digits, **text) || **text == '\0')
        return false;
    *cpu = strtoul(*text, &end, 10);
    *text = end;
    return *cpu <= CPU_MAX;
}

/* role=cpu[-cpu], with `,` between; each role once. */
static const char *affinity_wrong(const char *text)
{
    static const char *const roles[] = {"puller", "aggregator", "writer", "keeper"};
    uint32_t seen = 0;

    for (bool more = true; more;) {
        size_t bytes = strcspn(text, "=");
        uint32_t role = 0;
        unsigned long first, last;
        while (role < MR_COUNT(roles) &&
               (strlen(roles[role]) != bytes || strncmp(roles[role], text, bytes) != 0))
            role++;
        if (role == MR_COUNT(roles))
            return "a role is none of puller, aggregator, writer, keeper";
        if (seen & 1u << role)
            return "a role stands twice";
        seen |= 1u << role;
        text += bytes + 1;
        if (text[-1] != '=' || !cpu_at(&text, &first))
            return "a role has no CPU number of at most 1023 behind `=`";
        last = first;
        if (*text == '-' && (text++, !cpu_at(&text, &last)))
            return "a range has no end";
        if (last < first)
            return "a range runs backwards";
        if (*text && *text != ',')
            return "something other than `,` stands behind a CPU";
        more = *text == ',';
        text++;
    }
    return NULL;
}

static void check_affinity(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    const char *text = config->workers.affinity;
    const char *wrong = text ? affinity_wrong(text) : NULL;

    if (!wrong)
        return;
    mr_complain(all, MR_E_CONFIG_VALUE, mr_config_place(config->text->root, "workers.affinity"),
                "`workers.affinity` is `%.80s`: %s", text, wrong);
    mr_complain_rule(all, "role=cpu or role=cpu-cpu, with `,` between, each role once");
    mr_complain_fix(all, "write for example `puller=2,aggregator=4-5`");
}

static void check_url(struct mr_config *config)
{
    struct mr_complaints *all = &config->text->complaints;
    const char *text = config->sinks.redis_url;

    if (!text || strncmp(text, "redis://", 8) == 0)
        return;
    mr_complain(all, MR_E_CONFIG_VALUE, mr_config_place(config->text->root, "sinks.redis.url"),
                "`sinks.redis.url` does not begin with redis://");
    mr_complain_rule(all, "redis://[user:password@]host:port");
    mr_complain_fix(all, "write for example `redis://127.0.0.1:6379`");
}

void mr_config_check_names(struct mr_config *config)
{
    check_resource(config, config->source.pubsub.subscription, "source.pubsub.subscription",
                   "subscriptions", "projects/demo/subscriptions/orders-millrace");
    check_resource(config, config->sinks.dead_letter_topic, "sinks.dead_letter.topic", "topics",
                   "projects/demo/topics/orders-dlq");
    check_dataset(config);
    check_window_names(config);
    check_affinity(config);
    check_url(config);
}
