"""Random configurations and streams, each from one seed, made to hit borders: events on window
starts and ends, watermarks on ends and expiries, numbers at the ends of 64 bits, every spelling and
every reason. What a line means is for the model to say; nothing here needs to know."""

import random

import spell
from decode import DAY_US, EVENT_US_MAX, EVENT_US_MIN, Decoder, Refused
from model import UNITS_US, Config

YEAR_US = 366 * DAY_US
# Windows around an event must stay within the years a row can show.
TIME_MIN, TIME_MAX = EVENT_US_MIN + YEAR_US, EVENT_US_MAX - YEAR_US

REGIONS = ['us-west', 'us-east', 'europe', 'asia', '', 'a', 'A', 'a ', 'aa', 'null', 'a\0', '日本',
           'é', 'e\u0301', '😀', '\ufffd', 'say "hi"\\', 'tab\there', '\x7f\u2028', 'path/to',
           'z' * 300]
SHOPS = [0, 1, 2, -1, 7, 2**63 - 1, -2**63, 10**15]
SIZES = [(10, 5), (7, 5), (3, 10), (1, 1), (5, 1), (300, 60), (16, 7), (15, 5), (4, 2), (12, 1),
         (7, 3), (2, 3), (60, 1), (5, 5), (17, 4), (1, 2)]
BASES_US = [1, 1000, 100_000, 10**6, 10**6, 60 * 10**6, 60 * 10**6, 3600 * 10**6]
ORIGINS_US = [1_753_185_123_000_000, 1_753_185_123_000_000, 0, -1, -2_177_452_800_000_000,
              TIME_MIN + YEAR_US, TIME_MAX - 60 * YEAR_US, 951_782_400_000_000]


class Case:
    """`tree` lacks only what names files and workers; `shapes` are pullers, aggregators, batch."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.seed = seed
        self.tree = make_config(rng)
        self.stream = make_stream(rng, self.tree)
        self.shapes = make_shapes(rng, self.tree)


def chance(rng, probability):
    return rng.random() < probability


def some(rng, items):
    """A random subset, in random order."""
    return rng.sample(items, rng.randint(0, len(items)))


# --- configurations -------------------------------------------------------------------------------

def make_config(rng):
    specs = make_fields(rng)
    decode = {'format': 'json', 'fields': specs}
    if 'order_id' in specs and chance(rng, 0.6):
        decode['dedup'] = {'field': 'order_id'}
    if chance(rng, 0.25):
        decode['max_payload'] = f'{rng.randint(150, 700)}B'
    base_us = rng.choice(BASES_US)
    windows = [make_window(rng, f'w{number}', specs, base_us)
               for number in range(rng.choice([1, 1, 2, 3]))]
    longest_us = max(size_us for _, size_us in windows)
    disorder_us = rng.choice([0, rng.randint(0, base_us * 3), rng.randint(0, 2 * longest_us)])
    tree = {'decode': decode, 'windows': [window for window, _ in windows],
            'watermark': {'strategy': 'bounded', 'max_disorder': duration(rng, disorder_us)}}
    common = Config(tree).route_by
    if common and chance(rng, 0.25):
        tree['route_by'] = some(rng, common) or common[:1]
    return tree


def make_fields(rng):
    kinds = [('timestamp', {'type': 'event_time'}, 1), ('region', {'type': 'string'}, 0.9),
             ('shop', {'type': 'int'}, 0.5), ('paid', {'type': 'bool'}, 0.5),
             ('order_id', {'type': rng.choice(['string', 'int'])}, 0.8),
             ('amount', {'type': 'decimal', 'scale': rng.choice([2, 2, 2, 0, 1, 4, 9])}, 0.9),
             ('qty', {'type': 'int'}, 0.6), ('note', {'type': 'string'}, 0.2)]
    rng.shuffle(kinds)
    return {name: make_field(rng, name, spec)
            for name, spec, probability in kinds if chance(rng, probability)}


def make_field(rng, name, spec):
    if spec['type'] == 'event_time':
        if chance(rng, 0.3):
            spec['unit'] = rng.choice(['auto', 's', 'ms', 'us', 'ns'])
    elif chance(rng, 0.35):
        spec['optional'] = True
    if spec['type'] in ('int', 'decimal') and chance(rng, 0.3):
        spec['string'] = True
    if chance(rng, 0.25):
        spec['from'] = rng.choice(['payload.', 'payload.deep.', 'größe.', 'a.b.c.d.e.']) + name
    if set(spec) == {'type'} and chance(rng, 0.8):
        return spec['type']
    if set(spec) == {'type', 'scale'} and chance(rng, 0.8):
        return {'decimal': spec['scale']}
    return spec


def make_window(rng, name, specs, base_us):
    """-> (the entry, its size in microseconds)."""
    size, hop = rng.choice(SIZES)
    size_us, hop_us = size * base_us, hop * base_us
    window = {'name': name, 'group_by': some(rng, [field for field in ('region', 'shop', 'paid')
                                                   if field in specs]),
              'size': duration(rng, size_us)}
    if hop != size or chance(rng, 0.5):
        window['hop'] = duration(rng, hop_us)
    if chance(rng, 0.5):
        window['offset'] = duration(rng, rng.randint(-3 * hop_us, 3 * hop_us))
    if chance(rng, 0.7):
        lateness_us = rng.choice([0, rng.randint(0, 3 * size_us), hop_us, 200 * size_us])
        window['allowed_lateness'] = duration(rng, min(lateness_us, 366 * 86_400_000_000))
    if chance(rng, 0.5):
        window['accumulation'] = 'accumulating'
    measures = [f'{kind}({field})' for field in ('amount', 'qty') if field in specs
                for kind in ('sum', 'min', 'max', 'avg')]
    aggregates = some(rng, measures) + ['count'] * chance(rng, 0.85)
    window['aggregates'] = rng.sample(aggregates, len(aggregates)) or ['count']
    return window, size_us


def duration(rng, time_us):
    exact = [unit for unit in ('us', 'ms', 's', 'm', 'h') if time_us % UNITS_US[unit] == 0]
    unit = exact[-1] if time_us and chance(rng, 0.7) else rng.choice(exact)
    return f'{time_us // UNITS_US[unit]}{unit}'


def make_shapes(rng, tree):
    """Where no field routes, one aggregator is all there may be."""
    aggregators = [1, 2, 4] if Config(tree).route_by else [1]
    every = [(pullers, count, batch) for pullers in (1, 2) for count in aggregators
             for batch in (1, 2, 7, 64, 1024, 4096)]
    return rng.sample(every, 4)


# --- streams --------------------------------------------------------------------------------------

class Style:
    """How a stream's lines look, drawn once for all of them."""

    def __init__(self, rng):
        self.shuffled = chance(rng, 0.4)            # keys in another order in each line
        self.wild = rng.choice([0, 0, 0.1, 0.6])    # odd spellings
        self.noise = rng.choice([0, 0.1, 0.5])      # keys that nobody asked for
        self.repeats = rng.choice([0, 0, 0.1])      # keys that come twice
        self.absent = rng.choice([0, 0.1, 0.4])     # optional fields left out, or null
        self.faults = rng.choice([0, 0.03, 0.2])
        self.again = rng.choice([0, 0.1, 0.3])      # ids, and whole lines, seen before
        self.keys = rng.choice([1, 3, 100])
        self.end = rng.choice(['', '', '', '\r', ' '])


def make_stream(rng, tree):
    config, style = Config(tree), Style(rng)
    clock = Clock(rng, config, line_count(rng, config))
    lines = []
    for number in range(clock.lines):
        if chance(rng, 0.02):
            lines.append(b'')
        if lines and chance(rng, style.again / 3):
            lines.append(rng.choice(lines))
            continue
        lines.append(make_line(rng, style, config, clock.next(), number))
    return b'\n'.join(lines) + b'\n' * (lines != [] and chance(rng, 0.7))


def line_count(rng, config):
    """Bounded also by how many windows a line may fall into: the model is slow."""
    wanted = rng.choice([rng.randint(0, 8), rng.randint(5, 60), rng.randint(20, 120),
                         rng.randint(50, 400), rng.randint(50, 400), rng.randint(400, 2000)])
    windows = sum(-(-definition.size // definition.hop) for definition in config.definitions)
    return min(wanted, 10_000 // windows)


class Clock:
    """Event times: mostly a disordered walk forward, often exactly on a border."""

    def __init__(self, rng, config, lines):
        self.rng, self.config, self.lines = rng, config, lines
        longest_us = max(definition.size for definition in config.definitions)
        span_us = int(rng.choice([0.5, 3, 20, 200]) * longest_us)
        self.step_us = max(1, 2 * span_us // max(1, lines))
        self.now_us = rng.choice(ORIGINS_US) + rng.randint(-longest_us, longest_us)
        self.jump_rate = rng.choice([0, 0, 0.01])

    def next(self):
        rng, definition = self.rng, self.rng.choice(self.config.definitions)
        disorder_us = self.config.max_disorder_us
        self.now_us += rng.randint(0, self.step_us)
        if chance(rng, self.jump_rate):
            self.now_us += rng.choice([definition.size * rng.randint(1, 1000), 40 * YEAR_US])
        kind = rng.random()
        time_us = self.now_us - rng.randint(0, disorder_us)
        if kind < 0.25:
            time_us = self.border(definition, disorder_us)
        elif kind < 0.4:
            behind_us = definition.size + definition.lateness + disorder_us
            time_us = self.now_us - rng.randint(0, 2 * behind_us)
        return min(max(time_us, TIME_MIN), TIME_MAX)

    def border(self, definition, disorder_us):
        """A time on a window start or end, or one that brings the watermark onto an end or an
        expiry, give or take a microsecond."""
        start_us = self.rng.choice(definition.starts(self.now_us)
                                   or [self.now_us - (self.now_us - definition.offset)
                                       % definition.hop])
        end_us = start_us + definition.size
        return self.rng.choice([start_us, end_us, end_us + disorder_us,
                                end_us + definition.lateness + disorder_us]) \
            + self.rng.choice([-1, 0, 0, 1])


def make_line(rng, style, config, time_us, number):
    """-> bytes without a newline. A damaged line whose event time strays out of the years that rows
    can show is made again."""
    while True:
        fault = rng.choice(list(FAULTS)) if chance(rng, style.faults) else None
        payload = write_line(rng, style, config, time_us, number, fault)
        if fault is None or in_sight(config.decoder, payload):
            return payload


def in_sight(decoder: Decoder, payload):
    try:
        values, _ = decoder.decode(payload)
    except Refused:
        return True
    return TIME_MIN <= values[decoder.event_time.name] <= TIME_MAX


def write_line(rng, style, config, time_us, number, fault):
    texts = {field.name: field_text(rng, style, field, time_us, number)
             for field in config.decoder.fields}
    if fault in FIELD_FAULTS:
        for _ in range(rng.choice([1, 1, 2])):
            field = rng.choice(config.decoder.fields)
            bad = FIELD_FAULTS[fault](rng, field)
            texts[field.name] = texts[field.name] if bad is None else bad
    members = []
    for field in config.decoder.fields:
        if texts[field.name] is not ABSENT:
            place(members, field.path, texts[field.name])
    text = spell.members(rng, style, add_noise(rng, style, members)) + style.end
    payload = text.encode('utf-8')
    if fault in BYTE_FAULTS:
        payload = BYTE_FAULTS[fault](rng, payload, config.decoder.max_payload)
    return payload.replace(b'\n', b' ')


ABSENT = object()


def field_text(rng, style, field, time_us, number):
    if field.optional and chance(rng, style.absent):
        return rng.choice([ABSENT, 'null'])
    odd = style.wild
    if field.type == 'event_time':
        return spell.event_time(rng, odd, time_us, field.unit)
    if field.type == 'bool':
        return rng.choice(['true', 'false'])
    if field.name == 'order_id':
        value = rng.randint(0, number) if chance(rng, style.again) else number
        return spell.integer(rng, odd, value) if field.type == 'int' \
            else spell.string(rng, odd, f'{value:08x}-é')
    if field.type == 'string':
        return spell.string(rng, odd, rng.choice(REGIONS[:style.keys]))
    if field.name == 'shop':
        text = spell.integer(rng, odd, rng.choice(SHOPS[:style.keys]))
    elif field.type == 'int':
        text = spell.integer(rng, odd, measure(rng, 10))
    else:
        text = spell.decimal(rng, odd, measure(rng, 50_000), field.scale)
    return f'"{text}"' if field.from_string and chance(rng, 0.5) else text


def measure(rng, usual):
    return rng.choice([rng.randint(1, usual)] * 6 + [0, -rng.randint(1, usual),
                                                     rng.randint(-2**62, 2**62), rng.choice(
                                                         [2**63 - 1, -2**63, 1, -1])])


def place(members, path, text):
    """`members` is a list of [key, text or members]."""
    for member in members:
        if member[0] == path[0] and isinstance(member[1], list) and len(path) > 1:
            return place(member[1], path[1:], text)
    members.append([path[0], text if len(path) == 1 else []])
    if len(path) > 1:
        place(members[-1][1], path[1:], text)
    return None


NOISE = ['null', '3', '"x"', '[]', '{}', '[1,[2,{"region":"no"}],"]"]', '{"timestamp":"no"}',
         '"\\"}{"', '-0.0e-0', '[' * 255 + ']' * 255]


def add_noise(rng, style, members):
    members = list(members)
    if style.shuffled:
        rng.shuffle(members)
    for key, _ in list(members):
        if chance(rng, style.repeats):
            members.insert(0, [key, rng.choice(NOISE)])  # the last one wins
    if chance(rng, style.noise):
        key = rng.choice(['extra', '', 'Region', 'regio', 'region ', 'amounts', 'timestamp\0', 'é'])
        members.insert(rng.randint(0, len(members)), [key, rng.choice(NOISE)])
    return members


# --- faults ---------------------------------------------------------------------------------------
# A field fault answers with the field's bad text, or None where the field cannot have that fault.

def missing(rng, _field):
    return rng.choice([ABSENT, 'null'])


def bad_type(rng, field):
    kinds = {'string': ['3', 'true', '[]', '{}', '["europe"]'], 'bool': ['0', '"true"', '[]'],
             'int': ['3.5', '"x"', 'true', '[3]', '1e-1', '"3"', '""', '" 3"', '"03"', '"1.5"'],
             'decimal': ['"x"', 'false', '{}', '"12.5"', '"+1"', '"1."', '"0x1"'],
             'event_time': ['true', '[]', '{}', '[1753185123]']}
    return rng.choice(kinds[field.type])


def bad_timestamp(rng, field):
    if field.type != 'event_time':
        return None
    return rng.choice(['1e999999999', '-1e30', '1e400', *(f'"{text}"' for text in (
        '', 'noon', '2025-02-30T00:00:00Z', '2025-13-01T00:00:00Z', '2025-07-22T25:00:00Z',
        '2025-07-22T11:60:00Z', '2025-07-22T11:52:61Z', '2025-07-22T11:52:60Z', '2025-07-22',
        '2025-07-22T11:52:03+18:01', '2025-07-22T11:52:03+5', '2025-07-22T11:52:03.', '2025-7-22',
        '1900-02-29T00:00:00Z', '10000-01-01T00:00:00Z', '0000-01-01T00:00:00Z', '1e9', 'null',
        '9999-12-31T23:59:59-01:00', '0001-01-01T00:00:00+01:00', '2025-07-22T11:52:03Zjunk'))])


def out_of_range(rng, field):
    if field.type not in ('int', 'decimal'):
        return None
    return rng.choice(['9223372036854775808', '-9223372036854775809', '1e30', '-1e999999999',
                       '18446744073709551616', '1e19', '123456789012345678901234567890'])


def too_large(rng, payload, max_payload):
    """One byte more than allowed, or exactly what is allowed."""
    size = min(max_payload, 5000) + rng.choice([0, 1, 1])
    return payload + b' ' * (size - len(payload))


def malformed(rng, payload, _max_payload):
    cut = rng.randint(0, max(0, len(payload) - 1))
    return rng.choice([
        payload[:cut] or b' ', payload + b'x', payload + payload, b'\xef\xbb\xbf' + payload,
        payload.replace(b':', b'=', 1), payload.replace(b',', b',,', 1), payload[:-1] + b',}',
        payload.replace(b'"', b"'"), payload[:-1] + b',"x":01}', payload[:-1] + b',"x":NaN}',
        payload[:-1] + b',"x":"\xff"}', payload[:-1] + b',"x":"\xed\xa0\x80"}',
        payload[:-1] + b',"x":"\xc0\x80"}', payload[:-1] + b',"x":"\t"}',
        payload[:-1] + b',"\\x":1}',
        payload[:-1] + b',"x":"\\ud8"}', payload[:-1] + b',"x":1.}', payload[:-1] + b',"x":.5}',
        payload[:-1] + b',"x":' + b'[' * 256 + b']' * 256 + b'}', payload[:-1] + b',"x":tru}',
        b'\0',
        payload[:-1] + b',"x":"\xf4\x90\x80\x80"}', payload[:-1] + b',"x":+1}', b'nul', b'"',
        b'\\'])


def any_byte(rng, payload, _max_payload):
    """A byte changed, left out or put in; the line may still be good."""
    at = rng.randint(0, len(payload) - 1)
    return payload[:at] + rng.choice([b'', bytes([rng.randint(0, 255)]), bytes([payload[at] ^ 1]),
                                      payload[at:at + 1] * 2]) + payload[at + 1:] or b' '


def not_an_order(rng, _payload, _max_payload):
    return rng.choice([b'[]', b'{}', b'3', b'"x"', b'null', b'true', b' {} ', b' ', b'\r', b'[{}]'])


FIELD_FAULTS = {'missing': missing, 'bad_type': bad_type, 'bad_timestamp': bad_timestamp,
                'out_of_range': out_of_range}
BYTE_FAULTS = {'too_large': too_large, 'malformed': malformed, 'any_byte': any_byte,
               'not_an_order': not_an_order}
FAULTS = {**FIELD_FAULTS, **BYTE_FAULTS}
