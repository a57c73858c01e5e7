"""Floating point operations that a pass over a text cannot do without, from the shapes of a decoder-only model."""
import json
import pathlib
import struct


def head_is_tied(model):
    """Whether the head multiplies by the embedding matrix, so that the checkpoint holds it once."""
    model = pathlib.Path(model)
    if model.is_dir():
        return json.loads((model / "config.json").read_text(encoding="utf-8")).get("tie_word_embeddings", True)
    with open(model, "rb") as file:  # a GGUF file: texts stand behind their lengths
        return struct.pack("<Q", 13) + b"output.weight" not in file.read(2 ** 24)


def block_weights(facts, tied):
    """Weights of the matrices of one block, from the number of all parameters."""
    embeddings = (1 if tied else 2) * facts["vocabulary"] * facts["hidden"]
    norms = (2 * facts["layers"] + 1) * facts["hidden"]
    return (facts["parameters"] - embeddings - norms) / facts["layers"]


def of_pass(what, rows, steps, facts, tied):
    """Of a "forward" or "backward" pass over `rows` tokens that explains the tokens after the last `steps` of them. Every block
    but the last takes all rows; the last block and the head take those of the steps."""
    hidden, lower = facts["hidden"], facts["layers"] - 1
    weights, head = block_weights(facts, tied), facts["vocabulary"] * facts["hidden"]
    seen = range(rows - steps + 1, rows + 1)  # rows that each step sees
    if what == "forward":
        pairs = lower * rows * (rows + 1) / 2 + sum(seen)  # of a query and a key
        return 2 * weights * (lower * rows + steps) + 2 * head * steps + 2 * 2 * hidden * pairs
    pairs = sum(lower * count * (count + 1) / 2 + count for count in seen)
    return 2 * weights * (lower * sum(seen) + steps) + 2 * head * steps + 4 * 2 * hidden * pairs
