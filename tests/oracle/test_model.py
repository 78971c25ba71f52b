#!/usr/bin/env python3
"""The model gives the answers that are known beforehand: window assignment (A1 to A12), lateness
and firings (L1 to L9), the valve of several inputs, spellings of times and numbers, rows and
counters."""

import json
import unittest

from decode import Decoder, Refused
from model import END_OF_TIME, Aggregate, Definition, Event, Valve, Windows, decimal_text, \
    run_stream, time_text


def assignment(size, hop, offset, times):
    """-> {(start, end): times in it}, and the times that are in none."""
    definition = Definition('w', size, hop, offset)
    windows, gaps = {}, []
    for time in times:
        for start in definition.starts(time):
            windows.setdefault((start, start + size), []).append(time)
        if not definition.starts(time):
            gaps.append(time)
    return windows, gaps


class Assignment(unittest.TestCase):
    def expect(self, setting, times, windows, gaps=()):
        self.assertEqual(assignment(*setting, times), (windows, list(gaps)))

    def expect_starts(self, setting, time, starts):
        self.assertEqual(sorted(Definition('w', *setting).starts(time)), sorted(starts))

    def test_a1(self):
        self.expect((10, 5, 0), [1, 2, 5, 9, 10, 11],
                    {(-5, 5): [1, 2], (0, 10): [1, 2, 5, 9], (5, 15): [5, 9, 10, 11],
                     (10, 20): [10, 11]})

    def test_a2(self):
        self.expect((7, 5, 0), [1, 2, 5, 9, 10, 11],
                    {(-5, 2): [1], (0, 7): [1, 2, 5], (5, 12): [5, 9, 10, 11],
                     (10, 17): [10, 11]})

    def test_a3(self):
        self.expect((3, 10, 0), [1, 2, 3, 5, 9, 10, 11, 100],
                    {(0, 3): [1, 2], (10, 13): [10, 11], (100, 103): [100]}, [3, 5, 9])

    def test_a4(self):
        self.expect((10, 5, 2), [1, 2, 5, 9, 10, 11],
                    {(-8, 2): [1], (-3, 7): [1, 2, 5], (2, 12): [2, 5, 9, 10, 11],
                     (7, 17): [9, 10, 11]})

    def test_a5(self):
        for time in (7, 8, 11):
            self.expect_starts((15, 5, 2), time, [7, 2, -3])

    def test_a6_to_a8(self):
        for offset, first in ((0, 0), (100, 100), (-100, -100)):
            setting = (5000, 1000, offset)
            # An element on an offset start, the last one of that hop, the first of the next.
            starts = [first - 4000 + 1000 * hop for hop in range(5)]
            self.expect_starts(setting, first, starts)
            self.expect_starts(setting, first + 999, starts)
            self.expect_starts(setting, first + 1000, [start + 1000 for start in starts])
        self.expect_starts((5000, 1000, 0), 4999, [0, 1000, 2000, 3000, 4000])
        self.expect_starts((5000, 1000, 100), 5100, [1100, 2100, 3100, 4100, 5100])
        self.expect_starts((5000, 1000, -100), 0, [-4100, -3100, -2100, -1100, -100])
        self.expect_starts((5000, 1000, -100), 4899, [-100, 900, 1900, 2900, 3900])

    def test_a9_a10(self):
        self.expect_starts((10, 5, 0), -7, [-10, -15])
        self.expect_starts((15, 5, 2), -11, [-13, -18, -23])

    def test_a11(self):
        self.expect((4, 2, 0), [1, 2, 3], {(-2, 2): [1], (0, 4): [1, 2, 3], (2, 6): [2, 3]})

    def test_a12(self):
        definition = Definition('w', 300, 60, lateness=180)
        self.assertEqual(sorted(start + 300 for start in definition.starts(0)),
                         [60, 120, 180, 240, 300])
        for end, stops in zip((60, 120, 180, 240, 300), (240, 300, 360, 420, 480)):
            self.assertEqual((self.takes(definition, end, stops - 1),
                              self.takes(definition, end, stops)), (True, False))

    def takes(self, definition, end, watermark):
        """Whether the window that ends at `end` takes an element at 0 under this watermark."""
        windows = Windows([definition])
        windows.advance(watermark)
        return end - 300 in [window.start for window in windows.assign(Event(0, {}))]


class Steps:
    """A transcript: one definition, elements that are their own values."""

    def __init__(self, **setting):
        self.windows = Windows([Definition('w', **setting)])
        self.firings = []

    def add(self, *elements):
        """Elements are times, or (time, value) pairs; one bundle."""
        pairs = [element if isinstance(element, tuple) else (element, element)
                 for element in elements]
        self.firings = self.windows.add([Event(time, {'v': value}) for time, value in pairs])
        return self.said()

    def watermark(self, watermark):
        self.firings = self.windows.advance(watermark)
        return self.said()

    def said(self):
        """-> [(start, values, timing, index, index counted from on time, is_last)]."""
        return [(firing.start, [event.values['v'] for event in firing.events], firing.timing,
                 firing.index, firing.index_on_time, firing.is_last) for firing in self.firings]


class Firings(unittest.TestCase):
    def test_l1_late_by_window_not_by_element(self):
        steps = Steps(size=10, hop=10)
        steps.watermark(15)
        for time, late in ((13, 0), (5, 1), (16, 1), (18, 1)):
            steps.add(time)
            self.assertEqual(steps.windows.pairs_late, late)
        self.assertEqual((steps.windows.pairs_added, steps.windows.late_events), (3, 1))

    def test_l2_fire_once_closes(self):
        steps = Steps(size=100, hop=30, lateness=1000, finish_once=True)
        steps.add(23, 40)
        steps.watermark(70)
        steps.add(60)
        self.assertEqual(steps.windows.pairs_closed, 1)
        steps.watermark(130)
        steps.add(40)
        self.assertEqual((steps.windows.pairs_closed, steps.windows.pairs_late), (4, 0))

    def test_l3_late_firing_accumulates(self):
        steps = Steps(size=10, hop=10, lateness=100)
        self.assertEqual(steps.add(1), [])
        self.assertEqual(steps.watermark(10), [(0, [1], 'on_time', 0, 0, False)])
        self.assertTrue(steps.firings[0].is_first)
        self.assertEqual(steps.add(3), [(0, [1, 3], 'late', 1, 1, False)])
        self.assertFalse(steps.firings[0].is_first)

    def test_l4_early_count_discarding(self):
        steps = Steps(size=10, hop=10, early_count=2, discarding=True)
        self.assertEqual(steps.add(1, 2, 3), [(0, [1, 2, 3], 'early', 0, -1, False)])
        self.assertEqual(steps.add(4) + steps.add(14), [])
        self.assertEqual(steps.add(5), [(0, [4, 5], 'early', 1, -1, False)])
        self.assertEqual(steps.add(18), [(10, [14, 18], 'early', 0, -1, False)])
        self.assertEqual(steps.add(6), [])
        self.assertEqual(steps.watermark(100), [(0, [6], 'on_time', 2, 0, True),
                                                (10, [], 'on_time', 1, 0, True)])

    def test_l5_fire_always_at_expiry(self):
        steps = Steps(size=10, hop=10, lateness=100, early_count=2, fire_always=True)
        self.assertEqual(steps.add(1, 2), [(0, [1, 2], 'early', 0, -1, False)])
        self.assertEqual(steps.watermark(50), [(0, [1, 2], 'on_time', 1, 0, False)])
        self.assertEqual(steps.watermark(150), [(0, [1, 2], 'late', 2, 1, True)])

    def test_l6_minutes(self):
        steps = Steps(size=5, hop=5, lateness=5)
        steps.add((0, 1), (0, 2), (0, 3))
        self.assertEqual(steps.watermark(6), [(0, [1, 2, 3], 'on_time', 0, 0, False)])
        steps.add((0, 4))
        self.assertEqual(steps.add((0, 5)), [(0, [1, 2, 3, 4, 5], 'late', 2, 2, False)])
        self.assertEqual(steps.watermark(20), [])
        self.assertEqual(steps.add((0, -1), (0, -2), (0, -3)), [])
        self.assertEqual((steps.windows.pairs_late, steps.windows.late_events), (3, 3))

    def test_l7_late_waits_for_expiry(self):
        steps = Steps(size=1000, hop=1000, lateness=5000, early_count=2, late_count=None,
                      discarding=True)
        steps.watermark(0)
        self.assertEqual(steps.add(100, 200), [(0, [100, 200], 'early', 0, -1, False)])
        steps.add(500)
        self.assertEqual(steps.watermark(1000), [(0, [500], 'on_time', 1, 0, False)])
        self.assertEqual(steps.add(750) + steps.add(250), [])
        self.assertEqual(steps.watermark(END_OF_TIME), [(0, [750, 250], 'late', 2, 1, True)])

    def test_l8_far_behind(self):
        steps = Steps(size=1000, hop=1000, lateness=5000)
        steps.watermark(0)
        steps.add(-1_000_000)
        self.assertEqual((steps.windows.pairs_added, steps.windows.pairs_late), (0, 1))
        steps.add(100)
        self.assertEqual(steps.watermark(END_OF_TIME), [(0, [100], 'on_time', 0, 0, True)])

    def test_l9_end_and_expiry_at_once(self):
        steps = Steps(size=10, hop=10, lateness=50)
        steps.watermark(0)
        steps.add(1)
        self.assertEqual(steps.watermark(100), [(0, [1], 'on_time', 0, 0, True)])
        self.assertTrue(steps.firings[0].is_first)
        self.assertEqual(steps.watermark(END_OF_TIME), [])

    def test_first_firing_after_the_end_is_late(self):
        steps = Steps(size=10, hop=10, lateness=100)
        steps.watermark(10)
        self.assertEqual(steps.add(1), [(0, [1], 'late', 0, 0, False)])
        self.assertTrue(steps.firings[0].is_first)
        self.assertEqual(steps.watermark(END_OF_TIME), [])


    def test_borders_of_end_and_expiry(self):
        steps = Steps(size=10, hop=10, lateness=5, late_count=None)
        steps.add(1)
        self.assertEqual(steps.watermark(9), [])
        self.assertEqual(steps.watermark(10), [(0, [1], 'on_time', 0, 0, False)])
        steps.add(2)
        self.assertEqual(steps.watermark(14), [])
        self.assertEqual(steps.watermark(15), [(0, [1, 2], 'late', 1, 1, True)])
        steps.add(3, 11)
        self.assertEqual((steps.windows.pairs_added, steps.windows.pairs_late), (3, 1))
        self.assertEqual(steps.watermark(25), [(10, [11], 'on_time', 0, 0, True)])

    def test_late_for_some_windows_is_no_late_event(self):
        steps = Steps(size=10, hop=5)
        steps.watermark(10)
        steps.add(7)  # [0,10) is gone, [5,15) is not
        self.assertEqual((steps.windows.pairs_assigned, steps.windows.pairs_added,
                          steps.windows.pairs_late, steps.windows.late_events), (2, 1, 1, 0))


class Inputs(unittest.TestCase):
    def test_three_inputs(self):
        valve = Valve('abc')
        for step, said in (('0@a', None), ('0@b', None), ('0@c', 0), ('12@a', None), ('8@c', None),
                           ('10@c', None), ('15@b', 10), ('6@a', None), ('idle c', 12),
                           ('17@a', 15), ('25@a', None), ('20@b', 20), ('resume c', None),
                           ('18@c', None), ('22@b', 22), ('28@a', None), ('33@b', 28),
                           ('30@c', None), ('31@a', 30), ('34@c', 31), ('idle a', 33),
                           ('idle c', None), ('idle b', None)):
            self.assertEqual(self.take(valve, step), said, step)
        self.assertTrue(valve.is_idle())

    def test_one_input(self):
        valve = Valve('a')
        for step, said in (('42@a', 42), ('idle a', None), ('50@a', None), ('resume a', None),
                           ('40@a', None), ('42@a', None), ('43@a', 43)):
            self.assertEqual(self.take(valve, step), said, step)

    def take(self, valve, step):
        if '@' not in step:
            verb, name = step.split()
            return getattr(valve, verb)(name)
        watermark, name = step.split('@')
        return valve.put(name, int(watermark))


EVENING = 1753185123000000  # 2025-07-22T11:52:03Z


class Spellings(unittest.TestCase):
    def verdict(self, spec, value):
        """`value` is JSON text; -> the field's value, or the reason."""
        decoder = Decoder({'fields': {'t': 'event_time', 'f': spec}})
        try:
            return decoder.decode(('{"t":0,"f":%s}' % value).encode())[0]['f']
        except Refused as refusal:
            return refusal.reason

    def time(self, value, unit='auto'):
        decoder = Decoder({'fields': {'t': {'type': 'event_time', 'unit': unit}}})
        try:
            return decoder.decode(('{"t":%s}' % value).encode())[0]['t']
        except Refused as refusal:
            return refusal.reason

    def test_time_strings(self):
        for text, event_us in (
                ('2025-07-22T11:52:03.123456', EVENING + 123456), ('2025-07-22T11:52:03', EVENING),
                ('2025-07-22t11:52:03.5z', EVENING + 500000),
                ('2025-07-22T17:22:03+05:30', EVENING), ('2025-07-22T17:22:03+0530', EVENING),
                ('2025-07-21T23:52:03-12:00', EVENING), ('2025-07-23T01:52:03+14', EVENING),
                ('2025-07-23T05:52:03+18:00', EVENING), ('2025-07-22 11:52:03.1Z', EVENING + 10**5),
                ('2025-07-22T11:52:03.123456999Z', EVENING + 123456),
                ('2025-07-22T11:52', EVENING - 3 * 10**6),
                ('2025-07-22T11:52Z', EVENING - 3 * 10**6),
                ('2016-12-31T23:59:60Z', 1483228799999999),
                ('2016-12-31T18:59:60-05:00', 1483228799999999),
                ('1969-12-31T23:59:59.999999', -1), ('0001-01-01T00:00:00', -62135596800000000),
                ('1753185123', EVENING), ('1753185123.25', EVENING + 250000), ('-1', -10**6),
                ('1753185123000', EVENING), ('00', 0)):
            self.assertEqual(self.time(f'"{text}"'), event_us, text)

    def test_bad_time_strings(self):
        for text in ('', ' ', 'noon', '2025-02-30T00:00:00', '2025-13-01T00:00:00',
                     '2025-07-22T25:00:00', '2025-07-22T24:00:00', '2025-07-22T11:60:00',
                     '2025-07-22T11:52:61', '2025-07-22T11:52:60Z', '2025-07-22',
                     '2025-07-22T11:52:03.', '2025-07-22T11:52:03.1234567890', '2025-7-22T11:52:03',
                     '2025-07-22T11:52.5', '2025-07-22T11:52:03+18:01', '2025-07-22T11:52:03+5',
                     '2025-07-22T11:52:03+05:60', '2025-07-22T11:52:03 Z', '0000-01-01T00:00:00',
                     '0001-01-01T00:00:00+00:01', '9999-12-31T23:59:59-00:01', '1e9', '+1', '1.',
                     '.5', '1753185123 ', '٣'):
            self.assertEqual(self.time(f'"{text}"'), 'bad_timestamp', text)
        self.assertEqual(self.time('true'), 'bad_type')
        self.assertEqual(self.time('[1]'), 'bad_type')
        self.assertEqual(self.time('null'), 'missing_field')

    def test_time_numbers(self):
        for text, event_us in (
                ('1753185123', EVENING), ('1753185123.0000009', EVENING),
                ('1.753185123e9', EVENING),
                ('1753185123000', EVENING), ('1753185123000000', EVENING),
                ('1753185123000000999', EVENING), ('-0.0000001', -1), ('-1.5', -1500000), ('-0', 0),
                ('99999999999', 99999999999 * 10**6), ('100000000000', 10**14),
                ('99999999999999', 99999999999999 * 1000), ('100000000000000', 10**14),
                ('99999999999999999', 99999999999999999), ('100000000000000000', 10**14),
                ('-1e-999999999', -1), ('0e999999999', 0)):
            self.assertEqual(self.time(text), event_us, text)
        self.assertEqual(self.time('1e999999999'), 'bad_timestamp')
        self.assertEqual(self.time('253402300800', 's'), 'bad_timestamp')
        self.assertEqual(self.time('253402300799.9999999', 's'), 253402300799999999)
        self.assertEqual(self.time('-1', 'ns'), -1)

    def test_integers(self):
        for text, value in (('3', 3), ('3.0', 3), ('3e0', 3), ('-0', 0), ('30e-1', 3),
                            ('9223372036854775807', 2**63 - 1), ('-9223372036854775808', -2**63),
                            ('0e999999999999999999999', 0), ('9223372036854775808', 'out_of_range'),
                            ('1e999999999', 'out_of_range'), ('3.5', 'bad_type'),
                            ('1e-999999999', 'bad_type'), ('9' * 30 + '.5', 'bad_type'),
                            ('"3"', 'bad_type'), ('true', 'bad_type'), ('null', 'missing_field'),
                            ('03', 'malformed_json'), ('+3', 'malformed_json')):
            self.assertEqual(self.verdict('int', text), value, text)
        lenient = {'type': 'int', 'string': True}
        for text, value in (('"3e0"', 3), ('3', 3), ('"03"', 'bad_type'), ('" 3"', 'bad_type'),
                            ('""', 'bad_type'), ('"\\u0033"', 3)):
            self.assertEqual(self.verdict(lenient, text), value, text)

    def test_decimals(self):
        for text, value in (('12.5', 1250), ('1.25e1', 1250), ('12.505', 1251), ('12.504999', 1250),
                            ('-12.505', -1251), ('0.005', 1), ('0.0049', 0), ('-0.0049', 0),
                            ('1e-999999999', 0), ('0e999999999', 0), ('5e-3', 1), ('5e-4', 0),
                            ('92233720368547758.07', 2**63 - 1),
                            ('92233720368547758.074', 2**63 - 1),
                            ('92233720368547758.075', 'out_of_range'),
                            ('-92233720368547758.08', -2**63),
                            ('9' * 40 + '.999', 'out_of_range'), ('1e999999999', 'out_of_range'),
                            ('"12.5"', 'bad_type')):
            self.assertEqual(self.verdict({'decimal': 2}, text), value, text)

    def test_strings(self):
        for text, value in ((r'"\ud83d\ude00"', '😀'), (r'"\ud83d"', '\ufffd'),
                            (r'"\ude00\ud83d"', '\ufffd\ufffd'),
                            (r'"\ud83d\ud83d\ude00"', '\ufffd😀'),
                            (r'"\ud83dx"', '\ufffdx'), (r'"\u0000\/"', '\0/'), ('3', 'bad_type'),
                            ('"\t"', 'malformed_json'), (r'"\x"', 'malformed_json'),
                            (r'"\u12g4"', 'malformed_json')):
            self.assertEqual(self.verdict('string', text), value, text)

    def test_json_as_a_whole(self):
        decoder = Decoder({'fields': {'t': 'event_time', 's': {'type': 'string', 'from': 'a.b',
                                                               'optional': True}},
                           'max_payload': 2000})
        for payload, said in (
                (b'{"t":1,"a":{"b":"x"}}\r', 'x'), (b'{"t":1,"a":{"b":"x"},"a":{}}', None),
                (b'{"t":1,"a":[{"b":"x"}]}', None), (b'{"t":"?","t":1}', None),
                (rb'{"\u0074":1}', None), (b'{"t":1,"n":' + b'[' * 255 + b']' * 255 + b'}', None),
                (b'{"t":1,"n":' + b'[' * 256 + b']' * 256 + b'}', 'malformed_json'),
                (b'[1]', 'missing_field'), (b'3', 'missing_field'), (b' ', 'malformed_json'),
                (b'{"t":1}x', 'malformed_json'), (b'\xef\xbb\xbf{"t":1}', 'malformed_json'),
                (b'{"t":1,}', 'malformed_json'), (b'{"t":NaN}', 'malformed_json'),
                (b'{"t":1,"x":"\xff"}', 'malformed_json'),
                (b'{"t":1,"x":"\xed\xa0\x80"}', 'malformed_json'),
                (b'{"t":"?","a":{"b":1}}', 'bad_type'), (b' ' * 2001, 'too_large'),
                (b' ' * 2000, 'malformed_json')):
            try:
                verdict = decoder.decode(payload)[0]['s']
            except Refused as refusal:
                verdict = refusal.reason
            self.assertEqual(verdict, said, payload)


class Rows(unittest.TestCase):
    def test_times(self):
        for time_us, text in ((EVENING - 3 * 10**6, '2025-07-22T11:52:00Z'),
                              (-1, '1969-12-31T23:59:59.999999Z'),
                              (1500000, '1970-01-01T00:00:01.5Z'),
                              (-62135596800000000, '0001-01-01T00:00:00Z'),
                              (253402300800000000, '10000-01-01T00:00:00Z')):
            self.assertEqual(time_text(time_us), text)

    def test_decimals(self):
        for value, places, text in ((1250, 2, '12.50'), (12, 0, '12'), (-5, 2, '-0.05'),
                                    (0, 3, '0.000'), (-12345, 4, '-1.2345')):
            self.assertEqual(decimal_text(value, places), text)

    def test_averages(self):
        fields = {'q': type('Field', (), {'scale': 2})}
        for values, text in (([1, 2], '0.015000'), ([1, 1, 2], '0.013333'), ([0, 0, 2], '0.006667'),
                             ([-1, -1, -2], '-0.013333'), ([None], 'null'), ([None, 3], '0.030000'),
                             ([1] + [0] * 19999, '0.000001'), ([-1] + [0] * 20000, '0.000000')):
            events = [Event(0, {'q': value}) for value in values]
            self.assertEqual(Aggregate('avg(q)', fields).text(events), text)

    def test_a_small_stream(self):
        tree = {'decode': {'fields': {'t': 'event_time', 'id': 'string', 'k': 'string',
                                      'a': {'decimal': 1}}, 'dedup': {'field': 'id'}},
                'windows': [{'name': 'w', 'group_by': ['k'], 'size': '10s',
                             'allowed_lateness': '10s', 'aggregates': ['count', 'sum(a)']}],
                'watermark': {'max_disorder': '1s'}}
        stream = (b'{"t":1,"id":"1","k":"x","a":1.25}\n\n'   # rounds to 1.3
                  b'{"t":2,"id":"1","k":"x","a":9}\n'        # a duplicate
                  b'{"t":2,"id":"1","k":"y","a":9}\n'        # another key: its own id
                  b'{"t":11,"id":"2","k":"x","a":1}\n'       # W = 10: the first window fires
                  b'{"t":3,"id":"3","k":"x","a":1}\n'        # late, taken
                  b'{"t":30,"id":"3","k":"x","a":1}\n'       # a duplicate moves W to 29
                  b'{"t":3,"id":"4","k":"x","a":1}\n'        # too late
                  b'[]')
        result = run_stream(tree, stream)
        rows = [json.loads(row) for row in result.rows]
        self.assertEqual([(row['window_start'][14:19], row['k'], row['count'], row['a_sum'],
                           row['timing'], row['index'], row['is_last']) for row in rows],
                         [('00:00', 'x', 1, 1.3, 'on_time', 0, False),
                          ('00:00', 'y', 1, 9.0, 'on_time', 0, False),
                          ('00:00', 'x', 2, 2.3, 'late', 1, False),
                          ('00:10', 'x', 1, 1.0, 'on_time', 0, False)])
        self.assertEqual(result.rows[1], '{"window":"w","window_start":"1970-01-01T00:00:00Z",'
                         '"window_end":"1970-01-01T00:00:10Z","k":"y","count":1,"a_sum":9.0,'
                         '"timing":"on_time","index":0,"is_first":true,"is_last":false}')
        self.assertEqual(result.letters[0]['line'], 9)
        self.assertEqual(result.letters[0]['data'], '[]')
        self.assertEqual(result.summary, {
            'received': 8, 'duplicates': 2, 'decoded': 5, 'decimals_rounded': 1, 'letters': 1,
            'pairs_assigned': 5, 'pairs_added': 4, 'pairs_late': 1, 'late_events': 1,
            'no_window': 0, 'rows': 4, 'rows_on_time': 3, 'rows_late': 1,
            'letters_by_reason': {'missing_field': 1}})


if __name__ == '__main__':
    unittest.main()
