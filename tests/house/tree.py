"""Which files are ours; and the frame in which a house rule proves itself."""
import os
import shutil
import subprocess
import sys
import tempfile

NOT_OURS = ("build", ".git/", "demo-out/")


def files(root):
    """Paths from the root, tracked or about to be; without git, all but what a build makes."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-co", "--exclude-standard"],
        capture_output=True, text=True)
    if listed.returncode == 0:
        paths = listed.stdout.splitlines()
    else:
        paths = [os.path.relpath(os.path.join(folder, name), root)
                 for folder, _, names in os.walk(root) for name in names]
    return sorted(p for p in paths
                  if not p.startswith(NOT_OURS) and "/__pycache__/" not in p
                  and os.path.isfile(os.path.join(root, p)))


def text(root, path):
    """The file's text, or None if it is not text."""
    with open(os.path.join(root, path), "rb") as file:
        data = file.read()
    return None if b"\0" in data else data.decode("utf-8", "replace")


def main(rule, planted):
    """Runs rule(root) -> ["path:line: what"], after it has found all of planted: {path: text},
    laid into a copy of the sources. A planted path must be named once at least, and nothing
    else may be named there that is not named in the root."""
    root = sys.argv[1]
    found = rule(root)
    with tempfile.TemporaryDirectory() as copy:
        for path in files(root):
            os.makedirs(os.path.dirname(os.path.join(copy, path)), exist_ok=True)
            shutil.copyfile(os.path.join(root, path), os.path.join(copy, path))
        for path, content in planted.items():
            os.makedirs(os.path.dirname(os.path.join(copy, path)), exist_ok=True)
            with open(os.path.join(copy, path), "w") as file:
                file.write(content)
        caught = [line for line in rule(copy) if line not in found]
    named = {line.split(":")[0] for line in caught}
    for path in sorted(set(planted) - named):
        found.append(f"{path}: planted to be found, and missed")
    for path in sorted(named - set(planted)):
        found.append(f"{path}: named beside what was planted")
    print("".join(line + "\n" for line in found), end="")
    print(f"{len(found)} violations; {len(named & set(planted))} of {len(planted)} planted found")
    sys.exit(1 if found else 0)
