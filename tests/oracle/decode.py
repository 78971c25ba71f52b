"""The plain parser: one payload -> the values of the configured fields, or why it is a letter.

Written by hand and for plainness. It is strict where Python's json module is lax (NaN, lone
surrogates, control characters, bytes after the value), and all arithmetic is on digits, so it is
exact at any size of number. The engine's decoder is checked against it, never the other way round.
"""

import re
from datetime import date

DEPTH_MAX = 256
MAX_PAYLOAD_DEFAULT = 10_000_000
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

# The first failing rule over all fields names the letter: a lower place wins.
REASONS = ['too_large', 'malformed_json', 'missing_field', 'bad_type', 'bad_timestamp',
           'out_of_range']


class Refused(Exception):
    """Carries the reason, one of REASONS, and a sentence."""

    def __init__(self, reason, detail=''):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


# --- JSON (RFC 8259) ------------------------------------------------------------------------------

class Number:
    """A JSON number as it was spelled; nothing is lost before the field says what it wants."""

    def __init__(self, text):
        self.text = text


SPACE = re.compile(r'[ \t\n\r]*')
NUMBER = re.compile(r'-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?')
PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
HEX4 = re.compile(r'[0-9A-Fa-f]{4}')
ESCAPES = {'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}
WORDS = {'true': True, 'false': False, 'null': None}


def parse_json(payload):
    """bytes -> dict, list, str, Number, bool or None; Refused('malformed_json') otherwise.
    A repeated key: the last one wins, whole."""
    try:
        text = payload.decode('utf-8')  # strict: no overlong forms, no surrogates, up to U+10FFFF
    except UnicodeDecodeError as error:
        raise Refused('malformed_json', str(error)) from None
    parser = JsonParser(text)
    value = parser.value(1)
    parser.skip_space()
    if parser.at != len(text):
        parser.fail('bytes after the value')
    return value


class JsonParser:
    def __init__(self, text):
        self.text, self.at = text, 0

    def fail(self, what):
        raise Refused('malformed_json', f'{what} at character {self.at}')

    def skip_space(self):
        self.at = SPACE.match(self.text, self.at).end()

    def next_is(self, character):
        """Takes `character` if it comes next."""
        if self.text[self.at:self.at + 1] != character:
            return False
        self.at += 1
        return True

    def value(self, depth):
        """`depth` is what an array or object starting here would have; the outermost has 1."""
        self.skip_space()
        if self.next_is('{'):
            return self.object(depth)
        if self.next_is('['):
            return self.array(depth)
        if self.next_is('"'):
            return self.string()
        for word, meaning in WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return meaning
        number = NUMBER.match(self.text, self.at)
        if not number:
            self.fail('no value')
        self.at = number.end()
        return Number(number.group())

    def object(self, depth):
        if depth > DEPTH_MAX:
            self.fail('too deep')
        members = {}
        self.skip_space()
        if self.next_is('}'):
            return members
        while True:
            self.skip_space()
            if not self.next_is('"'):
                self.fail('no key')
            key = self.string()
            self.skip_space()
            if not self.next_is(':'):
                self.fail('no colon')
            members[key] = self.value(depth + 1)
            self.skip_space()
            if self.next_is('}'):
                return members
            if not self.next_is(','):
                self.fail('no comma')

    def array(self, depth):
        if depth > DEPTH_MAX:
            self.fail('too deep')
        items = []
        self.skip_space()
        if self.next_is(']'):
            return items
        while True:
            items.append(self.value(depth + 1))
            self.skip_space()
            if self.next_is(']'):
                return items
            if not self.next_is(','):
                self.fail('no comma')

    def string(self):
        """The opening quote is taken already."""
        parts = []
        while True:
            plain = PLAIN.match(self.text, self.at)
            parts.append(plain.group())
            self.at = plain.end()
            if self.next_is('"'):
                return ''.join(parts)
            if not self.next_is('\\'):
                self.fail('string not closed, or a control character in it')
            parts.append(self.escape())

    def escape(self):
        """The backslash is taken already."""
        letter = self.text[self.at:self.at + 1]
        self.at += 1
        if letter in ESCAPES:
            return ESCAPES[letter]
        if letter != 'u':
            self.fail('no such escape')
        unit = self.hex4()
        if 0xD800 <= unit <= 0xDBFF and self.text.startswith('\\u', self.at):
            after_first = self.at
            self.at += 2
            second = self.hex4()
            if 0xDC00 <= second <= 0xDFFF:
                return chr(0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00))
            self.at = after_first  # the second escape speaks for itself
        return '\ufffd' if 0xD800 <= unit <= 0xDFFF else chr(unit)

    def hex4(self):
        digits = HEX4.match(self.text, self.at)
        if not digits:
            self.fail('no four hexadecimal digits')
        self.at = digits.end()
        return int(digits.group(), 16)


# --- numbers --------------------------------------------------------------------------------------

EXPONENT_FAR = 10**18  # beyond any payload's length in digits, so as good as infinite


def split_number(text):
    """Spelling -> (negative, digits, exponent): the value is digits * 10**exponent. `digits` has
    neither leading nor trailing zeros, and is empty for zero."""
    negative = text.startswith('-')
    mantissa, _, exponent_text = text.lstrip('-').lower().partition('e')
    whole, _, fraction = mantissa.partition('.')
    digits = (whole + fraction).lstrip('0')
    trimmed = digits.rstrip('0')
    exponent = read_exponent(exponent_text) - len(fraction) + len(digits) - len(trimmed)
    return (negative, trimmed, exponent) if trimmed else (False, '', 0)


def read_exponent(text):
    size = text.lstrip('+-').lstrip('0')
    value = EXPONENT_FAR if len(size) > 18 else int(size or '0')
    return -value if text.startswith('-') else value


def shift_number(text, places):
    """The value times 10**places as (negative, whole, rest): `whole` is the integer part of its
    magnitude, or None when that has more than 25 digits; `rest` are the digits after the point."""
    negative, digits, exponent = split_number(text)
    point = len(digits) + exponent + places  # how many digits stand before the point
    if not digits:
        return False, 0, ''
    if point > 25:
        return negative, None, digits[point:]
    if point < 0:
        return negative, 0, '0'  # a zero, and then something: enough for rounding
    return negative, int(digits[:point].ljust(point, '0') or '0'), digits[point:]


def read_int(text):
    negative, whole, rest = shift_number(text, 0)
    if rest:
        raise Refused('bad_type', 'not an integer')
    return in_int64(whole, negative)


def read_decimal(text, scale):
    """-> (integer of the smallest unit, whether digits other than zero were rounded away)."""
    negative, whole, rest = shift_number(text, scale)
    if whole is not None and rest and rest[0] >= '5':
        whole += 1  # half away from zero: the sign is apart
    return in_int64(whole, negative), rest != ''


def in_int64(whole, negative):
    value = None if whole is None else -whole if negative else whole
    if value is None or not INT64_MIN <= value <= INT64_MAX:
        raise Refused('out_of_range', 'outside 64 bits')
    return value


# --- event times ----------------------------------------------------------------------------------

EPOCH_DAY = date(1970, 1, 1).toordinal()
DAY_US = 86_400_000_000
EVENT_US_MIN = (date(1, 1, 1).toordinal() - EPOCH_DAY) * DAY_US
EVENT_US_MAX = (date(9999, 12, 31).toordinal() + 1 - EPOCH_DAY) * DAY_US - 1

ISO = re.compile(r'([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})'
                 r'(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?'
                 r'(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)?')
EPOCH_STRING = re.compile(r'-?[0-9]+(?:\.[0-9]+)?')
UNIT_PLACES = {'s': 6, 'ms': 3, 'us': 0, 'ns': -3}  # powers of ten to microseconds


def read_event_time(value, unit):
    """-> microseconds since 1970 UTC."""
    if isinstance(value, Number):
        event_us = read_epoch(value.text, unit)
    elif not isinstance(value, str):
        raise Refused('bad_type', 'neither a string nor a number')
    elif EPOCH_STRING.fullmatch(value):
        event_us = read_epoch(value, unit)
    else:
        event_us = read_iso(value)
    if not EVENT_US_MIN <= event_us <= EVENT_US_MAX:
        raise Refused('bad_timestamp', 'outside the years 1 to 9999')
    return event_us


def read_epoch(text, unit):
    if unit == 'auto':
        _, digits, exponent = split_number(text)
        magnitude = len(digits) + exponent  # x < 10**m exactly when magnitude <= m
        unit = 's' if magnitude <= 11 else 'ms' if magnitude <= 14 else \
            'us' if magnitude <= 17 else 'ns'
    negative, whole, rest = shift_number(text, UNIT_PLACES[unit])
    if whole is None:
        raise Refused('bad_timestamp', 'far outside the years 1 to 9999')
    return -whole - (rest != '') if negative else whole  # toward minus infinity


def read_iso(text):
    match = ISO.fullmatch(text)
    if not match:
        raise Refused('bad_timestamp', 'no known spelling')
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    second, fraction = int(match[6] or 0), (match[7] or '').ljust(6, '0')[:6]
    zone_minutes = int(match[9] or 0) * 60 + int(match[10] or 0)
    if hour > 23 or minute > 59 or second > 60 or int(match[10] or 0) > 59 \
            or zone_minutes > 18 * 60:
        raise Refused('bad_timestamp', 'no such time or zone')
    try:
        days = date(year, month, day).toordinal() - EPOCH_DAY
    except ValueError:
        raise Refused('bad_timestamp', 'no such date') from None
    if match[8] == '-':
        zone_minutes = -zone_minutes
    utc_minutes = days * 1440 + hour * 60 + minute - zone_minutes
    if second == 60:  # a leap second is the last of a UTC day
        if utc_minutes % 1440 != 1439:
            raise Refused('bad_timestamp', 'second 60')
        second, fraction = 59, '999999'
    return (utc_minutes * 60 + second) * 1_000_000 + int(fraction)


# --- fields ---------------------------------------------------------------------------------------

class Field:
    """One entry of decode.fields."""

    def __init__(self, name, spec):
        if isinstance(spec, str):
            spec = {'type': spec}
        if 'decimal' in spec:
            spec = {**spec, 'type': 'decimal', 'scale': spec['decimal']}
        self.name, self.type = name, spec['type']
        self.scale = int(spec.get('scale', 0))
        self.path = spec['from'].split('.') if 'from' in spec else [name]
        self.from_string = bool(spec.get('string', False))
        self.unit = spec.get('unit', 'auto')
        self.optional = bool(spec.get('optional', False)) and self.type != 'event_time'
        if self.type not in ('string', 'int', 'bool', 'decimal', 'event_time'):
            raise ValueError(f'field {name}: unknown type {self.type}')


class Decoder:
    """Made from the `decode` mapping of a configuration."""

    def __init__(self, decode):
        self.fields = [Field(name, spec) for name, spec in decode['fields'].items()]
        self.max_payload = int(str(decode.get('max_payload', MAX_PAYLOAD_DEFAULT)).rstrip('B'))
        (self.event_time,) = [field for field in self.fields if field.type == 'event_time']

    def decode(self, payload):
        """-> ({field name: value}, decimals rounded), or raises Refused. Strings are str, ints
        int, decimals int of the smallest unit, bools bool, the event time int microseconds,
        absent None."""
        if len(payload) > self.max_payload:
            raise Refused('too_large', f'{len(payload)} bytes')
        tree = parse_json(payload)
        values, refusals, rounded_count = {}, [], 0
        for field in self.fields:
            try:
                values[field.name], rounded = read_field(field, tree)
                rounded_count += rounded
            except Refused as refusal:
                refusals.append(refusal)
        if refusals:
            raise min(refusals, key=lambda refusal: REASONS.index(refusal.reason))
        return values, rounded_count


def read_field(field, tree):
    """-> (value, whether it was rounded)."""
    value = tree
    for key in field.path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        if not field.optional:
            raise Refused('missing_field', field.name)
        return None, False
    if field.type == 'event_time':
        return read_event_time(value, field.unit), False
    if field.type in ('string', 'bool'):
        if not isinstance(value, str if field.type == 'string' else bool):
            raise Refused('bad_type', field.name)
        return value, False
    text = number_text(field, value)
    return (read_int(text), False) if field.type == 'int' else read_decimal(text, field.scale)


def number_text(field, value):
    if isinstance(value, Number):
        return value.text
    if field.from_string and isinstance(value, str) and NUMBER.fullmatch(value):
        return value
    raise Refused('bad_type', field.name)
