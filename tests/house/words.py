#!/usr/bin/env python3
"""Aim: no word of unfinished work, no path of one machine, no registry address in our files."""
import re

import tree

# Written in pieces, so that this file does not hold what it looks for.
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]
PHRASES = ["not " + "implemented", "not yet " + "implemented"]
PATHS = ["/wo" + "rk", "/tmp/" + "wt", "/ro" + "ot"]
HOSTS = ["pypi" + ".org", "files.python" + "hosted.org", "crates" + ".io",
         "registry.npm" + "js.org", "deb.deb" + "ian.org", "proxy.go" + "lang.org",
         "repo1.ma" + "ven.org", "repo.ma" + "ven.apache.org"]

PATTERN = re.compile(
    r"\b(" + "|".join(UNFINISHED) + r")\b"
    r"|(?i:" + "|".join(PHRASES) + r")"
    r"|(?<![\w.})*-])(" + "|".join(PATHS) + r")(?![\w-])"
    r"|" + "|".join(re.escape(host) for host in HOSTS))


def rule(root):
    found = []
    for path in tree.files(root):
        if path.startswith("tests/fuzz/corpus/"):
            continue
        for number, line in enumerate((tree.text(root, path) or "").splitlines(), 1):
            for match in PATTERN.finditer(line):
                found.append(f"{path}:{number}: {match.group(0)}")
    return found


tree.main(rule, {f"core/planted_{i}.c": f'/* see "{word}" */\n'
                 for i, word in enumerate(UNFINISHED + PHRASES + PATHS + HOSTS)})
