"""usage: bench_test.py BUILD_FOLDER [options of unittest]"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BENCH = ROOT / "tools/bench"
MODEL = ROOT / "tests/data/cases/models/llama"
BUILD = pathlib.Path(sys.argv.pop(1)).absolute()
sys.path.insert(0, str(BENCH))
sys.dont_write_bytecode = True

from bench import compare, flops, formulas, results, tables, workers  # noqa: E402


def run(command, *options, model=MODEL):
    """Runs a benchmark; what it prints, and the records it stores."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "numbers/out.json"
        words = [BENCH / command, "--build", BUILD, *(["--model", model] if model else []), "--output", file, *options]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout, json.loads(file.read_text(encoding="utf-8"))


def rows(table_text):
    """Cells of every line of every table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table_text.splitlines() if line.startswith("|")]


class Peer(unittest.TestCase):
    def test_measures_whence_alone(self):
        text, document = run("peer", "--whence-only", "--lengths", "short", "--methods", "saliency", "occlusion",
                             "--dtypes", "float32", "mixed", "bfloat16", "--repetitions", "2")
        by_method = {record["method"]: record for record in document["records"]}
        self.assertEqual(by_method.keys(), {"probability", "saliency", "occlusion"})
        for record in (by_method["saliency"], by_method["occlusion"]):
            self.assertEqual((record["length"], record["threads"], record["texts"]), ("short", 1, 1))
            # A method without a backward pass has nothing to mix.
            mixed = ["mixed"] if record["method"] == "saliency" else []
            self.assertEqual(list(record["sides"]), ["float32", *mixed, "bfloat16"])
            for dtype in [*mixed, "bfloat16"]:
                self.assertGreater(record["sides"][dtype]["against_float32"]["cosine"], 0.9)
            figures = record["sides"]["float32"]
            self.assertEqual((figures["repetitions"], figures["factor"]), (2, 1))
            self.assertGreater(figures["seconds"], 0)
            self.assertGreater(figures["cpu_seconds"], 0)
            self.assertGreater(figures["peak_bytes"], figures["growth_bytes"])
        self.assertIn(["saliency", "short", "float32"], [row[:3] for row in rows(text)])

    def test_a_row_tells_of_what_could_not_be_measured(self):
        failed, measured = {"error": "unknown dtype"}, {"seconds": 2.0, "cpu_seconds": 4.0, "factor": 10}
        record = {"method": "saliency", "length": "short", "texts": 1, "steps": 7,
                  "sides": {"reference": {"seconds": 8.0, "cpu_seconds": 8.0, "factor": 1}}}
        head, line, bad, good = rows(tables.times([(record, "mixed", failed), (record, "float32", measured)]))
        self.assertEqual({len(head), len(line), len(bad), len(good)}, {9})
        self.assertEqual(bad[:4], ["saliency", "short", "mixed", "not measured"])
        self.assertEqual(good[3:], ["8", "2 (extrapolated, × 10)", "**4**", "**2**", "0.875 tokens/s", "3.5 tokens/s"])


class Kernels(unittest.TestCase):
    def test_measures_products_and_passes(self):
        text, document = run("kernels", "--quick", "--repetitions", "1", "--dtypes", "float32", "float8")
        [record] = document["records"]
        self.assertEqual(record["failures"].keys(), {"float8"})
        kinds = [(one["what"], one["dtype"]) for one in record["measurements"]]
        kernels = len({one["kernel"] for one in record["measurements"] if one["what"] == "product"})
        self.assertEqual(kinds, [("product", "float32")] * kernels + [("product", "bfloat16")] * kernels
                         + [("forward", "float32"), ("backward", "float32")])
        for one in record["measurements"]:
            self.assertGreater(one["gflops"], 0)
        self.assertEqual({len(row) for row in rows(text)}, {3, 9})

    def test_operations_of_a_pass(self):
        # One block: every row is explained, so all of them go everywhere.
        facts = {"layers": 1, "hidden": 4, "vocabulary": 10, "parameters": 10 * 4 + 3 * 4 + 100}
        weights, head, pair = 100, 10 * 4, 4
        self.assertEqual(flops.block_weights(facts, tied=True), weights)
        self.assertEqual(flops.of_pass("forward", 3, 3, facts, True), 2 * 3 * (weights + head) + 2 * 2 * pair * (1 + 2 + 3))
        # A step reads one row of the last block, so no other row of it has a cotangent.
        self.assertEqual(flops.of_pass("backward", 3, 2, facts, True), 2 * 2 * (weights + head) + 4 * 2 * pair * (2 + 3))


class Scaling(unittest.TestCase):
    def test_counts_rows(self):
        methods = ["saliency", "integrated_gradients", "occlusion"]
        text, document = run("scaling", "--quick", "--repetitions", "1", "--methods", *methods, model=None)
        self.assertEqual({record["method"] for record in document["records"]}, set(methods))
        for record in document["records"]:
            counted = record["work"]["forward_rows"], record["work"]["backward_rows"]
            self.assertEqual(counted, tuple(record["expected"].values()), record)
        saliency = [record for record in document["records"] if record["method"] == "saliency"]
        self.assertEqual({record["varied"] for record in saliency}, {"tokens", "steps", "layers", "hidden"})
        self.assertEqual(len(rows(text)), 2 + len(document["records"]))

    def test_formulas(self):
        # Rows 0 to 3 predict something; the steps see 3 and 4 of them.
        size = formulas.Size(tokens=5, steps=2, nodes=10)
        self.assertEqual(formulas.gradient(size), formulas.Rows(4, 3 + 4))
        self.assertEqual(formulas.occlusion(size), formulas.Rows(4 + 4 + 3 + 2 + 1))
        self.assertEqual(formulas.sequential_integrated_gradients(size).backward, 10 * (3 + 4 + 2 + 3 + 1 + 2 + 0 + 1))


class Worker(unittest.TestCase):
    def worker(self):
        return workers.Worker([BUILD / "bin/whence_bench"])

    def request(self, **changes):
        return {"model": {"path": str(MODEL)}, "inputs": {"text": "the man", "generated": "the man said that"},
                "attributions": {"method": "input_x_gradient"}} | changes

    def test_answers_one_request_after_another(self):
        with self.worker() as worker:
            answer = worker.ask(self.request())
            [sequence] = answer["sequences"]
            steps = range(sequence["start"], sequence["end"])
            self.assertEqual(len(sequence["scores"]), sequence["end"])
            for row, scores in enumerate(sequence["scores"]):
                self.assertEqual([score is not None for score in scores], [row < step for step in steps])
            self.assertEqual(worker.ask(self.request())["sequences"], answer["sequences"])

    def test_names_what_is_wrong_and_goes_on(self):
        with self.worker() as worker:
            with self.assertRaisesRegex(workers.RequestFailed, "unknown method 'salience'; did you mean 'saliency'"):
                worker.ask(self.request(attributions={"method": "salience"}))
            with self.assertRaisesRegex(workers.RequestFailed, "found 2 attributions; expected one"):
                worker.ask(self.request(attributions=[{"method": "saliency"}, {"method": "occlusion"}]))
            with self.assertRaisesRegex(workers.RequestFailed, "still has the dimension 'hidden'"):
                worker.ask(self.request(attributions={"method": "saliency", "aggregation": []}))
            worker.ask(self.request())


class Compare(unittest.TestCase):
    def test_ranks_share_ties(self):
        self.assertEqual(compare.ranks([3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0])

    def test_worst_step_counts(self):
        expected = [{"scores": [[1.0, 2.0], [2.0, 4.0], [None, 3.0]]}]
        found = [{"scores": [[1.0, 3.0], [2.0, 2.0], [None, 3.5]]}]
        worst = compare.agreement(expected, found)
        self.assertAlmostEqual(worst["max_error"], 2 / 4)
        self.assertAlmostEqual(worst["spearman"], -0.5)
        self.assertLess(worst["cosine"], 1)
        same = compare.agreement(expected, expected)
        self.assertEqual(same["max_error"], 0)
        self.assertAlmostEqual(same["cosine"], 1)
        self.assertAlmostEqual(same["spearman"], 1)

    def test_steps_must_be_the_same(self):
        with self.assertRaises(ValueError):
            compare.agreement([{"scores": [[1.0, 2.0]]}], [{"scores": [[1.0]]}])


class Results(unittest.TestCase):
    def test_new_records_replace_their_own_kind(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "out.json"
            results.store(file, [{"name": "a", "value": 1}, {"name": "b", "value": 1}], key=("name",))
            document = results.store(file, [{"name": "b", "value": 2}], key=("name",))
            self.assertEqual(document["records"], [{"name": "a", "value": 1}, {"name": "b", "value": 2}])
            self.assertEqual(json.loads(file.read_text(encoding="utf-8")), document)


if __name__ == "__main__":
    unittest.main()
