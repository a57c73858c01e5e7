"""Result files (docs/results.md) made of plain numbers."""
import base64
import json
import math
import struct

NAN = math.nan


def tensor(values, shape, kind="F32"):
    letters = {"F32": "f", "F64": "d", "I64": "q"}[kind]
    data = struct.pack(f"<{len(values)}{letters}", *values)
    header = json.dumps({"attribution": {"dtype": kind, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    header += b" " * (-len(header) % 8)
    return base64.b64encode(struct.pack("<Q", len(header)) + header + data).decode()


def sequence(target, start, score, source=None, dims=(), step_scores=None, maps=None):
    """`score(part, row, step, *indices)` says every number; causal ones of the target that cannot be are NaN. `dims` are (name,
    size); the source has scores when it is given. `maps` are values and shapes by name."""
    steps = len(target) - start
    sizes = [size for _, size in dims]

    def part(name, rows):
        indices = [()]
        for size in sizes:
            indices = [(*index, i) for index in indices for i in range(size)]
        values = [NAN if name == "target" and row >= start + step else score(name, row, step, *index)
                  for row in range(rows) for step in range(steps) for index in indices]
        return tensor(values, [rows, steps, *sizes])

    def tokens(texts):
        return [{"__instance_type__": ["inseq.utils.typing", "TokenWithId"], "attributes": {"id": i, "token": text}}
                for i, text in enumerate(texts)]

    kind = "MultiDimensional" if dims else "Coarse"
    return {"__instance_type__": ["inseq.data.attribution", f"{kind}FeatureAttributionSequenceOutput"],
            "attributes": {"source": tokens(source or target[:start]), "target": tokens(target), "attr_pos_start": start,
                           "attr_pos_end": len(target), "target_attributions": part("target", len(target)),
                           "source_attributions": part("source", len(source)) if source else None, "sequence_scores": {name: tensor(values, shape) for name, (values, shape) in (maps or {}).items()},
                           "step_scores": {name: tensor(values, [steps], "F64") for name, values in (step_scores or {}).items()}},
            "whence": {"granularity": [name for name, _ in dims], "source_labels": [], "target_labels": [], "step_score_merges": {}}}


def write(path, sequences, **info):
    document = {"__instance_type__": ["inseq.data.attribution", "FeatureAttributionOutput"],
                "attributes": {"info": info, "sequence_attributions": sequences, "step_attributions": None}}
    write_document(path, document)


def context(output, sensitivities, selected, input_context=None, output_context=None, units=(), **info):
    """A context attribution. `selected` are (index, input scores, output scores, unit scores, contrast); `units` of the input
    context are (name, start, end)."""
    def of(tokens):
        return None if tokens is None else "".join(tokens).replace("\u0120", " ")

    def entry(index, input_scores, output_scores=None, unit_scores=None, contrast=None):
        return {"cti_idx": index, "cti_token": output[index], "cti_score": sensitivities[index],
                "contextual_output": of(output[:index + 1]), "contrast_token": contrast,
                "contextless_output": None if contrast is None else of([*output[:index], contrast]),
                "input_context_scores": input_scores, "output_context_scores": output_scores,
                "whence": {"input_unit_scores": unit_scores if unit_scores else [] if input_scores else None,
                           "output_unit_scores": [] if output_scores else None}}

    return {"input_context": of(input_context), "input_context_tokens": input_context, "output_context": of(output_context),
            "output_context_tokens": output_context, "output_current": of(output), "output_current_tokens": output,
            "cti_scores": sensitivities, "cci_scores": [entry(*choice) for choice in selected], "info": info,
            "whence": {"input_current": info.get("input_current_text", ""),
                       "input_context_units": None if input_context is None else
                       [{"name": name, "start": start, "end": end} for name, start, end in units],
                       "output_context_units": None if output_context is None else []}}


def write_document(path, document):
    path.write_text(json.dumps(document), encoding="utf-8")
