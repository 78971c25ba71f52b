#!/usr/bin/env python3
"""The reference model: what millrace must say about a stream of orders, the slow, plain way.

It keeps every event of every window as it came, knows no panes, shares nothing between windows, and
counts in unbounded integers. Windows takes events and watermarks step by step and answers with
firings; run_stream is the whole pipeline over a file of lines.

model.py CONFIG STREAM --rows OUT --letters OUT --summary OUT     (CONFIG is YAML written as JSON)
"""

import argparse
import base64
import json
import math
import re
import sys
from datetime import date

from decode import DAY_US, EPOCH_DAY, REASONS, Decoder, Refused

END_OF_TIME = math.inf
BEFORE_TIME = -math.inf


# --- configuration --------------------------------------------------------------------------------

UNITS_US = {'us': 1, 'ms': 1000, 's': 10**6, 'm': 60 * 10**6, 'h': 3600 * 10**6, 'd': DAY_US}


def duration_us(text):
    """'5m', '250ms', '-90s' -> microseconds."""
    sign, count, unit = re.fullmatch(r'(-?)([0-9]+)(us|ms|s|m|h|d)', text).groups()
    return int(sign + count) * UNITS_US[unit]


class Aggregate:
    """`count` or KIND(FIELD); `places` is the decimal scale of its field."""

    def __init__(self, text, fields):
        match = re.fullmatch(r'(sum|min|max|avg)\((.+)\)', text)
        if not match and text != 'count':
            raise ValueError(f'no such aggregate: {text}')
        self.kind, self.field = match.groups() if match else ('count', None)
        self.key = f'{self.field}_{self.kind}' if match else 'count'
        self.places = fields[self.field].scale if match else 0

    def text(self, events):
        """The value as it stands in a row."""
        if self.kind == 'count':
            return str(len(events))
        values = [event.values[self.field] for event in events]
        values = [value for value in values if value is not None]
        if not values:
            return 'null'
        if self.kind == 'avg':
            total = sum(values) * 10**4
            average = (2 * abs(total) + len(values)) // (2 * len(values))  # half away from zero
            return decimal_text(-average if total < 0 else average, self.places + 4)
        combine = {'sum': sum, 'min': min, 'max': max}[self.kind]
        return decimal_text(combine(values), self.places)


class Definition:
    """One entry of `windows`. late_count None: what comes late waits for the expiry. finish_once:
    a window takes nothing more for a key once its end has fired. fire_always: it fires at its
    expiry even when nothing is new."""

    def __init__(self, name, size, hop, offset=0, lateness=0, group_by=(), aggregates=(),
                 discarding=False, early_count=None, late_count=1, finish_once=False,
                 fire_always=False):
        self.name, self.size, self.hop, self.offset = name, size, hop, offset
        self.lateness, self.group_by, self.aggregates = lateness, list(group_by), aggregates
        self.discarding, self.early_count, self.late_count = discarding, early_count, late_count
        self.finish_once, self.fire_always = finish_once, fire_always

    def starts(self, event_us):
        """The starts of the windows that contain `event_us`, latest first."""
        start = event_us - (event_us - self.offset) % self.hop  # floor modulo
        found = []
        while start > event_us - self.size:
            found.append(start)
            start -= self.hop
        return found


def read_definition(entry, fields):
    size = duration_us(entry['size'])
    early, late = entry.get('early') or {}, entry.get('late') or {}
    if 'every' in early or 'every' in late:
        raise ValueError('the model knows count triggers only')
    return Definition(
        entry['name'], size,
        duration_us(entry['hop']) if 'hop' in entry else size,
        duration_us(entry.get('offset', '0s')), duration_us(entry.get('allowed_lateness', '0s')),
        entry.get('group_by', []), [Aggregate(text, fields) for text in entry['aggregates']],
        entry.get('accumulation', 'accumulating') == 'discarding', early.get('count'),
        late.get('count', 1))


class Config:
    def __init__(self, tree):
        self.decoder = Decoder(tree['decode'])
        fields = {field.name: field for field in self.decoder.fields}
        self.definitions = [read_definition(entry, fields) for entry in tree['windows']]
        watermark = tree.get('watermark', {})
        self.max_disorder_us = duration_us(watermark.get('max_disorder', '0s'))
        self.dedup_field = tree['decode'].get('dedup', {}).get('field')
        first, *others = self.definitions
        common = [name for name in first.group_by
                  if all(name in other.group_by for other in others)]
        self.route_by = tree.get('route_by', common)


# --- windows --------------------------------------------------------------------------------------

class Event:
    def __init__(self, event_us, values):
        self.event_us, self.values = event_us, values


class Firing:
    """One emission of a (definition, window, key)."""

    def __init__(self, window, events, timing, is_last):
        self.definition, self.start, self.key = window.definition, window.start, window.key
        self.end = window.end
        self.events, self.timing, self.is_last = events, timing, is_last
        self.index, self.is_first = window.fired, window.fired == 0
        self.index_on_time = -1 if timing == 'early' else window.fired - window.fired_early

    def row(self):
        """The row as a line of text, without its newline."""
        shown = [('window', self.definition.name), ('window_start', time_text(self.start)),
                 ('window_end', time_text(self.end)), *zip(self.definition.group_by, self.key)]
        members = [(name, json.dumps(value, ensure_ascii=False)) for name, value in shown]
        members += [(aggregate.key, aggregate.text(self.events))
                    for aggregate in self.definition.aggregates]
        members += [('timing', f'"{self.timing}"'), ('index', str(self.index)),
                    ('is_first', json.dumps(self.is_first)), ('is_last', json.dumps(self.is_last))]
        return '{' + ','.join(f'{json.dumps(name)}:{text}' for name, text in members) + '}'


class Window:
    """All that is known of one (definition, window, key)."""

    def __init__(self, definition, start, key):
        self.definition, self.start, self.key = definition, start, key
        self.end = start + definition.size
        self.expiry = self.end + definition.lateness
        self.events, self.new_events = [], []  # all, and those since the last firing
        self.fired = self.fired_early = 0
        self.finished = False

    def fire(self, timing, is_last=False):
        events = self.new_events if self.definition.discarding else self.events
        firing = Firing(self, list(events), timing, is_last)
        self.fired += 1
        self.fired_early += timing == 'early'
        self.new_events = []
        return firing


class Windows:
    """Events and watermarks in, firings out. Counters are attributes."""

    def __init__(self, definitions):
        self.definitions = definitions
        self.watermark_us = BEFORE_TIME
        self.windows = {}     # (definition's place, start, key) -> Window, for ever
        self.unexpired = {}   # those of them that may still fire
        self.pairs_assigned = self.pairs_added = self.pairs_late = self.pairs_closed = 0
        self.no_window = self.late_events = 0

    def add(self, events):
        """Takes a bundle of events, judged against the watermark as it stands; then triggers are
        asked, once for the bundle. A bundle of one is what the engine does."""
        touched = {}
        for event in events:
            for window in self.assign(event):
                touched[id(window)] = window
        return [firing for window in touched.values() for firing in self.ask_trigger(window)]

    def assign(self, event):
        """-> the windows that took the event."""
        assigned, late, took = 0, 0, []
        for place, definition in enumerate(self.definitions):
            starts = definition.starts(event.event_us)
            self.no_window += not starts
            assigned += len(starts)
            key = tuple(event.values[name] for name in definition.group_by)
            for start in starts:
                if self.watermark_us >= start + definition.size + definition.lateness:
                    late += 1
                    continue
                window = self.window(place, start, key)
                if window.finished:
                    self.pairs_closed += 1
                    continue
                window.events.append(event)
                window.new_events.append(event)
                took.append(window)
        self.pairs_assigned += assigned
        self.pairs_added += len(took)
        self.pairs_late += late
        self.late_events += assigned > 0 and late == assigned
        return took

    def window(self, place, start, key):
        address = (place, start, key)
        if address not in self.windows:
            self.windows[address] = Window(self.definitions[place], start, key)
            self.unexpired[address] = self.windows[address]
        return self.windows[address]

    def ask_trigger(self, window):
        early = self.watermark_us < window.end
        count = window.definition.early_count if early else window.definition.late_count
        if count is None or len(window.new_events) < count:
            return []
        return [window.fire('early' if early else 'late')]

    def advance(self, watermark_us):
        """Moves the watermark; it never goes back."""
        if watermark_us <= self.watermark_us:
            return []
        before, self.watermark_us = self.watermark_us, watermark_us
        firings = []
        for address, window in list(self.unexpired.items()):
            expired = window.expiry <= watermark_us
            if before < window.end <= watermark_us:
                firings.append(window.fire('on_time', is_last=expired))
                window.finished = window.definition.finish_once
            elif expired and (window.new_events or window.definition.fire_always):
                firings.append(window.fire('late', is_last=True))
            if expired:
                del self.unexpired[address]
        return firings


class Valve:
    """The watermark of several inputs: the minimum over the active ones, never going back. An
    input that comes back from idleness counts again once it has caught up."""

    def __init__(self, inputs):
        self.watermark = {name: BEFORE_TIME for name in inputs}
        self.active = set(inputs)
        self.counted = set(inputs)
        self.out = BEFORE_TIME

    def put(self, name, watermark):
        """-> the new output watermark, or None when it does not move."""
        if name not in self.active or watermark <= self.watermark[name]:
            return None
        self.watermark[name] = watermark
        if watermark >= self.out:
            self.counted.add(name)
        return self.move()

    def idle(self, name):
        self.active.discard(name)
        self.counted.discard(name)
        return self.move()

    def resume(self, name):
        self.active.add(name)
        if self.watermark[name] >= self.out:
            self.counted.add(name)

    def is_idle(self):
        return not self.active

    def move(self):
        lowest = min((self.watermark[name] for name in self.counted), default=self.out)
        if lowest <= self.out:
            return None
        self.out = lowest
        return lowest


# --- text -----------------------------------------------------------------------------------------

def decimal_text(value, places):
    """An integer of the smallest unit, with all its places."""
    digits = str(abs(value)).rjust(places + 1, '0')
    cut = len(digits) - places
    return ('-' if value < 0 else '') + digits[:cut] + ('.' + digits[cut:] if places else '')


CYCLE_DAYS = 146_097  # 400 years of the calendar


def time_text(time_us):
    """UTC with Z; the fraction only if it is not zero."""
    days, day_us = divmod(time_us, DAY_US)
    cycles, day = divmod(days + EPOCH_DAY - 1, CYCLE_DAYS)  # any year, though date knows 1 to 9999
    in_cycle = date.fromordinal(day + 1)
    seconds, fraction_us = divmod(day_us, 10**6)
    fraction = f'.{fraction_us:06}'.rstrip('0') if fraction_us else ''
    return (f'{in_cycle.year + 400 * cycles:04}-{in_cycle.month:02}-{in_cycle.day:02}'
            f'T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}Z')


def letter(reason, detail, line, payload):
    made = {'kind': 'order', 'reason': reason, 'stage': 'decode', 'detail': detail, 'line': line}
    try:
        made['data'] = payload.decode('utf-8')
    except UnicodeDecodeError:
        made['data_base64'] = base64.b64encode(payload).decode('ascii')
    return made


# --- the whole pipeline ---------------------------------------------------------------------------

class Result:
    def __init__(self):
        self.rows = []     # lines of text, in the order in which they fire
        self.letters = []  # dicts
        self.summary = {}


def payloads(stream):
    """-> (line number, payload) of each line that is not empty."""
    return [(number, line) for number, line in enumerate(stream.split(b'\n'), 1) if line]


def run_stream(tree, stream):
    """`tree` is the configuration as parsed JSON, `stream` the bytes of the file."""
    config, result = Config(tree), Result()
    windows, seen = Windows(config.definitions), set()
    counts = dict.fromkeys(['received', 'duplicates', 'decoded', 'decimals_rounded'], 0)
    firings = []
    for line, payload in payloads(stream):
        counts['received'] += 1
        try:
            values, rounded = config.decoder.decode(payload)
        except Refused as refusal:
            result.letters.append(letter(refusal.reason, refusal.detail, line, payload))
            continue
        counts['decimals_rounded'] += rounded
        event = Event(values[config.decoder.event_time.name], values)
        if is_duplicate(config, event, seen):
            counts['duplicates'] += 1
        else:
            counts['decoded'] += 1
            firings += windows.add([event])
        firings += windows.advance(event.event_us - config.max_disorder_us)
    firings += windows.advance(END_OF_TIME)
    result.rows = [firing.row() for firing in firings]
    result.summary = summarise(counts, windows, firings, result.letters)
    return result


def is_duplicate(config, event, seen):
    """Remembers the event's identity; an event without an id is never a duplicate."""
    if config.dedup_field is None or event.values[config.dedup_field] is None:
        return False
    identity = tuple(event.values[name] for name in [*config.route_by, config.dedup_field])
    known = identity in seen
    seen.add(identity)
    return known


def summarise(counts, windows, firings, letters):
    timings = [firing.timing for firing in firings]
    by_reason = {reason: sum(made['reason'] == reason for made in letters) for reason in REASONS}
    return {**counts, 'letters': len(letters),
            'pairs_assigned': windows.pairs_assigned, 'pairs_added': windows.pairs_added,
            'pairs_late': windows.pairs_late, 'late_events': windows.late_events,
            'no_window': windows.no_window, 'rows': len(firings),
            'rows_on_time': timings.count('on_time'), 'rows_late': timings.count('late'),
            'letters_by_reason': {reason: n for reason, n in by_reason.items() if n}}


def write_lines(path, lines):
    with open(path, 'w', encoding='utf-8', newline='\n') as out:
        out.writelines(line + '\n' for line in lines)


def main():
    parser = argparse.ArgumentParser(description='The reference model over one file.')
    parser.add_argument('config')
    parser.add_argument('stream')
    for name in ('--rows', '--letters', '--summary'):
        parser.add_argument(name, metavar='OUT', default='/dev/null')
    options = parser.parse_args()
    with open(options.config, encoding='utf-8') as file:
        tree = json.load(file)
    with open(options.stream, 'rb') as file:
        result = run_stream(tree, file.read())
    write_lines(options.rows, result.rows)
    write_lines(options.letters, [json.dumps(made, ensure_ascii=False) for made in result.letters])
    write_lines(options.summary, [json.dumps(result.summary)])
    return 0


if __name__ == '__main__':
    sys.exit(main())
