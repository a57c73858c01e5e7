"""Attributes texts with the reference toolkit: one JSON request per line on standard input, one JSON answer per line.

usage: python reference_worker.py FOLDER_OF_THE_MODEL THREADS

The answers have the members that those of whence_bench have: see README.md.
"""
import ctypes
import json
import logging
import os
import sys
import time
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import inseq
import torch
from inseq.attr.feat.ops.value_zeroing import ValueZeroing

logging.disable(logging.WARNING)


def let_blocks_return_tensors():
    """Value zeroing expects decoder blocks that return a tuple; those of Llama return its first element alone."""
    make_hook = ValueZeroing.get_states_extract_and_patch_hook

    def make_hook_for_both(self, *args, **kwargs):
        hook = make_hook(self, *args, **kwargs)

        def on_output(module, inputs, output):
            return hook(module, inputs, output) if isinstance(output, tuple) else hook(module, inputs, (output,))[0]

        return on_output

    ValueZeroing.get_states_extract_and_patch_hook = make_hook_for_both


def memory(key):
    """Bytes that a line of /proc/self/status gives in kB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key + ":")) * 1024


def start_memory_peak():
    """Gives freed memory back, so that the peak counts from what is really held; returns that."""
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as references:
        references.write("5")  # the peak starts anew
    return memory("VmRSS")


REDUCTIONS = {"vnorm": torch.linalg.vector_norm, "mean": torch.mean, "sum": torch.sum}


def sequence(attribution, reductions):
    scores = attribution.target_attributions
    for reduction in reductions:
        scores = REDUCTIONS[reduction](scores, dim=-1)
    scores = [] if scores is None else scores.tolist()  # the method may be one that only records step scores
    return {"ids": [token.id for token in attribution.target],
            "start": attribution.attr_pos_start, "end": attribution.attr_pos_end,
            "scores": [[None if score != score else score for score in row] for row in scores],
            "step_scores": {name: values.tolist() for name, values in attribution.step_scores.items()}}


def answer(model, request):
    prompts, texts = zip(*request["texts"])
    held = start_memory_peak()
    began, began_cpu = time.perf_counter(), time.process_time()
    output = model.attribute(
        list(prompts), list(texts), method=request["method"], attr_pos_start=request.get("start"),
        attr_pos_end=request.get("end"), step_scores=request.get("step_scores", []), batch_size=request.get("batch_size"),
        show_progress=False, device="cpu", **request.get("params", {}))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "held_bytes": held, "peak_bytes": memory("VmHWM"),
            "sequences": [sequence(attribution, request["reductions"]) for attribution in output]}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print is no answer
    torch.set_num_threads(int(sys.argv[2]))
    torch.manual_seed(0)
    let_blocks_return_tensors()
    model = inseq.load_model(sys.argv[1], "saliency", device="cpu")
    for line in sys.stdin:
        try:
            reply = answer(model, json.loads(line))
        except Exception as error:  # the caller decides what a request that fails means
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
