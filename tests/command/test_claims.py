"""What a config claims of its runs (expect), and whether runs give the same bits again. The program is the one that
GLESIM names.

Standard library only.
"""

import hashlib
import os
import re
import statistics
import unittest
import zipfile

from case import CONFIGS, SMALL_CONFIG, XOR, Case, load

NUMBER = r"-?[\d.]+(?:e-?\d+)?"
# Of the claims that the configs here carry, as many as some seconds allow.
QUICK = ("xor", "yinyang", "lagnet", "integration")


# Of the small config, so that it diverges.
WILD = ("{loss: cross_entropy, optimizer: {type: adam, lr: 1e-2}}", "{loss: mse, optimizer: {type: sgd, lr: 1000}}")


def claims(*lines):
    return "expect:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


class Verify(Case):
    def config(self, *lines, more="", name="small.yaml"):
        return self.write(name, SMALL_CONFIG + more + (claims(*lines) if lines else ""))

    def verified(self, *args, code=0, quiet=False):
        """The lines on claims, and the last, which counts them."""
        done = self.run_glesim(*args, "--verify", *(["--quiet"] if quiet else []), code=code)
        self.assertFalse([line for line in done.err.splitlines() if line.startswith("glesim: internal")])
        return [line for line in done.out.splitlines() if re.search(r"holds?\b|nobody can tell", line)]

    def report(self, folder="results/small", seed=0):
        return load(self.folder / folder / f"seed_{seed}/metrics.json")

    def made(self):
        return {path: path.stat().st_mtime_ns for path in self.folder.rglob("metrics.json")}


class Claims(Verify):
    def test_each_holds_or_does_not(self):
        self.run_glesim(self.config())
        loss = self.report()["final"]["test"]["loss"]
        lines = [f"path: final.test.loss, value: {loss}, tolerance: 0, seed: 0",
                 f"path: final.test.loss, value: {loss + 0.25}, tolerance: 0.26, seed: 0",
                 f"path: 'epochs[-1].test.loss', value: {loss}, tolerance: 0, seed: 0",
                 "path: 'epochs[1].epoch', value: 1, tolerance: 0, seed: 0"]
        said = self.verified(self.config(*lines))
        self.assertEqual(said[-1], f"{self.folder}/small.yaml: 4 of 4 claims hold")
        self.assertEqual(said[0], f"small: final.test.loss, seed 0: holds: {loss} found; {loss} claimed, tolerance 0")
        said = self.verified(self.config(*lines, f"path: final.test.loss, value: {loss + 0.25}, tolerance: 0.24, seed: 0",
                                         f"path: final.test.loss, value: {loss - 0.25}, tolerance: 0.24, seed: 0",
                                         f"path: final.test.loss, value: {loss + 1e-6}, tolerance: 0, seed: 0"), code=7)
        self.assertEqual(["does not hold" in line for line in said[:-1]], [False] * 4 + [True] * 3)
        self.assertTrue(said[-1].endswith("4 of 7 claims hold"))
        self.assertEqual(len(self.verified("small.yaml", code=7, quiet=True)), 3)

    def test_runs_that_are_there_are_taken_and_others_made(self):
        self.run_glesim(self.config(), "--seeds", "0-1")
        before = self.made()
        config = self.config("path: final.test.loss, value: 0, tolerance: 9, seeds: '0-2,7'",
                             "path: final.test.loss, value: 0, tolerance: 9, seed: 1")
        said = self.run_glesim(config, "--verify").out
        self.assertEqual(said.count("seed_1/metrics.json: there already"), 1)
        after = self.made()
        self.assertEqual({path: after[path] for path in before}, before)
        self.assertEqual(sorted(path.parent.name for path in after), ["seed_0", "seed_1", "seed_2", "seed_7"])
        self.assertEqual(self.verified(config), self.verified(config))
        self.assertEqual(self.made(), after)

    def test_several_seeds_are_their_mean(self):
        self.run_glesim(self.config(), "--seeds", "3-5")
        mean = statistics.fmean(self.report(seed=seed)["final"]["test"]["loss"] for seed in (3, 4, 5))
        summary = load(self.folder / "results/small/summary.json")["final"]["test"]["loss"]["mean"]
        said = self.verified(self.config(f"path: final.test.loss, value: {summary}, tolerance: 0, seeds: 3-5"))
        found = re.match(rf"small: final\.test\.loss, seeds 3-5: holds: ({NUMBER}) found, the mean of 3 runs; ", said[0])
        self.assertAlmostEqual(float(found[1]), mean, delta=1e-13)
        self.verified(self.config(f"path: final.test.loss, value: {self.report(seed=3)['final']['test']['loss']}, "
                                  "tolerance: 1e-9, seeds: 3-5"), code=7)

    def test_what_is_no_number_does_not_hold(self):
        said = self.verified(self.config("path: final.validation, value: 0, tolerance: 9, seed: 0",
                                         "path: final.test.los, value: 0, tolerance: 9, seed: 0",
                                         "path: final.test, value: 0, tolerance: 9, seed: 0",
                                         "path: 'epochs[3].test.loss', value: 0, tolerance: 9, seed: 0",
                                         "path: 'epochs[-4].test.loss', value: 0, tolerance: 9, seed: 0"), code=7)
        self.assertEqual([line.split("does not hold: ")[1].split(";")[0] for line in said[:-1]],
                         ["the run of seed 0 has null there", "the run of seed 0 has no such number",
                          "the run of seed 0 has no number there", "the run of seed 0 has no such number",
                          "the run of seed 0 has no such number"])

    def test_a_run_that_diverged_does_not_hold(self):
        config = self.config("path: final.test.loss, value: 0, tolerance: 9, seeds: 0-1",
                             more="x-note: too large a step\n").read_text(encoding="utf-8")
        self.write("small.yaml", config.replace(*WILD))
        for _ in range(2): # made, and there already
            said = self.verified("small.yaml", code=7)
            self.assertIn("does not hold: the run of seed 0 diverged", said[0])

    def test_weights_are_the_very_bits(self):
        self.run_glesim(self.config())
        weights = self.folder / "results/small/seed_0/weights.npz"
        sha = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.assertEqual(self.report()["weights_sha256"], sha)
        said = self.verified(self.config(f"weights: {sha}, seed: 0"))
        self.assertEqual(said[0], f"small: weights, seed 0: holds: {sha} found; {sha} claimed")
        self.verified(self.config(f"weights: {sha}, seed: 1"), code=7)
        weights.write_bytes(weights.read_bytes() + b" ")
        said = self.verified(self.config(f"weights: {sha}, seed: 0"), code=7)
        self.assertIn("has another weights.npz than its report was written with", said[0])

    def test_a_run_that_is_not_over_has_no_checksum(self):
        self.interrupted(XOR, "--set", "training.epochs=1000000")
        self.assertIsNone(load(self.run_of("out") / "metrics.json")["weights_sha256"])

    def test_variants_and_points(self):
        more = ("variants: {gle: {learning.rule: gle}, bp: {learning.rule: bp, sweep: {learning.beta: [1, 2]}}}\n")
        self.run_glesim(self.config(more=more))
        losses = {run: self.report("results/small/" + run)["final"]["test"]["loss"]
                  for run in ("gle", "bp/beta=1", "bp/beta=2")}
        self.assertEqual(len(set(losses.values())), 3)
        claim = "path: final.test.loss, tolerance: 1e-9, seed: 0, value:"
        config = self.config(f"{claim} {losses['gle']}, variant: gle",
                             f"{claim} {losses['bp/beta=2']}, variant: bp, point: beta=2", more=more)
        self.assertEqual([line.split(":")[0] for line in self.verified(config)],
                         ["small gle", "small bp beta=2", str(self.folder / "small.yaml")])
        self.assertEqual(len(self.verified(config, "--variant", "gle")), 2)
        self.assertIn("none of its claims", self.run_glesim(config, "--verify", "--point", "beta=1", code=2).err)
        config = self.config(f"{claim} {losses['bp/beta=2']}", more=more) # of each
        self.assertEqual([" holds: " in line for line in self.verified(config, code=7)[:-1]], [False, False, True])

    def test_the_config_of_a_run_has_its_claims(self):
        more = "variants: {gle: {learning.rule: gle}, bp: {learning.rule: bp}}\n"
        self.run_glesim(self.config("path: final.test.loss, value: 0, tolerance: 9, seed: 0, variant: bp",
                                    "path: final.test.loss, value: 0, tolerance: 1, seed: 0, variant: gle",
                                    "path: final.test.accuracy, value: 0, tolerance: 1, seed: 0", more=more))
        said = self.verified("results/small/bp/seed_0/config.yaml", "--output", "results/small/bp")
        self.assertRegex(said[0], r"^small: final\.test\.loss, seed 0: holds: .*, tolerance 9$")
        self.assertRegex(said[1], r"^small: final\.test\.accuracy, seed 0: holds: .*, tolerance 1$")
        self.assertEqual(len(self.made()), 2)

    def test_claims_make_no_other_run(self):
        self.run_glesim(self.config(), "--seeds", "0-1")
        before, made = self.report(), self.made()
        config = self.config("path: final.test.loss, value: 0, tolerance: 9, seed: 5")
        self.assertIn("there already", self.run_glesim(config, "--resume").out)
        self.assertIn("there already", self.run_glesim(config, "--seeds", "0-1").out)
        self.assertEqual(self.made(), made)
        self.run_glesim(config, "--force")
        after = self.report()
        for key in ("config", "config_sha256", "weights_sha256"):
            self.assertEqual(before[key], after[key])
        text = (self.folder / "results/small/seed_0/config.yaml").read_bytes()
        self.assertEqual(hashlib.sha256(text[:text.index(b"expect:")]).hexdigest(), after["config_sha256"])
        self.assertIn("there already", self.run_glesim(self.config(), "--resume").out)
        self.run_glesim(self.config(), "--seeds", "2")
        self.assertEqual(len(load(self.folder / "results/small/summary.json")["runs"]), 3)

    def test_a_run_goes_on_under_other_claims(self):
        text = self.config("path: final.test.loss, value: 0, tolerance: 9, seed: 0").read_text(encoding="utf-8")
        self.write("small.yaml", text.replace("epochs: 2", "epochs: 1000000"))
        self.interrupted("small.yaml", "--set", "checkpoint.minutes=1e-4")
        self.write("small.yaml", text[:text.index("expect:")].replace("epochs: 2", "epochs: 1000000"))
        out = self.folder / "out/seed_0"
        self.assertTrue((out / "checkpoint.npz").exists())
        self.interrupted("small.yaml", "--resume")
        self.assertTrue(load(out / "metrics.json")["provenance"]["resumed"])

    def test_it_says_what_it_cannot_do(self):
        for args, words in (([XOR.name], "cannot be read"), ([self.config(), "--seeds", "0-1"], "takes seeds from the"),
                            (["small.yaml", "--seed", "1"], "takes seeds from the"),
                            (["small.yaml", "--set", "seed=1"], "takes seeds from the"),
                            (["small.yaml"], "nothing is claimed: it has no section 'expect'"), ([], "are wanted"),
                            ([".", "--set", "dt=1"], "is a folder"), ([".", "--force"], "is a folder")):
            self.assertIn(words, self.run_glesim("--verify", *args, code=2).err)
        self.assertIn("no run there", self.run_glesim("--verify", ".", code=4).err)
        self.run_glesim("small.yaml")
        config = self.config("path: final.test.loss, value: 0, tolerance: 9, seed: 0", more="seed: 3\n")
        config.write_text(config.read_text(encoding="utf-8").replace("lr: 1e-2", "lr: 2e-2"), encoding="utf-8")
        self.assertIn("holds another config", self.run_glesim(config, "--verify", code=3).err)
        self.verified(config, "--force")

    def test_a_run_that_cannot_be_made_tells_nothing(self):
        config = self.config("path: final.test.loss, value: 0, tolerance: 9, seed: 0").read_text(encoding="utf-8")
        self.write("small.yaml", config.replace("{type: xor}", "{type: npz, file: missing.npz}"))
        done = self.run_glesim("small.yaml", "--verify", code=4)
        self.assertIn("nobody can tell: the run of seed 0 failed", done.out)

    def test_exit_code_in_help(self):
        self.assertIn("7 a claim does not hold", self.run_glesim("--help").out)

    def test_claims_of_configs_here_hold(self):
        for name in QUICK:
            said = self.verified(CONFIGS / f"{name}.yaml")
            self.assertRegex(said[-1], r": (\d+) of \1 claims? holds?$")


class Again(Verify):
    def again(self, *args, code=0):
        done = self.run_glesim("--verify", *args, code=code, env={"TMPDIR": str(self.temporary())})
        self.assertEqual(list(self.temporary().iterdir()), [])
        return done.out.splitlines()

    def temporary(self):
        (self.folder / "tmp").mkdir(exist_ok=True)
        return self.folder / "tmp"

    def edit(self, old, new, name="config.yaml"):
        path = self.folder / "results/small/seed_0" / name
        text = path.read_text(encoding="utf-8")
        self.assertIn(old, text)
        path.write_text(text.replace(old, new), encoding="utf-8")

    def test_the_same_bits(self):
        self.run_glesim(self.config("path: final.test.loss, value: 0, tolerance: 9, seed: 5",
                                    more="record: {every: 7}\n"), "--seeds", "0-1")
        before = self.made()
        self.assertEqual(self.again("results/small/seed_0/"), ["results/small/seed_0: same bits"])
        self.assertEqual(self.again("results"), [f"results/small/seed_{i}: same bits" for i in range(2)])
        self.assertEqual(self.made(), before)
        self.assertEqual(self.again("results", "--quiet"), [])

    def test_runs_of_variants_and_sweeps(self):
        self.run_glesim(self.config(more="variants: {gle: {learning.rule: gle}, bp: {learning.rule: bp}}\n"
                                    "sweep: {learning.beta: [1, 2]}\n"))
        self.assertEqual(self.again("results/small"), [f"results/small/{v}/beta={b}/seed_0: same bits"
                                                       for v in ("bp", "gle") for b in (1, 2)])

    def test_a_config_that_was_edited(self):
        self.run_glesim(self.config(more="description: a\n"))
        self.edit("description: a", "description: b")
        self.assertEqual(self.again("results/small/seed_0"), ["results/small/seed_0: same bits"])
        self.edit("lr: 1.0e-2", "lr: 2.0e-2")
        said = self.again("results/small/seed_0", code=7)
        self.assertEqual(said[0], "results/small/seed_0: differs")
        self.assertRegex(said[1], rf"^  weights\.npz: hidden\.bias by up to {NUMBER}, in 6 of 6 numbers$")
        told = "\n".join(said)
        self.assertRegex(told, rf"metrics\.json: epochs\[1\]\.\S+ is {NUMBER} there, {NUMBER} now")
        self.assertRegex(told, r"metrics\.json: and \d+ more")
        self.assertIn("config.yaml has been changed: learning.optimizer.lr is 0.01 there, 0.02 now", told)

    def test_weights_that_were_edited(self):
        self.run_glesim(self.config())
        path = self.folder / "results/small/seed_0/weights.npz"
        with zipfile.ZipFile(path) as archive:
            parts = {name: bytearray(archive.read(name)) for name in archive.namelist()}
        parts["hidden.bias.npy"][-1] ^= 0x80 # the sign of the last number
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, bytes(data))
        said = self.again("results/small/seed_0", code=7)
        self.assertRegex(said[1], rf"^  weights\.npz: hidden\.bias by up to {NUMBER}, in 1 of 6 numbers$")
        self.assertEqual(len(said), 2)
        parts["hidden.bias.npy"][-1] ^= 0x80
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in parts.items():
                archive.writestr(name, bytes(data))
        self.assertEqual(self.again("results/small/seed_0"),
                         ["results/small/seed_0: same bits", "  weights.npz: other bytes, of the same arrays"])

    def test_numbers_that_were_edited(self):
        self.run_glesim(self.config())
        loss = self.report()["final"]["test"]["loss"]
        self.edit(f'"loss": {loss}', '"loss": 0.25', name="metrics.json")
        said = self.again("results/small/seed_0", code=7)
        self.assertEqual([line.split(": ", 1)[1] for line in said[1:]],
                         [f"{place}.test.loss is 0.25 there, {loss} now" for place in ("epochs[2]", "final", "best")])

    def test_weights_that_are_gone(self):
        self.run_glesim(self.config())
        (self.folder / "results/small/seed_0/weights.npz").unlink()
        self.assertEqual(self.again("results/small/seed_0"),
                         ["results/small/seed_0: same bits", "  weights.npz: not there to be compared"])
        self.edit(self.report()["weights_sha256"], "0" * 64, name="metrics.json")
        self.assertIn("  weights: SHA-256 000000000000... there,", self.again("results/small/seed_0", code=7)[1])
        self.edit(f'"{"0" * 64}"', "null", name="metrics.json")
        self.assertEqual(self.again("results/small/seed_0")[0], "results/small/seed_0: same numbers")

    def test_another_machine_and_other_data_are_told(self):
        self.run_glesim(self.config())
        report = self.report()
        self.edit(report["provenance"]["cpu"], "Another CPU", name="metrics.json")
        self.edit(report["dataset"]["sha256"], "0" * 64, name="metrics.json")
        said = self.again("results/small/seed_0")
        self.assertEqual(said[0], "results/small/seed_0: same bits")
        self.assertRegex(said[1], r'^  data set: sha256 is "0+" there, "[0-9a-f]{64}" now$')
        self.assertIn('cpu was "Another CPU", is "', said[2])

    def test_other_kernels(self):
        self.run_glesim(self.config(), env={"GLESIM_ISA": "base"})
        done = self.run_glesim("--verify", "results", env={"GLESIM_ISA": "avx2"}, code=7)
        self.assertIn('instruction_set was "base", is "avx2"', done.out)

    def test_a_run_that_diverged_again(self):
        config = self.config().read_text(encoding="utf-8")
        self.write("small.yaml", config.replace(*WILD))
        self.run_glesim("small.yaml", code=6)
        self.assertEqual(self.again("results")[0], "results/small/seed_0: same bits")

    def test_a_run_that_is_not_over(self):
        self.interrupted(XOR, "--set", "training.epochs=1000000")
        self.assertIn("has not come to its end", self.run_glesim("--verify", "out", code=4).err)
        (self.run_of("out") / "metrics.json").unlink()
        self.assertIn("no report", self.run_glesim("--verify", "out", code=4).err)


if __name__ == "__main__":
    unittest.main()
