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

from check import equal, run
from engine import ORDERS, check_rows, engine

PSTEST, MILLRACE = sys.argv[1:3]
del sys.argv[1:3]
def main_job(pullers, io):
    with tempfile.TemporaryDirectory(prefix="millrace-pstest-") as home:
        lines = os.path.join(home, "orders.ndjson")
        subprocess.run([MILLRACE, "sim", "--count", str(ORDERS), "--invalid-ratio", "0.02",
                        "--out", lines], check=True, stderr=subprocess.DEVNULL)
        server = subprocess.Popen([PSTEST, lines], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        try:
            summary = engine(MILLRACE, home, server.stdout.readline().strip(), pullers, io)
            out, _ = server.communicate(timeout=30)
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
        seen = json.loads(out)
        equal(seen["published"], ORDERS, "published")
        equal(seen["acked"], ORDERS, "acknowledged")
        check_rows(home, summary)


def one_puller_over_io_uring():
    main_job(1, "auto")


def two_pullers_over_epoll():
    main_job(2, "epoll")


if __name__ == "__main__":
    sys.exit(run([one_puller_over_io_uring, two_pullers_over_epoll]))
