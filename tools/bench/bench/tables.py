"""Markdown tables of measurements."""
from bench import machine
from bench.sides import REFERENCE

MIB = 2 ** 20


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def number(value, digits=3):
    """Rounded to significant digits."""
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in text else text


def seconds(figures):
    extrapolated = f" (extrapolated, × {number(figures['factor'])})" if figures["factor"] != 1 else ""
    return number(figures["seconds"]) + extrapolated


def threads_title(threads):
    return f"#### {threads} thread{'s' * (threads > 1)}"


def peer(document):
    records = [record for record in document["records"] if record["method"] != "probability"]
    parts = [f"Machine: {machine.text(document['machine'])}"]
    for threads in sorted({record["threads"] for record in records}):
        measured = [(record, side, figures) for record in records if record["threads"] == threads
                    for side, figures in record["sides"].items() if side != REFERENCE]
        parts += [threads_title(threads), times(measured), agreements(measured), memories(measured)]
        differences = [[record["length"], name.replace("_", " "), number(value)]
                       for record in document["records"] if record["method"] == "probability" and record["threads"] == threads
                       for name, value in sorted(record["differences"].items())]
        parts.append(table(["text", "probabilities of the explained tokens", "largest difference"], differences))
    return "\n\n".join(part for part in parts if part) + "\n"


def name_of(record, dtype):
    return [record["method"], record["length"], dtype]


def times(measured):
    rows = []
    for record, dtype, figures in measured:
        reference = record["sides"].get(REFERENCE)
        if "error" in figures:
            rows.append(name_of(record, dtype) + ["not measured"] + [""] * 5)
            continue
        ratios = [f"**{number(reference[key] / figures[key])}**" if reference else "" for key in ("seconds", "cpu_seconds")]
        rows.append(name_of(record, dtype) + [seconds(reference) if reference else "", seconds(figures), *ratios,
                                              throughput(record, reference) if reference else "", throughput(record, figures)])
    return table(["method", "text", "dtype", "reference, s", "whence, s", "time ratio", "CPU time ratio", "reference", "whence"],
                 rows)


def throughput(record, figures):
    """Explained tokens a second, or texts of a data set."""
    amount, unit = (record["texts"], "texts") if record["texts"] > 1 else (record["steps"], "tokens")
    return f"{number(amount / figures['seconds'])} {unit}/s"


def agreements(measured):
    rows = []
    for record, dtype, figures in measured:
        for other in (REFERENCE, "float32"):
            found = figures.get(f"against_{other}")
            if found:
                rows.append(name_of(record, dtype) + ["the reference" if other == REFERENCE else "float32",
                                                      f"{found['max_error']:.1e}", f"{found['cosine']:.6f}",
                                                      f"{found['spearman']:.6f}"])
    return rows and table(["method", "text", "dtype", "scores against", "largest error", "cosine", "Spearman"], rows)


def memories(measured):
    rows = []
    for record, dtype, figures in measured:
        reference = record["sides"].get(REFERENCE, {})
        if "peak_bytes" in figures:
            cells = [number(side[key] / MIB) if key in side else "" for key in ("growth_bytes", "peak_bytes")
                     for side in (reference, figures)]
            rows.append(name_of(record, dtype) + cells)
    return rows and table(["method", "text", "dtype", "growth, MiB: reference", "whence", "peak, MiB: reference", "whence"],
                          rows)


def kernels(document):
    parts = [f"Machine: {machine.text(document['machine'])}"]
    for record in document["records"]:
        products = [one for one in record["measurements"] if one["what"] == "product"]
        parts += [threads_title(record["threads"]), product_rates(products), pass_rates(record, products)]
    return "\n\n".join(parts) + "\n"


def product_rates(products):
    sizes = sorted({one["rows"] for one in products})
    rows = [[kernel, dtype] + [number(one["gflops"]) for size in sizes for one in products
                               if (one["kernel"], one["dtype"], one["rows"]) == (kernel, dtype, size)]
            for kernel, dtype in sorted({(one["kernel"], one["dtype"]) for one in products}, key=lambda key: key[::-1])]
    return table(["product, GFLOP/s", "dtype", *(f"{size} rows" for size in sizes)], rows)


def pass_rates(record, products):
    peaks = {dtype: max(one["gflops"] for one in products if one["dtype"] == dtype) for dtype in ("float32", "bfloat16")}
    rows = []
    passes = [one for one in record["measurements"] if one["what"] != "product"]
    for forward, backward in zip(passes[::2], passes[1::2], strict=True):
        cells = [forward["dtype"], forward["rows"], forward["steps"]]
        for one in (forward, backward):
            rounded = one["dtype"] == "bfloat16" or (one["dtype"], one["what"]) == ("mixed", "backward")
            cells += [number(one["flops"] / one["gflops"] / 1e6), number(one["gflops"]),
                      f"{one['gflops'] / peaks['bfloat16' if rounded else 'float32']:.0%}"]
        rows.append(cells)
    rows += [[dtype, "not measured"] + [""] * 7 for dtype in record["failures"]]
    return table([f"{record['name']}, dtype", "rows", "steps", "forward, ms", "GFLOP/s", "of peak", "backward, ms", "GFLOP/s",
                  "of peak"], rows)


def scaling(document):
    rows = []
    for record in document["records"]:
        cells = [record["method"], f"{record['varied']} = {record[record['varied']]}"]
        if "error" in record:
            rows.append(cells + ["not measured"] + [""] * 5)
            continue
        work, expected = record["work"], record["expected"]
        rows.append(cells + [work["forward_rows"], expected["forward"], work["backward_rows"], expected["backward"],
                             work["forward_passes"] + work["backward_passes"], number(1e3 * record["seconds"])])
    rows.sort(key=lambda row: row[0])  # stable: what varies stays in its order
    return table(["method", "varied", "forward rows", "by the formula", "backward rows", "by the formula", "passes", "ms"],
                 rows) + "\n"
