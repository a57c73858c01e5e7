"""How far two attributions of the same steps are apart."""
import math


def columns(scores):
    """Scores of every step, [rows][steps] to lists without the tokens that a step cannot see."""
    return [[value for value in column if value is not None] for column in zip(*scores)]


def ranks(values):
    """Ranks from 1 on; equal values share their mean rank."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for index in order[first:last + 1]:
            result[index] = 1 + (first + last) / 2
        first = last + 1
    return result


def cosine(a, b):
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b)) / lengths if lengths > 0 else float(a == b)


def spearman(a, b):
    """Cosine of the centred ranks."""
    middle = (len(a) + 1) / 2
    return cosine([rank - middle for rank in ranks(a)], [rank - middle for rank in ranks(b)])


def agreement(expected, found):
    """Worst figures over all steps of all sequences: `max_error` is the largest difference of a step's scores, as a part of
    its largest score; `cosine` and `spearman` compare the scores of a step."""
    worst = {"max_error": 0.0, "cosine": 1.0, "spearman": 1.0}
    for one, other in zip(expected, found, strict=True):
        for a, b in zip(columns(one["scores"]), columns(other["scores"]), strict=True):
            largest = max(map(abs, a))
            error = max(abs(x - y) for x, y in zip(a, b, strict=True))
            worst["max_error"] = max(worst["max_error"], error / largest if largest > 0 else error)
            worst["cosine"] = min(worst["cosine"], cosine(a, b))
            worst["spearman"] = min(worst["spearman"], spearman(a, b))
    return worst


def largest_difference(expected, found, step_score):
    """Of a step score, over all steps of all sequences."""
    return max(abs(a - b) for one, other in zip(expected, found, strict=True)
               for a, b in zip(one["step_scores"][step_score], other["step_scores"][step_score], strict=True))
