"""Runs that are killed or interrupted, and resumed: they end as if nobody had touched them. The program is the one that
GLESIM names.

Standard library only. tests/long/kill.py does the same to whole configs, many times.
"""

import math
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time
import unittest
import wave
import zipfile

from case import CONFIGS, Case, GLESIM, PATIENCE, ROOT, XOR

sys.path.insert(0, str(ROOT / "tests" / "long"))
import kill # pylint: disable=wrong-import-position

LONG = ["--set", "training.epochs=100000"]
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
OFTEN = ["--set", "checkpoint.minutes=0.0005"] # every 30 ms

# An Ornstein-Uhlenbeck signal, a teacher, a held parameter, comparisons with exact gradients, a recording.
TEACHER = """glesim: 1
name: teacher
dt: 0.1
seed: 3
dataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 8, channels: 2}
network:
  input: 2
  layers:
    - {name: hidden, neurons: {count: 12, tau_m: 1.0, tau_r: 0.5}, activation: tanh}
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
teacher: {hidden: {weight: 0.4}}
learning: {loss: mse, plastic: [weight, bias, tau_m]}
training: {phases: [{duration: 200, learn: false}, {duration: 800, set: {hidden.tau_m: 2.0}}, {duration: 2000}]}
record: {every: 3, variables: [u, e], parameters: [tau_m]}
diagnose: {window: 2.0, every: 500}
"""
SPEECH = """glesim: 1
name: speech
dt: 0.1
seed: 2
dataset:
  type: speech_commands
  path: corpus
  task: {words: [low, high]}
  split: hashed
  sample_rate: 4000
  features: {type: mel, bins: 8, window: 128, hop: 100}
  upsample: 4
  balance: true
  augment: {shift: 400}
network:
  input: 8
  layers:
    - {name: hidden, neurons: {count: 10, tau_m: 1.2, tau_r: 0.1}, activation: tanh}
    - {name: readout, neurons: {count: 2, tau_m: 1.2, tau_r: 1.2}}
learning:
  loss: cross_entropy
  optimizer: {type: adam, lr: 1e-3}
  schedule: {type: plateau, metric: train_loss, patience: 0}
training: {epochs: 6, batch_size: 7}
"""


def write_corpus(folder):
    """Two words, tones of two heights, by many speakers and of many lengths."""
    for word, height in (("low", 200.0), ("high", 700.0)):
        (folder / word).mkdir(parents=True)
        for speaker in range(30):
            with wave.open(str(folder / word / f"{speaker * 2654435761 % 2**32:08x}_nohash_0.wav"), "wb") as sound:
                sound.setparams((1, 2, 4000, 0, "NONE", ""))
                n = 1500 + 70 * speaker
                tone = (int(8000 * math.sin(2 * math.pi * (height + 5 * speaker) * i / 4000)) for i in range(n))
                sound.writeframes(b"".join(struct.pack("<h", x) for x in tone))


class Stopped(Case):
    def setUp(self):
        super().setUp()
        self.choice = random.Random(self.id())
        self.dir = self.run_of("out")

    def report(self):
        """What tells one report from another; None while there is none."""
        path = self.dir / "metrics.json"
        return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None

    def begin(self, *args):
        """A run under way, with a first report of its own."""
        before = self.report()
        process = self.start(*args, "--quiet")
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + PATIENCE
        while self.report() == before and time.monotonic() < end:
            time.sleep(0.005)
        return process

    def stop(self, *args, number=signal.SIGINT):
        """A run that a signal has ended."""
        process = self.begin(*args)
        process.send_signal(number)
        process.wait(timeout=PATIENCE)
        self.assertEqual(process.returncode, -number if number == signal.SIGKILL else 128 + number)

    def check(self, *args, kills=3, status="completed"):
        """Kills a run on its way, resumes it, and compares."""
        command = [GLESIM, *map(str, args)]
        start = time.monotonic()
        code = kill.run([*command, "--output", self.folder / "whole", "--quiet"], None, None)
        seconds = time.monotonic() - start
        whole = kill.folder_of_run(self.folder / "whole")
        self.assertEqual(kill.load(whole / "metrics.json")["status"], status, code)
        sent, killed = kill.kill_and_resume([*command, *OFTEN], self.folder / "killed", kills, seconds, self.choice,
                                            SIGNALS)
        self.assertIsNone(kill.difference(whole, killed), f"after {sent} kills")
        self.assertLessEqual(len(kill.load(killed / "metrics.json")["provenance"]["resumed"]), sent)


class Resumed(Stopped):
    def test_xor(self):
        self.check(XOR, "--set", "training.epochs=60")

    def test_best_weights(self):
        self.check(XOR, "--set", "training.epochs=60", "--set", "training.best=train_loss", "--set",
                   "learning.optimizer={type: adamw, lr: 0.05}")

    def test_early_stopping(self):
        self.check(XOR, "--set", "training.epochs=100000", "--set",
                   "training.stop={metric: train_loss, patience: 400, min_delta: 1}")

    def test_the_training_set_measured_after_epochs(self):
        self.check(XOR, "--set", "training.epochs=60", "--set", "training.evaluate={train: all}", "--set",
                   "training.best=train_after_loss")

    def test_training_by_epochs_on_threads(self):
        self.check(CONFIGS / "mnist1d_e2e.yaml", "--set", "training.epochs=2", "--set", "dataset.samples=200", "--set",
                   "dataset.length=50", "--set", "training.validation=0.2", kills=5)

    def test_state_reset_with_batches_and_another_rule(self):
        self.check(CONFIGS / "yinyang.yaml", "--set", "training.epochs=2", "--set", "training.state=reset", "--set",
                   "learning.rule=bp")

    def test_windows_with_a_recording_of_lambda(self):
        self.check(CONFIGS / "lagline.yaml", "--variant", "bptt_tw4", "--set", "training.phases[2].duration=100",
                   "--set", "record.variables=[u, lambda]", kills=5)

    def test_adjoint_equations(self):
        self.check(CONFIGS / "lagnet.yaml", "--variant", "adjoint")

    def test_a_signal_with_a_teacher_and_comparisons(self):
        self.check(self.write("teacher.yaml", TEACHER), kills=5)

    def test_made_samples(self):
        write_corpus(self.folder / "corpus")
        self.check(self.write("speech.yaml", SPEECH), kills=5)

    def test_made_samples_measured_after_epochs(self):
        write_corpus(self.folder / "corpus")
        self.check(self.write("speech.yaml", SPEECH), "--set", "training.evaluate={train: all}")

    def test_many_runs_side_by_side(self):
        some = [XOR, "--set", "training.epochs=300", *OFTEN, "--seeds", "0-3"]
        self.run_glesim(*some, "--output", "whole", "--quiet")
        with subprocess.Popen([GLESIM, *map(str, some), "--output", "killed", "--quiet"], cwd=self.folder,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            end = time.monotonic() + PATIENCE
            while not (self.folder / "killed/seed_0/metrics.json").exists() and time.monotonic() < end:
                time.sleep(0.01)
            process.send_signal(signal.SIGUSR1)
            process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGUSR1)
        self.run_glesim(*some, "--output", "killed", "--resume", "--quiet")
        for seed in range(4):
            self.assertIsNone(kill.difference(self.folder / f"whole/seed_{seed}", self.folder / f"killed/seed_{seed}"))
        out = self.run_glesim(*some, "--output", "killed", "--resume").out
        self.assertEqual(out.count("there already"), 4)


class Checkpoints(Stopped):
    def test_an_interrupt_leaves_a_run_that_can_be_used_and_resumed(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            self.stop(XOR, *LONG, "--output", "out", "--force", number=number)
            m = kill.load(self.dir / "metrics.json")
            self.assertEqual((m["status"], m["provenance"]["resumed"]), ("interrupted", []))
            self.assertEqual(sorted(os.listdir(self.dir)),
                             ["checkpoint.npz", "config.yaml", "metrics.json", "weights.npz"])

    def test_the_report_says_when_a_run_was_resumed(self):
        self.stop(XOR, *LONG, "--output", "out")
        first = kill.load(self.dir / "metrics.json")
        for n in (1, 2):
            self.stop(XOR, *LONG, "--output", "out", "--resume", number=signal.SIGTERM)
            m = kill.load(self.dir / "metrics.json")
            self.assertEqual(len(m["provenance"]["resumed"]), n)
            with zipfile.ZipFile(self.dir / "checkpoint.npz") as archive: # nothing stands behind the texts
                for name, texts in (("start.npy", 1), ("resumed.npy", n)):
                    self.assertRegex(archive.read(name)[-32 * texts:], rb"\A([-0-9:TZ]{20}\0{12})+\Z")
            self.assertEqual(m["provenance"]["start"], first["provenance"]["start"])
            self.assertGreater(len(m["epochs"]), len(first["epochs"]))

    def test_what_a_delay_keeps_is_one_array(self):
        config = XOR.read_text(encoding="utf-8").replace("- {name: readout,",
                                                         "- {name: readout, from: [{layer: hidden, delay: 30.0}],")
        steps, config = 30.0 / float(config.partition("\ndt: ")[2].split()[0]), self.write("late.yaml", config)
        self.stop(config, *LONG, "--output", "out")
        with zipfile.ZipFile(self.dir / "checkpoint.npz") as archive:
            rings = [name for name in archive.namelist() if re.search(r"hidden\.r(_\d+)?\.npy$", name)]
            self.assertEqual(rings, [name for name in rings if name.endswith("hidden.r.npy")])
            self.assertEqual(len(rings), 1)
            self.assertIn(f"'shape': ({round(steps)}, ".encode(), archive.read(rings[0])[:128])
        self.stop(config, *LONG, "--output", "out", "--resume", number=signal.SIGTERM)

    def test_nothing_to_resume_begins_anew(self):
        self.run_glesim(XOR, "--output", "out", "--resume", "--set", "training.epochs=2")
        out = self.run_glesim(XOR, "--output", "out", "--resume", "--set", "training.epochs=2").out
        self.assertEqual(out, "out/seed_1/metrics.json: there already\n")

    def test_a_run_killed_before_its_first_checkpoint_begins_anew(self):
        never = ["--set", "checkpoint.minutes=0"]
        self.stop(XOR, *LONG, *never, "--output", "out", number=signal.SIGKILL)
        (self.dir / "checkpoint.npz").unlink(missing_ok=True)
        err = self.run_glesim(XOR, *LONG, "--output", "out", code=3).err
        self.assertRegex(err, r"^glesim: out/seed_1 holds a run already \(broken off\); --resume goes on with it, --force "
                              r"replaces it, --output puts this one elsewhere\n$")
        err = self.run_glesim(XOR, "--output", "out", "--resume", code=4).err
        self.assertEqual(err, "out/seed_1/config.yaml: a run of another config: training.epochs is 100000 there, 40 "
                              "here; --force replaces it\n")
        self.stop(XOR, *LONG, "--output", "out", "--resume")

    def test_force_removes_a_checkpoint(self):
        self.stop(XOR, *LONG, "--output", "out")
        self.run_glesim(XOR, "--set", "training.epochs=1", "--output", "out", "--force")
        self.assertEqual(sorted(os.listdir(self.dir)), ["config.yaml", "metrics.json", "weights.npz"])

    def test_minutes_change_no_result_and_no_config(self):
        self.run_glesim(XOR, "--set", "training.epochs=2", "--output", "out")
        config = (self.dir / "config.yaml").read_text(encoding="utf-8")
        self.assertNotIn("checkpoint", config)
        out = self.run_glesim(XOR, "--set", "training.epochs=2", *OFTEN, "--output", "out", "--resume").out
        self.assertIn("there already", out)
        err = self.run_glesim(XOR, "--set", "checkpoint.minutes=-1", code=2).err
        self.assertIn("checkpoint.minutes", err)


class Refusals(Stopped):
    def setUp(self):
        super().setUp()
        self.stop(XOR, *LONG, "--output", "out")
        self.before = {path.name: path.read_bytes() for path in self.dir.iterdir()}

    def refused(self, *args, code=4):
        """The message; nothing is changed."""
        done = self.run_glesim(*args, "--output", "out", code=code)
        self.assertEqual(done.out, "")
        self.assertEqual({path.name: path.read_bytes() for path in self.dir.iterdir()}, self.before)
        return done.err

    def test_another_config(self):
        self.assertEqual(self.refused(XOR, *LONG, "--resume", "--set", "learning.optimizer.lr=1e-4"),
                         "out/seed_1/checkpoint.npz: config: another one: learning.optimizer.lr is 3.0e-3 there, "
                         "1.0e-4 here\n")
        self.assertIn("network.layers is a list of 2 there, a list of 1 here",
                      self.refused(self.write("one.yaml", "\n".join(self.one_layer())), "--resume"))

    def one_layer(self):
        """The same with the readout alone."""
        config = (self.dir / "config.yaml").read_text(encoding="utf-8").splitlines()
        first = next(i for i, line in enumerate(config) if line.strip() == "- name: hidden")
        second = next(i for i, line in enumerate(config) if line.strip() == "- name: readout")
        return config[:first] + config[second:]

    def test_a_number_may_be_written_otherwise(self):
        self.stop(XOR, *LONG, "--resume", "--set", "learning.optimizer.lr=0.003", "--output", "out")

    def test_damage(self):
        good = self.before["checkpoint.npz"]
        for at in range(0, len(good), max(64, len(good) // 40)):
            self.before["checkpoint.npz"] = good[:at]
            (self.dir / "checkpoint.npz").write_bytes(good[:at])
            self.assertIn("out/seed_1/checkpoint.npz: ", self.refused(XOR, *LONG, "--resume"))

    def test_without_resume(self):
        self.assertEqual(self.refused(XOR, *LONG, code=3),
                         "glesim: out/seed_1 holds a run already (interrupted); --resume goes on with it, --force "
                         "replaces it, --output puts this one elsewhere\n")

    def test_both(self):
        self.assertEqual(self.refused(XOR, *LONG, "--resume", "--force", code=2),
                         "glesim: either --resume or --force, not both\n")


class OtherRefusals(Stopped):
    def test_damaged_records(self):
        recorded = [XOR, *LONG, "--set", "record={every: 1, variables: [u]}", "--output", "out"]
        self.stop(*recorded)
        records = self.dir / "recording.part"
        good = records.read_bytes()
        for bad in (good[:len(good) // 2], good[:100] + bytes([good[100] ^ 1]) + good[101:]):
            records.write_bytes(bad)
            self.assertRegex(self.run_glesim(*recorded, "--resume", code=4).err,
                             r"^out/seed_1/recording\.part: (damaged: the checksum|\d+ records cannot be read back)")
        records.write_bytes(good)
        self.stop(*recorded, "--resume")

    def test_other_data(self):
        data = self.folder / "corpus"
        write_corpus(data)
        config = self.write("speech.yaml", SPEECH.replace("seed: 2", "seed: 1"))
        self.stop(config, *LONG, "--output", "out")
        victim = next((data / "low").iterdir())
        victim.write_bytes(victim.read_bytes()[:-2] + b"\0\0")
        err = self.run_glesim(config, *LONG, "--output", "out", "--resume", code=4).err
        self.assertRegex(err, r"^out/seed_1/checkpoint\.npz: dataset: another one: its checksum is [0-9a-f]{12}\.\.\. "
                              r"there, [0-9a-f]{12}\.\.\. here\n$")

    def test_a_run_that_diverged_is_told(self):
        wild = [XOR, "--set", "learning={loss: mse, optimizer: {type: sgd, lr: 1e6}}", "--output", "out"]
        self.run_glesim(*wild, code=6)
        self.assertEqual(sorted(os.listdir(self.dir)), ["config.yaml", "metrics.json", "weights.npz"])
        err = self.run_glesim(*wild, "--resume", code=6).err
        self.assertEqual(err, "out/seed_1: it has diverged before; --force runs it again\n")

    def test_a_directory_belongs_to_one_run(self):
        process = self.begin(XOR, *LONG, "--output", "out")
        for how in ([], ["--resume"], ["--force"]):
            err = self.run_glesim(XOR, *LONG, "--output", "out", *how, code=3).err
            self.assertEqual(err, "glesim: out/seed_1: another process is at work on this run\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=PATIENCE), 130)

    def test_two_that_start_at_once(self):
        command = [GLESIM, XOR, *LONG, "--output", "out", "--quiet"]
        both = [subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE) for _ in range(2)]
        end = time.monotonic() + PATIENCE
        while all(process.poll() is None for process in both) and time.monotonic() < end:
            time.sleep(0.01)
        codes = []
        for process in both:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
            codes.append(process.returncode)
        self.assertEqual(sorted(codes), [3, 130])

    def test_what_stands_in_the_way_is_found_before_the_first_step(self):
        for name in ("checkpoint.npz", "metrics.json", "weights.npz"):
            (self.dir / name).mkdir(parents=True)
            how = [] if name == "weights.npz" else ["--force"]
            err = self.run_glesim(XOR, *LONG, "--output", "out", *how, code=3).err
            self.assertEqual(err, f"out/seed_1/{name}: cannot write: Is a directory\n")
            self.assertEqual(os.listdir(self.dir), [name])
            (self.dir / name).rmdir()

    def test_a_write_that_fails_later_leaves_the_last_checkpoint(self):
        process = self.begin(XOR, *LONG, "--output", "out", *OFTEN)
        end = time.monotonic() + PATIENCE
        while not (self.dir / "checkpoint.npz").exists() and time.monotonic() < end:
            time.sleep(0.005)
        (self.dir / "weights.npz").unlink(missing_ok=True)
        while process.poll() is None and time.monotonic() < end:
            try:
                (self.dir / "weights.npz").mkdir()
                break
            except FileExistsError:
                (self.dir / "weights.npz").unlink(missing_ok=True)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 3, err)
        m = kill.load(self.dir / "metrics.json")
        self.assertEqual(m["status"], "interrupted")
        self.assertIn("weights.npz: cannot write", m["message"])
        (self.dir / "weights.npz").rmdir()
        self.stop(XOR, *LONG, "--output", "out", "--resume")
        self.assertEqual(len(kill.load(self.dir / "metrics.json")["provenance"]["resumed"]), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
