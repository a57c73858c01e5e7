"""The two that are measured: a worker of each, and what it is asked."""
import dataclasses
import pathlib

from bench import environment
from bench.methods import NODES
from bench.workers import Worker

REFERENCE = "reference"
LONG_TEXT = 200  # characters of a prompt


@dataclasses.dataclass(frozen=True)
class Settings:
    """What both sides are told about every run."""
    model: pathlib.Path  # a GGUF file
    build: pathlib.Path
    threads: int
    batch_size: int
    memory: str  # budget of a pass of whence


class Whence(Worker):
    """whence, through whence_bench, computing with one dtype."""

    def __init__(self, settings, dtype):
        # Threads wait as those of the whence tool.
        super().__init__([environment.program("whence_bench", settings.build)], {"OMP_WAIT_POLICY": "passive"})
        self.settings, self.name = settings, dtype

    def another(self):
        return Whence(self.settings, self.name)

    def request(self, method, texts, nodes=NODES, step=None, step_scores=(), model=None):
        [(name, params)] = method.whence.items()
        if method.path:
            params = params | {"n_steps": nodes}
        aggregation = [{reduction: {"normalize": False}} for reduction in method.reductions]
        attribution = {"method": name, "params": params, "step_scores": list(step_scores), "aggregation": aggregation}
        span = {} if step is None else {"start": step, "end": step + 1}
        return {"model": {"path": str((model or self.settings.model).absolute()), "dtype": self.name},
                "inputs": [{"text": prompt, "generated": prompt + rest} | span for prompt, rest in texts],
                "attributions": attribution, "threads": self.settings.threads, "memory": self.settings.memory,
                "batch_size": self.settings.batch_size}


class Reference(Worker):
    """The reference toolkit, through reference_worker.py."""

    name = REFERENCE

    def __init__(self, settings):
        folder = environment.set_up_reference(settings.model)
        script = environment.BENCH / "bench/reference_worker.py"
        super().__init__([environment.PYTHON, script, folder, settings.threads])
        self.settings = settings

    def another(self):
        return Reference(self.settings)

    def request(self, method, texts, step=None, step_scores=()):
        params = {}
        if method.path:
            params["n_steps"] = NODES
            if len(texts[0][0]) > LONG_TEXT:
                params["internal_batch_size"] = 10  # all nodes in one pass would take 16 GB
        span = {} if step is None else {"start": step, "end": step + 1}
        return {"method": method.reference, "params": params, "reductions": method.reductions,
                "texts": [[prompt, prompt + rest] for prompt, rest in texts], "step_scores": list(step_scores),
                "batch_size": self.settings.batch_size} | span
