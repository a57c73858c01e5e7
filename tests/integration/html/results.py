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


def sequence(target, start, score, source=None, dims=(), step_scores=None):
    """`score(part, row, step, *indices)` says every number; causal ones of the target that cannot be are NaN. `dims` are (name,
    size); the source has scores when it is given."""
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
                           "source_attributions": part("source", len(source)) if source else None, "sequence_scores": {},
                           "step_scores": {name: tensor(values, [steps], "F64") for name, values in (step_scores or {}).items()}},
            "whence": {"granularity": [name for name, _ in dims], "source_labels": [], "target_labels": [], "step_score_merges": {}}}


def write(path, sequences, **info):
    document = {"__instance_type__": ["inseq.data.attribution", "FeatureAttributionOutput"],
                "attributes": {"info": info, "sequence_attributions": sequences, "step_attributions": None}}
    path.write_text(json.dumps(document), encoding="utf-8")
