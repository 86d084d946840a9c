#!/usr/bin/env python3
"""Trains the network of configs/fashion_conv.yaml with PyTorch, by back-propagation, to hold accuracy and time against.

Same layers, initial weights of the same distribution, loss, optimizer, batches of the same size, and nine tenths of the
training set. Not the same order of samples. PyTorch must be there, as from `pip install torch`; nothing else needs it.
"""

import argparse
import gzip
import time

try:
    import torch
except ModuleNotFoundError:
    torch = None

FOLDER = "/usr/share/datasets/fashion-mnist"
HEAD = {3: 16, 1: 8}  # bytes before the data, by the number of dimensions


def idx(path, dims):
    with gzip.open(path) as file:
        data = file.read()
    if data[:4] != bytes([0, 0, 8, dims]):
        raise SystemExit(f"{path}: no idx file of {dims} dimensions of unsigned bytes")
    return torch.frombuffer(bytearray(data[HEAD[dims]:]), dtype=torch.uint8)


def images(folder, name):
    pixels = idx(f"{folder}/{name}-images-idx3-ubyte.gz", 3).reshape(-1, 1, 28, 28)
    return pixels.float() / 255, idx(f"{folder}/{name}-labels-idx1-ubyte.gz", 1).long()


def network():
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(1, 20, 5), nn.Hardtanh(0, 1), nn.MaxPool2d(2),
                         nn.Conv2d(20, 50, 5), nn.Hardtanh(0, 1), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(800, 500), nn.Hardtanh(0, 1), nn.Linear(500, 10))


def accuracy(model, x, y):
    with torch.no_grad():
        right = sum((model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(1000), y.split(1000)))
    return 100 * right / len(y)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=FOLDER, help="folder with the four files (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1, metavar="N",
                        help="steps of the optimizer on each batch; glesim makes one a step, 20 while an image is shown")
    parser.add_argument("--threads", type=int, help="default: as PyTorch chooses")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if torch is None:
        parser.exit(1, "torch_fashion_conv.py: PyTorch is missing (pip install torch)\n")
    torch.manual_seed(given.seed)
    if given.threads:
        torch.set_num_threads(given.threads)
    (x, y), test = images(given.data, "train"), images(given.data, "t10k")
    kept = torch.randperm(len(x))[:len(x) * 9 // 10]
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {sum(p.numel() for p in model.parameters())} parameters,"
          f" {len(kept)} images, {given.updates} updates a batch")
    for epoch in range(1, given.epochs + 1):
        begin, total = time.monotonic(), 0.0
        for batch in kept[torch.randperm(len(kept))].split(128):
            for _ in range(given.updates):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
                loss.backward()
                optimizer.step()
            total += loss.item() * len(batch)
        seconds = time.monotonic() - begin
        print(f"epoch {epoch}: {seconds:.1f} s, training loss {total / len(kept):.4f}, test accuracy "
              f"{accuracy(model, *test):.2f} %", flush=True)


if __name__ == "__main__":
    main()
