"""Aim: `sim` writes what it claims, as Python's own json sees it, and tells its failures."""

import collections
import datetime
import decimal
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

SIM = sys.argv.pop(1)
FIELDS = ["order_id", "product_id", "timestamp", "amount", "region"]
START = datetime.datetime(2025, 7, 22, 12)
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\Z")
CENTS_LIMIT = 2**63


def refuse(constant):
    raise ValueError(constant)


def parse_time(text):
    if not ISO.match(text):
        raise ValueError(text)
    return datetime.datetime.fromisoformat(text)


def reason_of(line, bytes_max=None):
    """The first rule that a payload breaks, or None; written apart from the engine."""
    if bytes_max and len(line) > bytes_max:
        return "too_large"
    try:
        order = json.loads(line.decode("utf-8"), parse_constant=refuse, parse_float=str)
    except (UnicodeDecodeError, ValueError):
        return "malformed_json"
    if any(order.get(field) is None for field in FIELDS):
        return "missing_field"
    for field in ("order_id", "product_id", "region"):
        if type(order[field]) is not str:
            return "bad_type"
    # parse_float gives text here, so a JSON string is told apart by a second reading.
    if type(json.loads(line)["amount"]) not in (int, float):
        return "bad_type"
    if type(order["timestamp"]) is not str:
        return "bad_type"
    try:
        parse_time(order["timestamp"])
    except ValueError:
        return "bad_timestamp"
    sign, digits, exponent = decimal.Decimal(order["amount"]).as_tuple()
    if exponent + 2 > 40:
        return "out_of_range"
    cents = int("".join(map(str, digits))) * 10 ** max(exponent + 2, 0) * (-1 if sign else 1)
    if not -CENTS_LIMIT <= cents < CENTS_LIMIT:
        return "out_of_range"
    return None


def sim(*args, **kwargs):
    return subprocess.run([SIM, *args], capture_output=True, timeout=120, **kwargs)


class Sim(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def lines(self, *args):
        """The lines and totals of one run to a file."""
        out, truth = self.path("orders"), self.path("truth")
        done = sim("--out", out, "--truth", truth, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        data = pathlib.Path(out).read_bytes()
        self.assertTrue(data == b"" or data.endswith(b"\n"))
        return data.split(b"\n")[:-1], json.loads(pathlib.Path(truth).read_text())

    def test_orders_are_spelled_as_python_spells_them(self):
        lines, totals = self.lines("--count", "50000", "--seed", "3")
        self.assertEqual(totals["orders"], 50000)
        cents = 0
        shapes = set()
        for i, line in enumerate(lines):
            order = json.loads(line)
            self.assertEqual(json.dumps(order).encode(), line)
            self.assertEqual(list(order), FIELDS)
            identity = uuid.UUID(order["order_id"])
            self.assertEqual((identity.version, identity.variant), (4, uuid.RFC_4122))
            self.assertIn(order["product_id"], ["P001", "P002", "P003", "P004"])
            self.assertIn(order["region"], ["us-west", "us-east", "europe", "asia"])
            self.assertIs(type(order["amount"]), float)
            self.assertTrue(10 <= order["amount"] <= 500)
            self.assertEqual(round(order["amount"], 2), order["amount"])
            cents += round(order["amount"] * 100)
            shapes.add(len(str(order["amount"]).split(".")[1]))
            at = parse_time(order["timestamp"])
            self.assertEqual(at.isoformat(), order["timestamp"])
            behind = START + datetime.timedelta(milliseconds=4 * i) - at
            self.assertTrue(datetime.timedelta(0) <= behind <= datetime.timedelta(seconds=5))
        self.assertEqual(shapes, {1, 2})
        self.assertEqual(cents, totals["amount_cents"])
        self.assertEqual(len(set(lines)), 50000)

    def test_whole_seconds_have_no_fraction(self):
        lines, _ = self.lines("--count", "100", "--event-rate", "2", "--disorder", "0s")
        times = [json.loads(line)["timestamp"] for line in lines]
        self.assertEqual(times[:3], ["2025-07-22T12:00:00", "2025-07-22T12:00:00.500000",
                                     "2025-07-22T12:00:01"])

    def test_seed_profile_spreads_over_120_days(self):
        lines, _ = self.lines("--count", "20000", "--profile", "seed", "--event-rate", "1e9")
        ages = [START - parse_time(json.loads(line)["timestamp"]) for line in lines]
        day = datetime.timedelta(days=1)
        self.assertTrue(-day / 1000 < min(ages) < day)
        self.assertTrue(119 * day < max(ages) <= 121 * day)

    def test_speed_and_start(self):
        lines, _ = self.lines("--count", "11", "--event-rate", "1", "--speed", "60",
                              "--disorder", "0s", "--start", "2024-02-29T23:59:00Z")
        self.assertEqual(json.loads(lines[0])["timestamp"], "2024-02-29T23:59:00")
        self.assertEqual(json.loads(lines[1])["timestamp"], "2024-03-01T00:00:00")
        self.assertEqual(json.loads(lines[10])["timestamp"], "2024-03-01T00:09:00")

    def test_dates_over_the_calendar(self):
        lines, _ = self.lines("--count", "60000", "--event-rate", "1", "--speed", "100000",
                              "--disorder", "0s", "--start", "1890-01-01T00:00:00")
        for i, line in enumerate(lines):
            at = datetime.datetime(1890, 1, 1) + datetime.timedelta(seconds=100000 * i)
            self.assertEqual(json.loads(line)["timestamp"], at.isoformat())

    def test_each_fault_has_its_reason(self):
        lines, totals = self.lines("--count", "50000", "--invalid-ratio", "1",
                                   "--too-large", "4000")
        found = collections.Counter(reason_of(line, 3999) for line in lines)
        self.assertEqual(dict(found), totals["invalid"])
        self.assertEqual(found["too_large"], 1000)
        self.assertEqual(totals["orders"], 0)
        # The cycle shows each reason early and evenly.
        lines, totals = self.lines("--count", "25", "--invalid-ratio", "1")
        self.assertEqual([reason_of(line) for line in lines[:5]],
                         ["malformed_json", "missing_field", "bad_type", "bad_timestamp",
                          "out_of_range"])
        self.assertEqual(totals["invalid"], {"too_large": 0, "malformed_json": 6,
                         "missing_field": 6, "bad_type": 5, "bad_timestamp": 5, "out_of_range": 3})

    def test_mixture_is_what_the_truth_says(self):
        lines, totals = self.lines("--count", "200000", "--late-ratio", "0.01", "--invalid-ratio",
                                   "0.005", "--duplicate-ratio", "0.01", "--clock-skew",
                                   "0.002:10s")
        found = collections.Counter(reason_of(line) for line in lines)
        valid = found.pop(None)
        distinct = {line for line in lines if reason_of(line) is None}
        totals["invalid"].pop("too_large")
        self.assertEqual(dict(found), totals["invalid"])
        self.assertEqual(valid, totals["orders"] + totals["duplicates"])
        self.assertEqual(len(distinct), totals["orders"])
        for key, asked in (("late_intended", 2000), ("duplicates", 2000), ("ahead_intended", 400)):
            self.assertAlmostEqual(totals[key], asked, delta=asked / 100)
        late = ahead = 0
        first = {}
        for i, line in enumerate(lines):
            if line not in distinct or line in first:
                continue
            first[line] = i
            behind = START + datetime.timedelta(milliseconds=4 * i) - parse_time(
                json.loads(line)["timestamp"])
            late += behind > datetime.timedelta(seconds=5)
            ahead += behind < datetime.timedelta(0)
        self.assertEqual(late, totals["late_intended"])
        self.assertEqual(ahead, totals["ahead_intended"])

    def test_same_seed_same_bytes(self):
        def digest(*args):
            return hashlib.sha256(sim("--count", "10000", *args).stdout).hexdigest()

        for args in ([], ["--profile", "seed"], ["--skew", "1.1", "--products", "500"]):
            self.assertEqual(digest(*args, "--seed", "5"), digest(*args, "--seed", "5"))
            self.assertNotEqual(digest(*args, "--seed", "5"), digest(*args, "--seed", "6"))

    def test_none_and_one(self):
        lines, totals = self.lines("--count", "0")
        self.assertEqual((lines, totals["payloads"]), ([], 0))
        lines, totals = self.lines("--count", "1")
        self.assertEqual((len(lines), totals["payloads"]), (1, 1))

    def test_products_and_regions(self):
        lines, _ = self.lines("--count", "5000", "--products", "1200", "--regions", "north,s_2.x")
        orders = [json.loads(line) for line in lines]
        self.assertEqual({order["region"] for order in orders}, {"north", "s_2.x"})
        self.assertTrue(all(re.match(r"P\d{3,4}\Z", order["product_id"]) for order in orders))
        self.assertGreater(len({order["product_id"] for order in orders}), 1100)

    def test_wrong_usage_is_told(self):
        cases = [
            (["--rate", "fast"], "payloads a second: 0, or in"),
            (["--rate", "-1"], "payloads a second"),
            (["--rate", "0.0001"], "0.001"),
            (["--rate", "nan"], "payloads a second"),
            (["--count", "1.5"], "whole number"),
            (["--count"], "has no value"),
            (["--seed", "-1"], "whole number"),
            (["--profile", "dead"], "live or seed"),
            (["--start", "2025-02-30T00:00:00"], "2025-07-22T12:00:00"),
            (["--start", "yesterday"], "2025-07-22T12:00:00"),
            (["--speed", "1e7"], "factor"),
            (["--disorder", "5"], "with a unit"),
            (["--late-ratio", "1.1"], "[0, 1]"),
            (["--late-ratio", "0.6", "--invalid-ratio", "0.6"], "at most 1"),
            (["--profile", "seed", "--late-ratio", "0.1"], "--profile live"),
            (["--clock-skew", "0.1"], "a colon"),
            (["--clock-skew", "2:5s"], "a colon"),
            (["--too-large", "5"], "bytes"),
            (["--products", "0"], "1000000"),
            (["--regions", "a,,b"], "names parted by commas"),
            (["--regions", 'a"b'], "names parted by commas"),
            (["--rate", "10", "--event-rate", "5"], "--event-rate"),
            (["--out", "-", "--truth", "-"], "different files"),
            (["--nonsense"], "no such option"),
            (["--cuont", "3"], "no such option"),
            (["extra"], "no such option"),
        ]
        for args, words in cases:
            with self.subTest(args=args):
                done = sim(*args)
                self.assertEqual(done.returncode, 64)
                self.assertEqual(done.stdout, b"")
                text = done.stderr.decode()
                self.assertIn("MR1001", text)
                self.assertIn("rule:", text)
                self.assertIn("fix:", text)
                self.assertIn(words, text)
                self.assertEqual(text.count("MR1001"), 1)

    def test_help_has_examples_that_run(self):
        done = sim("--help")
        self.assertEqual(done.returncode, 0)
        text = done.stdout.decode().replace("\\\n", " ")
        examples = re.findall(r"^  millrace sim (.*)$", text, re.MULTILINE)
        self.assertGreaterEqual(len(examples), 2)
        for example in examples:
            if "--topic" in example:
                continue  # needs a Pub/Sub to publish to
            args = example.split() + ["--count", "10", "--out", self.path("example")]
            if "--truth" in args:
                args += ["--truth", self.path("truth")]
            self.assertEqual(sim(*args).returncode, 0, example)

    def test_full_disk_is_told(self):
        done = sim("--out", "/dev/full", "--count", "10")
        self.assertEqual(done.returncode, 74)
        self.assertIn("No space left", done.stderr.decode())
        done = sim("--out", self.path("orders"), "--truth", "/dev/full", "--count", "10")
        self.assertEqual(done.returncode, 74)
        self.assertIn("No space left", done.stderr.decode())
        done = sim("--out", self.path("no/such/folder"))
        self.assertEqual(done.returncode, 73)
        self.assertIn("no/such/folder", done.stderr.decode())

    def test_broken_pipe_is_told(self):
        child = subprocess.Popen([SIM, "--count", "1000000"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        child.stdout.readline()
        child.stdout.close()
        text = child.stderr.read().decode()
        child.stderr.close()
        self.assertEqual(child.wait(60), 74)
        self.assertIn("Broken pipe", text)

    def test_interrupt_ends_in_order(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            out, truth = self.path("orders"), self.path("truth")
            child = subprocess.Popen([SIM, "--count", "forever", "--rate", "1000", "--out", out,
                                      "--truth", truth], stderr=subprocess.PIPE)
            while not os.path.exists(out) or os.path.getsize(out) == 0:
                time.sleep(0.01)
            child.send_signal(number)
            text = child.communicate(timeout=60)[1].decode()
            self.assertEqual(child.returncode, 0)
            self.assertIn("interrupted after", text)
            data = pathlib.Path(out).read_bytes()
            self.assertTrue(data.endswith(b"}\n"))
            totals = json.loads(pathlib.Path(truth).read_text())
            self.assertEqual(data.count(b"\n"), totals["payloads"])
            os.remove(out)

    def test_huge_steps_stop_at_the_last_year(self):
        lines, _ = self.lines("--count", "1000", "--event-rate", "0.001", "--speed", "1e6",
                              "--disorder", "0s")
        second = parse_time(json.loads(lines[1])["timestamp"])
        self.assertEqual(second - START, datetime.timedelta(seconds=10**9))
        self.assertEqual(json.loads(lines[-1])["timestamp"], "9999-12-31T23:59:59")

    def test_rate_is_kept(self):
        # No host makes this shorter: the last of the orders is due half a second after the first.
        begin = time.monotonic()
        lines, _ = self.lines("--count", "101", "--rate", "200")
        self.assertGreater(time.monotonic() - begin, 0.49)
        self.assertEqual(len(lines), 101)


if __name__ == "__main__":
    unittest.main()
