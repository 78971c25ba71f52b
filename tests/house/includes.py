#!/usr/bin/env python3
"""Aim: who includes whom is what the table says, and each foreign library has one home."""
import re

import tree

# room: the rooms it may include, besides itself
ROOMS = {
    "core": "",
    "wire": "core",
    "ring": "core",
    "windows": "core",
    "tuning": "core",
    "sources": "core wire",
    "sinks": "core wire",
    "keeper": "core wire",
    "local": "core wire",
    "app": "core wire ring windows tuning sources sinks keeper local",
    "bench": "core wire ring windows tuning sources sinks keeper local app",
    "tests": "core wire ring windows tuning sources sinks keeper local app bench",
}
# one door a room: these files also include ring/
DOORS = r"sources/\w*puller\w*\.c|windows/aggregator\.c|sinks/\w*writer\w*\.c|keeper/keeper\.c"
# header: its home; tests/ and bench/ may be peers of any library
HOMES = {
    r"liburing(/.*)?\.h|linux/io_uring\.h": r"core/io_uring\.c",
    r"yaml\.h": r"core/(yaml_tree|config\w*)\.c",
    r"ck_\w+\.h": r"ring/.*",
    r"openssl/.*": r"wire/tls\w*\.c|keeper/credentials\w*\.c",
    r"nghttp2/.*": r"wire/h2\.c",
    r"curl/.*|hiredis/.*|microhttpd\.h": r"keeper/.*",
    r"sqlite3\.h": r"local/.*",
    r"jansson\.h": r"local/bq_rest\w*\.[ch]|keeper/.*",
    r"rte_\w+\.h": r"sources/dpdk\.c",
    r"jemalloc/.*": r"app/.*",
    r"benchmark/.*": r"bench/.*",
    r"cmocka\.h": r"tests/.*",
}
PEERS = r"(tests|bench)/.*"
# of the compiler, the C library and the kernel: no home needed
SYSTEM = (r"(assert|complex|ctype|dirent|dlfcn|endian|errno|fcntl|fenv|float|fnmatch|getopt|glob"
          r"|grp|ifaddrs|inttypes|langinfo|libgen|limits|locale|malloc|math|netdb|poll|pthread|pwd"
          r"|regex|sched|semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef"
          r"|stdint|stdio|stdlib|stdnoreturn|string|strings|syslog|termios|threads|time|ucontext"
          r"|unistd|wchar|cpuid|immintrin|x86intrin|nmmintrin|wmmintrin|emmintrin|tmmintrin|smmintrin)\.h"
          r"|(sys|linux|netinet|arpa|net|asm|sanitizer|valgrind)/.*|[a-z_]+")  # last: C++

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<]?)([^">\s]+)')


def wrong(path, quote, header):
    """What is wrong with this include, or None."""
    room, target = path.split("/")[0], header.split("/")[0]
    if quote == '"':
        if target not in ROOMS or "/" not in header:
            return "written from no room of the root"
        if target == room or target in ROOMS.get(room, "").split():
            return None
        if target == "ring" and re.fullmatch(DOORS, path):
            return None
        return f"{room} may not include {target}"
    if quote != "<":
        return "not a plain header name"
    for pattern, home in HOMES.items():
        if re.fullmatch(pattern, header):
            at_home = re.fullmatch(home, path)
            peer = re.fullmatch(PEERS, path) and home not in (r"bench/.*", r"tests/.*")
            return None if at_home or peer else f"its home is {home}"
    return None if re.fullmatch(SYSTEM, header) else "a header that no table here knows"


def rule(root):
    found = []
    for path in tree.files(root):
        if not path.endswith((".c", ".h", ".cc", ".def")):
            continue
        for number, line in enumerate(tree.text(root, path).splitlines(), 1):
            match = INCLUDE.match(line)
            what = match and wrong(path, *match.groups())
            if what:
                found.append(f"{path}:{number}: {match.group(2)}: {what}")
    return found


tree.main(rule, {
    "core/planted_up.c": '#include "wire/pb.h"\n',
    "wire/planted_ring.c": '#include "ring/spsc.h"\n',
    "sources/planted_across.c": '#include "windows/pane.h"\n',
    "windows/planted_wire.h": '#include "wire/pb.h"\n',
    "sinks/planted_door.c": '#include "ring/spsc.h"\n',
    "keeper/planted_top.c": '#include "app/topology.h"\n',
    "core/planted_relative.c": '#include "base.h"\n',
    "core/planted_uring.c": "#include <liburing.h>\n",
    "sinks/planted_tls.c": "#include <openssl/ssl.h>\n",
    "wire/planted_h2.c": "#  include <nghttp2/nghttp2.h>\n",
    "sources/planted_ck.c": "#include <ck_ring.h>\n",
    "tests/planted_benchmark.cc": "#include <benchmark/benchmark.h>\n",
    "app/planted_unknown.c": "#include <gtk/gtk.h>\n",
    "app/planted_macro.c": "#include HEADER\n",
})
