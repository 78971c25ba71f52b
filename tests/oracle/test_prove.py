#!/usr/bin/env python3
"""`prove windows` calls an honest engine right and a subtly wrong one wrong and shrinks its stream.
The engines here are the model behind the engine's command line, with one thing broken at a time."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROVE = os.path.join(HERE, '..', 'prove', 'windows')

ENGINE = '''#!{python}
import json, os, sys
sys.path.insert(0, {here!r})
import model
{broken}
tree = json.load(open(sys.argv[2], encoding='utf-8'))
result = model.run_stream(tree, open(tree['source']['file']['path'], 'rb').read())
model.write_lines(tree['sinks']['file']['path'], result.rows)
model.write_lines(tree['sinks']['dead_letter']['file'], map(json.dumps, result.letters))
json.dump(result.summary, open(sys.argv[sys.argv.index('--summary-json') + 1], 'w'))
'''

TRUNCATING = '''
def starts(self, event_us):
    back = event_us - self.offset
    start = event_us - (abs(back) % self.hop) * (1 if back >= 0 else -1)
    return [at for at in range(start, event_us - self.size, -self.hop)]
model.Definition.starts = starts
'''
ONE_TOO_PATIENT = '''
assign = model.Windows.assign
def later(self, event):
    self.watermark_us -= 1
    try:
        return assign(self, event)
    finally:
        self.watermark_us += 1
model.Windows.assign = later
'''
CRASHING = '''
bare = model.payloads
def payloads(stream):
    return os.abort() if b'null' in stream else bare(stream)
model.payloads = payloads
'''


class Prove(unittest.TestCase):
    def prove(self, broken, size):
        """-> (exit status, the JSON line, standard error)."""
        with tempfile.TemporaryDirectory() as home:
            engine = os.path.join(home, 'engine')
            with open(engine, 'w', encoding='utf-8') as file:
                file.write(ENGINE.format(python=sys.executable, here=HERE, broken=broken))
            os.chmod(engine, 0o755)
            done = subprocess.run([sys.executable, PROVE, '--size', str(size), '--keep', home],
                                  env={**os.environ, 'MILLRACE': engine}, capture_output=True,
                                  text=True, check=False)
            return done.returncode, json.loads(done.stdout), done.stderr

    def test_honest(self):
        status, told, errors = self.prove('', 6)
        self.assertEqual((status, told['mismatches'], told['cases'], errors), (0, 0, 6, ''))
        self.assertEqual(told['runs'], 24)

    def test_broken(self):
        for name, broken in (('truncating', TRUNCATING), ('patient', ONE_TOO_PATIENT),
                             ('crashing', CRASHING)):
            with self.subTest(name):
                status, told, errors = self.prove(broken, 12)
                self.assertEqual(status, 1)
                self.assertGreater(told['mismatches'], 0)
                self.assertIn('shrunk to ', errors)

    def test_no_engine(self):
        done = subprocess.run([sys.executable, PROVE], env={**os.environ, 'MILLRACE': '/nowhere'},
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (77, ''))
        self.assertIn('SKIPPED', done.stderr)


if __name__ == '__main__':
    unittest.main()
