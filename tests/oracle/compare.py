"""What the engine wrote against what the model says: rows by the exact text of each value, letters
by their bytes, counters, the order of firings, and the conservation laws on the engine's own
numbers."""

import base64
import json
from collections import Counter

COUNTERS = ['received', 'letters', 'duplicates', 'decoded', 'pairs_assigned', 'pairs_added',
            'pairs_late', 'late_events', 'no_window', 'rows', 'rows_on_time', 'rows_late',
            'decimals_rounded']
SHOWN_MAX = 5


class Number(str):
    """A JSON number by its spelling: 12.5 is not 12.50."""


class Unreadable(Exception):
    """A line of output is not the JSON it should be."""


def refuse_constant(name):
    raise ValueError(f'{name} is no JSON')


def read_object(line):
    """bytes -> [(key, value)] in order; values are str, Number, bool or None."""
    try:
        members = json.loads(line.decode('utf-8'), parse_int=Number, parse_float=Number,
                             parse_constant=refuse_constant, object_pairs_hook=list)
    except ValueError as error:
        raise Unreadable(f'{error}: {line[:200]!r}') from None
    if not line.lstrip().startswith(b'{'):
        raise Unreadable(f'no object: {line[:200]!r}')
    return members


def split_lines(output):
    """Each line ends with a newline: a last one without is a torn write."""
    if output and not output.endswith(b'\n'):
        raise Unreadable(f'the last line is cut: {output[-200:]!r}')
    return output.split(b'\n')[:-1]


def canonical_row(line):
    """Strings and numbers must not look alike, hence the tag."""
    members = read_object(line)
    if any(isinstance(value, list) for _, value in members):
        raise Unreadable(f'a row is flat: {line[:200]!r}')
    return tuple((key, type(value).__name__, value) for key, value in members)


def canonical_letter(line):
    members = {key: value for key, value in read_object(line) if isinstance(value, str)}
    if ('data' in members) == ('data_base64' in members):
        raise Unreadable(f'a letter has either data or data_base64: {line[:200]!r}')
    try:
        data = members['data'].encode('utf-8') if 'data' in members \
            else base64.b64decode(members['data_base64'], validate=True)
    except ValueError as error:
        raise Unreadable(f'letter data: {error}: {line[:200]!r}') from None
    if 'data_base64' in members and is_utf8(data):
        raise Unreadable(f'data_base64 for a payload that is UTF-8: {line[:200]!r}')
    return tuple(members.get(key) for key in ('kind', 'reason', 'stage', 'line')) + (data,)


def is_utf8(data):
    try:
        data.decode('utf-8')
        return True
    except UnicodeDecodeError:
        return False


class Output:
    """What one run left: rows and letters as bytes, the summary as a dict."""

    def __init__(self, rows, letters, summary):
        self.rows, self.letters, self.summary = rows, letters, summary


def of_model(result):
    """A model's result as an Output."""
    return Output(''.join(row + '\n' for row in result.rows).encode('utf-8'),
                  ''.join(json.dumps(made) + '\n' for made in result.letters).encode('utf-8'),
                  result.summary)


class Expectation:
    """A model's output, read once and compared with several runs."""

    def __init__(self, tree, output):
        self.groups = {window['name']: window.get('group_by', []) for window in tree['windows']}
        self.rows = Counter(map(canonical_row, split_lines(output.rows)))
        self.letters = Counter(map(canonical_letter, split_lines(output.letters)))
        self.summary = output.summary
        self.all_count = all('count' in window['aggregates'] for window in tree['windows'])

    def differences(self, output):
        """-> sentences; none when all is well."""
        try:
            rows = [canonical_row(line) for line in split_lines(output.rows)]
            letters = [canonical_letter(line) for line in split_lines(output.letters)]
        except Unreadable as error:
            return [f'output: {error}']
        return (bag_differences('row', self.rows, Counter(rows), show_row)
                + bag_differences('letter', self.letters, Counter(letters), repr)
                + counter_differences(self.summary, output.summary)
                + self.order_differences(rows)
                + self.conservation(rows, output.summary))

    def address(self, row):
        """(window, start, key values) of a row."""
        name = row['window']
        return (name, row['window_start'], *(row.get(field) for field in self.groups.get(name, [])))

    def order_differences(self, rows):
        """Firings of one window and key stand in the file by index, from 0 without a gap."""
        fired, wrong = Counter(), []
        for row in rows:
            values = {key: value for key, _, value in row}
            try:
                address = self.address(values)
            except KeyError as missing:
                return [f'order: a row without {missing}']
            if values.get('index') != str(fired[address]):
                wrong.append(f'order: index {values.get("index")} where {fired[address]} was due: '
                             + show_row(row))
            fired[address] += 1
        return wrong[:SHOWN_MAX]

    def conservation(self, rows, summary):
        """The engine's own numbers must add up, whatever the model says."""
        def number(name):
            return summary.get(name)
        laws = [('received = duplicates + decoded + letters', number('received'),
                 add(number('duplicates'), number('decoded'), number('letters'))),
                ('pairs_assigned = pairs_added + pairs_late', number('pairs_assigned'),
                 add(number('pairs_added'), number('pairs_late'))),
                ('rows = rows in the file', number('rows'), len(rows)),
                ('letters = letters by reason', number('letters'),
                 add(*summary.get('letters_by_reason', {}).values()))]
        if self.all_count:
            laws.append(('sum of last counts = pairs_added', self.last_counts(rows),
                         number('pairs_added')))
        return [f'conservation: {law}: {left} is not {right}'
                for law, left, right in laws if left != right]

    def last_counts(self, rows):
        """The sum of `count` over the last row of each window and key; None if a row has none."""
        last = {}
        try:
            for row in rows:
                values = {key: value for key, _, value in row}
                last[self.address(values)] = int(values['count'])
        except (KeyError, ValueError):
            return None
        return sum(last.values())


def add(*numbers):
    return sum(numbers) if all(isinstance(number, int) for number in numbers) else None


def show_row(row):
    return '{' + ', '.join(f'{key}: {value!r}' if kind == 'str' else f'{key}: {value}'
                           for key, kind, value in row) + '}'


def bag_differences(what, wanted, got, show):
    found = [f'{what} missing ({count}x): {show(item)}' for item, count in (wanted - got).items()]
    extra = [f'{what} not expected ({count}x): {show(item)}'
             for item, count in (got - wanted).items()]
    both = found[:SHOWN_MAX] + extra[:SHOWN_MAX]
    left = len(found) + len(extra) - len(both)
    return both + ([f'{what}: {left} more'] if left else [])


def counter_differences(wanted, got):
    found = [f'counter {name}: {got.get(name)!r}, expected {wanted[name]}'
             for name in COUNTERS if got.get(name) != wanted[name]]
    by_reason = {reason: count for reason, count in got.get('letters_by_reason', {}).items()
                 if count}
    if by_reason != wanted['letters_by_reason']:
        found.append(f'letters_by_reason: {by_reason}, expected {wanted["letters_by_reason"]}')
    return found
