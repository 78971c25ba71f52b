"""What the runs of our engine on other people's servers share: the configuration and the checks."""
import json
import os
import subprocess

from check import equal, true

ORDERS = 5000
CONFIG = """
source: { pubsub: { subscription: projects/demo/subscriptions/orders-millrace, streams: 3 } }
decode:
  fields: { order_id: string, product_id: string, region: string, amount: { decimal: 2 }, timestamp: event_time }
windows:
  - { name: w, group_by: [region], size: 1m, aggregates: [count, sum(amount)] }
watermark: { max_disorder: 1d }
sinks: { file: { path: rows.ndjson }, dead_letter: { file: letters.ndjson } }
journal: none
workers: { pullers: %d, aggregators: 2, io: %s }
"""


def engine(millrace, home, address, pullers, io):
    """The summary of one run until the subscription is empty."""
    open(os.path.join(home, "run.yaml"), "w").write(CONFIG % (pullers, io))
    done = subprocess.run(
        [millrace, "run", "run.yaml", "--until-drained", "--quiet", "--summary-json", "summary.json"],
        cwd=home, env={**os.environ, "PUBSUB_EMULATOR_HOST": address}, timeout=120,
        stderr=subprocess.PIPE, text=True)
    equal(done.returncode, 0, "exit code, with " + done.stderr[-300:])
    return json.load(open(os.path.join(home, "summary.json")))


def check_rows(home, summary):
    """All whole orders stand in rows, the broken ones are letters."""
    broken = ORDERS // 50
    true(summary["laws_hold"], "the laws of conservation")
    equal(summary["received"], ORDERS, "received")
    equal(summary["letters"], broken, "letters")
    rows = [json.loads(row) for row in open(os.path.join(home, "rows.ndjson"))]
    equal(sum(row["count"] for row in rows), ORDERS - broken, "orders in the rows")
