#!/usr/bin/env python3
"""Changes the code in one place after the other, and looks whether a test fails.

usage: mutants.py [--count N] [--seed N] [--jobs N] [--slowest SECONDS] [--list] [--only ID]... [PATH...]

PATH: files or folders of sources (src/solver src/train src/config). Each mutant changes a comparison, swaps && and ||,
+ and -, * and /, adds one to a whole number, negates a condition, or leaves out a call or an assignment; which ones are
taken follows from the seed. It is tried in a copy of the tree, build-mutants/tree, on the tests that run its line (as
gcov says, after one run of all) and take no more than --slowest (15) seconds of processor time, the quickest first,
until one fails or runs for too long. What no test noticed has survived: a test is missing, or the mutant computes the
same. The latter are listed in tests/long/mutants.txt, each with its reason.

Prints a line a mutant, and the counts; ends with 1 if one survived that is not listed. Standard library only.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build-mutants"
TREE = WORK / "tree"
COVERED, PLAIN = WORK / "covered", WORK / "plain"
SAME = ROOT / "tests" / "long" / "mutants.txt"
MEMORY = 8 << 30 # bytes of addresses, for mutants that ask for more and more
FILE_SIZE = 1 << 30
SKIPPED = 77 # the exit code of a program that lacks something

Mutant = collections.namedtuple("Mutant", "id path line operator start end text")
Test = collections.namedtuple("Test", "name cmd env targets seconds lines")

# --- what may be changed ---

BLANKED = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)
COMPARE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
LOGIC = {"&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "+=": "-=", "-=": "+="}
SIGNS = [("compare", COMPARE), ("logic", LOGIC), ("arithmetic", ARITHMETIC)]
CONDITION = re.compile(r"\b(?:if|while) \(")
# From where a statement may begin to its end. Declarations begin with two words, or a word and a star. What frees
# memory stays: leaks are the sanitizers' to find.
STATEMENT = re.compile(r"(?<=[;{})e:])\s*\n[ ]+(?!(?:return|break|continue|goto|case|default|else|for|if|while|do|switch)\b)"
                       r"(?!\w*(?:free|destroy|close|clear)\w*\()"
                       r"(?!\w+ +\**\w+)([(*\w][^;{}]*;)")
ASSIGNMENT = re.compile(r"[^=!<>]=[^=]|\+\+|--")


def blank(text):
    """The same with spaces in place of comments, texts and directives."""
    return BLANKED.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def closing(text, at):
    """Where the parenthesis that opens at `at` closes."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if not depth:
            return i
    return -1


def changes_of(code):
    """(operator, start, end, text) of all changes; code is blanked."""
    for name, swaps in SIGNS:
        signs = "|".join(re.escape(sign) for sign in sorted(swaps, key=len, reverse=True))
        for m in re.finditer(rf"(?<= )(?:{signs})(?=[ \n])", code):
            yield name, m.start(), m.end(), swaps[m.group()]
    for m in re.finditer(r"(?<![\w.])\d+(?![\w.])", code):
        yield "one more", m.start(), m.end(), str(int(m.group()) + 1)
    for m in CONDITION.finditer(code):
        end = closing(code, m.end() - 1)
        if end > 0:
            yield "negate", m.end(), end, None # the text is the original's
    for m in STATEMENT.finditer(code):
        yield "no assignment" if ASSIGNMENT.search(m.group(1)) else "no call", m.start(1), m.end(1), ";"


def mutants_of(path):
    original = (TREE / path).read_text(encoding="utf-8")
    code = blank(original)
    for operator, start, end, text in changes_of(code):
        line = code.count("\n", 0, start) + 1
        column = start - code.rfind("\n", 0, start)
        if "assert(" in code.split("\n")[line - 1]: # assertions are about our own mistakes
            continue
        name = f"{path}:{line}:{column}:{operator.replace(' ', '-')}"
        yield Mutant(name, path, line, operator, start, end, f"!({original[start:end]})" if text is None else text)


def choose(paths, seed):
    """All mutants in an order that the seed tells, operators by turns, none on a line that had one before."""
    draw = random.Random(seed)
    by_operator = collections.defaultdict(list)
    for path in paths:
        for mutant in mutants_of(path):
            by_operator[mutant.operator].append(mutant)
    for found in by_operator.values():
        draw.shuffle(found)
    lines = set()
    while any(by_operator.values()):
        for found in by_operator.values():
            while found:
                mutant = found.pop()
                if (mutant.path, mutant.line) not in lines:
                    lines.add((mutant.path, mutant.line))
                    yield mutant
                    break


def mutated(mutant):
    """The whole file; the copy's must be as it was."""
    text = (TREE / mutant.path).read_text(encoding="utf-8")
    return text[:mutant.start] + mutant.text + text[mutant.end:]


def difference(mutant):
    """The lines that differ, before and after, without their indentation and joined."""
    before = (TREE / mutant.path).read_text(encoding="utf-8")
    first, last = before.rfind("\n", 0, mutant.start) + 1, before.find("\n", mutant.end)
    return tuple(" ".join(s.split()) for s in
                 (before[first:last], before[first:mutant.start] + mutant.text + before[mutant.end:last]))


# --- the copy and its builds ---

def quiet(*cmd, **kwargs):
    return subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
                          **kwargs)


def must(*cmd, **kwargs):
    done = quiet(*cmd, **kwargs)
    if done.returncode:
        sys.exit(f"mutants.py: {' '.join(map(str, cmd))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def copy_tree():
    """Brings the copy up to date, and tells what is built and tested in it from others by a checksum."""
    digest = hashlib.sha256()
    names = must("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")[:-1]
    names = sorted(name for name in names if (ROOT / name).is_file())
    for name in names:
        source, copy = ROOT / name, TREE / name
        content = source.read_bytes()
        if not name.startswith("tests/long/"):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        if not copy.is_file() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    for copy in [copy for copy in TREE.rglob("*") if copy.is_file()]:
        if str(copy.relative_to(TREE)) not in names and "__pycache__" not in copy.parts:
            copy.unlink()
    return digest.hexdigest()


def configure(folder, *options):
    if (folder / "build.ninja").exists():
        must("ninja", "-C", folder, "build.ninja") # anew, if tests have come or gone
    else:
        must("meson", "setup", folder, TREE, "--buildtype=plain", "-Doptimization=1", "-Dwerror=false", *options)


def ninja(folder, jobs, *targets):
    return quiet("ninja", "-C", folder, "-j", str(jobs), *targets)


def introspected(folder):
    """All tests but those of style, as meson knows them."""
    files = {target["id"]: target["filename"] for target in json.loads(must("meson", "introspect", "--targets", folder))}
    for test in json.loads(must("meson", "introspect", "--tests", folder)):
        if not any(suite.endswith(":style") for suite in test["suite"]):
            targets = [os.path.relpath(file, folder) for target in test["depends"] for file in files[target]]
            yield test["name"], test["cmd"], test["env"], targets


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def processor_time():
    """Seconds, of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_test(folder, cmd, env, seconds, **more):
    """Its exit code; None if it took too long."""
    environment = {**os.environ, **env, **more}
    if (ROOT.parent / "shared" / "reference").is_dir():
        environment["GLE_REFERENCE"] = str(ROOT.parent / "shared" / "reference")
    with subprocess.Popen(cmd, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=limits) as run:
        try:
            return run.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            return None
        except BaseException:
            os.killpg(run.pid, signal.SIGKILL)
            raise


# --- which test runs which line ---

def lines_run(folder):
    """{path: {line: times}} of the sources, from what a run left in `folder`."""
    found = collections.defaultdict(collections.Counter)
    counters = [path for path in folder.rglob("*.gcda") if "libglesim.a.p" in str(path)]
    for path in counters:
        notes = COVERED / path.relative_to(folder / COVERED.relative_to("/")).with_suffix(".gcno")
        path.with_suffix(".gcno").symlink_to(notes)
    if not counters:
        return found
    for line in must("gcov", "--json-format", "--stdout", *counters, cwd=folder).splitlines():
        for file in json.loads(line)["files"]:
            path = os.path.relpath(os.path.join(COVERED, file["file"]), TREE)
            if path.startswith("src/"):
                for entry in file["lines"]:
                    found[path][str(entry["line_number"])] += entry["count"]
    return found


def measure(jobs):
    configure(COVERED, "-Db_coverage=true")
    done = ninja(COVERED, jobs)
    if done.returncode:
        sys.exit("mutants.py: the tree does not build\n" + done.stdout[-4000:])
    for name, cmd, env, targets in introspected(COVERED):
        folder = WORK / "gcov"
        shutil.rmtree(folder, ignore_errors=True)
        before = processor_time()
        code = run_test(COVERED, cmd, env, 600, GCOV_PREFIX=str(folder))
        seconds = processor_time() - before
        if code == 0:
            lines = {path: dict(counts) for path, counts in lines_run(folder).items()}
            yield {"name": name, "seconds": seconds, "lines": lines}
        else:
            what = {None: "takes too long", SKIPPED: "is skipped"}.get(code, "fails")
            print(f"{name}: {what} on the tree as it is", flush=True)


def covering_tests(jobs, slowest, digest):
    """All tests, the quickest first, with the lines that they run."""
    cache = WORK / "coverage.json"
    known = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    if known.get("tree") != digest:
        known = {"tree": digest, "tests": list(measure(jobs))}
        cache.write_text(json.dumps(known), encoding="utf-8")
    commands = {name: rest for name, *rest in introspected(PLAIN)}
    tests = [Test(test["name"], *commands[test["name"]], test["seconds"], test["lines"]) for test in known["tests"]]
    print("left out, over", slowest, "seconds:", " ".join(t.name for t in tests if t.seconds > slowest) or "none",
          flush=True)
    return sorted((t for t in tests if t.seconds <= slowest), key=lambda t: t.seconds)


def tests_of(mutant, tests):
    """Those that run the line, or, where it is no line to run, the nearest such line above it."""
    lines = {int(line) for test in tests for line in test.lines.get(mutant.path, {})}
    at = str(max((line for line in lines if line <= mutant.line), default=0))
    return [test for test in tests if test.lines.get(mutant.path, {}).get(at, 0)]


# --- the sweep ---

class Sweep:
    def __init__(self, tests, jobs):
        self.tests, self.jobs, self.trusted = tests, jobs, set()

    def run(self, test):
        return run_test(PLAIN, test.cmd, test.env, max(60, 20 * test.seconds))

    def build(self, test):
        return not ninja(PLAIN, self.jobs, *test.targets).returncode

    def trust(self, test, source, text):
        """Whether a test that has just failed passes without the mutant; looked at once a test."""
        if test.name not in self.trusted:
            changed = source.read_text(encoding="utf-8")
            source.write_text(text, encoding="utf-8")
            if not self.build(test) or self.run(test) != 0:
                print(f"{test.name}: fails on the tree as it is, and is left out", flush=True)
                self.tests.remove(test)
                source.write_text(changed, encoding="utf-8")
                return False
            self.trusted.add(test.name)
            source.write_text(changed, encoding="utf-8")
        return True

    def judge(self, mutant):
        """What became of it, in words, or None if it does not compile."""
        source = TREE / mutant.path
        text = source.read_text(encoding="utf-8")
        source.write_text(mutated(mutant), encoding="utf-8")
        try:
            if ninja(PLAIN, self.jobs, "src/libglesim.a").returncode:
                return None
            chosen = tests_of(mutant, self.tests)
            for test in chosen:
                if not self.build(test):
                    return None
                code = self.run(test)
                if code != 0 and self.trust(test, source, text):
                    return f"killed by {test.name}" + (" (time)" if code is None else "")
            return "SURVIVED " + (" ".join(test.name for test in chosen) or "(no test runs this line)")
        finally:
            source.write_text(text, encoding="utf-8")


def known_as_same():
    """{(path, before, after): why}: four lines each in mutants.txt."""
    entries = {}
    if SAME.exists():
        for block in SAME.read_text(encoding="utf-8").split("\n\n"):
            lines = [line for line in block.strip().split("\n") if not line.startswith("#")]
            if len(lines) >= 4 and lines[1].startswith("- ") and lines[2].startswith("+ "):
                entries[lines[0], lines[1][2:], lines[2][2:]] = " ".join(line.strip() for line in lines[3:])
    return entries


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--slowest", type=float, default=15)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", action="append", metavar="ID")
    parser.add_argument("paths", nargs="*", default=["src/solver", "src/train", "src/config"], metavar="PATH")
    return parser.parse_args()


def sources(paths):
    for path in paths:
        found = sorted(ROOT.joinpath(path).glob("*.c")) if ROOT.joinpath(path).is_dir() else [ROOT / path]
        yield from (str(file.relative_to(ROOT)) for file in found)


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler) # so that the test which is running ends as well
    args = options()
    digest = copy_tree()
    paths = list(sources(args.paths))
    candidates = choose(paths, args.seed)
    if args.only:
        candidates = [mutant for path in paths for mutant in mutants_of(path) if mutant.id in args.only]
        args.count = len(args.only)
    if args.list:
        for _, mutant in zip(range(args.count), candidates):
            print(mutant.id, *difference(mutant), sep="\n    ")
        return 0
    configure(PLAIN)
    sweep, same = Sweep(covering_tests(args.jobs, args.slowest, digest), args.jobs), known_as_same()
    counts = collections.Counter()
    for mutant in candidates:
        if counts.total() - counts["not compiled"] == args.count:
            break
        start = time.monotonic()
        verdict = sweep.judge(mutant)
        if verdict is None:
            counts["not compiled"] += 1
            continue
        before, after = difference(mutant)
        why = same.get((mutant.path, before, after))
        what = "killed" if verdict.startswith("killed") else "the same" if why else "survived"
        counts[what] += 1
        print(f"{mutant.id}  {verdict}, {time.monotonic() - start:.0f} s\n    - {before}\n    + {after}"
              + (f"\n    the same: {why}" if why and what != "killed" else ""), flush=True)
    print(f"{counts['killed']} killed, {counts['survived']} survived, {counts['the same']} that compute the same, "
          f"{counts['not compiled']} not compiled")
    return 1 if counts["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
