"""Our engine against a Pub/Sub that Google wrote: pstest, from its Go client.

    engine_on_pstest.py PSTEST MILLRACE

Orders without anything late are published to pstest and pulled by `millrace run --until-drained`:
the rows must hold every order, every message must be acknowledged. pstest keeps no outstanding
limits, sends one message a response, uses message ids as ack ids, and answers no keep-alive."""
import json
import os
import subprocess
import sys
import tempfile

from check import equal, run, true

PSTEST, MILLRACE = sys.argv[1:3]
del sys.argv[1:3]
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


def engine(home, address, pullers, io):
    open(os.path.join(home, "run.yaml"), "w").write(CONFIG % (pullers, io))
    done = subprocess.run(
        [MILLRACE, "run", "run.yaml", "--until-drained", "--quiet", "--summary-json", "summary.json"],
        cwd=home, env={**os.environ, "PUBSUB_EMULATOR_HOST": address}, timeout=120,
        stderr=subprocess.PIPE, text=True)
    equal(done.returncode, 0, "exit code, with " + done.stderr[-300:])
    return json.load(open(os.path.join(home, "summary.json")))


def main_job(pullers, io):
    with tempfile.TemporaryDirectory(prefix="millrace-pstest-") as home:
        lines = os.path.join(home, "orders.ndjson")
        subprocess.run([MILLRACE, "sim", "--count", str(ORDERS), "--invalid-ratio", "0.02",
                        "--out", lines], check=True, stderr=subprocess.DEVNULL)
        broken = ORDERS // 50
        server = subprocess.Popen([PSTEST, lines], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        try:
            summary = engine(home, server.stdout.readline().strip(), pullers, io)
            out, _ = server.communicate(timeout=30)
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
        seen = json.loads(out)
        equal(seen["published"], ORDERS, "published")
        equal(seen["acked"], ORDERS, "acknowledged")
        true(summary["laws_hold"], "the laws of conservation")
        equal(summary["letters"], broken, "letters")
        rows = [json.loads(row) for row in open(os.path.join(home, "rows.ndjson"))]
        equal(sum(row["count"] for row in rows), ORDERS - broken, "orders in the rows")


def one_puller_over_io_uring():
    main_job(1, "auto")


def two_pullers_over_epoll():
    main_job(2, "epoll")


if __name__ == "__main__":
    sys.exit(run([one_puller_over_io_uring, two_pullers_over_epoll]))
