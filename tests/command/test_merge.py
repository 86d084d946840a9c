"""Summaries of runs that are there already, from several machines. The program is the one that GLESIM names.

Standard library only.
"""

import shutil
import unittest

from case import Case, SMALL_CONFIG, XOR, load

SHORT = ["--set", "training.epochs=2"]
SWEEP = "sweep: {learning.beta: [1, 0.5], learning.optimizer.lr: [1e-2, 2e-2]}\n"


class Merge(Case):
    def summaries(self, folder="results"):
        """Every summary below it; points in the order of their labels."""
        found = {}
        for path in (self.folder / folder).rglob("summary.json"):
            found[str(path.relative_to(self.folder / folder))] = summary = load(path)
            summary.get("points", []).sort(key=lambda point: point["sweep"])
        return found

    def merged(self, *folders, code=0):
        done = self.run_glesim("--summary", *folders, code=code)
        return done.out.splitlines() if not code else done.err

    def drop_summaries(self):
        for path in self.folder.rglob("summary.json"):
            path.unlink()

    def test_it_is_the_summary_of_one_machine(self):
        config = self.write("small.yaml", SMALL_CONFIG + SWEEP + "variants: {gle: {learning.rule: gle}, "
                            "bp: {learning.rule: bp}}\n")
        self.run_glesim(config, "--seeds", "0-1")
        self.run_glesim(XOR, *SHORT, "--seeds", "1-4")
        made = self.summaries()
        self.assertEqual(len(made), 11)
        self.drop_summaries()
        said = self.merged("results/small", "results/xor/")
        self.assertEqual(self.summaries(), made)
        self.assertEqual([line for line in said if "completed" in line and "small" not in line],
                         ["results/xor: 4 of 4 runs completed"])
        self.assertNotIn("missing", " ".join(said))

    def test_runs_of_two_machines_become_one(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-3")
        made = self.summaries()
        self.drop_summaries()
        (self.folder / "results").rename(self.folder / "here")
        for machine, seeds in (("a", (0, 1)), ("b", (2, 3))):
            for seed in seeds:
                shutil.copytree(self.folder / f"here/xor/seed_{seed}", self.folder / f"{machine}/seed_{seed}")
        shutil.copytree(self.folder / "b", self.folder / "a", dirs_exist_ok=True)
        self.assertEqual(self.merged("a"), ["a/summary.json", "a: 4 of 4 runs completed"])
        summary = load(self.folder / "a/summary.json")
        self.assertEqual(summary["final"], made["xor/summary.json"]["final"])
        self.assertEqual([run["directory"] for run in summary["runs"]], [f"a/seed_{i}" for i in range(4)])

    def test_what_is_missing_is_said(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-8")
        shutil.rmtree(self.run_of("results/xor", 3))
        shutil.rmtree(self.run_of("results/xor", 4))
        shutil.rmtree(self.run_of("results/xor", 6))
        (self.run_of("results/xor", 2) / "metrics.json").unlink()
        report = self.run_of("results/xor", 7) / "metrics.json"
        report.write_text(report.read_text().replace('"completed"', '"running"'))
        report = self.run_of("results/xor", 8) / "metrics.json"
        report.write_text(report.read_text().replace('"completed"', '"diverged"'))
        said = self.merged("results/xor", "--force")
        self.assertEqual(said[1], "results/xor: 3 of 9 runs completed; seed 8 diverged; seed 7 broken off; "
                         "seed 2 without a report; seed 3-4,6 missing")
        s = load(self.folder / "results/xor/summary.json")
        self.assertEqual([(r["seed"], r["status"], r["exit_code"]) for r in s["runs"]],
                         [(0, "completed", 0), (1, "completed", 0), (5, "completed", 0), (8, "diverged", 6),
                          (7, "broken off", None)])

    def test_seeds_that_lie_far_apart_miss_none(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "12,34,56")
        self.assertEqual(self.merged("results/xor")[1], "results/xor: 3 of 3 runs completed")
        self.assertEqual(self.merged("results/xor", "--quiet"), [])

    def test_missing_points_and_seeds_of_points_are_said(self):
        config = self.write("small.yaml", SMALL_CONFIG + SWEEP)
        self.run_glesim(config, "--seeds", "0-1")
        points = self.folder / "results/small"
        shutil.rmtree(points / "beta=0.5,lr=1e-2")
        shutil.rmtree(points / "beta=1,lr=2e-2/seed_1")
        self.drop_summaries()
        said = self.merged("results/small")
        self.assertIn("results/small/beta=1,lr=2e-2: 1 of 2 runs completed; seed 1 missing", said)
        self.assertIn("results/small/beta=0.5,lr=1e-2: missing", said)
        s = load(points / "summary.json")
        self.assertEqual({p["sweep"]: p["completed"] for p in s["points"]},
                         {"beta=0.5,lr=2e-2": 2, "beta=1,lr=1e-2": 2, "beta=1,lr=2e-2": 1})
        self.assertEqual(s["points"][0]["values"], {"learning.beta": 0.5, "learning.optimizer.lr": 0.02})
        made = self.summaries()
        for label in ("beta=1,lr=1e-2", "beta=0.5,lr=2e-2"): # from within, the names are the same
            self.run_glesim("--summary", ".", cwd=points / label)
        self.assertEqual(sorted(self.summaries()), sorted(made))
        self.assertEqual([p["sweep"] for p in self.summaries()["small/summary.json"]["points"]],
                         [p["sweep"] for p in made["small/summary.json"]["points"]])

    def test_runs_of_another_config_are_left_out(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-1")
        self.run_glesim(XOR, "--set", "training.epochs=3", "--seed", "2")
        said = self.merged("results/xor")
        self.assertEqual(said[0], "results/xor/summary.json: 1 of another config or other data left out")

    def test_nothing_to_summarise_is_an_error(self):
        (self.folder / "empty").mkdir()
        self.assertEqual(self.merged("empty", code=4), "glesim: empty: no run there: folders seed_<n> are looked for, "
                         "three levels down\n")
        self.assertEqual(self.merged("missing", code=4), "glesim: missing: no folder\n")
        self.assertIn("folders with runs are wanted", self.merged(code=2))
        self.assertIn("--summary takes folders, --force and --quiet alone", self.merged("empty", "--seeds", "1", code=2))
        self.run_glesim(XOR, *SHORT)
        (self.run_of("results/xor") / "config.yaml").write_text("glesim: 1\nname: [x\n")
        self.assertRegex(self.merged("results", code=2), r"^results/xor/seed_1/config.yaml:\d+:\d+: ")

    def test_where_no_run_has_a_report_there_is_no_summary(self):
        (self.folder / "results/xor/seed_1").mkdir(parents=True)
        self.assertEqual(self.merged("results"), ["results/xor: 0 of 1 run completed; seed 1 without a report"])
        self.assertFalse((self.folder / "results/xor/summary.json").exists())


if __name__ == "__main__":
    unittest.main()
