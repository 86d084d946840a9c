#!/usr/bin/python3
"""The schema that `glesim --schema` prints accepts and refuses the same files as glesim does.

usage: GLESIM=path/to/glesim test_schema.py    needs python3-yaml and python3-jsonschema; exit code 77 without them
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
    import yaml
except ImportError:
    print("python3-yaml and python3-jsonschema are needed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
GLESIM = os.path.abspath(os.environ["GLESIM"])
SCHEMA = json.loads(subprocess.run([GLESIM, "--schema"], capture_output=True, check=True).stdout)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
BAD = sorted((ROOT / "tests" / "bad").glob("*.yaml"))
GOOD = sorted((ROOT / "tests" / "good").glob("*.yaml")) + sorted((ROOT / "configs").glob("*.yaml"))
SHARED = ROOT.parent / "shared" / "configs"


class Loader(yaml.SafeLoader):
    """Reads scalars as glesim, and YAML 1.2, do: 1e-3 is a number, `no` and 12:30 are texts."""

    yaml_implicit_resolvers = {}


for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
         list("-+0123456789.")),
        ("merge", r"<<", ["<"])):
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(f"^(?:{pattern})$"), first)


def read_int(loader, node):
    return int(loader.construct_scalar(node))


def read_float(loader, node):
    text = loader.construct_scalar(node).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


Loader.add_constructor("tag:yaml.org,2002:int", read_int)
Loader.add_constructor("tag:yaml.org,2002:float", read_float)


def read_map(loader, node):
    """As editors do, refuses a key that is there twice. What `<<` brings in may be there already."""
    keys = [key.value for key, _ in node.value if key.value != "<<"]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"the key {key} is there twice")
    value = {}
    yield value
    loader.flatten_mapping(node)
    value.update(loader.construct_mapping(node, deep=True))


Loader.add_constructor("tag:yaml.org,2002:map", read_map)


def load(text):
    return yaml.load(text, Loader)


def accepted_by_glesim(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "config.yaml"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([GLESIM, "--check", path], capture_output=True, check=False)
    return done.returncode == 0


def accepted_by_schema(path):
    """Also refused is what is no YAML, or nested too deep for the reader."""
    try:
        return VALIDATOR.is_valid(load(path.read_text(encoding="utf-8-sig")))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return False


# Files of tests/bad that the schema takes for good ones, by what it does not see. configs/README.md has these words.
UNSEEN = {
    "that one number must be below or above another, or a multiple of it": """
        diagnose_window diagnose_window_every diagnose_window_multiple signal_step_flat speech_coefficients
        speech_window_longest speech_split tau_below_dt tau_below_dt_in_group tau_below_dt_in_list
        tau_below_dt_repeated window_below_dt window_of_one_step xor_low_above_high phases_window speech_window
        phases_window_of_signal evaluate_below_dt record_offset step_width_no_multiple time_no_multiple_of_dt
        adding_item closed_loop_for decide_length npz_target_window idx_target_window cifar10_target_window
        evidence_cues mackey_glass_length mackey_glass_washout
        delayed_xor_pulse delayed_xor_pause delayed_xor_answer delayed_xor_samples delayed_xor_test_samples
        from_delays input_size_fraction tau_r_values activation_low_above_high
        tau_below_a_hundredth spikes claims_seeds""",
    "how many numbers a list must have, and that rows must be of the same length": """
        bias_length padding_of_mnist1d signal_amplitudes signal_phases
        source_weights speech_levels tau_list_and_count taus_of_channels weight_ragged weight_rows""",
    "the shapes that links make and want, and which of their settings go together": """
        channels_without_conv conv_count conv_of_neurons conv_one_in_a_list conv_sizes links_that_do_not_fit""",
    "that sizes of the network must be those of the data set": """
        copy_sizes input_and_dataset readout_and_dataset signal_two_channels speech_sizes
        photographs_sizes""",
    "which layers, neurons and sequences there are, and that names are given once": """
        from_twice from_unknown_layer layer_called_input layer_name_of_repeat layer_name_twice output_unknown
        record_neuron_of_small_layer record_twice record_unknown_layer
        claims_variant claims_of_no_variant claims_point
        record_sequences_of_tests sweep_layer word_in_two_forms""",
    "that every layer leads to the output, and that the adjoint equations know neither loops nor delays": """
        adjoint_delay adjoint_loop diagnose_loop layer_unread output_not_last""",
    "that a key needs another one, or excludes it": """
        claims_keys npz_hold_and_upsample closed_loop_every closed_loop_without_every evaluate_without_every
        predictions_without_every feedback_to_input from_repeat
        adjoint_without_window bptt_without_window epochs_and_phases neither_epochs_nor_phases no_count
        speech_one_class images_without_labels""",
    "that a name goes only with certain other names, or needs a teacher, epochs or phases": """
        adjoint_gamma closed_loop_teacher diagnose_gradient errors_from errors_from_exact errors_of_a_run
        feedback_that_moves feedback_under_bptt
        record_no_feedback log_softmax_hidden log_softmax_without_nll
        nll_without_log_softmax phases_schedule ranks_device ranks_pal ranks_record ranks_teacher
        record_lambda signal_alone signal_by_epochs signal_cross_entropy
        signal_without_teacher speech_phases speech_validation teacher_labels test_at_the_end
        best_of_no_test phases_best phases_stop stop_of_no_test evaluate_by_epochs evaluate_signal
        evaluate_train_by_phases evaluate_train_nothing_watched evaluate_train_ranks test_by_duration update_of_windows
        phases_warmup""",
    "totals: steps of all phases, weights, combinations of a sweep": """
        phases_total size_layers sweep_equal_values sweep_many sweep_of_a_variants_key sweep_one_list_too_many
        sweep_same_folder""",
    "which characters there are": """
        surrogate surrogate_alone""",
    "NaN, which JSON has no word for": """
        nan""",
}

# Good files that the schema refuses, for the second of the reasons below: only the sweep has a required key.
REFUSED = {"sweep_below_a_sweep"}

# Parts of a good file that the schema refuses, likewise.
TOO_STRICT = {
    "`yes`, `no`, `on` and `off` for true and false": (
        "dataset: {type: mnist1d, shuffle_seq: no}", "training: {epochs: 1}"),
    "a required key that is only in a variant, a sweep or `--set`": (
        "dataset: {type: mnist1d}", "training: {epochs: 1}\nvariants: {a: {learning.loss: mse}}"),
}

CONFIG = """glesim: 1
name: small
dt: 0.1
{dataset}
network:
  input: 1
  layers:
    - {{name: readout, neurons: {{count: 10, tau_m: 1.0, tau_r: 1.0}}}}
learning: {{{loss}}}
{training}
"""


def place_of(error):
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)


def best(**changes):
    """The place and the text of the most telling error in a config that is right but for these changes, which are given
    as path=value."""
    value = load((ROOT / "configs" / "lagnet.yaml").read_text(encoding="utf-8"))
    for path, what in changes.items():
        *way, last = path.split("__")
        place = value
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[last] = what
    error = jsonschema.exceptions.best_match(VALIDATOR.iter_errors(value))
    return place_of(error), error.message


def nodes(schema):
    yield schema
    for child in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        yield from nodes(child)


class Schema(unittest.TestCase):
    def test_is_one_and_its_defaults_fit(self):
        jsonschema.Draft7Validator.check_schema(SCHEMA)
        checked = 0
        for node in nodes(SCHEMA):
            if isinstance(node, dict) and "description" in node and "default" in node:
                self.assertEqual([e.message for e in VALIDATOR.evolve(schema=node).iter_errors(node["default"])], [])
                checked += 1
        self.assertGreater(checked, 80)

    def test_every_key_has_a_description_and_every_name_one_too(self):
        for node in nodes(SCHEMA):
            if not isinstance(node, dict):
                continue
            if isinstance(node.get("enum"), list):
                self.assertEqual(len(node["enum"]), len(node["enumDescriptions"]))
                self.assertTrue(all(node["enumDescriptions"]), node)
            if node.get("additionalProperties") is False:
                for key, value in node.get("properties", {}).items():
                    self.assertTrue(value.get("description") or value == {} or "enum" in value or "items" in value or
                                    "anyOf" in value, (key, value))

    def test_accepts_good_files(self):
        self.assertGreater(len(GOOD), 10)
        for path in GOOD:
            if path.stem in REFUSED:
                self.assertFalse(accepted_by_schema(path), path.name)
            else:
                self.assert_accepted(path)

    @unittest.skipUnless(SHARED.is_dir(), f"there is no {SHARED.parent.name}/{SHARED.name} beside this clone")
    def test_accepts_the_files_that_lie_beside_the_clone(self):
        for path in sorted(SHARED.glob("*.yaml")):
            self.assert_accepted(path)

    def assert_accepted(self, path):
        found = VALIDATOR.iter_errors(load(path.read_text(encoding="utf-8-sig")))
        self.assertEqual([f"{place_of(e)}: {e.message}" for e in found], [], path.name)

    def test_refuses_bad_files_but_those_listed(self):
        unseen = {name for names in UNSEEN.values() for name in names.split()}
        found = {path.stem for path in BAD if accepted_by_schema(path)}
        self.assertEqual(sorted(found - unseen), [], "not listed here and in configs/README.md")
        self.assertEqual(sorted(unseen - found), [], "listed here and in configs/README.md without need")

    def test_refuses_good_files_only_as_listed(self):
        for what, (dataset, training) in TOO_STRICT.items():
            loss = "" if "variants" in training else "loss: mse"
            text = CONFIG.format(dataset=dataset, training=training, loss=loss)
            self.assertTrue(accepted_by_glesim(text), what)
            self.assertFalse(VALIDATOR.is_valid(load(text)), what)

    def test_dotted_keys_reach_what_glesim_sets(self):
        for key, value, right in (
                ("dt", "0.2", True), ("network.layers[0].bias.value", "[1]", True),
                ("network.layers[0].bias.value[0]", "1", True), ("network.layers[0].weight", "ones", True),
                ("network.layers[0].neurons.tau_m[3]", "1", True), ("network.layers[1]", "1", False),
                ("teacher.readout.weight", "2.0", True), ("teacher.readout.tau_m", "normal", False),
                ("learning.optimizer.lr", "1e-2", True), ("learning.optimizer.ls", "1e-2", False),
                ("learning.optimizer", "{type: sgd}", True), ("learning.optimizer", "1", False),
                ("training.epochs", "-1", False), ("learning.plastic[1]", "weight", True)):
            text = CONFIG.format(dataset="dataset: {type: npz, file: x.npz}", training="training: {epochs: 1}",
                                 loss="loss: mse, optimizer: {type: adam}, plastic: [bias, weight]")
            text = text.replace("tau_m: 1.0", "tau_m: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]")
            text = text.replace("tau_r: 1.0}", "tau_r: 1.0}, bias: {value: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}")
            text = text.replace("}\nlearning", "}\nteacher: {readout: {}}\nlearning")
            text += f"variants:\n  one: {{\"{key}\": {value}}}\n"
            with self.subTest(key=key, value=value):
                if value != "[1]": # of another length than the layer
                    self.assertEqual(accepted_by_glesim(text), right)
                self.assertEqual(VALIDATOR.is_valid(load(text)), right)

    def test_lists_are_as_long_as_glesim_takes_them(self):
        grid = "{channels: 1, size: %s}"
        conv = "[{layer: input, connect: {type: conv, kernel: %s}}]"
        pool = "[{layer: input, connect: {type: dense, pool: {type: mean, size: %s}}}]"
        plane = {"network.input": grid % "[4, 4]"}
        channels = plane | {"network.layers[0].neurons": "{channels: 2, tau_m: 1.0, tau_r: 1.0}"}
        for key, value, others, right in (
                ("network.input", grid % "16", {}, True), ("network.input", grid % "[4, 4]", {}, True),
                ("network.input", grid % "[4, 2, 2]", {}, False), ("network.input", grid % "[]", {}, False),
                ("network.layers[0].from", pool % "2", plane, True),
                ("network.layers[0].from", pool % "[2, 2]", plane, True),
                ("network.layers[0].from", pool % "[2, 2, 1]", plane, False),
                ("network.layers[0].from", conv % "[1, 2]", channels, True),
                ("network.layers[0].from", conv % "[1, 2, 3]", channels, False),
                ("network.layers[0].from", conv % "3, padding: [0, 1]", channels, True),
                ("network.layers[0].from", conv % "3, padding: [0, 0, 0]", channels, False),
                ("learning.bounds.weight", "[-1, 1]", {}, True), ("learning.bounds.weight", "1", {}, False),
                ("learning.bounds.weight", "[1]", {}, False), ("learning.bounds.tau_m", "[1, 2, 3]", {}, False),
                ("dataset", "{type: mnist1d, padding: [3, 6]}", {}, True),
                ("dataset", "{type: mnist1d, padding: 3}", {}, False),
                ("dataset", "{type: mnist1d, padding: [3, 6, 9]}", {}, False)):
            text = CONFIG.format(dataset="dataset: {type: npz, file: x.npz}", training="training: {epochs: 1}",
                                 loss="loss: mse")
            changes = "".join(f', "{other}": {what}' for other, what in others.items())
            text += f"variants:\n  one: {{\"{key}\": {value}{changes}}}\n"
            with self.subTest(key=key, value=value):
                self.assertEqual(accepted_by_glesim(text), right)
                self.assertEqual(VALIDATOR.is_valid(load(text)), right)

    def test_configs_readme_lists_what_it_does_not_see(self):
        readme = " ".join((ROOT / "configs" / "README.md").read_text(encoding="utf-8").split())
        for what in [*UNSEEN, *TOO_STRICT]:
            self.assertIn(what, readme)

    def test_errors_point_at_the_right_place(self):
        for changes, path, words in (
                ({"learning__losss": "mse"}, "$.learning", "'losss' was unexpected"),
                ({"dt": "fast"}, "$.dt", "'fast' is not of type 'number'"),
                ({"dt": -1}, "$.dt", "-1 is less than the minimum of 1e-09"),
                ({"dt": None}, "$.dt", "None is not of type 'number'"),
                ({"learning__loss": "msee"}, "$.learning.loss", "'msee' is not one of ['mse', "),
                ({"learning__optimizer": {"type": "sgd", "beta1": 0.5}}, "$.learning.optimizer",
                 "'beta1' was unexpected"),
                ({"learning__optimizer": {"lr": 0.5}}, "$.learning.optimizer", "'type' is a required property"),
                ({"learning__optimizer": "adm"}, "$.learning.optimizer", "'adm' is not one of ['adam', 'sgd', 'adamw']"),
                ({"learning__plastic": ["weight", "wieght"]}, "$.learning.plastic[1]", "'wieght' is not one of"),
                ({"network__layers__2__neurons": {"count": 1, "tau_m": 1.0}},
                 "$.network.layers[2].neurons", "'tau_r' is a required property"),
                ({"network__layers__1__weight": {"value": [[1, "a"]]}}, "$.network.layers[1].weight.value[0][1]",
                 "'a' is not of type 'number'"),
                ({"network__layers__1__bias": "nune"}, "$.network.layers[1].bias", "'nune' is not one of ['none', "),
                ({"network__layers__1__weight": {"init": "normal", "sdt": 1}}, "$.network.layers[1].weight",
                 "'sdt' was unexpected"),
                ({"teacher": {"first": {"tau_m": {"init": "normal"}}}}, "$.teacher.first.tau_m.init",
                 "'normal' is not"),
                ({"training__phases": [{"duration": 1, "set": {"first.wieght": 1}}]}, "$.training.phases[0].set",
                 "'first.wieght'"),
                ({"variants__gle__learning.gama": 1}, "$.variants.gle", "'learning.gama' does not match"),
                ({"variants__gle__learning.gamma": "x"}, "$.variants.gle.learning.gamma", "'x' is not of type"),
                ({"sweep": {"learning.beta": 1}}, "$.sweep.learning.beta", "1 is not of type 'array'")):
            with self.subTest(changes=changes):
                found = best(**changes)
                self.assertTrue(found[0].startswith(path), found)
                self.assertIn(words, found[1])

    def test_configs_name_the_schema(self):
        for path in sorted((ROOT / "configs").glob("*.yaml")):
            first = path.read_text(encoding="utf-8").splitlines()[0]
            found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
            self.assertTrue(found, path.name)
            self.assertEqual((path.parent / found[1]).resolve(), ROOT / "tools" / "glesim.schema.json")


if __name__ == "__main__":
    unittest.main()
