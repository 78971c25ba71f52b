"""A local cloud for tests: `millrace local` on ports of its own, what is published to it, and the
certificates for talking to it by TLS. Everything is on loopback."""

import json
import os
import signal
import subprocess
import time

PROJECT = 'demo'
TOPIC = f'projects/{PROJECT}/topics/orders-stream'
START_SECONDS = 20
STOP_SECONDS = 20


def millrace():
    return os.path.abspath(os.environ.get('MILLRACE', 'build/millrace'))


def build():
    return os.path.abspath(os.environ.get('MILLRACE_BUILD', os.path.dirname(millrace())))


def subscription(name):
    return f'projects/{PROJECT}/subscriptions/{name}'


class Cloud:
    """One running `millrace local`; `options` are added to its command line."""

    def __init__(self, directory, subscriptions, options=(), before=(), program=None):
        self.directory, self.subscriptions = directory, list(subscriptions)
        self.options, self.before = list(options), list(before)
        self.program = program or millrace()
        self.process, self.ports = None, {}

    def start(self):
        port_file = os.path.join(self.directory, 'ports.json')
        if os.path.exists(port_file):
            os.remove(port_file)
        command = [*self.before, self.program, 'local', '--quiet', '--port-file', port_file,
                   '--project', PROJECT, '--pubsub-port', str(self.ports.get('pubsub', 0)),
                   '--bigquery-port', 'none', '--pubsub-tls-port', '0',
                   '--bigquery-tls-port', 'none', '--rest-port', 'none']
        for name in self.subscriptions:
            command += ['--subscription', f'{name}:{TOPIC}']
        with open(os.path.join(self.directory, 'local.log'), 'ab') as log:
            self.process = subprocess.Popen([*command, *self.options], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not os.path.exists(port_file):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError('the local cloud does not start: ' + self.log())
            time.sleep(0.01)
        with open(port_file, encoding='utf-8') as file:
            self.ports = json.load(file)
        return self

    def log(self):
        with open(os.path.join(self.directory, 'local.log'), encoding='utf-8') as file:
            return file.read()[-2000:]

    def endpoint(self, door='pubsub', host='127.0.0.1'):
        return f'{host}:{self.ports[door]}'

    def stop(self, number=signal.SIGTERM):
        """-> its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def publish(self, lines, topic=TOPIC):
        """Each line (bytes without its end) becomes one message."""
        command = [*self.before, os.path.join(build(), 'tests', 'local', 'publish_lines'),
                   self.endpoint(), topic]
        done = subprocess.run(command, input=b''.join(line + b'\n' for line in lines),
                              stderr=subprocess.PIPE, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode('utf-8', 'replace'))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def make_certificates(directory, host='localhost'):
    """An authority and a certificate by it for `host`. -> (ca, certificate, key) as paths."""
    paths = {name: os.path.join(directory, name) for name in
             ('ca.pem', 'ca.key', 'host.pem', 'host.key', 'host.csr', 'host.ext')}
    with open(paths['host.ext'], 'w', encoding='utf-8') as file:
        file.write(f'subjectAltName=DNS:{host}\n')
    curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    for command in (
            ['req', '-x509', *curve, '-keyout', paths['ca.key'], '-out', paths['ca.pem'],
             '-subj', '/CN=test authority', '-days', '30'],
            ['req', *curve, '-keyout', paths['host.key'], '-out', paths['host.csr'],
             '-subj', f'/CN={host}'],
            ['x509', '-req', '-in', paths['host.csr'], '-CA', paths['ca.pem'],
             '-CAkey', paths['ca.key'], '-CAcreateserial', '-out', paths['host.pem'],
             '-extfile', paths['host.ext'], '-days', '30']):
        subprocess.run(['openssl', *command], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return paths['ca.pem'], paths['host.pem'], paths['host.key']
