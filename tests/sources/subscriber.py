#!/usr/bin/env python3
"""Aim: the engine against servers that misbehave: each failure ends or is ridden out as promised, with
one clear line, and no message is lost.

The engine runs as nobody in a network namespace without a route where this process is root, and as
it is elsewhere (told loudly). Servers are `millrace local` and small scripts on loopback.

  subscriber.py [--only NAME]...
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'local'))

from cloud import Cloud, make_certificates, millrace, subscription  # noqa: E402

WAIT_SECONDS = 100
SUBSCRIPTION = 'orders-millrace'
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Failed(Exception):
    """What was expected and did not happen."""


def expect(truth, text):
    if not truth:
        raise Failed(text)


# --- servers that misbehave ---------------------------------------------------------------------

class Scripted:
    """Accepts on a port of loopback and gives each connection to `behave`."""

    def __init__(self, behave):
        self.behave, self.count = behave, 0
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.endpoint = f'127.0.0.1:{self.listener.getsockname()[1]}'
        self.kept = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        self.kept.append(connection)
        try:
            self.behave(connection)
        except OSError:
            pass  # the engine has gone

    def close(self):
        self.listener.close()
        for connection in self.kept:
            connection.close()


def swallow(connection):
    while connection.recv(65536):
        pass


def frame(kind, flags, stream, payload=b''):
    return (len(payload).to_bytes(3, 'big') + bytes([kind, flags]) + stream.to_bytes(4, 'big')
            + payload)


SETTINGS, PING, GOAWAY = 4, 6, 7


class Proxy(Scripted):
    """Between the engine and the cloud; breaks a connection with a reset once it has passed on so
    many bytes of answers, for the first `resets` connections."""

    def __init__(self, target, resets, seed):
        self.target, self.resets, self.random = target, resets, random.Random(seed)
        super().__init__(self.relay)

    def relay(self, connection):
        bytes_left = None
        if self.count <= self.resets:
            bytes_left = self.random.randrange(200, 60000)
        host, port = self.target.split(':')
        upstream = socket.create_connection((host, int(port)))
        self.kept.append(upstream)
        threading.Thread(target=self.pass_on, args=(connection, upstream), daemon=True).start()
        while data := upstream.recv(4096):
            if bytes_left is not None and len(data) >= bytes_left:
                connection.sendall(data[:bytes_left])
                break
            connection.sendall(data)
            if bytes_left is not None:
                bytes_left -= len(data)
        for end in (connection, upstream):  # a reset, not an end
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            end.shutdown(socket.SHUT_RD)
            end.close()

    @staticmethod
    def pass_on(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


# --- the engine ---------------------------------------------------------------------------------

class Run:
    """One run of the engine against `endpoint`."""

    number = 0

    def __init__(self, home, endpoint, *options, ca=None):
        Run.number += 1
        self.directory = os.path.join(home, f'run-{Run.number}')
        os.makedirs(self.directory)
        os.chmod(self.directory, 0o777)
        pubsub = {'subscription': subscription(SUBSCRIPTION), 'endpoint': endpoint, 'streams': 2}
        pubsub |= {'ca_file': ca, 'anonymous': True} if ca else {'plaintext': True}
        config = {
            'source': {'pubsub': pubsub},
            'decode': {'format': 'json',
                       'fields': {'order_id': 'string', 'timestamp': 'event_time'},
                       'dedup': {'by': 'message_id'}},
            'windows': [{'name': 'orders', 'group_by': ['order_id'], 'size': '1h',
                         'allowed_lateness': '1d', 'aggregates': ['count']}],
            'watermark': {'max_disorder': '1d', 'max_future_skew': '1d'},
            'sinks': {'file': {'path': self.path('rows.ndjson')},
                      'dead_letter': {'file': self.path('letters.ndjson')}},
            'journal': 'none',
        }
        with open(self.path('config.yaml'), 'w', encoding='utf-8') as file:
            json.dump(config, file, indent=1)
        environment = {name: value for name, value in os.environ.items()
                       if name != 'PUBSUB_EMULATOR_HOST'}
        with open(self.path('log'), 'wb') as log:
            self.process = subprocess.Popen(
                [*engine_before, millrace(), 'run', self.path('config.yaml'), '--summary-json',
                 self.path('summary.json'), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def path(self, name):
        return os.path.join(self.directory, name)

    def said(self):
        with open(self.path('log'), encoding='utf-8', errors='replace') as file:
            return file.read()

    def end(self, number=None):
        """-> the exit status; `number` is sent first."""
        if number:
            self.process.send_signal(number)
        try:
            return self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f'no end after {WAIT_SECONDS} s; it said: {self.said()}') from None

    def wait_for(self, pattern):
        deadline = time.monotonic() + WAIT_SECONDS
        while not re.search(pattern, self.said()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise Failed(f'it never said {pattern!r} but: {self.said()}')
            time.sleep(0.02)

    def rows(self):
        with open(self.path('rows.ndjson'), encoding='utf-8') as file:
            return [json.loads(line) for line in file]

    def summary(self):
        with open(self.path('summary.json'), encoding='utf-8') as file:
            return json.load(file)


def expect_failure(run, status, *patterns):
    """It ended with `status` and one line that matches each of `patterns`, and a remedy."""
    got = run.end()
    lines = [line for line in run.said().splitlines() if line.startswith('millrace: MR')]
    expect(got == status, f'exit {got}, expected {status}: {run.said()}')
    expect(len(lines) == 1, f'not one line of failure: {run.said()}')
    for pattern in patterns:
        expect(re.search(pattern, lines[0]), f'{pattern!r} is not in {lines[0]!r}')
    expect('\n  fix: ' in run.said(), f'no remedy: {run.said()}')


def orders(count):
    return [json.dumps({'order_id': f'O{n}', 'timestamp': '2025-07-22T12:00:00Z'}).encode()
            for n in range(count)]


def expect_each_once(runs, count):
    """Over all runs each order is in a row exactly once: what was acknowledged is in the rows."""
    seen = {}
    for run in runs:
        for row in run.rows():
            seen[row['order_id']] = seen.get(row['order_id'], 0) + row['count']
    wrong = {n: seen.get(f'O{n}', 0) for n in range(count) if seen.get(f'O{n}', 0) != 1}
    expect(not wrong and len(seen) == count,
           f'{len(wrong)} of {count} orders not exactly once: {list(wrong.items())[:5]}')


# --- the tests ----------------------------------------------------------------------------------

@test
def wrong_certificate_is_refused(home):
    ca, certificate, key = make_certificates(home)
    other = os.path.join(home, 'other')
    os.makedirs(other)
    stranger, _, _ = make_certificates(other)
    with Cloud(home, [SUBSCRIPTION], ['--tls', f'{certificate},{key}']) as cloud:
        by_name, by_number = cloud.endpoint('pubsub_tls', 'localhost'), cloud.endpoint('pubsub_tls')
        expect_failure(Run(home, by_name, ca=stranger), 69, 'MR3031', 'localhost')
        expect_failure(Run(home, by_number, ca=ca), 69, 'MR3031', r'127\.0\.0\.1')
        expect_failure(Run(home, by_name, ca=os.path.join(home, 'none.pem')), 66, 'MR3033',
                       r'none\.pem')
        run = Run(home, by_name, '--until-drained', ca=ca)
        expect(run.end() == 0, f'the right certificate is refused: {run.said()}')


@test
def garbage_is_refused(home):
    def talk(connection):
        connection.sendall(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n' * 50)
        swallow(connection)
    server = Scripted(talk)
    expect_failure(Run(home, server.endpoint), 69, 'MR3010', server.endpoint)
    ca, _, _ = make_certificates(home)
    expect_failure(Run(home, server.endpoint, ca=ca), 69, 'MR3030', server.endpoint)
    server.close()


@test
def silence_is_not_emptiness(home):
    for greeting in (b'', frame(SETTINGS, 0, 0)):
        def talk(connection, greeting=greeting):
            connection.sendall(greeting)
            swallow(connection)
        server = Scripted(talk)
        run = Run(home, server.endpoint, *([] if greeting else ['--until-drained']))
        time.sleep(4)
        expect(run.process.poll() is None, f'it ended: {run.said()}')
        expect(run.end(signal.SIGTERM) == 0, f'exit: {run.said()}')
        expect('draining' in run.said(), run.said())
        expect(run.summary()['received'] == 0, 'received from a silent server')
        server.close()


@test
def refused_connection_is_told_once_and_tried_again(home):
    with socket.create_server(('127.0.0.1', 0)) as holder:
        port = holder.getsockname()[1]
    run = Run(home, f'127.0.0.1:{port}', '--until-drained')
    run.wait_for(r'Connection refused; trying again')
    time.sleep(1)
    expect(run.said().count('refused') == 1, f'told more than once: {run.said()}')
    cloud = Cloud(home, [SUBSCRIPTION])
    cloud.ports = {'pubsub': port}
    with cloud:
        cloud.publish(orders(10))
        expect(run.end() == 0, run.said())
        expect('connected' in run.said(), run.said())
        expect_each_once([run], 10)


@test
def missing_subscription_ends_the_run(home):
    with Cloud(home, []) as cloud:
        expect_failure(Run(home, cloud.endpoint()), 69, 'MR4001', 'NOT_FOUND', SUBSCRIPTION)


@test
def unknown_host_ends_the_run(home):
    expect_failure(Run(home, 'no-such-host.invalid:443'), 69, 'MR2007', r'no-such-host\.invalid')


@test
def streams_that_age_lose_nothing(home):
    with Cloud(home, [SUBSCRIPTION], ['--stream-age', '1s']) as cloud:
        run = Run(home, cloud.endpoint(), '--until-drained')
        for part in range(5):
            cloud.publish(orders(5000)[part * 1000:(part + 1) * 1000])
            time.sleep(0.8)
        expect(run.end() == 0, run.said())
        expect_each_once([run], 5000)


@test
def a_storm_of_goaways_is_ridden_out(home):
    def talk(connection):
        connection.sendall(frame(SETTINGS, 0, 0))
        connection.recv(65536)
        connection.sendall(frame(SETTINGS, 1, 0) + frame(GOAWAY, 0, 0, bytes(8)))
        swallow(connection)
    server = Scripted(talk)
    run = Run(home, server.endpoint)
    time.sleep(3)
    expect(run.process.poll() is None, f'it ended: {run.said()}')
    expect(2 < server.count < 200, f'{server.count} connections in three seconds')
    expect(run.end(signal.SIGTERM) == 0, run.said())
    server.close()


def drain_and_look_again(home, cloud, run):
    """Ends the run; what was on its way when a connection broke stays leased for a minute, but not
    over a restart of the cloud. -> the runs that have it all."""
    expect(run.end(signal.SIGTERM) == 0, run.said())
    cloud.stop()
    cloud.start()
    again = Run(home, cloud.endpoint(), '--until-drained')
    expect(again.end() == 0, again.said())
    return [run, again]


@test
def a_restarted_cloud_loses_nothing(home):
    with Cloud(home, [SUBSCRIPTION], ['--data', os.path.join(home, 'data')]) as cloud:
        run = Run(home, cloud.endpoint())
        for part in range(4):
            cloud.publish(orders(8000)[part * 2000:(part + 1) * 2000])
            time.sleep(1.5)
            if part < 3:
                cloud.stop()
                time.sleep(0.2)
                cloud.start()
        time.sleep(2)
        expect_each_once(drain_and_look_again(home, cloud, run), 8000)
        expect(run.summary()['received'] >= 2000, f'it pulled too little: {run.said()}')


@test
def reset_connections_lose_nothing(home):
    with Cloud(home, [SUBSCRIPTION], ['--data', os.path.join(home, 'data')]) as cloud:
        proxy = Proxy(cloud.endpoint(), 12, 1)
        run = Run(home, proxy.endpoint)
        for part in range(20):
            cloud.publish(orders(4000)[part * 200:(part + 1) * 200])
            time.sleep(0.15)
        time.sleep(1)
        expect(proxy.count > 8, f'{proxy.count} connections: too few were reset')
        expect_each_once(drain_and_look_again(home, cloud, run), 4000)
        proxy.close()


@test
def a_broken_connection_is_not_emptiness(home):
    """Long, for a lease lasts a minute: a run until drained waits for what was leased to a stream that broke."""
    with Cloud(home, [SUBSCRIPTION]) as cloud:
        cloud.publish(orders(4000))
        proxy = Proxy(cloud.endpoint(), 1, 1)
        run = Run(home, proxy.endpoint, '--until-drained')
        expect(run.end() == 0, run.said())
        expect_each_once([run], 4000)
        proxy.close()


@test
def first_signal_drains_second_ends(home):
    with Cloud(home, [SUBSCRIPTION]) as cloud:
        cloud.publish(orders(1000))
        run = Run(home, cloud.endpoint())
        time.sleep(1.5)
        expect(run.end(signal.SIGTERM) == 0, run.said())
        expect_each_once([run], 1000)
        again = Run(home, cloud.endpoint(), '--until-drained')
        expect(again.end() == 0 and again.summary()['received'] == 0,
               f'not all was acknowledged: {again.said()}')


# --- without a route, without rights --------------------------------------------------------------

AS_NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--']
engine_before = []


def works(command):
    try:
        return subprocess.run([*command, *(() if command[-1] != '--' else ('true',))], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def alone(inside):
    """Goes on in a network namespace with nothing but loopback; the engine runs as nobody."""
    if inside:
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    elif os.geteuid() == 0 and works(['unshare', '--net', '--']) and shutil.which('ip'):
        os.execvp('unshare', ['unshare', '--net', '--', sys.executable, *sys.argv, '--inside'])
    else:
        print('NOT ALONE: not root, or no namespaces here: routes are left as they are', flush=True)
    if os.geteuid() == 0 and works(AS_NOBODY) and works([*AS_NOBODY, 'test', '-x', millrace()]):
        engine_before.extend(AS_NOBODY)
    else:
        print('NOT NOBODY: the engine keeps the rights of this process', flush=True)


# --- all of them --------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description='the engine against misbehaving servers')
    parser.add_argument('--only', action='append', metavar='NAME')
    parser.add_argument('--inside', action='store_true', help='already without a route')
    chosen = parser.parse_args()
    alone(chosen.inside)
    failed = 0
    for function in TESTS:
        if chosen.only and function.__name__ not in chosen.only:
            continue
        if function is a_broken_connection_is_not_emptiness and not chosen.only and \
                os.environ.get('MILLRACE_TEST_SIZE') != 'long':
            continue
        home = tempfile.mkdtemp(prefix='subscriber-')
        os.chmod(home, 0o777)
        started = time.monotonic()
        try:
            function(home)
            print(f'ok     {function.__name__} ({time.monotonic() - started:.1f} s)', flush=True)
            shutil.rmtree(home, ignore_errors=True)
        except Failed as failure:
            failed += 1
            print(f'FAILED {function.__name__}: {failure}\n  kept: {home}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
