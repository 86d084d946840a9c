"""What is kept in the repository and made from the program's own tables is what they make now.

The program is the one that GLESIM names. Standard library only.
"""

import difflib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "tools" / "glesim.schema.json"
REFERENCE = ROOT / "configs" / "reference.md"


def output(*command):
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def check(path, made):
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    if kept == made:
        return 0
    print(f"{path.relative_to(ROOT)} is not what the tables make now; tools/refresh makes it anew:")
    print("\n".join(list(difflib.unified_diff(kept.splitlines(), made.splitlines(), "kept", "made", lineterm=""))[:40]))
    return 1


def main():
    stale = check(SCHEMA, output(os.path.abspath(os.environ["GLESIM"]), "--schema"))
    stale += check(REFERENCE, output(sys.executable, ROOT / "tools" / "format_reference.py", SCHEMA, REFERENCE))
    print(f"2 files, {stale} stale")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
