"""The pages of the manual: the first one is short, links lead somewhere, and the commands that they show are right.

The program is the one that GLESIM names. Standard library only.
"""

import re
import shlex
import unittest

from case import Case, ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), ROOT / "configs/reference.md"]
SHORT = 150 # lines of the first page
# What stands for something in a command: a file or a folder of the reader's own.
OWN = re.compile(r"\b(CONFIG|FILE|FOLDER|DIR)\b|\.\.\.|[<>]|recordings|start\.npz")


def text(page):
    return page.read_text(encoding="utf-8")


def anchors(page):
    """As GitHub makes them of headings."""
    found = set()
    for heading in re.findall(r"(?m)^#+ (.*)$", text(page)):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


def commands(page, program):
    """Lines of examples that start so, without what follows a #."""
    for line in re.findall(r"(?m)^    (?:mpirun -n \d+ )?(?:" + re.escape(program) + r") (.*)$", text(page)):
        if not OWN.search(line):
            yield shlex.split(line, comments=True)


class Manual(Case):
    def test_the_first_page_is_short(self):
        self.assertLessEqual(len(text(PAGES[0]).splitlines()), SHORT)

    def test_links_lead_somewhere(self):
        seen = 0
        for page in PAGES:
            for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
                if re.match(r"https?:", target):
                    continue
                path, _, anchor = target.partition("#")
                other = (page.parent / path).resolve() if path else page
                self.assertTrue(other.exists(), f"{page.relative_to(ROOT)}: {target}")
                if anchor and other.suffix == ".md":
                    self.assertIn(anchor, anchors(other), f"{page.relative_to(ROOT)}: {target}")
                seen += 1
        self.assertGreater(seen, 30)

    def test_configs_that_commands_name_are_right(self):
        seen = 0
        for page in PAGES:
            for program in ("tools/glesim", "build/src/glesim"):
                for words in commands(page, program):
                    if not words[0].startswith("configs/"):
                        continue
                    for word in ("--dry-run", "--graph", "--resume", "--force", "--quiet", "--verify"):
                        if word in words:
                            words.remove(word)
                    words = [str(ROOT / word) if word.startswith("configs/") else word for word in words]
                    with self.subTest(page=page.relative_to(ROOT), command=words):
                        self.run_glesim(*words, "--check")
                    seen += 1
        self.assertGreater(seen, 10)

    def test_versions_agree(self):
        version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
        self.assertIn(f"\nversion: {version}\n", text(ROOT / "CITATION.cff"))
        self.assertIn(f"\n## {version}", text(ROOT / "CHANGELOG.md"))

    def test_scripts_that_commands_name_are_there(self):
        for page in PAGES:
            for script in re.findall(r"(?m)^    ((?:tools|datasets|tests)/[\w/.]+)", text(page)):
                self.assertTrue((ROOT / script).exists(), f"{page.relative_to(ROOT)}: {script}")


if __name__ == "__main__":
    unittest.main()
