#include "app/summary.h"

#include <inttypes.h>

static const char *broken_law(const struct mr_summary *summary)
{
    const struct mr_account *account = &summary->account;

    /* Counted by different workers, so that none can hide what another lost. */
    if (summary->received != account->received)
        return "events pulled = events applied";
    if (summary->letters != account->letters)
        return "letters applied = letters written";
    if (summary->rows !=
        account->rows[MR_EARLY] + account->rows[MR_ON_TIME] + account->rows[MR_LATE])
        return "rows fired = rows written";
    return mr_account_broken_law(account, true);
}

void mr_summary_read(struct mr_summary *summary, struct mr_topology *t, double seconds)
{
    struct mr_intake intake;

    *summary = (struct mr_summary){.seconds = seconds};
    for (uint32_t a = 0; a < t->aggregator_count; a++)
        mr_account_add(&summary->account, &t->aggregators[a].share.account);
    mr_topology_intake(t, &intake);
    summary->received = intake.received;
    summary->decimals_rounded = intake.decimals_rounded;
    summary->bytes = intake.bytes;
    for (uint32_t i = 0; i < t->thread_count; i++)
        summary->cpu_seconds += (double)atomic_load(&t->threads[i].cpu_ns) / 1e9;
    summary->rows = atomic_load(&t->writer.rows);
    summary->letters = atomic_load(&t->keeper.letters);
    summary->broken_law = broken_law(summary);
}

static void print_count(FILE *out, const char *name, uint64_t count, const char *note)
{
    char digits[32], grouped[40];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count), at = 0;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    grouped[at] = '\0';
    fprintf(out, "  %-12s %14s  %s\n", name, grouped, note);
}

static void print_letters(FILE *out, const struct mr_account *account)
{
    print_count(out, "letters", account->letters, account->letters ? "could not be decoded:" : "");
    for (int reason = 0; reason < MR_REASONS; reason++)
        if (account->letters_by_reason[reason] > 0)
            fprintf(out, "  %12s %14s    %-18s %" PRIu64 "\n", "", "",
                    mr_reason_name((enum mr_reason)reason), account->letters_by_reason[reason]);
}

void mr_summary_print(const struct mr_summary *summary, const struct mr_config *config, FILE *out)
{
    const struct mr_account *account = &summary->account;
    char note[160];

    fputc('\n', out);
    snprintf(note, sizeof note, "in %.2f s, %.2f CPU seconds", summary->seconds,
             summary->cpu_seconds);
    print_count(out, "orders", summary->received, note);
    print_count(out, "duplicates", account->duplicates, "dropped by their id");
    print_letters(out, account);
    snprintf(note, sizeof note, "of %" PRIu64 " keys, fired on time", account->keys);
    print_count(out, "windows", account->windows, note);
    snprintf(note, sizeof note, "%" PRIu64 " on time, %" PRIu64 " late", account->rows[MR_ON_TIME],
             account->rows[MR_LATE]);
    print_count(out, "rows", summary->rows, note);
    print_count(out, "late", account->pairs_late,
                "(order, window) pairs behind the allowed lateness: not counted");
    print_count(out, "late orders", account->late_events, "too late for all their windows");
    if (account->no_window > 0)
        print_count(out, "no window", account->no_window, "between windows: size is below hop");
    if (account->forgotten_ids > 0)
        print_count(out, "ids forgotten", account->forgotten_ids,
                    "limits.dedup is too small: a repeat may have passed");
    fputc('\n', out);
    if (summary->broken_law) {
        fprintf(out, "  ✗ BROKEN: %s\n", summary->broken_law);
    } else {
        fprintf(out,
                "  ✓ %" PRIu64 " orders = %" PRIu64 " duplicates + %" PRIu64 " admitted + %" PRIu64
                " letters\n",
                summary->received, account->duplicates, account->admitted, account->letters);
        fprintf(out, "  ✓ %" PRIu64 " pairs = %" PRIu64 " in rows + %" PRIu64 " late\n",
                account->pairs_assigned, account->pairs_fired, account->pairs_late);
    }
    if (config->sinks.file && strcmp(config->sinks.file, "-") != 0)
        fprintf(out, "\n  rows     %s\n", config->sinks.file);
    for (uint32_t w = 0; config->sinks.bigquery.dataset && w < config->window_count; w++)
        fprintf(out, "  table    %s.%s\n", config->sinks.bigquery.dataset, config->windows[w].name);
    if (config->sinks.dead_letter_file || config->sinks.dead_letter_topic)
        fprintf(out, "  letters  %s\n",
                config->sinks.dead_letter_file ? config->sinks.dead_letter_file
                                               : config->sinks.dead_letter_topic);
}

void mr_summary_print_json(const struct mr_summary *summary, FILE *out)
{
    const struct mr_account *account = &summary->account;
    const char *comma = "";

    fprintf(out,
            "{\"received\":%" PRIu64 ",\"letters\":%" PRIu64 ",\"duplicates\":%" PRIu64
            ",\"decoded\":%" PRIu64 ",\"pairs_assigned\":%" PRIu64 ",\"pairs_added\":%" PRIu64
            ",\"pairs_late\":%" PRIu64 ",\"late_events\":%" PRIu64 ",\"no_window\":%" PRIu64,
            summary->received, summary->letters, account->duplicates, account->admitted,
            account->pairs_assigned, account->pairs_added, account->pairs_late,
            account->late_events, account->no_window);
    fprintf(out,
            ",\"rows\":%" PRIu64 ",\"rows_on_time\":%" PRIu64 ",\"rows_late\":%" PRIu64
            ",\"decimals_rounded\":%" PRIu64 ",\"windows\":%" PRIu64 ",\"keys\":%" PRIu64
            ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"laws_hold\":%s",
            summary->rows, account->rows[MR_ON_TIME], account->rows[MR_LATE],
            summary->decimals_rounded, account->windows, account->keys, summary->bytes,
            summary->seconds, summary->cpu_seconds, summary->broken_law ? "false" : "true");
    fputs(",\"letters_by_reason\":{", out);
    for (int reason = 0; reason < MR_REASONS; reason++)
        if (account->letters_by_reason[reason] > 0) {
            fprintf(out, "%s\"%s\":%" PRIu64, comma, mr_reason_name((enum mr_reason)reason),
                    account->letters_by_reason[reason]);
            comma = ",";
        }
    fputs("}}\n", out);
}
