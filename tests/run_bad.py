"""Every config of tests/bad must be refused with the messages in its .err file; every config of tests/good must pass.

Where a message lists the rows of a table, an .err file has "(known: ...)" or "(one of: ...)", so that a new row
changes none. The program is the one that GLESIM names. With --update the .err files are written anew: read the
difference before keeping it. Standard library only.
"""

import difflib
import os
import pathlib
import re
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent


def glesim(folder, *args):
    """Exit code and output of one call, made in `folder` so that messages name files as they are named there."""
    done = subprocess.run([os.path.abspath(os.environ["GLESIM"]), *args], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def complain(name, what, lines=()):
    print(f"{name}: {what}")
    for line in lines:
        print("  " + line.rstrip("\n"))
    return 1


def without_rows(text):
    """The messages, without the rows of tables."""
    return re.sub(r"\((known|one of): [^()]+\)", r"(\1: ...)", text)


def check_bad(config, update):
    expected = config.with_suffix(".err")
    code, out, err = glesim(config.parent, "--check", config.name)
    err = without_rows(err)
    wrong = 0
    if code != 2:
        wrong += complain(config.name, f"exit code {code}, where 2 is wanted", err.splitlines())
    if out:
        wrong += complain(config.name, "writes to standard output", out.splitlines())
    if update:
        expected.write_text(err, encoding="utf-8")
    wanted = without_rows(expected.read_text(encoding="utf-8")) if expected.exists() else ""
    if err != wanted or not err:
        wrong += complain(config.name, "other messages than in " + expected.name,
                          difflib.unified_diff(wanted.splitlines(), err.splitlines(), "wanted", "found", lineterm=""))
    return wrong


def check_good(config):
    code, out, err = glesim(config.parent, "--check", config.name)
    wrong = [line for line in err.splitlines() if ": warning: " not in line]
    if code or wrong or out != f"{config.name}: ok\n":
        return complain(config.name, f"exit code {code}, where it should pass", (out + err).splitlines())
    return 0


def main():
    update = sys.argv[1:] == ["--update"]
    if (sys.argv[1:] and not update) or "GLESIM" not in os.environ:
        sys.exit("usage: GLESIM=path/to/glesim run_bad.py [--update]")
    bad = sorted((TESTS / "bad").glob("*.yaml"))
    good = sorted((TESTS / "good").glob("*.yaml")) + sorted((TESTS.parent / "configs").glob("*.yaml"))
    wrong = sum(check_bad(config, update) for config in bad)
    wrong += sum(check_good(config) for config in good)
    for left in (TESTS / "bad").glob("*.err"):
        if not left.with_suffix(".yaml").exists():
            wrong += complain(left.name, "there is no such config")
    if not bad or not good:
        wrong += complain(str(TESTS), "configs are missing")
    print(f"{len(bad)} bad and {len(good)} good configs, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
