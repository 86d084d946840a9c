"""Runs tools/bench as a user does, shortly. No speed is asserted. The program is the one that GLESIM_BENCH names.
"""

import os
import pathlib
import re
import subprocess
import unittest
import unittest.mock

from case import CONFIGS, InFolder, ROOT, load

BENCH = os.path.abspath(os.environ["GLESIM_BENCH"])
DEVICE_TABLE = pathlib.Path(os.environ["GLESIM_DEVICE_TABLE"])
SHORT = ["--quick", "--seconds", "0.004"]
MISSING = """glesim: 1
name: missing
dataset: {type: npz, file: nowhere.npz, present: 1.0}
network: {input: 3, layers: [{name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}
dt: 0.1
learning: {loss: cross_entropy, optimizer: {type: adam, lr: 1.0e-3}}
training: {epochs: 1, batch_size: 4}
"""


def refusal(*args):
    """What it says in place of measuring, and its exit code."""
    done = subprocess.run([BENCH, *map(str, args)], capture_output=True, text=True, check=False)
    return done.stderr, done.returncode


HAS_DEVICE = "OpenCL" not in refusal("--backend", "opencl", "--device", "no such device")[0]
NEEDS_DEVICE = unittest.skipUnless(HAS_DEVICE, "OpenCL has no device here")


class Measured(InFolder):
    def bench(self, *args, threads="1"):
        """The tables as text, and the JSON."""
        path = self.folder / "bench.json"
        among = ["--threads", threads] if threads else []
        done = subprocess.run([BENCH, *map(str, args), *SHORT, *among, "--json", path], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout, load(path)


class Bench(Measured):
    def check_speed(self, speed):
        for key in ("us_least", "us_median", "us_mean", "mflop", "gflops", "of_fma_peak", "of_sgemm_peak"):
            self.assertGreater(speed[key], 0.0, key)
        self.assertLessEqual(speed["us_least"], speed["us_median"])
        split = speed["split"]
        self.assertGreater(split["products_us"], 0.0)
        self.assertGreater(split["elementwise_us"], 0.0)
        self.assertAlmostEqual(sum(v for k, v in split.items() if k != "us"), split["us"], delta=0.01 * split["us"])

    def check_row(self, row):
        self.assertEqual((row["threads_asked"], row["threads"]), (1, 1))
        self.check_speed(row["learn"])
        self.check_speed(row["eval"])
        self.assertGreater(row["learn"]["split"]["optimizer_us"], 0.0)
        self.assertEqual(row["eval"]["split"]["optimizer_us"], 0.0)

    def test_says_the_same_of_itself_before_it_is_built(self):
        script = subprocess.run([ROOT / "tools/bench", "--help"], capture_output=True, check=True).stdout
        self.assertIn(b"usage: bench ", script)
        for word in ("--help", "-h"):
            self.assertEqual(subprocess.run([BENCH, word], capture_output=True, check=True).stdout, script)

    def test_measures_steps_against_the_peaks(self):
        text, report = self.bench(CONFIGS / "xor.yaml", CONFIGS / "lagnet.yaml", "--whole", "--no-scaling")
        self.assertEqual([(c["config"], c["variant"], c["by"]) for c in report["configs"]],
                         [("xor", None, "epochs"), ("lagnet", "gle", "phases"), ("lagnet", "adjoint", "phases")])
        for row in report["configs"][:2]:
            self.check_row(row)
        for row in report["configs"]:
            self.assertFalse(row["random_data"])
            self.assertGreater(row["estimated_seconds"], 0.0)
            self.assertGreater(row["measured_seconds"], 0.0)
            self.assertIn(row["config"], text)
        peak, = report["peaks"]
        self.assertEqual(peak["threads"], 1)
        self.assertGreater(peak["fma_gflops"], 0.0)
        self.assertGreater(peak["sgemm_gflops"], 0.0)
        for key in ("date", "version", "commit", "compiler", "blas"):
            self.assertIsInstance(report[key], str)
        for key in ("load_at_start", "load_at_end"):
            self.assertEqual(len(report["machine"][key]), 3)
        self.assertGreater(report["machine"]["processors"], 0)
        self.assertEqual((report["side_by_side"], report["scaling"], report["products"]), ([], [], []))

    def test_measures_networks_side_by_side(self):
        text, report = self.bench(CONFIGS / "xor.yaml", "--no-scaling", threads="1,3")
        row, = report["side_by_side"]
        self.assertEqual((row["config"], row["random_data"], len(row["copies"])), ("xor", False, 3))
        least = [copy["us_least"] for copy in row["copies"]]
        self.assertGreater(min(least), 0.0)
        self.assertAlmostEqual(row["us_a_step"], 1.0 / sum(1.0 / us for us in least), delta=1e-3 * row["us_a_step"])
        self.assertIn("SIDE BY SIDE", text)

    def test_takes_random_data_where_there_is_none(self):
        config = self.folder / "missing.yaml"
        config.write_text(MISSING)
        text, report = self.bench(config, "--no-scaling")
        row, = report["configs"]
        self.assertTrue(row["random_data"])
        self.assertIsNone(row["estimated_seconds"])
        self.check_row(row)
        self.assertRegex(text, r"missing \* +1 \(1\)")

    def test_shows_how_the_cost_grows(self):
        _, report = self.bench("--scaling")
        self.assertEqual(report["configs"], [])
        for axis in ("width", "depth", "batch"):
            rows = [row for row in report["scaling"] if row["axis"] == axis]
            self.assertGreater(len(rows), 4)
            self.assertEqual([row[axis] for row in rows], sorted(row[axis] for row in rows))
            self.assertGreater(rows[-1]["learn"]["mflop"], rows[0]["learn"]["mflop"])
            for row in rows:
                self.check_row(row)

    def test_measures_links(self):
        text, report = self.bench("--links")
        self.assertEqual((report["configs"], report["scaling"]), ([], []))
        calls = {(row["connect"], row["call"]) for row in report["links"]}
        for connect in ("{type: conv, kernel: 5}", "{type: sparse, probability: 0.1}", "dense", "one_to_one"):
            for call in ("forward", "back", "gradient"):
                self.assertIn((connect, call), calls)
        self.assertEqual({row["call"] for row in report["links"] if "pool" in row["connect"]},
                         {"forward", "back", "gradient", "pool", "pool_back"})
        for row in report["links"]:
            self.assertGreater(row["us"], 0.0)
            self.assertEqual(row["gflops"] is None, row["call"].startswith("pool"))
            self.assertIn(row["connect"], text)

    def test_refuses_what_the_backend_has_not(self):
        for args, text in ((["--backend", "cuda"], "--backend: cpu or opencl"),
                           (["--device", "0"], "--device goes with --backend opencl"),
                           (["--backend", "opencl", "--threads", "1"],
                            "--threads: steps with --backend opencl have none"),
                           (["--backend", "opencl", "--links"],
                            "--products and --links measure kernels of the processors, not of --backend opencl")):
            self.assertEqual(refusal(*args), (f"bench: {text}\n", 2))

    def test_says_that_there_is_no_such_device(self):
        text, code = refusal("--backend", "opencl", "--device", "no such device")
        self.assertEqual(code, 2)
        self.assertRegex(text, "^bench: .*(OpenCL|no such device)")


@NEEDS_DEVICE
class Device(Measured):
    def setUp(self):
        super().setUp()
        self.enterContext(unittest.mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(self.folder)}))

    def check_step(self, step, launches):
        for key in ("us_least", "us_median", "us_mean", "mflop", "gflops", "of_sgemm_peak"):
            self.assertGreater(step[key], 0.0, key)
        self.assertLessEqual(step["us_least"], step["us_median"])
        self.assertAlmostEqual(step["launches"], launches, delta=1e-9)

    def test_measures_steps_on_a_device(self):
        text, report = self.bench("--backend", "opencl", CONFIGS / "xor.yaml", CONFIGS / "lagline.yaml", "--no-scaling",
                                  threads=None)
        self.assertEqual(report["backend"], "opencl")
        for key in ("sgemm_gflops", "copy_bytes_per_second", "launch_us", "compute_units"):
            self.assertGreater(report["device"][key], 0, key)
        rows = {(row["config"], row["variant"]): row for row in report["configs"]}
        for row in (rows["xor", None], rows["lagline", "gle"]):
            self.check_step(row["learn"], 3)
            self.check_step(row["eval"], 2)
            self.assertGreater(row["learn"]["of_copy_peak"], 0.0)
        # Inputs of two numbers, and targets, for four rows; losses. Rows of both are padded.
        self.assertGreater(rows["xor", None]["learn"]["bytes_in"], 4 * 4 * (2 + 2))
        self.assertGreater(rows["xor", None]["learn"]["bytes_out"], 4 * 4)
        self.assertIsNone(rows["lagline", "bptt_tw1"]["learn"]["of_copy_peak"])
        self.assertGreater(rows["lagline", "bptt_tw1"]["learn"]["launches"], 3.9)  # with two a step of the sweep
        self.assertEqual(report["peaks"], [])
        self.assertIn(report["device"]["name"], text)
        self.assertIn("Steps on a device are not profiled", text)

    def test_makes_one_table_of_device_and_processors(self):
        """From a packed folder, somewhere else, with next to no environment."""
        packed, out = self.folder / "packed", self.folder / "table.md"
        subprocess.run([ROOT / "tools/bench_device", "--pack", packed, DEVICE_TABLE], check=True, capture_output=True)
        env = {key: os.environ[key] for key in ("PATH", "LSAN_OPTIONS") if key in os.environ}
        done = subprocess.run([packed / "tools/bench_device", "--out", out, "--quick"], cwd="/", capture_output=True,
                              text=True, check=False, env=env | {"XDG_CACHE_HOME": str(self.folder)})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        tables = [[[cell.strip() for cell in line.strip("|").split("|")]
                   for line in part.splitlines() if line.startswith("|")]
                  for part in done.stdout.split("\n\n")]
        parity, speed = [table for table in tables if table]
        networks = ["mnist1d_e2e", "mnist1d_e2e_42k", "gsc_mel_gle"]
        self.assertEqual([(row[0], row[-1]) for row in parity[2:]], [(name, "yes") for name in networks])
        for row in parity[2:]:
            self.assertTrue(all(0.0 <= float(cell) < 0.1 for cell in row[1:4]), row)
            self.assertGreater(float(row[3]), 0.0, "bits that are the same are no device's")
        self.assertEqual([row[0] for row in speed[2:]], [name for name in networks for _ in range(2)])
        self.assertEqual({len(row) for row in speed}, {len(speed[0])})
        for row in speed[2:]:
            for cell in row[4:speed[0].index("device") + 1]:
                least, median = map(float, re.fullmatch(r"(\S+) \((\S+)\)(?: on \d+)?", cell).groups())
                self.assertLessEqual(0.0 < least and least, median)
        self.assertIn("\n- device: ", done.stdout)
        self.assertIn(", commit ", done.stdout)
        table = out.read_text()
        self.assertEqual(table[table.index("The largest"):], done.stdout[done.stdout.index("The largest"):])


class Packed(InFolder):
    def test_packs_what_another_machine_needs(self):
        packed = self.folder / "packed"
        pack = [ROOT / "tools/bench_device", "--pack", packed, DEVICE_TABLE]
        subprocess.run(pack, check=True, capture_output=True)
        ours = {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()}
        self.assertLessEqual({"tools/bench_device", "bin/device_table", "configs/gsc_mel_gle.yaml"}, ours)
        needed = subprocess.run(["ldd", DEVICE_TABLE], capture_output=True, text=True, check=True).stdout
        for name in re.findall(r"^\s*(\S+) =>", needed, re.MULTILINE):
            of_the_system = re.match(r"(libc|libm|libpthread|libdl|librt)\.so", name)
            self.assertEqual(f"bin/lib/{name}" in ours, not of_the_system, name)
        again = subprocess.run(pack, check=False, capture_output=True, text=True)
        self.assertEqual((again.returncode, again.stderr), (2, f"tools/bench_device: {packed} is there already\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
