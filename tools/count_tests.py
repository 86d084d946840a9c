#!/usr/bin/env python3
"""Counts test functions in meson's logs: names those that were skipped, and ends with the line "N passed, N failed[, N
skipped]".

cmocka and unittest say how many functions they ran. A program that says nothing of the kind counts as one test, and one
that did not end well, but reports no failed function (a crash, a timeout), as one failure more. N builds that broke
count as N failures. The exit code is 1 if anything failed or nothing was run.
"""

import argparse
import json
import re
import sys

CMOCKA = {kind: re.compile(rf"^\[ +{kind.upper()} +\] (?:[^:\n]*: )?(\d+) test\(s\)", re.M)
          for kind in ("passed", "failed", "skipped")}
CMOCKA_SKIPPED = re.compile(r"^\[ RUN +\] (\S+)\n(?:(.*)\n)?\[ +SKIPPED +\] \1$", re.M) # and what it said before
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in ", re.M)
UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \(([^)]*)\))?$", re.M)
GOOD = {"OK", "EXPECTEDFAIL"}


def summed(pattern, text):
    return sum(int(number) for number in pattern.findall(text))


def unittest_counts(text):
    ran = summed(UNITTEST_RAN, text)
    said = ", ".join(end for end in UNITTEST_END.findall(text))
    amount = {name: int(n) for name, n in re.findall(r"(\w[\w ]*)=(\d+)", said)}
    failed = amount.get("failures", 0) + amount.get("errors", 0) + amount.get("unexpected successes", 0)
    skipped = amount.get("skipped", 0)
    return ran - failed - skipped, failed, skipped


def counts(test):
    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
    passed, failed, skipped = (summed(pattern, text) for pattern in CMOCKA.values())
    if UNITTEST_RAN.search(text):
        passed, failed, skipped = (a + b for a, b in zip((passed, failed, skipped), unittest_counts(text)))
    if test["result"] == "SKIP":
        skipped = skipped or 1
    elif test["result"] not in GOOD:
        failed = failed or 1
    elif not passed + failed + skipped:
        passed = 1
    return passed, failed, skipped


def skipped_of(test):
    """A line for each function that was skipped, as far as its program names it, or for the program."""
    output = test.get("stdout", "")
    if test["result"] == "SKIP":
        return [f"skipped: {test['name']}: {output.strip() or 'all of it'}".splitlines()[0]]
    named = [": ".join(filter(None, found)) for found in CMOCKA_SKIPPED.findall(output)]
    others = counts(test)[2] - len(named)
    return [f"skipped: {test['name']}: {what}" for what in named + [f"{others} of its tests"] * (others > 0)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broken", metavar="N", type=int, default=0, help="builds that broke")
    parser.add_argument("logs", metavar="TESTLOG.json", nargs="*")
    args = parser.parse_args()
    total = [0, args.broken, 0]
    for log in args.logs:
        try:
            with open(log, encoding="utf-8", errors="replace") as file:
                tests = [json.loads(line) for line in file if line.strip()]
        except OSError:
            tests = []
        if not tests:
            print(f"{log}: no test was run", file=sys.stderr)
            total[1] += 1
        for test in tests:
            for line in skipped_of(test):
                print(line)
            total = [a + b for a, b in zip(total, counts(test))]
    sys.stderr.flush()
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""), flush=True)
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
