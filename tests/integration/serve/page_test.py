"""usage: page_test.py WHENCE SOURCE_DIR [options of unittest]

The page of `whence serve` in a real browser.
"""
import pathlib
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).parent.parent / "html"))

from browser import Browser  # noqa: E402
from client import Server  # noqa: E402

WHENCE, SOURCE = (pathlib.Path(sys.argv.pop(1)).absolute() for _ in range(2)) if len(sys.argv) > 2 else (None, None)

HOSTILE = "</script><script>parent.hurt = 1</script><img src=x onerror='hurt = 1'>\u202e \"'&amp;{{data}}"


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.downloads = pathlib.Path(folder.name)
        cls.browser = Browser(cls.downloads)
        cls.addClassCleanup(cls.browser.close)
        model = SOURCE / "tests/data/models/architectures/gpt2"
        cls.server = Server([WHENCE, "serve", model, "--port", "0", "--quiet", "--threads", "1"])
        cls.addClassCleanup(cls.server.kill)

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])
        self.assertIsNone(self.browser.run("return window.hurt ?? null"))

    def open(self, fragment=""):
        self.browser.call("/url", {"url": "about:blank"})
        self.browser.call("/url", {"url": self.server.url + fragment})
        self.until("return 'ready' in document.documentElement.dataset")

    def until(self, script, *arguments):
        until = time.monotonic() + 60
        while not self.browser.run(script, *arguments):
            self.assertLess(time.monotonic(), until, (script, self.browser.text("#error"), self.browser.text("#phase")))
            time.sleep(0.05)

    def write(self, name, value):
        self.browser.run("""
          const control = document.forms[0].elements[arguments[0]];
          control.value = arguments[1];
          (control instanceof RadioNodeList ? control[0] : control).dispatchEvent(new Event("change", {bubbles: true}))""", name, value)

    def value(self, name):
        return self.browser.run("return document.forms[0].elements[arguments[0]].value", name)

    def shown(self, selector):
        return self.browser.run("return document.querySelector(arguments[0]).checkVisibility()", selector)

    def in_report(self, script):
        """Runs a script in the frame of the report, which this page itself cannot reach."""
        self.browser.call("/frame", {"id": self.browser.find("#report")})
        try:
            return self.browser.run(script)
        finally:
            self.browser.call("/frame", {"id": None})

    def refused(self):
        """The browser itself notes an answer of 422 on its console, once."""
        self.assertIn("422", "".join(self.browser.complaints()))

    def watch_phases(self):
        self.browser.run("""
          window.seen = [];
          new MutationObserver(() => seen.push(document.getElementById("phase").textContent))
            .observe(document.getElementById("phase"), {childList: true})""")

    def test_context(self):
        self.open()
        self.assertIn("GPT2LMHeadModel", self.browser.text("h1"))
        self.write("context", "w1 w2 w3 w4")
        self.write("current", "w5 w6 " + HOSTILE)
        self.write("generation.max_new_tokens", "4")
        self.watch_phases()
        self.browser.click("#run")
        self.until("return !document.getElementById('result').hidden")
        self.assertTrue([text for text in self.browser.run("return seen") if text.startswith("sensitivity")])
        self.assertFalse(self.shown("#work"))
        self.until("return document.getElementById('report').src.endsWith('/result.html')")
        self.assertIn(HOSTILE.split("\u202e")[0], self.in_report("return document.body.textContent"))
        self.assertIsNone(self.in_report("return window.hurt ?? null"))
        self.assertEqual(self.in_report("return self.origin"), "null")
        for link in ("json", "html"):
            self.browser.click(f"#{link}")
            file = self.downloads / f"whence.{link}"
            for _ in range(100):
                if file.exists():
                    break
                time.sleep(0.05)
            self.assertGreater(file.stat().st_size, 100)

    def test_attribution_with_parameters(self):
        self.open()
        self.write("kind", "attribute")
        self.assertFalse(self.shown("[name='context']"))
        self.write("text", "w1 w2")
        self.write("method", "integrated_gradients")
        self.assertIn("n_steps", self.browser.text("#method-hint"))
        self.write("method_parameters", "n_steps: 0")
        self.browser.click("#run")
        self.until("return !document.getElementById('error').hidden")
        self.assertIn("n_steps", self.browser.text("#error"))
        self.refused()
        self.write("method_parameters", "n_steps: 4")
        self.browser.click("#run")
        self.until("return !document.getElementById('result').hidden")
        self.assertFalse(self.shown("#error"))
        self.assertIn("integrated_gradients", self.in_report("return document.querySelector('h1').textContent"))

    def test_cancel(self):
        self.open()
        self.write("kind", "attribute")
        self.write("text", "w1 w2")
        self.write("method", "integrated_gradients")
        self.write("method_parameters", "n_steps: 5000")
        self.browser.click("#run")
        self.until("return document.getElementById('phase').textContent.startsWith('attributing')")
        self.browser.click("#cancel")
        self.until("return !document.getElementById('error').hidden")
        self.assertEqual(self.browser.text("#error"), "the job was cancelled")
        self.assertFalse(self.browser.run("return document.getElementById('run').disabled"))

    def test_errors_are_shown_as_text(self):
        self.open()
        self.write("current", "a")
        self.write("context", "b")
        self.write("input_template", "<img src=x onerror='hurt = 1'>")
        self.browser.click("#run")
        self.until("return !document.getElementById('error').hidden")
        self.assertIn("input_template", self.browser.text("#error"))
        self.refused()
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img').length"), 0)

    def test_a_link_brings_the_form_back_and_runs_nothing(self):
        self.open()
        self.write("context", HOSTILE)
        self.write("current", "a & b = c\nd")
        self.write("cues.units", "sentence")
        self.write("sensitivity.std", "0.5")
        self.browser.click("#share")
        self.until("return document.getElementById('shared').textContent !== ''")
        address = self.browser.run("return location.href")
        self.assertEqual(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).fragment)),
                         {"kind": "context", "context": HOSTILE, "current": "a & b = c\r\nd".replace("\r", ""),
                          "cues.units": "sentence", "sensitivity.std": "0.5"})
        self.open("#" + address.partition("#")[2])
        self.assertEqual([self.value(name) for name in ("kind", "context", "current", "cues.units", "sensitivity.std")],
                         ["context", HOSTILE, "a & b = c\nd", "sentence", "0.5"])
        self.assertTrue(self.shown("[name='sensitivity.std']"))
        time.sleep(0.3)
        self.assertFalse(self.shown("#work"))
        self.assertFalse(self.shown("#result"))

    def test_examples(self):
        self.open()
        count = self.browser.run("return document.querySelectorAll('#examples button').length")
        self.assertGreater(count, 2)
        for i in range(count):
            self.browser.click(f"#examples button:nth-of-type({i + 1})")
            self.assertTrue(self.browser.run("return document.forms[0].checkValidity()"))
            self.assertNotEqual(self.value("current") + self.value("text"), "")

    def test_keys_and_labels(self):
        self.open()
        self.assertEqual(self.browser.run("""
          return [...document.querySelectorAll("button, select, input, textarea")].filter((e) => !e.labels?.length && !e.textContent)
            .length"""), 0)
        self.assertEqual(self.browser.run("return document.querySelectorAll('[role=status], [role=alert]').length"), 3)
        self.browser.run("document.forms[0].elements.kind[0].focus()")
        self.browser.press("ArrowDown")
        self.assertEqual(self.value("kind"), "attribute")
        self.assertTrue(self.shown("[name='text']"))

    def test_dark_mode(self):
        self.open()
        for theme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(23, 24, 28)")):
            self.browser.run("""
              const select = document.getElementById("theme");
              select.value = arguments[0];
              select.dispatchEvent(new Event("change", {bubbles: true}))""", theme)
            self.assertEqual(self.browser.style("html", "backgroundColor"), ground)


if __name__ == "__main__":
    unittest.main()
