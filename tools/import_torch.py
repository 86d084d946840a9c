#!/usr/bin/python3
"""Weights from a PyTorch state dict to a weights.npz of glesim, and back. PyTorch itself is not needed.

  import_torch.py --list model.pt
  import_torch.py to-npz model.pt start.npz --config configs/xor.yaml
  import_torch.py to-npz model.pt start.npz --names enc=hidden,dec=readout
  import_torch.py to-torch results/xor/seed_1/weights.npz trained.pt --like model.pt

model.pt is what torch.save(model.state_dict(), "model.pt") wrote, with PyTorch 1.6 or later. glesim starts from
start.npz with `network: {init: {file: start.npz}}`, or --set network.init.file=$PWD/start.npz; PyTorch reads
trained.pt with model.load_state_dict(torch.load("trained.pt")).

Arrays that have the names and shapes of glesim's keep them. Else layers are matched in order: weights NAME.weight,
(neurons, inputs) of a Linear or (channels, channels of the source, kernel...) of a Conv1d or Conv2d, begin one, to
which NAME.bias belongs, and tau_m and tau_r (one number, or one a neuron) from the same module or the nearest around
it. Where that does not fit, --names says what goes where, PyTorch's name first: modules with all they hold (0=hidden),
or single arrays (enc.W=hidden.weight); what it does not name is left out. --names @FILE reads the pairs from a file.
Numbers of 16 bits become such of 32 bits on the way to glesim, which is exact.

Weights of a layer with several sources are <layer>.<source>.weight, as glesim --dry-run lists them. A layer of an RNN
reads its input and itself: rnn.weight_ih_l0, rnn.weight_hh_l0 and the sum of its two biases are called
rnn.l0.ih.weight, rnn.l0.hh.weight and rnn.l0.bias here, for a layer `from: [input, hidden]` or --names
rnn.l0.ih=hidden.input,rnn.l0.hh=hidden.hidden,rnn.l0.bias=hidden.bias. On the way back, bias_ih has all of the bias.

Activations have no arrays in a state dict, so that what settings those of the config or of the run have is told, and
what they are in PyTorch. Only a PReLU has: its one slope has to be that of leaky_relu in the config, and on the way
back, with --like, it becomes that of the run.

What errors go back through (feedback: fixed, and others that have weights of their own) is <layer>.feedback or
<layer>.<source>.feedback, of the shape of the weights. Weights of a sparse link are a list, beside which .synapses has the neuron and the source of each: (weights, 2)
whole numbers. Factors of time constants (mismatch) are <layer>.tau_m_factor and so on. A state dict holds them if the
model has such tensors; what --like lacks is left out, and told.

Time constants are in the config's unit of time. glesim takes tau_r from the config, whatever the file says, in layers
where it does not learn (plastic).
"""

import argparse
import math
import os
import pathlib
import pickle
import pickletools
import re
import subprocess
import sys
import tokenize
import typing
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "datasets"))
sys.path.insert(0, str(ROOT / "tools"))
import torch_activations # noqa: E402
from command import DATA, RESOURCES, USAGE, Failure, cannot_write, run, say, shown # noqa: E402

try:
    import numpy as np
except ImportError:
    np = None

OWN_FEEDBACK = ("fixed", "kolen_pollack", "pal")  # through weights of their own
PARAMETERS = ("weight", "bias", "tau_m", "tau_r", "feedback", "errors_from", "synapses", "tau_m_factor", "tau_r_factor",
              "error_tau_m_factor", "error_tau_r_factor")
TIME_CONSTANTS = PARAMETERS[2:4]
BESIDE_WEIGHTS = PARAMETERS[4:7] # of the very source that the weights are of
# The type of a torch storage -> of its numbers. numpy has no bfloat16, the upper half of a float32.
STORAGES = {"DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
            "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16",
            "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool"}
STORAGE_OF = {kind: name for name, kind in STORAGES.items() if kind in ("float64", "float32", "float16", "int64")}
BEFORE_1_6 = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19" # a pickle of torch's old magic number
ELEMENTS_MAX = 1 << 31 # of one array: a stride of 0 can make many of one number
PICKLE_MAX = 1 << 26   # bytes: it holds names and shapes only
STORAGE_MAX = 1 << 40  # bytes; nothing is packed, so that all of them are in the file
ALIGNMENT = 64         # of the numbers in a file, as torch aligns them
# What the libraries make of bytes that are no file of their kind.
DAMAGE = (ValueError, KeyError, IndexError, TypeError, EOFError, OverflowError, NotImplementedError, RuntimeError,
          SyntaxError, tokenize.TokenError, zlib.error, zipfile.BadZipFile)


class Unfit(ValueError):
    """What is wrong with a file or an array, to follow its name."""


# --- reading a file of torch.save: a zip archive of ROOT/data.pkl and the numbers, ROOT/data/0 and so on ---

class Global(str):
    """A class or function that a pickle names. Nothing looks it up."""


class Storage(typing.NamedTuple):
    values: "np.ndarray" # (n), bfloat16 widened to float32
    kind: str


class Tensor(typing.NamedTuple):
    array: "np.ndarray" # perhaps a view with strides of the storage
    kind: str


class Unpickler:
    """Reads the few opcodes of which the pickle of a state dict consists. Nothing that a pickle says is executed.

    load_storage(kind, key, n): the Storage of that name.
    """

    CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
    LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}

    def __init__(self, load_storage):
        self.load_storage = load_storage
        self.stack, self.marks, self.memo = [], [], {}

    def load(self, data):
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name in self.CONSTANTS:
                self.stack.append(self.CONSTANTS[opcode.name])
            elif opcode.name in self.LITERALS:
                self.stack.append(argument)
            elif step := getattr(self, "op_" + opcode.name.lower(), None):
                step(argument)
            else:
                raise Unfit(f"its pickle has the opcode {opcode.name}, which no state dict needs")
        raise Unfit("its pickle has no end")

    def taken(self, n):
        """The last n things on the stack."""
        if n > len(self.stack):
            raise Unfit("its pickle is damaged")
        values = self.stack[len(self.stack) - n:]
        del self.stack[len(self.stack) - n:]
        return values

    def since_mark(self):
        return self.taken(len(self.stack) - self.marks.pop())

    def top(self, kind):
        if not isinstance(self.stack[-1], kind):
            raise Unfit("its pickle is damaged")
        return self.stack[-1]

    def op_proto(self, version):
        pass # opcodes tell the version, too

    def op_global(self, name):
        name = Global(name.replace(" ", "."))
        if name not in self.CALLS and name.removeprefix("torch.") not in STORAGES:
            raise Unfit(f"refused: it holds '{name}', and only tensors are read; "
                        "a state dict is wanted: torch.save(model.state_dict(), ...)")
        self.stack.append(name)

    def op_mark(self, _):
        self.marks.append(len(self.stack))

    def op_tuple(self, _):
        self.stack.append(tuple(self.since_mark()))

    def op_tuple1(self, _):
        self.stack.append(tuple(self.taken(1)))

    def op_tuple2(self, _):
        self.stack.append(tuple(self.taken(2)))

    def op_tuple3(self, _):
        self.stack.append(tuple(self.taken(3)))

    def op_empty_list(self, _):
        self.stack.append([])

    def op_empty_dict(self, _):
        self.stack.append({})

    def op_append(self, _):
        values = self.taken(1)
        self.top(list).extend(values)

    def op_appends(self, _):
        values = self.since_mark()
        self.top(list).extend(values)

    def op_setitem(self, _):
        self.set_items(self.taken(2))

    def op_setitems(self, _):
        self.set_items(self.since_mark())

    def set_items(self, values):
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (str, int)):
                raise Unfit("a dict in it has a key that is neither text nor number")
            self.top(dict)[key] = value

    def op_binput(self, index):
        self.memo[index] = self.stack[-1]

    def op_binget(self, index):
        self.stack.append(self.memo[index])

    op_long_binput, op_long_binget = op_binput, op_binget

    def op_build(self, _):
        self.taken(1) # attributes of a dict, such as _metadata
        self.top(dict)

    def op_binpersid(self, _):
        (what, storage_type, key, _device, n), = self.taken(1)
        if what != "storage" or not isinstance(storage_type, Global) or type(n) is not int or n < 0:
            raise Unfit("its pickle is damaged")
        self.stack.append(self.load_storage(STORAGES[storage_type.removeprefix("torch.")], key, n))

    def op_reduce(self, _):
        function, arguments = self.taken(2)
        if not isinstance(function, Global) or function not in self.CALLS:
            raise Unfit("its pickle is damaged")
        self.stack.append(self.CALLS[function](*arguments))

    @staticmethod
    def ordered_dict():
        return {}

    @staticmethod
    def tensor(storage, offset, shape, strides, _requires_grad, _hooks, _metadata=None):
        """A view of the storage, checked to lie within it."""
        numbers = [offset, *shape, *strides]
        if (not isinstance(storage, Storage) or len(shape) != len(strides) or len(shape) > 32 or
                any(type(n) is not int or n < 0 for n in numbers) or math.prod(shape) > ELEMENTS_MAX):
            raise Unfit("its pickle is damaged: a tensor is impossible")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides))
        if 0 not in shape and last >= storage.values.size:
            raise Unfit("its pickle is damaged: a tensor is larger than its storage")
        if 0 in shape:
            return Tensor(np.empty(shape, storage.values.dtype), storage.kind)
        item = storage.values.itemsize
        view = np.lib.stride_tricks.as_strided(storage.values[offset:], shape, [item * stride for stride in strides],
                                               writeable=False)
        return Tensor(view, storage.kind)

    @staticmethod
    def parameter(tensor, _requires_grad, _hooks):
        return tensor

    CALLS = {"collections.OrderedDict": ordered_dict, "torch._utils._rebuild_tensor_v2": tensor,
             "torch._utils._rebuild_parameter": parameter}


class TorchArchive:
    def __init__(self, archive):
        self.archive = archive
        pickles = [name for name in archive.namelist() if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(pickles) != 1:
            raise Unfit("it is a zip file, but not one that torch.save wrote")
        self.root = pickles[0].removesuffix("data.pkl")
        self.order = ">" if self.has("byteorder") and self.record("byteorder") == b"big" else "<"
        self.storages = {}

    def has(self, name):
        return self.root + name in self.archive.namelist()

    def record(self, name, size_max=PICKLE_MAX):
        info = self.archive.getinfo(self.root + name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > size_max:
            raise Unfit(f"its record {name} is packed or too large, which torch.save never writes")
        return self.archive.read(info)

    def load(self):
        return Unpickler(self.storage).load(self.record("data.pkl"))

    def storage(self, kind, key, n):
        if key not in self.storages:
            self.storages[key] = Storage(self.numbers(kind, self.record(f"data/{key}", STORAGE_MAX)), kind)
        storage = self.storages[key]
        if storage.kind != kind or storage.values.size < n:
            raise Unfit(f"it is damaged: data/{key} is not what its pickle says")
        return storage

    def numbers(self, kind, data):
        dtype = np.dtype("u2" if kind == "bfloat16" else kind)
        values = np.frombuffer(data, dtype.newbyteorder(self.order)).astype(dtype)
        return (values.astype("u4") << 16).view("f4") if kind == "bfloat16" else values


def tensors_of(value, entry):
    """Name -> Tensor of a state dict, which may be one entry of a checkpoint."""
    if entry is not None:
        if not isinstance(value, dict) or entry not in value:
            raise Unfit(f"it has no entry '{entry}'")
        value = value[entry]
    if isinstance(value, Tensor):
        raise Unfit("it is a tensor alone, where a state dict is wanted")
    if not isinstance(value, dict):
        raise Unfit("it holds no state dict")
    parts = [str(key) for key, part in value.items() if isinstance(part, dict)]
    tensors = {str(key): part for key, part in value.items() if isinstance(part, Tensor)}
    if not tensors:
        more = f", but entries: {listed(parts)}; --entry picks one" if parts else ""
        raise Unfit("it holds no tensors" + more)
    return tensors


RNN_ARRAY = re.compile(r"(?P<module>.+\.|)(?P<what>weight|bias)_(?P<of>ih|hh)_l(?P<layer>\d+)")


def regrouped(tensors):
    """The arrays of each layer of an RNN called as those of a layer with two sources, its two biases summed."""
    grouped = {}
    for name, tensor in tensors.items():
        part = RNN_ARRAY.fullmatch(name)
        if not part:
            grouped[name] = tensor
            continue
        layer = f"{part['module']}l{part['layer']}"
        if part["what"] == "weight":
            grouped[f"{layer}.{part['of']}.weight"] = tensor
        elif f"{layer}.bias" not in grouped:
            grouped[f"{layer}.bias"] = tensor
        else:
            other = grouped[f"{layer}.bias"]
            if other.array.shape != tensor.array.shape:
                raise Unfit(f"the two biases of {layer} have shapes {shape_text(other.array.shape)} and "
                            f"{shape_text(tensor.array.shape)}")
            grouped[f"{layer}.bias"] = Tensor(other.array + tensor.array, tensor.kind)
    return grouped


def ungrouped(arrays, like):
    """The same the other way round, for those layers of an RNN that `like`, names as PyTorch has them, has."""
    out = {}
    for name, array in arrays.items():
        layer, _, parameter = name.rpartition(".")
        layer, of = (layer[:-3], layer[-2:]) if layer.endswith((".ih", ".hh")) else (layer, None)
        found = re.fullmatch(r"(.+\.|)l(\d+)", layer)
        module, number = found.groups() if found else ("", "")
        if of and f"{module}weight_{of}_l{number}" in like:
            out[f"{module}weight_{of}_l{number}"] = array
        elif parameter == "bias" and f"{module}bias_ih_l{number}" in like:
            out[f"{module}bias_ih_l{number}"] = array
            out[f"{module}bias_hh_l{number}"] = np.zeros_like(array)
        else:
            out[name] = array
    return out


def read_npz(archive):
    """Name -> Tensor, in the order of the file: that of the layers, if glesim wrote it."""
    tensors = {}
    for info in archive.infolist():
        with archive.open(info) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        tensors[info.filename.removesuffix(".npy")] = Tensor(array, array.dtype.name)
    return tensors


def read(path, wanted=None, entry=None, as_they_are=False):
    """Name -> Tensor of either kind of file. wanted: 'torch' or 'npz', the only kind that will do. as_they_are: arrays
    of an RNN keep their names."""
    try:
        with open(path, "rb") as file:
            if file.read(len(BEFORE_1_6)) == BEFORE_1_6:
                raise Unfit("it is in the format from before PyTorch 1.6; load it and torch.save it again")
            if not zipfile.is_zipfile(file):
                raise Unfit("it is no file of torch.save, nor npz")
            with zipfile.ZipFile(file) as archive:
                npz = all(name.endswith(".npy") for name in archive.namelist()) and bool(archive.namelist())
                if wanted and wanted != ("npz" if npz else "torch"):
                    raise Unfit("it is " + ("an npz file, where one of torch.save is wanted" if npz else
                                          "no npz file"))
                if npz:
                    return read_npz(archive)
                tensors = tensors_of(TorchArchive(archive).load(), entry)
                return tensors if as_they_are else regrouped(tensors)
    except OSError as error:
        raise Failure(DATA, f"{shown(path)}: cannot read: {error.strerror or error}") from None
    except DAMAGE as error:
        why = str(error) if isinstance(error, Unfit) else f"not readable: {error or type(error).__name__}"
        raise Failure(DATA, f"{shown(path)}: {plain(why)}") from None
    except MemoryError:
        raise Failure(RESOURCES, f"{shown(path)}: no memory for it") from None


# --- writing ---

def zip_entry(archive, file, name, data):
    """Adds one entry, unpacked, with the data aligned as torch does it, and without a date."""
    info = zipfile.ZipInfo(name)
    header = file.tell() + 30 + len(name) + 4 # of the entry, its name, and the field that fills up
    fill = -header % ALIGNMENT
    info.extra = b"FB" + fill.to_bytes(2, "little") + bytes(fill)
    archive.writestr(info, data)


def literal(value):
    """The opcodes that put plain values on the stack, without the pickle's own beginning and end."""
    return pickle.dumps(value, 2)[2:-1]


def torch_global(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def state_dict_pickle(arrays):
    """What torch.save writes for an OrderedDict of contiguous tensors, whose numbers are in data/0, data/1, ..."""
    ordered_dict = torch_global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    out = [pickle.PROTO, b"\2", ordered_dict, pickle.MARK]
    for number, (name, array) in enumerate(arrays.items()):
        strides = tuple(stride // array.itemsize for stride in array.strides)
        out += [literal(name), torch_global("torch._utils", "_rebuild_tensor_v2"), pickle.MARK,
                pickle.MARK, literal("storage"), torch_global("torch", STORAGE_OF[array.dtype.name]),
                literal(str(number)), literal("cpu"), literal(array.size), pickle.TUPLE, pickle.BINPERSID,
                literal(0), literal(array.shape), literal(strides), pickle.NEWFALSE, ordered_dict,
                pickle.TUPLE, pickle.REDUCE]
    return b"".join([*out, pickle.SETITEMS, pickle.STOP])


def write_torch(file, arrays):
    arrays = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
              for name, array in arrays.items()}
    with zipfile.ZipFile(file, "w") as archive:
        zip_entry(archive, file, "archive/data.pkl", state_dict_pickle(arrays))
        zip_entry(archive, file, "archive/byteorder", "little")
        for number, array in enumerate(arrays.values()):
            zip_entry(archive, file, f"archive/data/{number}", array.tobytes())
        zip_entry(archive, file, "archive/version", "3\n")


def write_npz(file, arrays):
    np.savez(file, **arrays)


def write_whole(path, write, arrays):
    """The file is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with open(part, "xb") as file:
                write(file, arrays)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


# --- what belongs to what ---

def plain(text):
    """One line without control characters, whatever a file says."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def listed(names):
    names = [plain(name) for name in names]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "nothing"


def layers_of(shapes, path, sources):
    """The layers, in order, each as parameter -> name of the array. sources: weights may be those of one source of
    several, and what belongs to the whole layer then goes with the first."""
    weights = [name.split(".")[:-1] for name, shape in shapes.items()
               if name.split(".")[-1] == "weight" and 1 <= len(shape) <= 4]
    layers = [{"weight": ".".join([*module, "weight"])} for module in weights]
    for name in shapes:
        *module, parameter = name.split(".")
        if any(name in layer.values() for layer in layers):
            continue
        owner = owner_of(module, parameter, weights, sources)
        if owner is None or parameter in layers[owner]:
            raise Failure(USAGE, f"{shown(path)}: it is not clear where {name} {shape_text(shapes[name])} belongs; "
                                 "--names says what goes where")
        layers[owner][parameter] = name
    return layers


def owner_of(module, parameter, weights, sources):
    """The index of the only weight in the module, or, for time constants, in the nearest one around it; or of the first
    weight of a layer with several."""
    within = [i for i, weight in enumerate(weights)
              if weight[:-1] == module and len(weight) > 1 and parameter not in BESIDE_WEIGHTS]
    if within and parameter in PARAMETERS and (sources or {weights[i][-1] for i in within} == {"ih", "hh"}):
        return within[0]
    for depth in range(len(module), -1, -1):
        below = [i for i, weight in enumerate(weights) if weight[:depth] == module[:depth]]
        if parameter == "bias" or parameter in BESIDE_WEIGHTS:
            below = [i for i in below if weights[i] == module]
        if below or parameter not in TIME_CONSTANTS:
            return below[0] if len(below) == 1 and parameter in PARAMETERS else None
    return None


def shape_text(shape):
    return "(" + ", ".join(map(str, shape)) + ")"


def layers_text(layers, shapes):
    return listed(layer["weight"].removesuffix("weight").rstrip(".") + " " + shape_text(shapes[layer["weight"]])
                  for layer in layers)


def find_laterals(of_torch, of_glesim, shapes, path):
    """Of the two weights of a layer of an RNN, hh belongs to the source that is the layer itself, which need not be the
    second one. Changes the order in of_glesim; shapes: of its arrays, in the file or config at path."""
    for i in range(len(of_torch) - 1):
        module, _, which = of_torch[i]["weight"].removesuffix(".weight").rpartition(".")
        if which != "ih" or of_torch[i + 1]["weight"] != f"{module}.hh.weight" or i + 1 >= len(of_glesim):
            continue
        first, second = of_glesim[i], of_glesim[i + 1]
        layers, names = zip(*(layer["weight"].rsplit(".", 2)[-3:-1] if layer["weight"].count(".") > 1 else ("", "?")
                              for layer in (first, second)))
        if layers[0] == names[0] and layers[1] != names[1]:
            first["weight"], second["weight"] = second["weight"], first["weight"]
        elif (layers[0] == names[0]) == (layers[1] == names[1]) and shapes[first["weight"]] == shapes[second["weight"]]:
            raise Failure(USAGE, f"{shown(path)}: it is not clear which of {first['weight']} and {second['weight']} is "
                                 f"{module}.hh; --names says what goes where")


def matched(source, source_path, target, target_path, to_glesim):
    """Pairs of names, layer by layer, in the order of the target. source, target: name -> shape."""
    sources = layers_of(source, source_path, not to_glesim)
    targets = layers_of(target, target_path, to_glesim)
    if to_glesim:
        find_laterals(sources, targets, target, target_path)
    else:
        find_laterals(targets, sources, source, source_path)
    if ([source[layer["weight"]] for layer in sources] != [target[layer["weight"]] for layer in targets]):
        raise Failure(USAGE, f"the layers of {shown(source_path)}: {layers_text(sources, source)}, are not those of "
                             f"{shown(target_path)}: {layers_text(targets, target)}; --names says what goes where")
    pairs = []
    for one, other in zip(sources, targets):
        if ("bias" in one) != ("bias" in other):
            name, path, bare = ((one["bias"], source_path, other) if "bias" in one else
                                (other["bias"], target_path, one))
            raise Failure(USAGE, f"{shown(path)} has {name}, and there is no bias beside {bare['weight']} in "
                                 f"{shown(target_path if 'bias' in one else source_path)}")
        pairs += [(one[parameter], other[parameter]) for parameter in other if parameter in one]
    return pairs


def named(names, source, source_path):
    """Pairs of names as --names has them; a module stands for all that it holds."""
    pairs = []
    for left, right in names:
        below = [name for name in source if name.startswith(left + ".")]
        if left in source:
            pairs.append((left, right))
        elif below:
            pairs += [(name, right + name.removeprefix(left)) for name in below]
        else:
            raise Failure(USAGE, f"--names: there is no '{left}' in {shown(source_path)}; it has {listed(source)}")
    twice = [right for i, (_, right) in enumerate(pairs) if right in [name for _, name in pairs[:i]]]
    if twice:
        raise Failure(USAGE, f"--names: two arrays would be {twice[0]}")
    return pairs


def parameter_of(name):
    """The last word of a name of glesim's, and the layer."""
    layer, dot, parameter = name.rpartition(".")
    if not dot or parameter not in PARAMETERS:
        raise Failure(USAGE, f"'{name}' is no name of glesim's: <layer>. and one of {', '.join(PARAMETERS)}")
    return layer, parameter


# --- what a config is made of ---

LAYER_ROW = re.compile(r"^  (\S+) +(\d+) +(\d+)(?:  (\d+(?: x \d+)*) *)?  \S+ +\S+ +\S+ +(\d+)  ", re.M)
PROJECTION_ROW = re.compile(r"^  (\S+) +\S+ +(\S+) +\S+  (\S+) +\(([\d, ]+)\) +\S+ +(\S+)", re.M)
MISMATCH_ROW = re.compile(r"^  (\S+) +.*mismatch of .*$", re.M)
DIVERGED = 6 # glesim's exit code where the table is there, and the network diverged while its speed was measured


def network_of_config(config, variant):
    """Name -> shape of all that the network has, and its activations with settings, from what glesim itself shows."""
    program = os.environ.get("GLESIM", str(ROOT / "tools" / "glesim"))
    call = [program, str(config), "--dry-run", *(["--variant", variant] if variant else [])]
    try:
        done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              check=False)
    except OSError as error:
        raise Failure(RESOURCES, f"{program}: {error.strerror}") from None
    if done.returncode not in (0, DIVERGED):
        say(done.stderr.rstrip("\n"))
        raise Failure(done.returncode if done.returncode > 0 else RESOURCES,
                      f"{shown(config)}: glesim does not take it")
    networks, activations = [], []
    for table in done.stdout.split("\n  layer ")[1:]:
        shapes = {}
        table, _, projections = table.partition("\n  projection ")
        weights, beside = {}, {}
        for label, layer, feedback, sizes, connect in PROJECTION_ROW.findall(projections):
            weights.setdefault(layer, {})[label] = sizes = tuple(map(int, sizes.split(",")))
            if feedback in OWN_FEEDBACK:
                beside[f"{label}.feedback"] = sizes
            if connect == "sparse":
                beside[f"{label}.synapses"] = (*sizes, 2)
        for layer, inputs, neurons, _, parameters in LAYER_ROW.findall(table):
            of_layer = weights.get(layer, {layer: (int(neurons), int(inputs))})
            shapes |= {f"{label}.weight": sizes for label, sizes in of_layer.items()}
            biases = int(parameters) - sum(math.prod(sizes) for sizes in of_layer.values())
            if biases:
                shapes[f"{layer}.bias"] = (biases,)
            shapes |= {f"{layer}.{parameter}": (int(neurons),) for parameter in TIME_CONSTANTS}
        for row in MISMATCH_ROW.finditer(table):
            beside |= {f"{row[1]}.{tau}_factor": shapes[f"{row[1]}.tau_m"]
                       for tau in re.findall(r"mismatch of (\w+)", row[0])}
        networks.append(shapes | beside)
        activations.append(torch_activations.of_table(table))
    if not networks or not networks[0]:
        raise Failure(RESOURCES, f"{program} shows no layers of {shown(config)}")
    if any(one != ones[0] for ones in (networks, activations) for one in ones):
        raise Failure(USAGE, f"{shown(config)}: its variants have different networks; --variant picks one")
    return networks[0], activations[0]


# --- the two directions ---

def fitted(name, array, shapes):
    """The array as glesim wants it: floats of 32 or 64 bits, a time constant for each neuron. Checks shape and values.

    shapes: of what the layer has, by name; where nothing is known of it, its weight alone.
    """
    layer, parameter = parameter_of(name)
    if parameter == "synapses":
        return fitted_synapses(name, array, shapes)
    if array.dtype.kind != "f":
        raise Unfit(f"is of type {array.dtype}, where floating-point numbers are wanted")
    if parameter == "weight":
        if not 1 <= array.ndim <= 4 or (array.ndim == 1 and name not in shapes):
            raise Unfit(f"has shape {shape_text(array.shape)}, where (neurons, inputs) is wanted")
        wanted = shapes.get(name, array.shape)
    elif parameter == "feedback":
        wanted = shapes.get(name) or shapes.get(f"{layer}.weight", array.shape)
    else:
        weight = shapes.get(f"{layer}.weight")
        wanted = shapes.get(name) or ((weight[0],) if weight else (array.size,))
        if parameter in TIME_CONSTANTS and array.size == 1 and array.ndim < 2:
            array = np.broadcast_to(array.reshape(()), wanted)
    if array.shape != wanted:
        turned = "; it has to be transposed" if array.shape == wanted[::-1] else ""
        raise Unfit(f"has shape {shape_text(array.shape)}, where {shape_text(wanted)} is wanted{turned}")
    if not np.isfinite(array).all():
        raise Unfit("holds NaN or Inf")
    if parameter in TIME_CONSTANTS and not (array > 0).all():
        raise Unfit("has a time constant that is not positive")
    return array.astype("f4") if array.itemsize < 4 else array


def fitted_synapses(name, array, shapes):
    """The same of pairs (neuron, source) of whole numbers, a row for each weight."""
    if array.dtype.kind not in "iu":
        raise Unfit(f"is of type {array.dtype}, where whole numbers are wanted")
    weight = shapes.get(name.removesuffix("synapses") + "weight")
    wanted = shapes.get(name) or ((*weight, 2) if weight else (len(array) if array.ndim else 0, 2))
    if array.shape != wanted:
        raise Unfit(f"has shape {shape_text(array.shape)}, where {shape_text(wanted)} is wanted")
    if array.size and array.min() < 0:
        raise Unfit("holds a number below 0")
    return array.astype("i8")


# --- the slopes of PReLUs, which glesim has in the config ---

def weights_in(shapes):
    return sum(name.split(".")[-1] == "weight" and 1 <= len(shape) <= 4 for name, shape in shapes.items())


def check_slopes(args, tensors, slopes, pairs, activations):
    """That each is what the config says of the layer in front of it. What is to be told, where no config is known."""
    told = []
    for slope, weight in slopes.items():
        layer = dict(pairs)[weight].split(".")[0]
        values = np.unique(np.asarray(tensors[slope].array, "f4"))
        where = f"{shown(args.source)}: {slope} is the slope of a PReLU behind {weight}"
        if values.size != 1 or not np.isfinite(values).all():
            raise Failure(DATA, f"{where}, and holds {values.size} different numbers: glesim's leaky_relu has one for "
                                f"all neurons of '{layer}'")
        wanted = f"activation: {{type: leaky_relu, slope: {values[0]:.9g}}}"
        if activations is None:
            told.append(f"{slope} is the slope of a PReLU: the config has to say {wanted} of '{layer}'")
        elif (found := torch_activations.slope_of(activations, layer)) is None or np.float32(found) != values[0]:
            raise Failure(USAGE, f"{where}: glesim has it in the config, which does not say {wanted} of '{layer}'")
    return told


def slopes_for(args, shapes, slopes, pairs):
    """The arrays of PReLUs, from the config of the run that the weights are of."""
    activations = torch_activations.of_run(args.source.parent)
    arrays = {}
    for slope, weight in slopes.items():
        layer = {new: old for old, new in pairs}[weight].split(".")[0]
        found = torch_activations.slope_of(activations or {}, layer)
        if found is None:
            why = ("there is no metrics.json of its run beside it" if activations is None else
                   f"the activation of '{layer}' is no leaky_relu")
            raise Failure(USAGE, f"{shown(args.like)}: {slope} is the slope of a PReLU behind {weight}, which "
                                 f"{shown(args.source)} has not: {why}")
        arrays[slope] = np.full(shapes[slope], found, "f4")
    return arrays


def to_npz(args):
    tensors = read(args.source, "torch", args.entry)
    source = {name: tensor.array.shape for name, tensor in tensors.items()}
    target, target_path, activations, slopes = {}, args.config or args.like, None, {}
    if args.config:
        target, activations = network_of_config(args.config, args.variant)
    elif args.like:
        target = {name: tensor.array.shape for name, tensor in read(args.like, "npz").items()}
    if args.names:
        pairs = named(args.names, source, args.source)
    elif target and all(target.get(name) == shape for name, shape in source.items()): # as to-torch leaves them
        pairs = [(name, name) for name in target if name in source]
    elif target:
        weights, slopes = torch_activations.split_slopes(source, weights_in(target))
        pairs = matched(weights, args.source, target, target_path, True)
    else:
        raise Failure(USAGE, "--config, --like or --names has to say what glesim calls the layers")
    told = check_slopes(args, tensors, slopes, pairs, activations) + torch_activations.notes(activations or {})
    pairs = [(old, new) for old, new in pairs if parameter_of(new)[1] in args.only]
    unknown = [new for _, new in pairs if target and new not in target]
    if unknown:
        raise Failure(USAGE, f"there is no {unknown[0]} in {shown(target_path)}; it has {listed(target)}")
    sparse = {parameter_of(new)[0] for _, new in pairs if parameter_of(new)[1] == "synapses"}
    shapes = target or {new: source[old] for old, new in pairs if parameter_of(new)[1] == "weight" and
                         (len(source[old]) > 1 or parameter_of(new)[0] in sparse)}
    arrays = {}
    for old, new in pairs:
        try:
            arrays[new] = fitted(new, tensors[old].array, shapes)
        except Unfit as error:
            raise Failure(DATA, f"{shown(args.source)}: {old} {error} for {new}") from None
    return write_npz, arrays, pairs, [name for name in source if name not in slopes], told


def to_torch(args):
    tensors = read(args.source, "npz")
    source = {name: tensor.array.shape for name, tensor in tensors.items()}
    slopes = {}
    for name, tensor in tensors.items():
        whole = parameter_of(name)[1] == "synapses"
        if tensor.kind not in STORAGE_OF or whole != (tensor.array.dtype.kind == "i"):
            raise Failure(DATA, f"{shown(args.source)}: {name} is of type {tensor.array.dtype}, "
                                f"where {'whole numbers of 64 bits' if whole else 'floating-point numbers'} are wanted")
    if args.names:
        pairs = named([(glesim, torch) for torch, glesim in args.names], source, args.source)
    elif args.like:
        target = {name: tensor.array.shape for name, tensor in read(args.like, "torch", args.entry).items()}
        weights, behind = torch_activations.split_slopes(target, weights_in(source))
        pairs = matched(source, args.source, weights, args.like, False)
        slopes = slopes_for(args, target, behind, pairs) if "weight" in args.only else {}
    else:
        pairs = [(name, name) for name in source]
    pairs = [(old, new) for old, new in pairs if parameter_of(old)[1] in args.only]
    arrays = {new: tensors[old].array for old, new in pairs} | slopes
    told = [f"{name} is {array.flat[0]:.9g}, the slope of its leaky_relu" for name, array in slopes.items()]
    told += torch_activations.notes(torch_activations.of_run(args.source.parent) or {})
    if args.like:
        whole = read(args.like, "torch", args.entry, as_they_are=True)
        if slopes: # each where the model has it
            arrays = {name: arrays[name] for name in target if name in arrays}
        written = ungrouped(arrays, whole)
        return lambda file, _: write_torch(file, written), arrays, pairs, source, told
    return write_torch, arrays, pairs, source, told


def convert(args, direction):
    if args.target.exists() and not args.force:
        raise Failure(USAGE, f"{shown(args.target)} is there already; --force replaces it")
    write, arrays, pairs, source, told = direction(args)
    if not arrays:
        raise Failure(USAGE, "nothing would be written")
    write_whole(args.target, write, arrays)
    for old, new in pairs:
        print(f"{plain(old)} -> {plain(new)} {shape_text(arrays[new].shape)}")
    if direction is to_npz and any(parameter_of(new)[1] == "tau_r" for _, new in pairs):
        print("glesim takes tau_r from the config where it does not learn (plastic): compare it with this one")
    for line in told:
        print(plain(line))
    left_out = [name for name in source if name not in dict(pairs)]
    if left_out:
        print(f"left out: {listed(left_out)}")


def show(path, entry):
    for name, tensor in read(path, entry=entry).items():
        print(f"{plain(name):<32} {shape_text(tensor.array.shape):<16} {tensor.kind}")


# --- the command line ---

class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(USAGE, f"{message}; --help shows how")


def pairs_of(text):
    try:
        text = pathlib.Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text[1:]}: cannot read: {error}") from None
    pairs = [pair.split("=") for pair in re.split(r"[,\s]+", text) if pair]
    if not pairs or any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of TORCH=GLESIM")
    return [tuple(pair) for pair in pairs]


def parameters_of(text):
    if not set(text.split(",")) <= set(PARAMETERS):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of {', '.join(PARAMETERS)}")
    return text.split(",")


def add_direction(commands, name, source, target, direction):
    parser = commands.add_parser(name, help=f"from {source} to {target}", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar=source, type=pathlib.Path)
    parser.add_argument("target", metavar=target, type=pathlib.Path)
    parser.add_argument("--names", metavar="TORCH=GLESIM,...", type=pairs_of,
                        help="what goes where; @FILE: read them there")
    parser.add_argument("--only", metavar="weight,bias", type=parameters_of, default=PARAMETERS,
                        help="take these parameters and no others")
    parser.add_argument("--entry", metavar="NAME", help="the state dict's name in the dict that MODEL.pt holds")
    parser.add_argument("--force", action="store_true", help=f"replace {target} if it is there already")
    parser.set_defaults(direction=direction)
    return parser


def parsed():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", metavar="FILE", type=pathlib.Path,
                        help="show names, shapes and types of what a file of either kind holds")
    parser.add_argument("--entry", metavar="NAME", help="the state dict's name in the dict that FILE holds")
    commands = parser.add_subparsers(metavar="to-npz|to-torch", parser_class=Parser)
    npz = add_direction(commands, "to-npz", "MODEL.pt", "WEIGHTS.npz", to_npz)
    npz.add_argument("--config", metavar="CONFIG.yaml", type=pathlib.Path,
                     help="for this network, as tools/glesim, or the program that GLESIM names, shows it")
    npz.add_argument("--variant", metavar="NAME", help="of the config")
    npz.add_argument("--like", metavar="WEIGHTS.npz", type=pathlib.Path,
                     help="for the network of this file of glesim's")
    torch = add_direction(commands, "to-torch", "WEIGHTS.npz", "MODEL.pt", to_torch)
    torch.add_argument("--like", metavar="MODEL.pt", type=pathlib.Path, help="names as in this state dict")
    return parser.parse_args()


def main():
    args = parsed()
    if np is None:
        raise Failure(RESOURCES, "numpy is missing: tools/setup --packages python3-numpy")
    if args.list:
        show(args.list, args.entry)
    elif hasattr(args, "direction"):
        convert(args, args.direction)
    else:
        raise Failure(USAGE, "to-npz, to-torch or --list FILE is wanted; --help shows how")


if __name__ == "__main__":
    run(main, "nothing was written")
