#include "core/config.h"

static const char minimal_text[] =
    "source: { file: orders.ndjson }\n"
    "decode:\n"
    "  fields: { region: string, amount: { decimal: 2 }, timestamp: event_time }\n"
    "windows:\n"
    "  - { name: orders_windows, group_by: [region], size: 5m, aggregates: [count, sum(amount)] }\n"
    "sinks: { file: rows.ndjson }\n";

static const char commented_text[] =
    "# A millrace configuration: orders in, rows of hopping windows out.\n"
    "# Values may hold ${VAR} or ${VAR:default}; `millrace check FILE` tells every error at once,\n"
    "# `millrace check FILE --effective` every value in force and where it came from.\n"
    "\n"
    "source:\n"
    "  file: orders.ndjson          # one JSON order a line; - is standard input\n"
    "  # Or from Pub/Sub:\n"
    "  # pubsub:\n"
    "  #   subscription: projects/demo/subscriptions/orders-millrace\n"
    "  #   streams: 4               # each carries about 10 MB/s\n"
    "\n"
    "decode:\n"
    "  format: json\n"
    "  fields:                      # string, int, bool, { decimal: DIGITS }, event_time\n"
    "    order_id: string\n"
    "    product_id: string\n"
    "    region: string             # deeper: { type: string, from: shop.region, optional: true }\n"
    "    amount: { decimal: 2 }     # exact: kept as a whole number of hundredths\n"
    "    timestamp: event_time      # exactly one; or { attribute: ts }, or publish_time\n"
    "  dedup: { field: order_id, horizon: 20m }   # from Pub/Sub also { by: message_id }\n"
    "\n"
    "windows:                       # up to 16\n"
    "  - name: orders_windows       # also the table's name\n"
    "    group_by: [region, product_id]\n"
    "    size: 5m\n"
    "    hop: 1m                    # left out: the size, windows do not overlap\n"
    "    offset: 0s\n"
    "    allowed_lateness: 3m       # a closed window takes late orders so long\n"
    "    aggregates: [count, sum(amount), min(amount), max(amount), avg(amount)]\n"
    "\n"
    "watermark:\n"
    "  max_disorder: 5s             # how late an order may come and still be on time\n"
    "  max_future_skew: 1m          # further in the future is an error of the clock\n"
    "\n"
    "sinks:\n"
    "  file: rows.ndjson            # - is standard output\n"
    "  dead_letter: { file: letters.ndjson }      # what could not be used, with its reason\n"
    "  # bigquery: { dataset: demo.realtime, delivery: exactly_once, firings: [on_time, late] }\n"
    "\n"
    "journal: none\n"
    "limits: { memory: 4GiB, keys: 10M, dedup: 1GiB }\n"
    "workers: auto\n";

void mr_config_print_example(FILE *out, bool minimal)
{
    fputs(minimal ? minimal_text : commented_text, out);
}
