"""What a measurement was made on."""
import os
import pathlib
import subprocess

from bench import environment

FEATURES = {"AVX2": "avx2", "AVX512": "avx512f", "AVX512_BF16": "avx512_bf16", "AMX_BF16": "amx_bf16"}


def facts():
    info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    lines = dict(map(str.strip, line.split(":", 1)) for line in info.splitlines() if ":" in line)
    flags = lines.get("flags", "").split()
    return {"processor": lines.get("model name", "unknown"), "processors": len(os.sched_getaffinity(0)),
            "features": {name: flag in flags for name, flag in FEATURES.items()}}


def text(machine):
    """One sentence for a report."""
    features = ", ".join(f"{name}: {'yes' if has else 'no'}" for name, has in machine["features"].items())
    return f"{machine['processor']}, {machine['processors']} processors ({features})"


def revision():
    """Commit that was measured; "+" stands for changes that are not committed."""
    words = ["git", "-C", str(environment.ROOT), "describe", "--always", "--dirty=+", "--abbrev=10"]
    found = subprocess.run(words, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"
