"""The demo ends well without a terminal, and the sqlite3 line that it prints finds rows.

demo.py APP_DEMO MILLRACE
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile


def main():
    demo, millrace = sys.argv[1:]
    if not shutil.which("sqlite3"):
        print("sqlite3 is not installed: the demo's table cannot be read")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        command = [demo, "--rate", "4000", "--count", "12000", "--out", folder + "/out"]
        run = subprocess.run(command, env=dict(os.environ, MILLRACE=millrace), text=True,
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
        print(run.stdout, run.stderr)
        assert run.returncode == 0, f"exit code {run.returncode}"
        assert "✗" not in run.stdout
        assert re.search(r"orders +12000 made +12000 found", run.stdout)
        line = re.search(r"^sqlite3 -box [^']*'[^']*'$", run.stdout, re.M)
        assert line, "no sqlite3 line was printed"
        table = subprocess.run(["sh", "-c", line.group()], text=True, capture_output=True)
        print(table.stdout, table.stderr)
        assert table.returncode == 0
        rows = re.findall(r"on_time|late", table.stdout)
        assert len(rows) == 8, f"{len(rows)} rows"
    return 0


sys.exit(main())
