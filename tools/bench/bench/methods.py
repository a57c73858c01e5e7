"""The methods that whence and the reference toolkit have in common, and how both are asked for the same."""
import dataclasses
from collections.abc import Callable

NODES = 50
FEW_NODES = 5


@dataclasses.dataclass(frozen=True)
class Method:
    """`whence` is how an experiment names it, `reference` its name there."""
    whence: dict
    reference: str
    reductions: tuple = ()  # of the dimensions that a result has beyond one score a token, last first
    path: bool = False  # takes n_steps nodes
    gradients: bool = True  # has a backward pass, so that mixed precision makes a difference
    lengths: tuple = ("short", "long")
    # Where whole runs take hours. Of the reference, lengths at which the step in the middle stands for all, by `rows`: the
    # rows (tokens) of the passes that explain the token at position t. Of whence, lengths at which few nodes stand for all.
    one_step: tuple = ()
    rows: Callable = None
    few_nodes: tuple = ()


SEQUENTIAL = Method({"sequential_integrated_gradients": {}}, "sequential_integrated_gradients", ("vnorm",),
                    path=True, lengths=("short",), one_step=("short",), rows=lambda t: t * t, few_nodes=("short",))
METHODS = {
    "saliency": Method({"saliency": {}}, "saliency", ("vnorm",), lengths=("short", "long", "dataset")),
    "input_x_gradient": Method({"input_x_gradient": {}}, "input_x_gradient", ("vnorm",)),
    "integrated_gradients": Method({"integrated_gradients": {}}, "integrated_gradients", ("vnorm",), path=True,
                                   one_step=("long",), rows=lambda t: t, few_nodes=("long",)),
    "occlusion": Method({"occlusion": {"compat": "reference"}}, "occlusion", gradients=False, one_step=("long",),
                        rows=lambda t: t * (t + 1)),
    "attention": Method({"attention": {}}, "attention", ("mean", "mean"), gradients=False),
    "value_zeroing": Method({"value_zeroing": {}}, "value_zeroing", ("mean",), gradients=False),
    "sequential_integrated_gradients": SEQUENTIAL,
    # A difference of two scores for each token: without a path there are no nodes to save.
    "sequential_integrated_gradients_sum": dataclasses.replace(SEQUENTIAL, reductions=("sum",), few_nodes=()),
}
LENGTHS = ("short", "long", "dataset")
