#!/usr/bin/env python3
"""Aim: each header compiles alone and twice; those that bench/ reaches also as C++."""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import tree

ROOT, BUILD = sys.argv[1], sys.argv[2]
COMMON = ["-fsyntax-only", "-march=x86-64-v2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
          "-I" + ROOT, "-I" + BUILD]
C = ["gcc", "-x", "c", "-std=gnu11", *COMMON, "-"]
CXX = ["g++", "-x", "c++", "-std=gnu++17", *COMMON, "-"]
ABSENT = "fatal error: (rte_|hiredis/|microhttpd)"  # headers of libraries that are optional


def ours(path):
    if not os.path.isfile(os.path.join(ROOT, path)):
        return []
    return re.findall(r'^\s*#\s*include\s*"([^"]+)"', tree.text(ROOT, path), re.M)


def reached_by_bench(paths):
    reached, waiting = set(), [p for p in paths if p.startswith("bench/") and p.endswith(".cc")]
    while waiting:
        for header in ours(waiting.pop()):
            if header not in reached:
                reached.add(header)
                waiting.append(header)
    return {p for p in reached if p.endswith(".h")}


def compile_alone(job):
    """(what failed, or None) for one (header, as C++)."""
    header, cxx = job
    lines = f'#include "{header}"\n' * 2
    source = 'extern "C" {\n' + lines + "}\n" if cxx else lines + "extern int mr_not_empty;\n"
    run = subprocess.run(CXX if cxx else C, input=source, capture_output=True, text=True)
    if run.returncode == 0 or re.search(ABSENT, run.stderr):
        return None
    return f"{header}: does not compile alone as {'C++' if cxx else 'C'}:\n{run.stderr}"


def main():
    paths = tree.files(ROOT)
    jobs = [(p, False) for p in paths if p.endswith(".h")]
    jobs += [(p, True) for p in sorted(reached_by_bench(paths))]
    with ThreadPoolExecutor(2) as pool:
        found = [what for what in pool.map(compile_alone, jobs) if what]
    # This test must be able to fail: a header that leans on its includer.
    leaning = subprocess.run(C, input="struct mr_planted { uint64_t member; };\n",
                             capture_output=True, text=True)
    if leaning.returncode == 0:
        found.append("a planted header that needs stdint.h compiled without it")
    print("".join(line + "\n" for line in found), end="")
    print(f"{len(jobs)} compiled, {len(found)} failed")
    sys.exit(1 if found else 0)


main()
