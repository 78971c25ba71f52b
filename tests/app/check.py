"""Aim: `check` and `init` keep their exit codes, `init` passes `check`, the schema is sound JSON."""
import json
import os
import subprocess
import sys
import tempfile

verb = sys.argv[1]


def run(*args, code=0, stdin=None):
    done = subprocess.run([verb, *args], input=stdin, capture_output=True, text=True)
    assert done.returncode == code, (args, done)
    return done.stdout, done.stderr


with tempfile.TemporaryDirectory() as folder:
    for minimal in ([], ['--minimal']):
        path = os.path.join(folder, 'made%d.yaml' % len(minimal))
        text, _ = run('init', *minimal)
        run('init', *minimal, path)
        with open(path) as made:
            assert made.read() == text
        out, _ = run('check', path)
        assert out.startswith(path + ': ok\n') and 4 <= len(out.splitlines()) <= 7, out
        run('check', '-', stdin=text)
        run('init', path, code=73)
        out, _ = run('check', path, '--effective', '--set', 'windows.0.size=10m')
        assert 'size: 10m  # --set\n' in out and '# default' in out
        assert '# %s:' % path in out
        _, err = run('check', path, '--set', 'windows.0.sise=10m', code=78)
        assert 'MR1104' in err and err.endswith('1 error\n')
    run('check', os.path.join(folder, 'absent.yaml'), code=66)

for wrong in ([], ['--wat'], ['a', 'b'], ['a', '--set'], ['a', '--set', 'b']):
    run('check', *wrong, code=64)
run('init', '--wat', code=64)
schema = json.loads(run('check', '--schema')[0])
assert schema['$schema'].endswith('2020-12/schema')
assert set(schema['required']) == {'source', 'decode', 'windows', 'sinks'}
streams = schema['properties']['source']['properties']['pubsub']['properties']['streams']
assert streams['anyOf'][0]['maximum'] == 1024
window = schema['properties']['windows']['anyOf'][0]['items']
assert window['additionalProperties'] is False and 'size' in window['required']
