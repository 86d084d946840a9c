"""Settings that change nothing are told, at their place and with the reason, and only where that is so. The program is
the one that GLESIM names. Standard library only.
"""

import re
import unittest

from case import Case, load

LAYERS = """network:
  input: {inputs}
  layers:
    - {{name: hidden, neurons: {{count: 3, tau_m: 1.0, tau_r: 0.5}}, activation: tanh}}
    - {{name: readout, neurons: {{count: {outputs}, tau_m: 1.0, tau_r: 1.0}}}}
"""
EPOCHS = """glesim: 1
name: epochs
dt: 0.1
dataset: {type: yinyang, train: 20, test: 10, present: 1.0}
""" + LAYERS.format(inputs=4, outputs=3) + """learning: {loss: cross_entropy}
training: {epochs: 1, batch_size: 10}
"""
PHASES = """glesim: 1
name: phases
dt: 0.1
dataset: {type: sines, omega: 1.0}
""" + LAYERS.format(inputs=1, outputs=1) + """teacher: {readout: {weight: 1.0}}
learning: {loss: mse}
training:
  phases: [{duration: 5.0}]
"""
BPTT = ["learning.rule=bptt", "learning.window=0.5"]
NO_BIAS = ["network.layers[0].bias=none", "network.layers[1].bias=none"]
OWN_PLASTIC = ["network.layers[0].plastic=[weight]", "network.layers[1].plastic=[bias]"]
FILE = "the file of network.init has the initial values of all layers"
READS = "network.layers[0].from=[{layer: input}]"
BACK = "network.layers[1].from[0].feedback=fixed"
CUT = "network.layers[1].from[0].feedback=none"
FROM = ["network.layers[1].from=[{layer: hidden}]"]
BPTT_GOES_ROUND = ("gradients of bptt do not depend on it, and no error that goes back to 'hidden' feeds back into "
                   "membranes (gamma)")
CANCELS = "tau_r equals tau_m, so that rates show nothing of the noise of potentials"
ENDLESS = "sines is a signal without end, in which no batch begins anew"
# Config, the setting, what is said of it; what makes it useless, where it is not so already; what gives it its effect.
UNUSED = [
    (EPOCHS, "learning.window=2.0", "the rule gle looks at no window; bptt and adjoint do", [], ["learning.rule=bptt"]),
    (EPOCHS, "learning.window=2.0", "the rule bp looks at no window; bptt and adjoint do", ["learning.rule=bp"],
     ["learning.rule=adjoint"]),
    (EPOCHS, "learning.beta=0.5",
     "gradients of bptt do not depend on it, and no error feeds back into membranes (gamma)", BPTT,
     [*BPTT, "learning.gamma=0.1"]),
    (EPOCHS, "learning.beta=0.5",
     "gradients of bptt do not depend on it, and no error feeds back into membranes (gamma)", BPTT,
     [*BPTT, "record.variables=[e]"]),
    (PHASES, "learning.beta=0.5",
     "gradients of adjoint do not depend on it, and no error feeds back into membranes (gamma)",
     ["learning.rule=adjoint", "learning.window=1.0"], []),
    (EPOCHS, "learning.bounds.tau_m=[0.5, 2]", "tau_m learns in no layer (plastic)", [],
     ["network.layers[0].plastic=[tau_m]"]),
    (EPOCHS, "learning.bounds.tau_r=[0.5, 2]", "tau_r learns in no layer (plastic)", [], ["learning.plastic=[tau_r]"]),
    (EPOCHS, "learning.bounds.weight=[-1, 1]", "weight learns in no layer (plastic)", ["learning.plastic=[bias]"], []),
    (EPOCHS, "learning.bounds.bias=[-1, 1]", "bias learns in no layer (plastic)", NO_BIAS, NO_BIAS[:1]),
    (EPOCHS, "learning.plastic=[tau_m]", "every layer has a plastic of its own", OWN_PLASTIC, OWN_PLASTIC[:1]),
    (EPOCHS, BACK, BPTT_GOES_ROUND, [*FROM, *BPTT], [*FROM, *BPTT, "network.layers[0].gamma=0.1"]),
    (EPOCHS, BACK, BPTT_GOES_ROUND, [*FROM, *BPTT, "network.layers[1].gamma=0.1"],
     [*FROM, *BPTT, "record.variables=[e]"]),
    (EPOCHS, CUT, BPTT_GOES_ROUND, [*FROM, *BPTT], FROM),
    (PHASES, BACK, BPTT_GOES_ROUND.replace("bptt", "adjoint"),
     [*FROM, "learning.rule=adjoint", "learning.window=1.0"], [*FROM, "learning.rule=bp"]),
    (EPOCHS, BACK, "nothing learns from errors that go back to 'hidden'", [*FROM, "network.layers[0].plastic=[]"],
     [*FROM, "network.layers[0].plastic=[]", "network.layers[0].gamma=0.1"]),
    (EPOCHS, "network.layers[0].errors_from=[readout]", "nothing learns from errors that come to 'hidden'",
     ["network.layers[0].plastic=[]"], []),
    (EPOCHS, "network.layers[0].errors_from=[readout]",
     "gradients do not depend on it, and no error that comes to 'hidden' feeds back into membranes (gamma)", BPTT,
     ["record.variables=[e]", *BPTT]),
    (EPOCHS, "network.layers[0].from[0].feedback=none", "no errors go back to the input", [READS],
     ["network.layers[0].from=[{layer: hidden}, input]"]),
    (EPOCHS, "learning.gamma=0.1", "every layer has a gamma of its own",
     ["network.layers[0].gamma=0", "network.layers[1].gamma=0"], ["network.layers[0].gamma=0"]),
    (EPOCHS, "learning.optimizer=sgd", "no parameter learns (plastic)", ["learning.plastic=[]"],
     ["learning.plastic=[]", "network.layers[1].plastic=[bias]"]),
    (EPOCHS, "learning.schedule={type: step}", "no parameter learns (plastic)", ["learning.plastic=[]"], []),
    (EPOCHS, "learning.update={every: 3}", "no parameter learns (plastic)", ["learning.plastic=[]"], []),
    (EPOCHS, "learning.clip=1.0", "no parameter learns (plastic)", ["learning.plastic=[]"], []),
    (EPOCHS, "diagnose={window: 0.5}", "no parameter learns (plastic)", ["learning.plastic=[]"], []),
    (PHASES, "learning.optimizer=sgd", "no phase learns (learn: false)", ["training.phases[0].learn=false"], []),
    (PHASES, "record.gradients=[weight]", "no phase learns (learn: false)", ["training.phases[0].learn=false"], []),
    (PHASES, "learning.window=1.0", "no phase learns (learn: false)",
     ["training.phases[0].learn=false", "learning.rule=bptt"],
     ["training.phases[0].learn=false", "learning.rule=bptt", "record={variables: [lambda]}"]),
    (EPOCHS, "network.layers[0].weight=zeros", FILE, ["network.init.file=w.npz"], []),
    (EPOCHS, "network.layers[1].bias=zeros", FILE, ["network.init.file=w.npz"], []),
    (EPOCHS, "network.layers[0].from[0].weight=0.1", FILE, [READS, "network.init.file=w.npz"], [READS]),
    (EPOCHS, "network.layers[0].weight=0.1", "every source of the layer has a weight of its own",
     [READS, "network.layers[0].from[0].weight=0.2"], [READS]),
    (EPOCHS, "network.input=4", "no layer reads the input",
     ["network.layers[0].from=[{layer: hidden, weight: 0.01}]"],
     ["network.layers[0].from=[{layer: hidden, weight: 0.01}, input]"]),
    (PHASES, "training.batch_size=4",
     "sines is a signal, which says itself how many sequences run side by side (dataset.sequences)", [],
     ["dataset={type: xor}", "network.input=2"]),
    (PHASES, "training.state=reset", ENDLESS, [], ["dataset={type: xor}", "network.input=2"]),
    (PHASES, "network.layers[0].reset=batch", ENDLESS, [], ["dataset={type: xor}", "network.input=2"]),
    (PHASES, "training.test_batch_size=4",
     "in training by duration (phases), the test set is shown with the key 'evaluate' only",
     ["dataset={type: xor}", "network.input=2"],
     ["dataset={type: xor}", "network.input=2", "training.evaluate={every: 1.0}"]),
    (EPOCHS, "network.noise.input=0.1", "every layer has a noise.input of its own",
     ["network.layers[0].noise.input=0", "network.layers[1].noise.input=0.2"], ["network.layers[0].noise.input=0"]),
    (EPOCHS, "network.mismatch.tau_m=0.1", "every layer has a mismatch.tau_m of its own",
     ["network.layers[0].mismatch.tau_m=0", "network.layers[1].mismatch.tau_m=0.2"],
     ["network.layers[0].mismatch.tau_r=0"]),
    (EPOCHS, "network.quantize.weight={bits: 4, range: 1}", "every layer has a quantize.weight of its own",
     ["network.layers[0].quantize.weight=none", "network.layers[1].quantize.weight=none"],
     ["network.layers[0].quantize.weight=none"]),
    (EPOCHS, "network.noise.rate={std: 0.1, when: train}", "there is no training (epochs: 0)", ["training.epochs=0"],
     []),
    (PHASES, "network.layers[0].noise.rate={std: 0.1, when: test}",
     "in training by duration (phases), the test set is shown with the key 'evaluate' only", [],
     ["dataset={type: xor}", "network.input=2", "training.evaluate={every: 1.0}"]),
    (EPOCHS, "network.noise.input.tau=0.5", "std is 0", ["network.noise.input.std=0"], ["network.noise.input.std=1"]),
    (EPOCHS, "network.noise.input.when=test", "std is 0", ["network.noise.input.std=0"],
     ["network.noise.input.std=1"]),
    (EPOCHS, "network.layers[1].noise.membrane=0.1", CANCELS, [], ["network.layers[1].mismatch.tau_r=0.1"]),
    (EPOCHS, "network.layers[1].noise.membrane=0.1", CANCELS, [], ["learning.plastic=[tau_m]"]),
    (EPOCHS, "network.noise.membrane=0.1", CANCELS, ["network.layers[0].neurons.tau_m=0.5"], []),
    (EPOCHS, "network.mismatch.error_tau_m=0.1", "errors of this rule are instantaneous: they use no time constant",
     ["learning.rule=bp"], []),
    (EPOCHS, "network.layers[0].mismatch.error_tau_r=0.1", "nothing learns from errors of the layer",
     ["network.layers[0].plastic=[]"], []),
    (EPOCHS, "dataset.validation_seed=3", "validation is 0", [], ["dataset.validation=5"]),
    (EPOCHS, "dataset.test_seed=3", "test is 0", ["dataset.test=0"], []),
    (PHASES, "dataset.seed=3", "sigma is 0", ["dataset={type: ornstein_uhlenbeck, sigma: 0, mu: 1}"],
     ["dataset={type: ornstein_uhlenbeck}"]),
    (PHASES, "dataset.seed=3", "noise is 0", ["dataset={type: xor}", "network.input=2"],
     ["dataset={type: xor, noise: 0.1}", "network.input=2"]),
    (EPOCHS, "record.layers=[hidden]",
     "variables, parameters and gradients, which are recorded of layers, list none", [],
     ["record.variables=[e_below]"]),
    (EPOCHS, "record.neurons=[0]",
     "nothing that is recorded is a neuron's (variables, parameters and gradients list none)", [],
     ["record.parameters=[bias]"]),
    (EPOCHS, "record.neurons=[0]", "nothing that is recorded is a neuron's (e_below is of all inputs)",
     ["record.variables=[e_below]"], ["record.variables=[e_below, u]"]),
]


SHORT = ("nothing is learned in this phase: the optimizer steps after every 10 learning steps (learning.update), and "
         "the phase ends after 9")
UNREACHED = ("'hidden' learns nothing: no error comes to it, through feedback or errors_from, so that its gradients are "
             "zero (plastic: [] says so)")
# Config, what is set; where and what is said of it; what is set beside it, or otherwise, so that nothing is.
HINTS = [
    (PHASES, ["learning.update={every: 10}", "training.phases=[{duration: 0.9}, {duration: 0.5, learn: false}, "
              "{duration: 1.0}]"], "training.phases[0].duration", SHORT, ["learning.update={every: 9}"]),
    (EPOCHS, ["training.epochs=3", "learning.schedule={type: cosine, period: 1, warmup: 3}"],
     "learning.schedule.warmup", "the learning rate never comes to that of the optimizer: training has 3 epochs, of "
     "which none is left after a warm-up of 3", ["training.epochs=4"]),
    (EPOCHS, ["training.epochs=6", "training.stop={metric: train_loss, patience: 5}"], "training.stop.patience",
     "training never stops early: the first epoch that it could stop after is 6, of 6", ["training.epochs=7"]),
    (EPOCHS, [*FROM, CUT], "network.layers[0].name", UNREACHED, ["network.layers[0].errors_from=[readout]"]),
    (EPOCHS, [*FROM, CUT, "learning.rule=bp", "network.layers[0].plastic=[tau_m]"], "network.layers[0].plastic",
     UNREACHED, ["network.layers[0].plastic=[]"]),
    (EPOCHS, [*FROM, CUT], "network.layers[0].name", UNREACHED, BPTT),
    (EPOCHS, [*FROM, CUT], "network.layers[0].name", UNREACHED, ["network.layers[1].from[0].feedback=fixed"]),
    (EPOCHS, [*FROM, CUT], "network.layers[0].name", UNREACHED, ["learning.plastic=[]"]),
    (EPOCHS, ["network.layers[1].from=[{layer: hidden, name: late}]"], "network.layers[1].from[0].name",
     "has no effect: the weights of a layer with one source are called by the layer alone, 'readout.weight'",
     ["network.layers[1].from=[{layer: hidden, name: late}, input]"]),
    (EPOCHS, ["network.layers[0].neurons.count=9", "record={variables: [u], neurons: [2, 8]}"], "record.neurons[1]",
     "there is no neuron 8 in 'readout', which has 3, counted from 0: it is recorded of larger layers alone",
     ["record.layers=[hidden]"]),
    (EPOCHS, ["network.layers[0].bias=0.5", "network.layers[1].bias=0", "learning.bounds.bias=[-0.25, 0.25]"],
     "learning.bounds.bias", "3 of 3 initial values of 'hidden.bias' lie outside (0.5 is one): the first step of "
     "learning puts them within", ["network.layers[0].bias=0.2"]),
    (EPOCHS, ["network.layers[1].plastic=[tau_m]", "learning.bounds.tau_m=[0.1, 0.75]"], "learning.bounds.tau_m",
     "3 of 3 initial values of 'readout.tau_m' lie outside (1 is one): the first step of learning puts them within",
     ["network.layers[1].plastic=[weight]"]),
    (EPOCHS, ["network.layers[1].from=[{layer: hidden, weight: 0.0, plastic: false, feedback: {type: pal, weight: 0.5}}]",
              "network.layers[0].weight=0.0", "learning.bounds.weight=[-0.1, 0.25]"], "learning.bounds.weight",
     "9 of 9 initial values of 'readout.feedback' lie outside (0.5 is one): the first step of learning puts them within",
     ["network.layers[1].from[0].feedback={type: fixed, weight: 0.5}"]),
]


def changed(sets, others):
    """Settings, of which others may replace some."""
    return list({change.split("=")[0]: change for change in [*sets, *others]}.values())


def notes(done):
    """Lines that are no progress."""
    return [line for line in done.err.splitlines() if line.startswith("glesim: ")]


class Unused(Case):
    def told(self, config, *sets):
        """What --check says of settings, without the name of the command."""
        options = [word for change in sets for word in ("--set", change)]
        done = self.run_glesim(self.write("c.yaml", config).name, "--check", *options)
        self.assertEqual(done.out, "c.yaml: ok\n")
        for line in done.err.splitlines():
            self.assertRegex(line, "^glesim: .")
        return [line.removeprefix("glesim: ") for line in done.err.splitlines()]

    def test_each_is_told_where_it_changes_nothing_and_only_there(self):
        for config, setting, why, useless, useful in UNUSED:
            with self.subTest(setting=setting, why=why):
                path = setting.split("=")[0]
                self.assertEqual(self.told(config, *useless, setting),
                                 [f"--set {setting}: {path}: has no effect: {why}"])
                self.assertEqual([line for line in self.told(config, *useful, setting) if f": {path}: " in line], [])

    def test_hints_are_told_at_their_place_and_where_they_help(self):
        for config, sets, path, why, harmless in HINTS:
            with self.subTest(sets=sets, harmless=harmless):
                told = [line for line in self.told(config, *sets) if why in line]
                self.assertEqual(len(told), 1, told)
                self.assertRegex(told[0], r"\A(--set .*|c\.yaml:\d+:\d+): " + re.escape(f"{path}: {why}") + r"\Z")
                self.assertEqual([line for line in self.told(config, *changed(sets, harmless)) if why in line], [])

    def test_hints_that_only_the_data_tell(self):
        """One epoch of EPOCHS has two batches of ten steps."""
        for sets, place, why, harmless in (
                (["learning.update={every: 21}"], "learning.update.every",
                 "nothing is learned: the optimizer steps after every 21 learning steps, and training has 20",
                 ["training.epochs=2"]),
                (["training.state=reset", "network.layers[1].from=[hidden, {layer: input, delay: 1.0}]"],
                 "network.layers[1].from[1].delay", "nothing is ever read through it: it is 10 steps long, and the "
                 "state is reset in front of each batch, after 10", ["training.state=carry"]),
                (["network.layers[0].reset=batch", "network.layers[1].from=[{layer: hidden, delay: 1.0}]"],
                 "network.layers[1].from[0].delay", "nothing is ever read through it: it is 10 steps long, and the "
                 "state is reset in front of each batch, after 10", ["network.layers[1].from[0].delay=0.9"])):
            with self.subTest(sets=sets):
                for more in ([], harmless):
                    options = [word for change in changed(sets, more) for word in ("--set", change)]
                    done = self.run_glesim(self.write("c.yaml", EPOCHS).name, *options, "--output", "out", "--force")
                    told = [line for line in notes(done) if f": {place}: {why}" in line]
                    self.assertEqual(len(told), 0 if more else 1, notes(done))

    def test_each_is_told_once_whatever_the_number_of_runs(self):
        line = "c.yaml:10:41: learning.window: has no effect: the rule gle looks at no window; bptt and adjoint do\n"
        self.write("c.yaml", EPOCHS.replace("{loss: cross_entropy}", "{loss: cross_entropy, window: 2.0}") +
                   "sweep: {learning.optimizer.lr: [0.1, 0.2]}\n")
        for options in (["--check"], ["--dry-run"], ["--output", "out"], ["--output", "seeds", "--seeds", "0-2"]):
            with self.subTest(options=options):
                self.assertEqual(self.run_glesim("c.yaml", *options).err.count(line), 1)
        self.assertEqual(self.run_glesim("c.yaml", "--output", "out", "--force", "--quiet").err, "")

    def test_a_bias_that_is_not_there_does_not_learn(self):
        why = "has no effect: there are no biases here (bias: none)"
        own = self.told(EPOCHS, NO_BIAS[0], "network.layers[0].plastic=[weight, bias]")
        self.assertEqual(own, [f"--set network.layers[0].plastic=[weight, bias]: network.layers[0].plastic[1]: {why}"])
        common = self.told(EPOCHS, *NO_BIAS, "learning.plastic=[bias, weight]")
        self.assertEqual(common, [f"--set learning.plastic=[bias, weight]: learning.plastic[0]: {why}"])
        self.assertEqual(self.told(EPOCHS, *NO_BIAS), [])
        self.assertEqual(self.told(EPOCHS, NO_BIAS[0], "learning.plastic=[bias, weight]"), [])

    def test_weights_of_sources_that_say_it_themselves(self):
        why = "has no effect: every source of the layer"
        own = "network.layers[0].from=[{layer: input, plastic: false}]"
        both = [own, "network.layers[1].from=[{layer: hidden, plastic: true}]"]
        layer, common = "network.layers[0].plastic=[bias, weight]", "learning.plastic=[weight]"
        self.assertEqual(self.told(EPOCHS, own, layer),
                         [f"--set {layer}: network.layers[0].plastic[1]: {why} has a plastic of its own"])
        self.assertEqual(self.told(EPOCHS, *both, common),
                         [f"--set {common}: learning.plastic[0]: {why}s that it is for has a plastic of its own"])
        self.assertEqual(self.told(EPOCHS, own, common), [])
        self.assertEqual(self.told(EPOCHS, own.replace("}]", "}, {layer: hidden, feedback: none}]"), layer), [])
        self.assertEqual(self.told(EPOCHS, *both), [])

    def test_noise_that_is_never_added_needs_no_level(self):
        speech = ["dataset={type: speech_commands, path: ., augment: {noise_levels: [1]}}", "network.input=32",
                  "network.layers[1].neurons.count=12"]
        self.assertEqual(self.told(EPOCHS, *speech), [f"--set {speech[0]}: dataset.augment.noise_levels: has no "
                                                      "effect: noise_probability is 0"])
        self.assertEqual(self.told(EPOCHS, *speech, "dataset.augment.noise_probability=0.5"), [])

    def test_places_and_variants_are_named(self):
        config = EPOCHS.replace("{loss: cross_entropy}", "{loss: cross_entropy, window: 2.0}")
        config += "variants:\n  plain: {}\n  exact: {learning.rule: bptt}\n"
        line = "c.yaml:10:41: learning.window: has no effect: the rule gle looks at no window; bptt and adjoint do"
        self.assertEqual(self.told(config), [line + " (in the variant 'plain')"])
        self.run_glesim("c.yaml", "--dry-run", "--quiet")
        done = self.run_glesim("c.yaml", "--variant", "plain", "--output", "out")
        self.assertEqual(done.err.count(line), 1)
        done = self.run_glesim("c.yaml", "--variant", "plain", "--output", "out", "--force", "--quiet")
        self.assertEqual(done.err, "")
        done = self.run_glesim("c.yaml", "--variant", "exact", "--output", "exact")
        self.assertEqual(notes(done), [])

    def test_the_defaults_that_a_run_leaves_behind_are_passed_over(self):
        for text, sets in ((EPOCHS, []), (PHASES, []), (PHASES, ["dataset={type: xor}", "network.input=2"])):
            options = [word for change in sets for word in ("--set", change)]
            self.write("c.yaml", text)
            self.run_glesim("c.yaml", *options, "--output", "out", "--force")
            done = self.run_glesim("out/seed_0/config.yaml", "--check")
            self.assertEqual(done.err, "")
        seed = self.told(EPOCHS.replace("test: 10", "test: 0, test_seed: 40"))
        self.assertEqual(seed, [])

    def test_what_only_the_data_tell(self):
        size = "training.test_batch_size: "
        for sets, told in (
                (["dataset.test=0"], "has no effect: there is neither a test nor a validation set"),
                ([], "is larger than the test set (10 samples), which makes one batch"),
                (["dataset.test=0", "dataset.validation=4"],
                 "is larger than the validation set (4 samples), which makes one batch"),
                (["dataset.test=1"], "is larger than the test set (1 sample), which makes one batch"),
                (["dataset.test=12"], None)):
            with self.subTest(sets=sets):
                options = [word for change in sets + ["training.test_batch_size=12"] for word in ("--set", change)]
                done = self.run_glesim(self.write("c.yaml", EPOCHS).name, *options, "--output", "out", "--force")
                wanted = [f"glesim: --set training.test_batch_size=12: {size}{told}"] if told else []
                self.assertEqual(notes(done), wanted)
        self.assertEqual(notes(self.run_glesim("c.yaml", "--output", "out", "--force")), [])

    def test_comparisons_that_never_begin(self):
        """With the longest one that does."""
        self.write("c.yaml", EPOCHS)
        self.write("p.yaml", PHASES)
        xor = ["dataset={type: xor, present: 2.0}", "network.input=2"]
        for config, sets, window, too_long, steps in (
                ("c.yaml", [], 1.0, 1.1, (11, 10)), ("p.yaml", [], 5.0, 5.1, (51, 50)),
                ("p.yaml", xor, 5.0, 5.1, (51, 50)),
                ("p.yaml", [*xor, "training.state=reset"], 2.0, 2.1, (21, 20)),
                ("p.yaml", [*xor, "network.layers[0].reset=batch"], 2.0, 2.1, (21, 20))):
            with self.subTest(config=config, sets=sets):
                options = [word for change in sets for word in ("--set", change)] + ["--output", "out", "--force"]
                done = self.run_glesim(config, *options, "--set", f"diagnose.window={window}")
                self.assertEqual(notes(done), [line for line in notes(done) if "batch_size" in line])
                self.assertTrue(load(self.folder / "out/seed_0/metrics.json")["diagnostics"]["comparisons"])
                done = self.run_glesim(config, *options, "--set", f"diagnose.window={too_long}")
                self.assertIn(f"glesim: --set diagnose.window={too_long}: diagnose.window: nothing is compared: a "
                              f"comparison lasts {steps[0]} steps, and no more than {steps[1]} learning steps "
                              "follow one another", notes(done))
                self.assertEqual(load(self.folder / "out/seed_0/metrics.json")["diagnostics"]["comparisons"], [])


if __name__ == "__main__":
    unittest.main()
