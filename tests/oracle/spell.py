"""One value, many spellings: JSON text for strings, numbers, event times and objects. `odd` in
[0, 1] says how often a spelling is an unusual one."""

from datetime import datetime, timedelta


def string(rng, odd, value):
    return '"' + ''.join(character(rng, odd, one) for one in value) + '"'


SHORT = {'"': '\\"', '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r', '\b': '\\b', '\f': '\\f'}


def character(rng, odd, one):
    if one == '\ufffd' and rng.random() < odd:
        return rng.choice(['\\ud800', '\\uDFFF', '\\ufffd'])
    if ord(one) >= 0x20 and one not in '"\\' and rng.random() >= odd / 3:
        return one
    if one in SHORT and rng.random() < 0.7:
        return SHORT[one]
    if one == '/' and rng.random() < 0.7:
        return '\\/'
    units = one.encode('utf-16-be')
    escapes = [f'{units[at] << 8 | units[at + 1]:04x}' for at in range(0, len(units), 2)]
    return ''.join('\\u' + (text.upper() if rng.random() < 0.5 else text) for text in escapes)


def members(rng, style, tree):
    """A list of [key, text or list] -> the text of an object."""
    space = rng.choice(['', ' ', '\t', '\r ', '  ']) if rng.random() < style.wild else ''
    colon = ':' if rng.random() < 0.5 else ': '
    parts = []
    for key, value in tree:
        text = members(rng, style, value) if isinstance(value, list) else value
        parts.append(space + string(rng, style.wild, key) + colon + space + text)
    return '{' + (',' + space).join(parts) + space + '}'


def number(rng, odd, digits, places):
    """digits / 10**places."""
    if places < 0:
        digits, places = digits * 10**-places, 0
    sign, size = '-' if digits < 0 else '', str(abs(digits)).rjust(places + 1, '0')
    whole, fraction = size[:len(size) - places], size[len(size) - places:]
    plain = sign + whole + ('.' + fraction if fraction else '')
    if rng.random() >= odd:
        return plain
    trimmed = fraction.rstrip('0')
    nonzero = size.lstrip('0')
    if not nonzero:
        return rng.choice([plain, '0', '0.0', '0e9', '0E-3', '0.000e+07'])
    leading = '.' + nonzero[1:] if nonzero[1:] else ''
    return rng.choice([
        sign + whole + ('.' + trimmed if trimmed else ''),
        plain + ('' if fraction else '.') + '0' * rng.randint(1, 30),
        f'{sign}{nonzero}e{-places}', f'{sign}{nonzero}000E{-places - 3}',
        f'{sign}{nonzero[0]}{leading}{rng.choice("eE")}{len(nonzero) - 1 - places:+d}',
        f'{sign}0.000{nonzero}e{len(nonzero) + 3 - places:03d}',
    ])


def integer(rng, odd, value):
    return '-0' if value == 0 and rng.random() < odd / 4 else number(rng, odd, value, 0)


def decimal(rng, odd, value, scale):
    """Sometimes with digits beyond the scale, ties among them."""
    if rng.random() < 0.15:
        extra = rng.randint(1, 12)
        rest = rng.choice([5 * 10**(extra - 1), rng.randint(0, 10**extra - 1), 0, 10**extra - 1,
                           5 * 10**(extra - 1) - 1])
        sign = -1 if value < 0 else 1
        return number(rng, odd, value * 10**extra + sign * rest, scale + extra)
    if rng.random() < odd / 20:
        return rng.choice(['1e-999999999', '0e999999999', '-0.0', '-1E-400',
                           '0e-999999999999999999'])
    return number(rng, odd, value, scale)


def event_time(rng, odd, time_us, unit):
    if rng.random() < 0.55:
        return string(rng, odd / 3, iso(rng, time_us))
    below = [(10**11, 's', 10**6), (10**14, 'ms', 10**3), (10**17, 'us', 1)]
    if unit == 'auto':
        fits = [name for bound, name, factor in below if abs(time_us) < bound * factor
                and (name == 's' or abs(time_us) * 10**3 >= bound * factor)]
        fits += ['ns'] * (abs(time_us) >= 10**14)
        if not fits:
            return string(rng, odd / 3, iso(rng, time_us))
        unit = rng.choice(fits)
    places = {'s': 6, 'ms': 3, 'us': 0, 'ns': -3}[unit]
    digits = time_us
    if rng.random() < 0.3 or unit == 'ns':  # the part below a microsecond is to be cut
        digits, places = time_us * 1000 + rng.randint(0, 999), places + 3
    if rng.random() < 0.25:
        return '"' + number(rng, 0, digits, places) + '"'
    return number(rng, odd, digits, places)


def iso(rng, time_us):
    if rng.random() < 0.004:
        time_us -= time_us % 86_400_000_000
        return text_of(time_us)[:10] + 'T23:59:60' + rng.choice(['', 'Z', '.5Z', 'z'])
    minutes, zone = make_zone(rng)
    text = text_of(time_us + minutes * 60_000_000)
    micros = f'{time_us % 10**6:06}'
    seconds = text[16:19]
    if micros != '000000':
        fraction = '.' + rng.choice([micros, micros.rstrip('0'), micros + str(rng.randint(0, 999))])
    else:
        fraction = rng.choice(['', '', '', '.0', '.000000', '.000000999'])
        if seconds == ':00' and rng.random() < 0.3:
            seconds = fraction = ''
    return text[:10] + rng.choice('TTTt ') + text[11:16] + seconds + fraction + zone


def make_zone(rng):
    """-> (minutes east, its spelling)."""
    if rng.random() < 0.75:
        return 0, rng.choice(['', 'Z', 'z', '+00:00', '-00:00', '+00'])
    minutes = rng.choice([330, 345, -720, 840, -210, 1080, -1080, 60, -1, 1079])
    hours, rest = divmod(abs(minutes), 60)
    spellings = [f'{hours:02}:{rest:02}', f'{hours:02}{rest:02}'] + [f'{hours:02}'] * (rest == 0)
    return minutes, ('-' if minutes < 0 else '+') + rng.choice(spellings)


def text_of(time_us):
    return (datetime(1970, 1, 1) + timedelta(microseconds=time_us)).isoformat(' ', 'microseconds')
