"""The judge judged: the model's own output must pass the comparison, and each of a list of small
untruths in it must be found. Called by `prove windows --self-test`."""

import copy
import json
import sys

from compare import Expectation, Output, of_model
from generate import Case
from model import run_stream

SEEDS = range(1, 13)


def edit_line(number, change):
    """A mutation of one line of rows or letters; `change` gets and gives text."""
    def mutate(lines):
        return lines[:number] + [change(lines[number])] + lines[number + 1:]
    return mutate


def replace(old, new):
    return lambda line: line.replace(old, new, 1)


ROWS = {
    'a row lost': lambda lines: lines[1:],
    'a row twice': lambda lines: lines + lines[-1:],
    'all rows lost': lambda lines: [],
    'another window': edit_line(0, replace('"window":"', '"window":"x')),
    'start moved': edit_line(0, replace('"window_start":"', '"window_start":"1')),
    'count as text': edit_line(0, lambda line: line.replace('"index":0', '"index":"0"')),
    'index off by one': edit_line(0, replace('"index":0', '"index":1')),
    'is_last turned': edit_line(0, lambda line: line.replace('"is_last":true', '"is_last":!')
                                .replace('"is_last":false', '"is_last":true')
                                .replace('"is_last":!', '"is_last":false')),
    'is_first turned': edit_line(0, replace('"is_first":true', '"is_first":false')),
    'timing': edit_line(0, lambda line: line.replace('"timing":"on_time"', '"timing":"late"')
                        if 'on_time' in line else line.replace('"late"', '"on_time"')),
    'keys in another order': edit_line(0, lambda line: reorder(line)),
    'a member left out': edit_line(0, replace('"is_first":true,', '')),
    'not JSON': edit_line(0, lambda line: line[:-1]),
    'NaN': edit_line(0, replace('"index":0', '"index":NaN')),
    'a digit too many': edit_line(0, replace('"index":0', '"index":0.0')),
}
LETTERS = {
    'a letter lost': lambda lines: lines[1:],
    'a letter twice': lambda lines: lines + lines[-1:],
    'another reason': edit_line(0, replace('"reason": "', '"reason": "not_')),
    'another stage': edit_line(0, replace('"stage": "decode"', '"stage": "fold"')),
    'another kind': edit_line(0, replace('"kind": "order"', '"kind": "row"')),
    'another line': edit_line(0, replace('"line": ', '"line": 1')),
    'other bytes': edit_line(0, lambda line: with_data(line, 'something else')),
    'no bytes': edit_line(0, lambda line: with_data(line, None)),
}


def reorder(line):
    members = list(json.loads(line).items())
    return json.dumps(dict(members[1:2] + members[:1] + members[2:]))


def with_data(line, data):
    made = {key: value for key, value in json.loads(line).items() if not key.startswith('data')}
    return json.dumps(made if data is None else {**made, 'data': data})


def as_lines(data):
    return data.decode('utf-8').split('\n')[:-1]


def as_bytes(lines):
    return ''.join(line + '\n' for line in lines).encode('utf-8')


def wrong_outputs(output):
    """-> (name, an output with that untruth) for each that this output can carry."""
    rows, letters = as_lines(output.rows), as_lines(output.letters)
    if rows:
        for name, mutate in ROWS.items():
            yield name, Output(as_bytes(mutate(rows)), output.letters, output.summary)
        yield 'the last newline lost', Output(output.rows[:-1], output.letters, output.summary)
        yield from wrong_order(output, rows)
    if letters:
        for name, mutate in LETTERS.items():
            yield name, Output(output.rows, as_bytes(mutate(letters)), output.summary)
    for counter in output.summary:
        summary = copy.deepcopy(output.summary)
        if counter == 'letters_by_reason':
            summary[counter]['bad_type'] = summary[counter].get('bad_type', 0) + 1
        else:
            summary[counter] += 1
        yield f'counter {counter}', Output(output.rows, output.letters, summary)
        absent = {name: value for name, value in output.summary.items() if name != counter}
        if counter != 'letters_by_reason' or output.summary[counter]:
            yield f'no counter {counter}', Output(output.rows, output.letters, absent)


def wrong_order(output, rows):
    """A late firing before the one it follows."""
    late = [line for line in rows if '"index":1,' in line]
    if late:
        rest = [line for line in rows if line != late[0]]
        yield 'firings in another order', Output(as_bytes(late[:1] + rest), output.letters,
                                                 output.summary)


def main():
    """Prints one line of JSON; -> the exit status."""
    tried, missed = {}, []
    for seed in SEEDS:
        case = Case(seed)
        output = of_model(run_stream(case.tree, case.stream))
        expectation = Expectation(case.tree, output)
        for sentence in expectation.differences(output):
            missed.append(f'case {seed}: the truth was called wrong: {sentence}')
        for name, wrong in wrong_outputs(output):
            if same(wrong, output):
                continue
            tried[name] = tried.get(name, 0) + 1
            if not expectation.differences(wrong):
                missed.append(f'case {seed}: not found: {name}')
    missed += [f'never tried: {name}' for name in [*ROWS, *LETTERS, 'firings in another order']
               if name not in tried]
    for sentence in missed[:20]:
        print(sentence, file=sys.stderr)
    print(json.dumps({'proof': 'windows', 'self_test': sum(tried.values()), 'kinds': len(tried),
                      'missed': len(missed)}))
    return 1 if missed else 0


def same(one, other):
    return (one.rows, one.letters, one.summary) == (other.rows, other.letters, other.summary)
