"""usage: serve_test.py WHENCE SOURCE_DIR MODELS_DIR [options of unittest]

The API of `whence serve` with a small checkpoint, and once with the real model of the quick start.
"""
import json
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True

from client import Events, Server  # noqa: E402

WHENCE, SOURCE, MODELS = (pathlib.Path(sys.argv.pop(1)).absolute() for _ in range(3)) if len(sys.argv) > 3 else (None,) * 3
TINY = SOURCE / "tests/data/models/architectures/gpt2" if SOURCE else None
OPENAPI = json.loads((SOURCE / "docs/openapi.json").read_text(encoding="utf-8")) if SOURCE else None

ATTRIBUTE = {"kind": "attribute", "text": "w1 w2", "generation": {"max_new_tokens": 3}}
CONTEXT = {"kind": "context", "context": "w1 w2 w3 w4", "current": "w5 w6", "generation": {"max_new_tokens": 4}}


def serve(*options, model=None):
    return Server([WHENCE, "serve", model or TINY, "--port", "0", "--quiet", "--threads", "1", *options])


class Conforms:
    """Checks answers against the schemas of the OpenAPI document, as far as it uses JSON Schema."""

    def __init__(self, case):
        self.case = case

    def check(self, value, schema, path="$"):
        if "$ref" in schema:
            return self.check(value, OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]], path)
        if "oneOf" in schema:
            if mapping := schema.get("discriminator", {}).get("mapping"):
                return self.check(value, {"$ref": mapping[value["kind"]]}, path)
            return self.case.assertTrue(any(self.fits(value, one) for one in schema["oneOf"]), (path, value))
        types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
        if "type" in schema:
            self.case.assertIsInstance(value, types[schema["type"]], path)
        if "enum" in schema:
            self.case.assertIn(value, schema["enum"], path)
        if schema.get("type") == "object" and "properties" in schema:
            self.case.assertLessEqual(set(schema.get("required", [])), set(value), path)
            if path == "$" or path.startswith("$["):  # every field that is answered is documented
                self.case.assertLessEqual(set(value), set(schema["properties"]), path)
            for name, part in value.items():
                self.check(part, schema["properties"].get(name, {}), f"{path}.{name}")
        if schema.get("type") == "array" and "items" in schema:
            for i, item in enumerate(value):
                self.check(item, schema["items"], f"{path}[{i}]")

    def fits(self, value, schema):
        try:
            self.check(value, schema, "inner")
            return True
        except AssertionError:
            return False


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = serve("--max-tokens", "20", "--max-body", "5000", "--queue", "3")
        cls.addClassCleanup(cls.server.kill)

    def submit(self, request):
        return self.server.call("POST", "/api/jobs", request)

    def run_job(self, request):
        answer = self.submit(request)
        self.assertEqual(answer.status, 202, answer.text)
        self.assertEqual(answer.headers["Location"], f"/api/jobs/{answer.json['id']}")
        return self.server.wait_for(answer.json["id"])

    def conforms(self, answer, path, method="get"):
        content = OPENAPI["paths"][path][method]["responses"][str(answer.status)]["content"]
        self.assertIn(answer.headers["Content-Type"], content)
        Conforms(self).check(answer.json, content["application/json"]["schema"])

    def test_facts_are_as_documented(self):
        for path in OPENAPI["paths"]:
            if path.startswith("/api/") and "{" not in path and "get" in OPENAPI["paths"][path]:
                with self.subTest(path=path):
                    self.conforms(self.server.call("GET", path), path)
        self.assertEqual(self.server.get("/openapi.json"), OPENAPI)
        self.assertEqual(self.server.get("/api/model")["class_name"], "GPT2LMHeadModel")
        self.assertEqual(self.server.get("/api/server")["max_tokens"], 20)
        self.assertIn("saliency", [method["name"] for method in self.server.get("/api/methods")])

    def test_every_documented_route_is_there(self):
        job = self.run_job(ATTRIBUTE)["id"]
        for path, item in OPENAPI["paths"].items():
            for method in ("get", "post", "delete"):
                with self.subTest(path=path, method=method):
                    answer = self.server.call(method.upper(), path.replace("{id}", job), ATTRIBUTE if method == "post" else None)
                    if method not in item:
                        self.assertEqual(answer.status, 405)
                        self.assertNotIn(method.upper(), answer.headers["Allow"])
                    else:
                        self.assertIn(str(answer.status), item[method]["responses"])
                        self.assertLess(answer.status, 300)

    def test_every_documented_field_is_taken(self):
        """An unknown field is refused, so a known one of the wrong type is refused in another way."""
        schemas = OPENAPI["components"]["schemas"]
        for name, base in (("AttributeRequest", ATTRIBUTE), ("ContextRequest", CONTEXT)):
            fields = [(field,) for field in schemas[name]["properties"] if field != "kind"]
            fields += [(part, field) for part in ("sensitivity", "attribution", "cues")
                       for field in schemas[name]["properties"].get(part, {}).get("properties", {})]
            for path in fields:
                with self.subTest(kind=name, field=path):
                    request = json.loads(json.dumps(base))
                    part = request
                    for key in path[:-1]:
                        part = part.setdefault(key, {"method": "saliency"} if key == "attribution" else {})
                    part[path[-1]] = [{"x": [1.5]}]
                    answer = self.submit(request)
                    self.assertEqual(answer.status, 422, answer.text)
                    self.assertNotIn("unknown key", answer.text)
                    part["wrong" + path[-1]] = part.pop(path[-1])
                    self.assertIn("unknown key", self.submit(request).text)

    def test_requests_that_cannot_be_done(self):
        for change, status, place, text in (
                ({"kind": "attibute"}, 422, "kind", "unknown kind of job 'attibute'; did you mean 'attribute'?"),
                ({"txt": "a"}, 422, "txt", "unknown key 'txt'; did you mean 'text'?"),
                ({"method": "salience"}, 422, "method", "unknown method 'salience'; did you mean 'saliency'?"),
                ({"method": {"saliency": {"x": 1}}}, 422, "method.saliency.x", "unknown parameter of method 'saliency' 'x'"),
                ({"attributed_function": 7}, 422, "attributed_function", "expected the name of a step function"),
                ({"text": ""}, 422, "", "the text is empty"),
                ({"text": 7}, 422, "text", "text: expected text, found integer"),
                ({"generation": {"max_new_tokens": 0}}, 422, "generation.max_new_tokens", "max_new_tokens"),
                ({"generation": {"max_new_tokens": 10 ** 9}}, 422, "", "this server takes 20 tokens a job (--max-tokens)"),
                ({"generation": {"max_new_tokens": 3, "num_beams": 1000}}, 422, "", "this server takes 20 tokens a job"),
                ({"text": "a " * 100}, 422, "", "shorten the texts or lower max_new_tokens"),
                ({"chat": {"template_file": "/etc/passwd"}}, 422, "chat", "chat: expected true or false, found mapping"),
                ({"attributed_function": "contrast_prob_diff", "contrast_target": "w1 w2 w3", "contrast_alignment": {"model": "/etc"}}, 422, "contrast_alignment.model",
                 "alignments by states need a second model"),
                ({"seed": -1}, 422, "seed", "seed"),
        ):
            with self.subTest(change=change):
                answer = self.submit(ATTRIBUTE | change)
                self.assertEqual(answer.status, status, answer.text)
                self.conforms(answer, "/api/jobs", "post")
                self.assertEqual(answer.json["error"]["status"], status)
                self.assertEqual(answer.json["error"]["place"].split(":")[0], place, answer.text)
                self.assertIn(text, answer.json["error"]["message"])
        for body, text in (([], "body: expected a JSON object, found list"), ({}, "kind"), (None, "no valid JSON"),
                           ({"kind": "context", "current": "a", "context": ""}, "context"),
                           (CONTEXT | {"input_template": "w7"}, "has no {current}"),
                           (CONTEXT | {"output_template": "{context} {current}", "output_context_strategy": "pre"}, "no output context"),
                           (CONTEXT | {"sensitivity": {"std": "many"}}, "sensitivity.std: expected a number"),
                           (CONTEXT | {"cues": {"units": "chapter"}}, "unknown kind of unit 'chapter'")):
            with self.subTest(body=body):
                answer = self.server.call("POST", "/api/jobs", body if body is not None else b"{", {"Content-Type": "application/json"})
                self.assertIn(answer.status, (400, 422), answer.text)
                self.assertIn(text, answer.json["error"]["message"])

    def test_limits_of_requests(self):
        answer = self.submit(ATTRIBUTE | {"text": "w1" * 6000})
        self.assertEqual((answer.status, answer.json["error"]["place"]), (413, "body"))
        self.assertIn("more than 5000 bytes", answer.json["error"]["message"])
        answer = self.server.call("GET", "/api/jobs/" + "0" * 32)
        self.assertEqual(answer.status, 404)
        self.conforms(answer, "/api/jobs/{id}")

    def test_attribution(self):
        answer = self.submit(ATTRIBUTE | {"method": {"integrated_gradients": {"n_steps": 4}}, "step_scores": ["entropy"]})
        self.conforms(answer, "/api/jobs", "post")
        names = [event.name for event in Events(self.server, answer.json["id"]).all()]
        self.assertEqual([name for name in names if name not in ("warning", "progress")], ["queued", "phase", "phase", "phase", "result"])
        self.assertIn("progress", names)
        state = self.server.call("GET", f"/api/jobs/{answer.json['id']}")
        self.conforms(state, "/api/jobs/{id}")
        result = self.server.get(state.json["result"]["json"])["attributes"]
        self.assertEqual(result["info"]["attribution_method"], "integrated_gradients")
        self.assertEqual(result["info"]["generation_args"]["max_new_tokens"], 3)
        page = self.server.call("GET", state.json["result"]["html"])
        self.assertIn("<h1>integrated_gradients of probability", page.text)

    def test_results_are_those_of_the_command_line(self):
        state = self.run_job(ATTRIBUTE | {"method": "input_x_gradient"})
        served = self.server.get(state["result"]["json"])
        printed = subprocess.run([WHENCE, "attribute", "-m", TINY, "-i", "w1 w2", "-a", "input_x_gradient", "--generation-kwargs",
                                  '{"max_new_tokens": 3}', "--json", "--quiet", "--threads", "1"], capture_output=True, check=True)
        expected = json.loads(printed.stdout)
        self.assertEqual(served["attributes"]["sequence_attributions"], expected["attributes"]["sequence_attributions"])

    def test_context(self):
        answer = self.submit(CONTEXT | {"cues": {"units": "word"}, "attribution": {"method": "attention"}})
        self.conforms(answer, "/api/jobs", "post")
        events = Events(self.server, answer.json["id"]).all()
        self.assertEqual(events[-1].name, "result", events[-1].data)
        self.assertIn("sensitivity", [event.data["phase"] for event in events if event.name == "phase"])
        result = self.server.get(events[-1].data["json"])
        self.assertEqual((result["input_context"], result["whence"]["input_current"]), ("w1 w2 w3 w4", "w5 w6"))
        self.assertEqual(len(result["cti_scores"]), len(result["output_current_tokens"]))
        self.assertIn("<!doctype html>", self.server.call("GET", events[-1].data["html"]).text)

    def test_documented_examples_can_be_done(self):
        for example in self.server.get("/api/examples"):
            with self.subTest(name=example["name"]):
                Conforms(self).check(example["request"], {"$ref": "#/components/schemas/Request"})

    def test_answers_keep_browsers_from_doing_more(self):
        job = self.run_job(ATTRIBUTE)
        for path in ("/", "/page/serve.js", "/api/model", "/nowhere", job["result"]["html"], job["result"]["json"]):
            with self.subTest(path=path):
                headers = self.server.call("GET", path).headers
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(headers["Cross-Origin-Resource-Policy"], "same-origin")
                self.assertEqual(headers["Cache-Control"], "no-store")
                self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertIn("sandbox allow-scripts", self.server.call("GET", job["result"]["html"]).headers["Content-Security-Policy"])
        self.assertIn("frame-ancestors 'none'", self.server.call("GET", "/").headers["Content-Security-Policy"])

    def test_cancelling_wherever_a_job_is(self):
        """After the cancel of every phase, and of jobs that wait, the next job works."""
        slow = ATTRIBUTE | {"generation": {"max_new_tokens": 15, "min_new_tokens": 15}, "method": {"integrated_gradients": {"n_steps": 500}}}
        slow_context = CONTEXT | {"generation": {"max_new_tokens": 10, "min_new_tokens": 10}, "sensitivity": {"std": -10},
                                  "attribution": {"method": {"integrated_gradients": {"n_steps": 500}}}}
        for request, phase in ((slow, "generating"), (slow, "attributing"), (slow_context, "output"), (slow_context, "cues")):
            with self.subTest(phase=phase):
                running, waiting = self.submit(request).json["id"], self.submit(ATTRIBUTE).json["id"]
                events = Events(self.server, running)
                while (event := events.next()) and not (event.name == "phase" and event.data["phase"] == phase):
                    self.assertNotIn(event.name, ("result", "error"), event.data)
                self.server.call("DELETE", f"/api/jobs/{running}")
                last = events.all()[-1]
                self.assertEqual((last.name, last.data["error"]["message"]), ("cancelled", "the job was cancelled"))
                self.assertEqual(self.server.wait_for(waiting)["status"], "done")

    def test_a_full_queue_says_when_to_come_back(self):
        slow = ATTRIBUTE | {"generation": {"max_new_tokens": 15, "min_new_tokens": 15}, "method": {"integrated_gradients": {"n_steps": 500}}}
        answers = [self.submit(slow) for _ in range(6)]
        self.assertEqual([answer.status for answer in answers][:3] + [answers[-1].status], [202, 202, 202, 503])
        self.assertIn("all 3 places of the queue are taken", answers[-1].json["error"]["message"])
        self.assertGreaterEqual(int(answers[-1].headers["Retry-After"]), 1)
        for answer in answers:
            if answer.status == 202:
                self.server.call("DELETE", f"/api/jobs/{answer.json['id']}")
                self.server.wait_for(answer.json["id"])


class Command(unittest.TestCase):
    def fails(self, *words):
        done = subprocess.run([WHENCE, "serve", *words], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    def test_bad_usage(self):
        for words, status, text in (
                ([], 2, "the model is missing"),
                ([TINY, "--port", "70000"], 2, "--port: 70000 is not between 0 and 65535"),
                ([TINY, "--queue", "-1"], 2, "--queue: -1 is not between 0 and 10000"),
                ([TINY, "--host", "no.such.host.invalid", "--port", "0"], 2, "--host no.such.host.invalid, --port 0: cannot listen there"),
                ([SOURCE / "nowhere"], 4, "nowhere"),
        ):
            with self.subTest(words=words):
                found, errors = self.fails(*words)
                self.assertEqual(found, status, errors)
                self.assertIn(text, errors)

    def test_a_port_that_is_taken(self):
        server = serve()
        self.addCleanup(server.kill)
        status, errors = self.fails(TINY, "--port", str(server.port))
        self.assertEqual(status, 2)
        self.assertIn("cannot listen there: Address already in use; choose another port, or 0 for any free one", errors)

    def test_warns_where_others_can_reach_it(self):
        server = Server([WHENCE, "serve", TINY, "--port", "0", "--host", "0.0.0.0"])
        self.addCleanup(server.kill)
        status, errors = server.stop()
        self.assertEqual(status, 0)
        self.assertIn("warning: --host 0.0.0.0: whoever reaches this machine can use the model", errors)

    def test_a_signal_during_work(self):
        server = serve("--grace", "0")
        self.addCleanup(server.kill)
        job = server.call("POST", "/api/jobs", ATTRIBUTE | {"method": {"integrated_gradients": {"n_steps": 5000}}}).json["id"]
        events = Events(server, job)
        while events.next().name != "progress":
            pass
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(events.all()[-1].name, "cancelled")
        self.assertEqual(server.wait()[0], 0)

    def test_nothing_is_left_of_many_jobs(self):
        server = serve("--keep-jobs", "1")
        self.addCleanup(server.kill)
        for _ in range(20):
            job = server.call("POST", "/api/jobs", ATTRIBUTE).json["id"]
            Events(server, job).all()
        server.wait_until_idle(self)

    def test_with_the_real_model(self):
        model = next(MODELS.glob("*.gguf"))
        server = Server([WHENCE, "serve", model, "--port", "0", "--quiet"])
        self.addCleanup(server.kill)
        example = next(one for one in server.get("/api/examples") if "password" in one["name"])
        events = Events(server, server.call("POST", "/api/jobs", example["request"]).json["id"]).all()
        self.assertEqual(events[-1].name, "result", events[-1].data)
        result = server.get(events[-1].data["json"])
        self.assertIn("swordfish", result["output_current"])
        context, scores = result["input_context_tokens"], result["cci_scores"][0]["input_context_scores"]
        strongest = sorted(range(len(context)), key=lambda i: -scores[i])[:3]
        self.assertIn("\u0120sword", [context[i] for i in strongest])
        self.assertEqual(server.stop()[0], 0)


if __name__ == "__main__":
    unittest.main()
