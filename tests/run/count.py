#!/usr/bin/env python3
"""count.py LABEL TESTLOG LOGS: meson's JSON lines -> lines of results for tests/run/stages.sh."""
import json
import re
import sys

PASSED = {"OK", "EXPECTEDFAIL"}


def last_line(run):
    lines = (run.get("stdout", "") + "\n" + run.get("stderr", "")).strip().splitlines()
    return lines[-1] if lines else "it gave no reason"


def keep_log(run, name, logs):
    path = f"{logs}/{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}.log"
    with open(path, "w") as log:
        log.write(run.get("stdout", "") + run.get("stderr", ""))
        log.write(f"\n{run['result']}, exit {run['returncode']}, {run['duration']:.1f} s: ")
        log.write(" ".join(run["command"]) + "\n")
    return path


def main(label, testlog, logs):
    for line in open(testlog):
        run = json.loads(line)
        name = f"{label} {run['name'].split(' / ')[-1]}"
        if run["result"] in PASSED:
            status, rest = "OK", ""
        elif run["result"] == "SKIP":
            status, rest = "SKIP", last_line(run).replace("\t", " ")
        else:
            status, rest = "FAIL", keep_log(run, name, logs)
        print(status, name, rest, sep="\t")


main(*sys.argv[1:])
