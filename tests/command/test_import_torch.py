#!/usr/bin/python3
"""Runs tools/import_torch.py as a user does, on files that PyTorch 2.15 and 1.13 wrote (fixtures/make_torch.py).

Needs numpy, without which it is skipped, and no PyTorch. The program is the one that GLESIM names.
"""

import importlib.util
import io
import json
import os
import pathlib
import pickle
import runpy
import subprocess
import sys
import tempfile
import traceback
import unittest
import zipfile

from case import GLESIM, InFolder, ROOT, XOR

try:
    import numpy as np
except ImportError:
    print("numpy is not installed")
    sys.exit(77)

TESTS = pathlib.Path(__file__).resolve().parent
SCRIPT = ROOT / "tools" / "import_torch.py"
FIXTURES = TESTS / "fixtures"
XOR_MODEL = FIXTURES / "xor_2.15.pt"
SPARSE = b"""glesim: 1
name: sparse
seed: 1
dt: 0.1
dataset: {type: xor}
network:
  input: 2
  layers:
    - name: hidden
      neurons: {count: 20, tau_m: 1.0, tau_r: 1.0}
      from: [input, {layer: hidden, name: late, delay: 0.5, connect: {type: sparse, probability: 0.1}}]
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}, from: [{layer: hidden, feedback: fixed}]}
learning: {loss: mse, optimizer: {type: adam, lr: 1.0e-4}}
training: {epochs: 1, batch_size: 4}
"""
NAMES = ["hidden.weight", "hidden.bias", "readout.weight", "readout.bias"]


def load_script():
    spec = importlib.util.spec_from_file_location("import_torch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored(**entries):
    """The bytes of a zip file; __ in a name stands for a slash, and data.pkl is data_pkl."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/").replace("data_pkl", "data.pkl"), data)
    return out.getvalue()


def tensor_pickle(storage=b"FloatStorage", count=6, offset=0, shape=(2, 3), strides=(3, 1)):
    """A dict of one tensor, 'w', by hand and apart from the script's own writer: opcodes of protocol 0 to 2."""
    def numbers(values):
        return b"(" + b"".join(b"J" + value.to_bytes(4, "little", signed=True) for value in values) + b"t"

    return (b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n" + storage +
            b"\nX\x01\0\0\x000X\x03\0\0\0cpuJ" + count.to_bytes(4, "little", signed=True) + b"tQ" +
            b"J" + offset.to_bytes(4, "little", signed=True) + numbers(shape) + numbers(strides) +
            b"\x89}tRs.")


def run_script(folder, args, out, err):
    """Runs it as Python does, and ends this process."""
    code = 1
    try:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.argv = [str(SCRIPT), *args]
        runpy.run_path(str(SCRIPT), run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException: # pylint: disable=broad-exception-caught # Python would show it, too
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Case(InFolder):
    def call(self, *args, code=0):
        """Standard output and standard error."""
        done = self.in_a_copy(list(map(str, args)))
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout, done.stderr

    def in_a_copy(self, args):
        """The script in a process that has numpy already: to load it takes longer than all else."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            sys.stdout.flush()
            sys.stderr.flush()
            child = os.fork()
            if not child:
                run_script(self.folder, args, out.fileno(), err.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(args, code, out.read().decode(), err.read().decode())

    def refused(self, *args, says, code=2):
        """One line, and nothing is left behind."""
        before = sorted(self.folder.iterdir())
        out, err = self.call(*args, code=code)
        self.assertEqual(out, "")
        self.assertRegex(err, r"\Aimport_torch\.py: [^\n]*\n\Z")
        self.assertIn(says, err)
        self.assertEqual(sorted(self.folder.iterdir()), before)

    def arrays(self, name):
        with np.load(self.folder / name) as npz:
            return {key: npz[key] for key in npz.files}

    def savez(self, name, **arrays):
        np.savez(self.folder / name, **{key.replace("__", "."): value for key, value in arrays.items()})
        return name

    def file(self, name, data):
        (self.folder / name).write_bytes(data)
        return name

    def glesim(self, *args):
        done = subprocess.run([GLESIM, *map(str, args), "--quiet"], cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def metrics(self, run):
        return json.loads((self.folder / run / "seed_1" / "metrics.json").read_text(encoding="utf-8"))

    def assert_same(self, one, other):
        self.assertEqual(list(one), list(other))
        for name, array in one.items():
            self.assertEqual((array.dtype, array.shape, array.tobytes()),
                             (other[name].dtype, other[name].shape, other[name].tobytes()), name)


class Reading(Case):
    def check_views(self, path):
        tensors = load_script().read(path)
        base = np.arange(24, dtype="f4").reshape(4, 6) / 8
        wanted = {
            "turned.weight": base.T, "part.weight": base[1:4:2, 1:6:2], "repeated.bias": np.full(3, 0.5, "f4"),
            "double": base.astype("f8") / 3, "half": base[0].astype("f2"), "brain": base[1],
            "tau": np.array(1.5, "f4"), "none": np.zeros((0, 3), "f4"), "count": np.array([-1, 1 << 40]),
            "truth": np.array([True, False]),
        }
        self.assert_same(wanted, {name: tensor.array for name, tensor in tensors.items()})
        self.assertEqual([tensor.kind for tensor in tensors.values()],
                         ["float32"] * 3 + ["float64", "float16", "bfloat16", "float32", "float32", "int64", "bool"])

    def test_what_pytorch_wrote_is_read_bit_for_bit(self):
        for version in ("2.15", "1.13"):
            self.check_views(FIXTURES / f"views_{version}.pt")

    def test_both_byte_orders_are_read(self):
        values = np.arange(6, dtype="f4") / 4
        for word, order in (("little", "<"), ("big", ">")):
            data = stored(m__data_pkl=tensor_pickle(), m__byteorder=word,
                          m__data__0=values.astype(order + "f4").tobytes())
            tensors = load_script().read(self.folder / self.file("m.pt", data))
            self.assert_same({"w": values.reshape(2, 3)}, {"w": tensors["w"].array})

    def test_a_list_has_names_shapes_and_types(self):
        out, _ = self.call("--list", FIXTURES / "views_2.15.pt")
        self.assertEqual(out.splitlines()[0].split(), ["turned.weight", "(6,", "4)", "float32"])
        self.savez("w.npz", hidden__weight=np.zeros((3, 2)))
        self.assertEqual(self.call("--list", "w.npz")[0].split(), ["hidden.weight", "(3,", "2)", "float64"])

    def test_an_entry_of_a_checkpoint_is_read(self):
        checkpoint = FIXTURES / "checkpoint_2.15.pt"
        self.refused("--list", checkpoint, code=4, says="entries: model, optimizer; --entry picks one")
        self.refused("--list", checkpoint, "--entry", "net", code=4, says="it has no entry 'net'")
        self.call("to-npz", checkpoint, "one.npz", "--entry", "model", "--names", "0=hidden,2=readout")
        self.call("to-npz", XOR_MODEL, "other.npz", "--names", "0=hidden,2=readout")
        self.assert_same(self.arrays("one.npz"), self.arrays("other.npz"))


class Hostile(Case):
    def test_nothing_in_a_pickle_is_executed(self):
        class Bomb:
            def __reduce__(self):
                return os.system, ("touch executed",)

        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            self.file("m.pt", stored(m__data_pkl=pickle.dumps({"w": Bomb()}, protocol)))
            _, err = self.call("--list", "m.pt", code=4)
            self.assertEqual(err.count("\n"), 1)
            self.assertFalse((self.folder / "executed").exists())
        self.file("m.pt", stored(m__data_pkl=pickle.dumps({"w": Bomb()}, 2)))
        self.refused("--list", "m.pt", code=4, says="refused: it holds 'posix.system'")

    def test_impossible_tensors_are_refused(self):
        data = np.arange(6, dtype="f4").tobytes()
        for wrong in ({"offset": 1}, {"offset": -1}, {"shape": (3, 3)}, {"strides": (-3, 1)}, {"strides": (3,)},
                      {"count": 7}, {"count": -1}, {"shape": (1 << 20, 1 << 20), "strides": (0, 0)},
                      {"storage": b"ComplexFloatStorage"}, {"storage": b"save"}):
            self.file("m.pt", stored(m__data_pkl=tensor_pickle(**wrong), m__data__0=data))
            with self.subTest(wrong):
                self.refused("--list", "m.pt", code=4, says="m.pt: ")
        self.file("m.pt", stored(m__data_pkl=tensor_pickle()))
        self.refused("--list", "m.pt", code=4, says="m/data/0")

    def test_other_files_are_refused(self):
        self.file("text.pt", b"weights")
        self.file("none.pt", b"")
        self.file("zip.pt", stored(readme=b"hello"))
        self.file("old.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
        self.file("cut.pt", XOR_MODEL.read_bytes()[:900])
        for name, says in (("text.pt", "no file of torch.save"), ("none.pt", "no file of torch.save"),
                           ("zip.pt", "not one that torch.save wrote"), ("old.pt", "before PyTorch 1.6"),
                           ("cut.pt", "no file of torch.save"), ("missing.pt", "No such file")):
            self.refused("--list", name, code=4, says=says)
        self.refused("to-torch", XOR_MODEL, "m.pt", code=4, says="it is no npz file")
        self.refused("to-npz", self.savez("w.npz", a__weight=np.zeros((1, 1))), "x.npz", "--names", "a=a", code=4,
                     says="it is an npz file")
        self.savez("objects.npz", a__weight=np.array([{}]))
        self.refused("--list", "objects.npz", code=4, says="allow_pickle")

    def test_damage_anywhere_is_told_in_one_line(self):
        script = load_script()
        whole = bytearray(XOR_MODEL.read_bytes())
        for at in range(0, len(whole), 7):
            broken = whole.copy()
            broken[at] ^= 0x55
            self.file("m.pt", broken)
            try:
                script.read(self.folder / "m.pt")
            except script.Failure as failure:
                self.assertNotIn("\n", str(failure))

    def test_damage_of_a_pickle_is_told_in_one_line(self):
        script = load_script()
        with zipfile.ZipFile(FIXTURES / "checkpoint_2.15.pt") as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        name = next(name for name in entries if name.endswith("/data.pkl"))
        whole = bytearray(entries[name])
        for at in range(0, len(whole), 5):
            for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1:]):
                self.file("m.pt", stored(**{**entries, name: bytes(broken)}))
                try:
                    script.read(self.folder / "m.pt", entry="model")
                except script.Failure as failure:
                    self.assertNotIn("\n", str(failure))


class Names(Case):
    def test_layers_are_matched_in_order(self):
        out, _ = self.call("to-npz", XOR_MODEL, "w.npz", "--config", XOR)
        self.assertEqual(out.splitlines()[0], "0.weight -> hidden.weight (8, 2)")
        self.assertEqual(list(self.arrays("w.npz")), NAMES)
        self.call("to-npz", XOR_MODEL, "again.npz", "--like", "w.npz")
        self.assertEqual((self.folder / "w.npz").read_bytes(), (self.folder / "again.npz").read_bytes())

    def test_factors_of_time_constants_go_there_and_back(self):
        config = XOR.read_text(encoding="utf-8").replace("  input: 2\n", "  input: 2\n  mismatch: {tau_m: 0.2, "
                                                         "error_tau_r: 0.1}\n")
        self.file("off.yaml", config.encode())
        factors = {f"{layer}.{tau}_factor": np.linspace(0.5, 1.5, n, dtype="f4")
                   for layer, n in (("hidden", 8), ("readout", 2)) for tau in ("tau_m", "error_tau_r")}
        self.savez("w.npz", hidden__weight=np.ones((8, 2)), readout__weight=np.ones((2, 8)),
                   **{name.replace(".", "__"): values for name, values in factors.items()})
        self.call("to-torch", "w.npz", "m.pt")
        self.call("to-npz", "m.pt", "back.npz", "--config", "off.yaml")
        back = self.arrays("back.npz")
        for name, values in factors.items():
            np.testing.assert_array_equal(back[name], values)

    def test_a_repeated_layer_has_its_names(self):
        rows = [np.full((3, 3), i, "f4") for i in range(3)]
        config = XOR.read_text(encoding="utf-8").replace(
            "- {name: hidden, neurons: {count: 8, tau_m: 1.0, tau_r: 1.0}, activation: tanh}",
            "- {name: lag, repeat: 3, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}, bias: none}")
        self.file("lags.yaml", config.encode())
        self.savez("w.npz", **{f"l.{i}.weight": row[:2, :2] for i, row in enumerate(rows)}, o__weight=np.ones((2, 2)),
                   o__bias=np.ones(2))
        self.call("to-torch", "w.npz", "m.pt")
        self.call("to-npz", "m.pt", "lags.npz", "--config", "lags.yaml")
        self.assertEqual(list(self.arrays("lags.npz")),
                         ["lag_1.weight", "lag_2.weight", "lag_3.weight", "readout.weight", "readout.bias"])

    def test_a_layer_of_an_rnn_reads_itself(self):
        rng = np.random.default_rng(3)
        ih, hh, out = (rng.normal(size=shape).astype("f4") for shape in ((4, 2), (4, 4), (2, 4)))
        one, other, last = (rng.normal(size=n).astype("f4") for n in (4, 4, 2))
        self.savez("w.npz", a__weight=ih, b__weight=hh, c__weight=out, a__bias=one, b__bias=other, c__bias=last)
        self.call("to-torch", "w.npz", "rnn.pt", "--names",
                  "rnn.weight_ih_l0=a.weight,rnn.weight_hh_l0=b.weight,rnn.bias_ih_l0=a.bias,rnn.bias_hh_l0=b.bias,"
                  "fc=c")
        self.assertIn("rnn.l0.ih.weight", self.call("--list", "rnn.pt")[0])
        self.file("lateral.yaml", XOR.read_text(encoding="utf-8").replace(
            "- {name: hidden, neurons: {count: 8,", "- {name: hidden, from: [input, hidden], neurons: {count: 4,")
            .encode())
        self.call("to-npz", "rnn.pt", "w1.npz", "--config", "lateral.yaml")
        self.call("to-npz", "rnn.pt", "w2.npz", "--names", "rnn.l0.ih=hidden.input,rnn.l0.hh=hidden.hidden,"
                  "rnn.l0.bias=hidden.bias,fc=readout")
        arrays = self.arrays("w1.npz")
        wanted = {"hidden.input.weight": ih, "hidden.bias": one + other, "hidden.hidden.weight": hh,
                  "readout.weight": out, "readout.bias": last}
        self.assertEqual(set(arrays), set(wanted))
        for name, array in wanted.items():
            self.assertEqual((arrays[name].shape, arrays[name].tobytes()), (array.shape, array.tobytes()), name)
            self.assertEqual(arrays[name].tobytes(), self.arrays("w2.npz")[name].tobytes())
        self.glesim("lateral.yaml", "--set", f"network.init.file={self.folder / 'w1.npz'}", "--set",
                    "training.epochs=0", "--output", "run")
        self.assertEqual(self.arrays("run/seed_1/weights.npz")["hidden.hidden.weight"].tobytes(), hh.tobytes())
        # and back: PyTorch sums the two biases
        self.call("to-torch", "run/seed_1/weights.npz", "back.pt", "--like", "rnn.pt")
        back = load_script().read(self.folder / "back.pt", as_they_are=True)
        self.assertEqual(set(back), {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0",
                                     "fc.weight", "fc.bias"})
        self.assertEqual(back["rnn.bias_ih_l0"].array.tobytes(), (one + other).tobytes())
        self.assertFalse(back["rnn.bias_hh_l0"].array.any())
        self.refused("to-npz", "rnn.pt", "x.npz", "--config", XOR, says="are not those of")

    def test_the_lateral_weights_of_an_rnn_are_known_by_their_source(self):
        """Where the input is as wide as the layer, sizes do not tell which are which."""
        ih, hh, out = (np.full(shape, i, "f4") for i, shape in enumerate(((4, 4), (4, 4), (3, 4))))
        self.savez("w.npz", a__weight=ih, b__weight=hh, c__weight=out, a__bias=np.zeros(4, "f4"),
                   c__bias=np.zeros(3, "f4"))
        self.call("to-torch", "w.npz", "rnn.pt", "--names",
                  "rnn.weight_ih_l0=a.weight,rnn.weight_hh_l0=b.weight,rnn.bias_ih_l0=a.bias,fc=c")
        for order, says in (("hidden, input", None), ("input, hidden", None),
                            ("input, {layer: input, name: late, delay: 0.1}", "it is not clear which of ")):
            self.file("wide.yaml", (ROOT / "configs" / "yinyang.yaml").read_text(encoding="utf-8").replace(
                "- {name: hidden, neurons: {count: 120,", f"- {{name: hidden, from: [{order}], neurons: {{count: 4,")
                .encode())
            if says:
                self.refused("to-npz", "rnn.pt", "x.npz", "--config", "wide.yaml", says=says)
                continue
            self.call("to-npz", "rnn.pt", "w1.npz", "--force", "--config", "wide.yaml")
            arrays = self.arrays("w1.npz")
            self.assertEqual((arrays["hidden.input.weight"].max(), arrays["hidden.hidden.weight"].min()), (0, 1))
            self.call("to-torch", "w1.npz", "back.pt", "--force", "--like", "rnn.pt")
            back = load_script().read(self.folder / "back.pt", as_they_are=True)
            self.assertEqual((back["rnn.weight_ih_l0"].array.max(), back["rnn.weight_hh_l0"].array.min()), (0, 1))

    def test_convolutions_keep_their_shapes(self):
        config = ROOT / "tests" / "good" / "channels.yaml"
        kernel = np.arange(9, dtype="f4").reshape(3, 1, 3)
        self.savez("w.npz", a__weight=kernel, a__bias=np.ones(3, "f4"), b__weight=np.ones((2, 3), "f4"),
                   b__bias=np.zeros(2, "f4"))
        self.call("to-torch", "w.npz", "cnn.pt", "--names", "conv=a,fc=b")
        out, _ = self.call("to-npz", "cnn.pt", "cnn.npz", "--config", config)
        self.assertEqual(out.splitlines()[0], "conv.weight -> c.weight (3, 1, 3)")
        self.glesim(config, "--set", f"network.init.file={self.folder / 'cnn.npz'}", "--set", "training.epochs=0",
                    "--output", "run")
        self.assertEqual(self.arrays("run/seed_1/weights.npz")["c.weight"].tobytes(), kernel.tobytes())
        self.savez("flat.npz", a__weight=kernel.reshape(3, 3), b__weight=np.ones((2, 3), "f4"))
        self.call("to-torch", "flat.npz", "flat.pt")
        self.refused("to-npz", "flat.pt", "x.npz", "--config", config, says="a (3, 3), b (2, 3), are not those of")
        self.refused("to-npz", "flat.pt", "x.npz", "--config", config, "--names", "a.weight=c.weight", code=4,
                     says="has shape (3, 3), where (3, 1, 3) is wanted")

    def test_names_may_be_told(self):
        names = "0.weight=hidden.weight, 0.bias=hidden.bias\n2=readout\n"
        self.file("names.txt", names.encode())
        self.call("to-npz", XOR_MODEL, "w.npz", "--names", "@names.txt")
        self.assertEqual(list(self.arrays("w.npz")), NAMES)
        out, _ = self.call("to-npz", XOR_MODEL, "one.npz", "--names", "2=out", "--only", "weight")
        self.assertEqual(out, "2.weight -> out.weight (2, 8)\nleft out: 0.weight, 0.bias, 2.bias\n")
        self.call("to-torch", "w.npz", "m.pt", "--names", "net.in=hidden,net.out=readout")
        self.assertEqual(list(load_script().read(self.folder / "m.pt")),
                         ["net.in.weight", "net.in.bias", "net.out.weight", "net.out.bias"])
        self.refused("to-npz", XOR_MODEL, "x.npz", "--names", "1=hidden", says="no '1' in")
        self.refused("to-npz", XOR_MODEL, "x.npz", "--names", "0=a,2=a", says="two arrays would be a.weight")
        self.refused("to-npz", XOR_MODEL, "x.npz", "--names", "0.weight=hidden", says="'hidden' is no name of glesim's")
        self.refused("to-npz", XOR_MODEL, "x.npz", "--names", "0", says="'0' is no list of TORCH=GLESIM")
        self.refused("to-npz", XOR_MODEL, "x.npz", "--names", "0=hide,2=readout", "--config", XOR,
                     says="there is no hide.weight in")
        self.refused("to-npz", XOR_MODEL, "x.npz", says="--config, --like or --names has to say")

    def test_time_constants_come_along(self):
        self.savez("w.npz", **{"l.0.tau_m": np.array(2.0), "l.0.linear.weight": np.ones((3, 2)),
                               "l.0.linear.bias": np.ones(3), "l.0.n.tau_r": np.array([1.0, 2.0, 3.0])})
        self.call("to-torch", "w.npz", "m.pt")
        self.savez("like.npz", a__weight=np.zeros((3, 2)), a__bias=np.zeros(3), a__tau_m=np.ones(3),
                   a__tau_r=np.ones(3))
        out, _ = self.call("to-npz", "m.pt", "a.npz", "--like", "like.npz")
        self.assertIn("glesim takes tau_r from the config", out)
        a = self.arrays("a.npz")
        self.assertEqual((a["a.tau_m"].tolist(), a["a.tau_r"].tolist()), ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]))
        self.savez("bad.npz", a__weight=np.ones((3, 2)), a__bias=np.ones(3), a__tau_m=np.array([1.0, 0.0, 1.0]))
        self.call("to-torch", "bad.npz", "bad.pt")
        self.refused("to-npz", "bad.pt", "x.npz", "--names", "a=a", code=4, says="not positive")

    def test_what_does_not_fit_is_told(self):
        self.savez("like.npz", hidden__weight=np.zeros((2, 8)), readout__weight=np.zeros((2, 8)))
        self.refused("to-npz", XOR_MODEL, "x.npz", "--like", "like.npz",
                     says="0 (8, 2), 2 (2, 8), are not those of like.npz: hidden (2, 8), readout (2, 8)")
        self.refused("to-npz", XOR_MODEL, "x.npz", "--like", "like.npz", "--names", "0.weight=hidden.weight", code=4,
                     says="0.weight has shape (8, 2), where (2, 8) is wanted; it has to be transposed")
        self.savez("bare.npz", hidden__weight=np.zeros((8, 2)), readout__weight=np.zeros((2, 8)))
        self.refused("to-npz", XOR_MODEL, "x.npz", "--like", "bare.npz", says="has 0.bias, and there is no bias beside")
        self.savez("more.npz", a__weight=np.zeros((2, 8)), b__bias=np.zeros(8))
        self.refused("to-npz", XOR_MODEL, "x.npz", "--like", "more.npz", says="not clear where b.bias (8) belongs")
        self.savez("nan.npz", a__weight=np.full((2, 2), np.nan))
        self.call("to-torch", "nan.npz", "nan.pt")
        self.refused("to-npz", "nan.pt", "x.npz", "--names", "a=a", code=4, says="holds NaN or Inf")
        views = FIXTURES / "views_2.15.pt"
        self.refused("to-npz", views, "x.npz", "--names", "count=a.bias", code=4, says="is of type int64")
        self.refused("to-npz", views, "x.npz", "--names", "part.weight=a.bias", code=4, says="shape (2, 3)")
        self.refused("to-npz", views, "x.npz", "--names", "half=a.weight", code=4, says="(neurons, inputs) is wanted")

    def test_numbers_of_16_bits_are_widened(self):
        self.call("to-npz", FIXTURES / "views_2.15.pt", "w.npz", "--names", "half=a.bias,brain=b.bias,double=c.weight")
        w = self.arrays("w.npz")
        self.assertEqual([array.dtype.name for array in w.values()], ["float32", "float32", "float64"])
        self.assertEqual(w["b.bias"].tolist(), [0.75, 0.875, 1.0, 1.125, 1.25, 1.375])

    def test_a_file_that_is_there_stays(self):
        self.file("w.npz", b"mine")
        self.refused("to-npz", XOR_MODEL, "w.npz", "--config", XOR, says="--force replaces it")
        self.assertEqual((self.folder / "w.npz").read_bytes(), b"mine")
        self.call("to-npz", XOR_MODEL, "w.npz", "--config", XOR, "--force")
        self.assertEqual(list(self.arrays("w.npz")), NAMES)
        self.refused("to-npz", XOR_MODEL, "nowhere/w.npz", "--config", XOR, code=3, says="cannot write")

    def test_errors_of_the_config_are_those_of_glesim(self):
        self.file("bad.yaml", b"glesim: 1\n")
        _, err = self.call("to-npz", XOR_MODEL, "x.npz", "--config", "bad.yaml", code=2)
        self.assertIn("bad.yaml:1:1", err)
        self.assertTrue(err.endswith("import_torch.py: bad.yaml: glesim does not take it\n"))

    def test_wrong_calls_say_so(self):
        self.refused(says="--list FILE is wanted")
        self.refused("to-npz", says="required")
        self.refused("to-npz", XOR_MODEL, "x.npz", "--only", "gain", says="'gain' is no list of weight")
        self.assertIn("load_state_dict", self.call("--help")[0])


class Networks(Case):
    def test_a_network_trained_by_pytorch_knows_in_glesim_what_it_learned(self):
        for version in ("2.15", "1.13"):
            npz = self.folder / f"{version}.npz"
            self.call("to-npz", FIXTURES / f"xor_{version}.pt", npz, "--config", XOR)
            self.glesim(XOR, "--set", f"network.init.file={npz}", "--set", "training.epochs=1", "--output", version)
            self.assertEqual(self.metrics(version)["epochs"][0]["test"]["accuracy"], 1.0)

    def test_a_trained_network_comes_back_bit_for_bit(self):
        self.glesim(XOR, "--set", "training.epochs=3", "--set", "training.state=reset", "--output", "first")
        first = self.folder / "first" / "seed_1" / "weights.npz"
        self.call("to-torch", first, "glesim.pt")
        self.call("to-npz", "glesim.pt", "again.npz", "--config", XOR)
        self.assert_same(self.arrays(first), self.arrays("again.npz"))
        self.call("to-torch", first, "torch.pt", "--like", XOR_MODEL)
        self.assertEqual(list(load_script().read(self.folder / "torch.pt")),
                         ["0.weight", "0.bias", "2.weight", "2.bias"])
        self.call("to-npz", "torch.pt", "start.npz", "--like", first)
        self.glesim(XOR, "--set", f"network.init.file={self.folder / 'start.npz'}", "--set", "training.epochs=1",
                    "--set", "training.state=reset", "--output", "second")
        self.assertEqual(self.metrics("second")["epochs"][0]["test"]["loss"],
                         self.metrics("first")["final"]["test"]["loss"])

    def test_sparse_links_and_feedback_go_to_pytorch_and_back(self):
        config = self.file("sparse.yaml", SPARSE)
        self.glesim(config, "--output", "first")
        first = self.folder / "first" / "seed_1" / "weights.npz"
        arrays = self.arrays(first)
        self.assertEqual(arrays["hidden.late.synapses"].shape, (arrays["hidden.late.weight"].size, 2))
        self.call("to-torch", first, "glesim.pt")
        tensors = load_script().read(self.folder / "glesim.pt")
        self.assert_same(arrays, {name: tensor.array for name, tensor in tensors.items()})
        for i, how in enumerate((["--config", config], ["--like", first],
                                 ["--names", ",".join(f"{name}={name}" for name in arrays)])):
            self.call("to-npz", "glesim.pt", f"{i}.npz", *how)
            back = self.arrays(f"{i}.npz")
            self.assert_same(arrays, {name: back[name] for name in arrays})
        self.glesim(config, "--set", f"network.init.file={self.folder / '0.npz'}", "--output", "second")
        out, _ = self.call("to-npz", "glesim.pt", "some.npz", "--config", config, "--only", "weight,bias")
        self.assertIn("left out: hidden.tau_m, hidden.tau_r, readout.feedback", out)

    def test_what_a_state_dict_lacks_is_told(self):
        self.glesim(XOR, "--set", "training.epochs=1", "--output", "xor")
        arrays = self.arrays(self.folder / "xor" / "seed_1" / "weights.npz")
        np.savez(self.folder / "back.npz", **arrays, **{"readout.feedback": arrays["readout.weight"]})
        out, _ = self.call("to-torch", "back.npz", "m.pt", "--like", XOR_MODEL)
        self.assertRegex(out, r"left out: .*readout\.feedback\n")
        self.assertEqual(list(load_script().read(self.folder / "m.pt")), ["0.weight", "0.bias", "2.weight", "2.bias"])

    # Activations of the hidden layer, what they are called, and what --dry-run shows.
    ACTIVATIONS = [("{type: leaky_relu, slope: 0.2}", "leaky_relu of slope 0.2, torch.nn.LeakyReLU(0.2) in PyTorch"),
                   ("{type: elu, alpha: 0.5}", "elu of alpha 0.5, torch.nn.ELU(0.5) in PyTorch"),
                   ("hard_sigmoid", "hard_sigmoid of low -3, high 3, torch.nn.Hardsigmoid() in PyTorch"),
                   ("{type: hard_sigmoid, low: 0, high: 1}",
                    "hard_sigmoid of low 0, high 1, torch.clamp((x - 0) / (1 - 0), 0, 1) in PyTorch")]

    def xor_with(self, activation):
        text = XOR.read_text(encoding="utf-8").replace("activation: tanh", f"activation: {activation}")
        return self.file("own.yaml", text.encode())

    def test_activations_with_settings_are_told_both_ways(self):
        for activation, called in self.ACTIVATIONS:
            with self.subTest(activation):
                config, line = self.xor_with(activation), f"hidden: activation {called}: no state dict says so\n"
                out, _ = self.call("to-npz", XOR_MODEL, "start.npz", "--config", config, "--force")
                self.assertEqual(out.count(line), 1, out)
                self.glesim(config, "--set", "training.epochs=1", "--output", "out", "--force")
                out, _ = self.call("to-torch", "out/seed_1/weights.npz", "m.pt", "--like", XOR_MODEL, "--force")
                self.assertEqual(out.count(line), 1, out)
        out, _ = self.call("to-npz", XOR_MODEL, "start.npz", "--config", XOR, "--force")
        self.assertNotIn("activation", out)

    def prelu(self, name, slope):
        """The model of XOR with a PReLU behind its first layer."""
        script = load_script()
        arrays = {key: tensor.array for key, tensor in script.read(XOR_MODEL).items()}
        names = list(arrays)
        arrays["act.weight"] = np.asarray(slope, "f4")
        with open(self.folder / name, "wb") as file:
            script.write_torch(file, {key: arrays[key] for key in [*names[:2], "act.weight", *names[2:]]})
        return name

    def test_the_slope_of_a_prelu_is_that_of_the_config(self):
        leaky = self.xor_with("{type: leaky_relu, slope: 0.2}")
        self.prelu("m.pt", [0.2])
        out, _ = self.call("to-npz", "m.pt", "start.npz", "--config", leaky)
        self.assertNotIn("left out", out)
        plain, _ = self.call("to-npz", XOR_MODEL, "plain.npz", "--config", leaky)
        self.assertEqual(out, plain)
        self.assert_same(self.arrays("start.npz"), self.arrays("plain.npz"))
        out, _ = self.call("to-npz", "m.pt", "like.npz", "--like", "start.npz")
        self.assertIn("act.weight is the slope of a PReLU: the config has to say activation: {type: leaky_relu, slope: "
                      "0.200000003} of 'hidden'\n", out)
        for config in (XOR, self.xor_with("{type: leaky_relu, slope: 0.3}")):
            self.refused("to-npz", "m.pt", "no.npz", "--config", config, says="m.pt: act.weight is the slope of a PReLU "
                         "behind 0.weight: glesim has it in the config, which does not say activation: {type: leaky_relu, "
                         "slope: 0.200000003} of 'hidden'")
        self.prelu("many.pt", [0.2, 0.3])
        self.refused("to-npz", "many.pt", "no.npz", "--config", leaky, code=4, says="act.weight is the slope of a PReLU "
                     "behind 0.weight, and holds 2 different numbers: glesim's leaky_relu has one for all neurons of "
                     "'hidden'")
        leaky = self.xor_with("{type: leaky_relu, slope: 0.2}")
        self.glesim(leaky, "--set", "training.epochs=1", "--output", "out")
        self.prelu("m.pt", [0.5])
        out, _ = self.call("to-torch", "out/seed_1/weights.npz", "back.pt", "--like", "m.pt")
        self.assertIn("act.weight is 0.200000003, the slope of its leaky_relu\n", out)
        back = load_script().read(self.folder / "back.pt")
        self.assertEqual(list(back), list(load_script().read(self.folder / "m.pt")))
        self.assertEqual(back["act.weight"].array.tolist(), [np.float32(0.2)])
        self.refused("to-torch", "start.npz", "no.pt", "--like", "m.pt", says="m.pt: act.weight is the slope of a PReLU "
                     "behind 0.weight, which start.npz has not: there is no metrics.json of its run beside it")
        self.glesim(XOR, "--set", "training.epochs=1", "--output", "tanh")
        self.refused("to-torch", "tanh/seed_1/weights.npz", "no.pt", "--like", "m.pt",
                     says="the activation of 'hidden' is no leaky_relu")

    def test_synapses_must_be_pairs_of_whole_numbers(self):
        for synapses, says in ((np.ones((4, 2), "f4"), "whole numbers are wanted"),
                               (np.ones((3, 2), "i8"), "has shape (3, 2), where (4, 2) is wanted"),
                               (np.full((4, 2), -1, "i8"), "holds a number below 0")):
            script = load_script()
            with open(self.folder / "m.pt", "wb") as file:
                script.write_torch(file, {"l.weight": np.ones(4, "f4"), "l.synapses": synapses})
            with self.subTest(says):
                self.refused("to-npz", "m.pt", "w.npz", "--names", "l=hidden", code=4, says=says)
        self.savez("w.npz", hidden__weight=np.ones(4, "f4"), hidden__synapses=np.ones((4, 2), "f4"))
        self.refused("to-torch", "w.npz", "x.pt", code=4, says="where whole numbers of 64 bits are wanted")
        self.savez("w.npz", hidden__weight=np.ones(4, "i8"))
        self.refused("to-torch", "w.npz", "x.pt", code=4, says="where floating-point numbers are wanted")

    def test_a_network_that_diverges_has_its_layers(self):
        config = XOR.read_text(encoding="utf-8").replace("activation: tanh", "weight: 1e30")
        config = config.replace("activation: linear", "weight: 1e30")
        config = self.file("wild.yaml", config.encode())
        done = subprocess.run([GLESIM, config, "--dry-run"], cwd=self.folder, capture_output=True, check=False)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.call("to-npz", XOR_MODEL, "wild.npz", "--config", config)
        self.call("to-npz", XOR_MODEL, "xor.npz", "--config", XOR)
        self.assert_same(self.arrays("xor.npz"), self.arrays("wild.npz"))

    def test_the_same_weights_are_the_same_file(self):
        self.call("to-npz", XOR_MODEL, "w.npz", "--config", XOR)
        self.call("to-torch", "w.npz", "one.pt")
        self.call("to-torch", "w.npz", "other.pt")
        data = (self.folder / "one.pt").read_bytes()
        self.assertEqual(data, (self.folder / "other.pt").read_bytes())
        values = self.arrays("w.npz")["hidden.weight"].tobytes()
        self.assertEqual(data.index(values) % 64, 0)


if __name__ == "__main__":
    unittest.main()
