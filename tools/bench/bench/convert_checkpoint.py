"""Writes the weights of a GGUF file, dequantised to float32, and its tokenizer as a folder that transformers loads.

usage: python convert_checkpoint.py FILE.gguf FOLDER
"""
import pathlib
import sys

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

CONTROL_TOKEN = 3  # a token type of the file format


def tokenizer_of(file: pathlib.Path) -> PreTrainedTokenizerFast:
    """What the metadata describe; the conversion that transformers has would put a BOS before every text against them."""
    fields = GGUFReader(file).fields

    def value(key):
        return fields["tokenizer.ggml." + key].contents()

    if (value("model"), value("pre"), value("add_bos_token")) != ("gpt2", "smollm", False):
        sys.exit(f"{file}: its tokenizer is none that this converter knows; expected gpt2 with the splits of smollm and no BOS")
    tokens = value("tokens")
    merges = [tuple(merge.split(" ")) for merge in value("merges")]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, value("token_type")) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, unk_token=tokens[value("unknown_token_id")],
        bos_token=tokens[value("bos_token_id")], eos_token=tokens[value("eos_token_id")],
        pad_token=tokens[value("padding_token_id")])


def main():
    file, folder = map(pathlib.Path, sys.argv[1:])
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer_of(file).save_pretrained(folder)


if __name__ == "__main__":
    main()
