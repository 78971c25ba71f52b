#!/usr/bin/env python3
"""decode_check.py DECODE_JSON < PAYLOADS: the plain parser's verdict, one line for each payload.

DECODE_JSON is the `decode` mapping of a configuration. Payloads are separated by '\\n'; an empty
line is an empty payload here, so that input and output lines stay side by side.
A verdict is the reason of the letter, or tab-separated: ok, the event time in microseconds, then
name=value for each configured field in order: strings as hex of their UTF-8, ints and decimals as
integers of the smallest unit, bools 0 or 1, event times in microseconds, absent as -.
"""

import json
import sys

from decode import Decoder, Refused


def verdict(decoder, payload):
    try:
        values, _ = decoder.decode(payload)
    except Refused as refusal:
        return refusal.reason
    shown = [f'{name}={show(value)}' for name, value in values.items()]
    return '\t'.join(['ok', str(values[decoder.event_time.name]), *shown])


def show(value):
    if value is None:
        return '-'
    return value.encode('utf-8').hex() if isinstance(value, str) else str(int(value))


def main():
    decoder = Decoder(json.loads(sys.argv[1]))
    for line in sys.stdin.buffer:
        print(verdict(decoder, line[:-1] if line.endswith(b'\n') else line))


if __name__ == '__main__':
    main()
