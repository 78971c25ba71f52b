"""Our engine and simulator against the Pub/Sub emulator of the Google Cloud SDK.

    engine_on_emulator.py EMULATOR MILLRACE

The simulator publishes to the emulator, `millrace run --until-drained` pulls from it: the rows must
hold every order; a second run must find the subscription empty."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from check import equal, run
from engine import ORDERS, check_rows, engine

EMULATOR, MILLRACE = sys.argv[1:3]
del sys.argv[1:3]
TOPIC = "projects/demo/topics/orders-stream"
SUBSCRIPTION = "projects/demo/subscriptions/orders-millrace"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def put(address, name, body):
    request = urllib.request.Request(f"http://{address}/v1/{name}", json.dumps(body).encode(),
                                     {"content-type": "application/json"}, method="PUT")
    urllib.request.urlopen(request, timeout=10).read()


def wait_for(address):
    host, port = address.split(":")
    until = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((host, int(port)), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def main_job():
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="millrace-emulator-") as home:
        server = subprocess.Popen([EMULATOR, "--host=127.0.0.1", "--port=" + address.split(":")[1]],
                                  cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  start_new_session=True)
        try:
            wait_for(address)
            put(address, TOPIC, {})
            put(address, SUBSCRIPTION, {"topic": TOPIC, "ackDeadlineSeconds": 60})
            subprocess.run([MILLRACE, "sim", "--count", str(ORDERS), "--invalid-ratio", "0.02",
                            "--topic", TOPIC, "--endpoint", address], check=True,
                           stderr=subprocess.DEVNULL, timeout=60)
            check_rows(home, engine(MILLRACE, home, address, 2, "auto"))
            equal(engine(MILLRACE, home, address, 1, "epoll")["received"], 0, "left over")
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


if __name__ == "__main__":
    sys.exit(run([main_job]))
