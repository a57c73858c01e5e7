"""Rows (tokens) that go through the blocks of the model for one text: what a method costs, by what it has to compute.

A text of `tokens` tokens whose last `steps` are explained, by methods that take `nodes` nodes.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Rows:
    forward: int
    backward: int = 0


@dataclasses.dataclass(frozen=True)
class Size:
    tokens: int
    steps: int
    nodes: int

    @property
    def rows(self):
        """The last token predicts nothing that is explained."""
        return self.tokens - 1

    @property
    def seen(self):
        """Rows that each step sees."""
        return range(self.tokens - self.steps, self.tokens)

    def changed(self, first):
        """Rows of a text that is changed at row `first`; those before are shared with the unchanged text."""
        return self.rows - first

    def carried(self, first=0):
        """Rows times the steps that are carried through them, down to row `first`."""
        return sum(max(0, seen - first) for seen in self.seen)


def gradient(size):
    return Rows(size.rows, size.carried())


def integrated_gradients(size):
    # Both ends of the path, for the completeness gap.
    return Rows((size.nodes + 2) * size.rows, size.nodes * size.carried())


def occlusion(size):
    return Rows(size.rows + sum(map(size.changed, range(size.rows))))


def sequential_integrated_gradients(size):
    rows = range(size.rows)
    # One end of every path is the text itself.
    return Rows(size.rows + (size.nodes + 1) * sum(map(size.changed, rows)), size.nodes * sum(map(size.carried, rows)))


FORMULAS = {
    "saliency": gradient,
    "input_x_gradient": gradient,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
    # Captures are made to the end of the text.
    "attention": lambda size: Rows(size.tokens),
    # In each layer a row for each step and each token that it sees.
    "value_zeroing": lambda size: Rows(size.rows + size.carried()),
    "sequential_integrated_gradients": sequential_integrated_gradients,
    "sequential_integrated_gradients_sum": occlusion,
}
