"""usage: context_test.py WHENCE [options of unittest]"""
import csv
import io
import struct
import sys
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True

import results  # noqa: E402
from pages import HOSTILE, SHOWN, PageTest, float32, view  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
INPUT = ["I", "\u0120was", "\u0120sick", ".", "\u0120It", "\u0120rained", "."]
OUTPUT_CONTEXT = ["Go", "\u0120home", "."]
OUTPUT = ["To", "\u0120the", "\u0120hospital", "\u0120today", "."]


class ContextPages(PageTest):
    def show(self, document, *options, renderer="html"):
        result, page = self.path / "result.json", self.path / f"context.{renderer}"
        results.write_document(result, document)
        view(result, page, renderer, *options)
        if renderer == "html":
            self.browser.open(page)
        return page

    def result(self):
        """Two selected tokens: `hospital` for `sick` and a little for `home`, `today` against `rained`."""
        selected = [(2, [0, 0.125, 1.5, 0, -0.25, 0, 0], [0, 0.75, 0], [1.625, -0.25], "\u0120office"),
                    (3, [0, 0, 0, 0, 0, -0.3, 0], [0, 0, 0], [0, -0.3])]
        return results.context(OUTPUT, [0.1, 0.2, 2.5, 1.25, 0.0], selected, INPUT, OUTPUT_CONTEXT,
                               [("I was sick.", 0, 4), ("It rained.", 4, 7)], attribution_method="saliency",
                               attributed_fn="contrast_prob_diff", context_sensitivity_metric="pcxmi", attribution_std_threshold=0.5,
                               input_current_text="Where did I go?")

    def cues(self):
        return self.browser.run("""return [...document.querySelectorAll('#contexts .cue')]
          .map((cue) => `${cue.textContent}|${getComputedStyle(cue, '::after').content}`)""")

    def copy(self):
        self.browser.click("#copy-csv")
        self.browser.wait("while (document.getElementById('done').textContent === '') await new Promise((next) => setTimeout(next, 10))")

    def frames(self, count=3):
        self.browser.wait("for (let i = 0; i < args[0]; ++i) await new Promise(requestAnimationFrame)", count)

    def test_strongest_token_is_chosen(self):
        self.show(self.result())
        self.assertEqual(self.browser.text("h1"), "saliency of contrast_prob_diff")
        self.assertIn("2 of 5 tokens depend on context: |pcxmi|", self.browser.text("#output-hint"))
        self.assertEqual(self.browser.text("#output p"), "To the hospital today.")
        self.assertEqual(self.browser.texts("#output .step"), [" hospital", " today"])
        self.assertEqual(self.browser.texts("#output .step[aria-pressed='true']"), [" hospital"])
        self.assertEqual(self.cues(), [' sick|"1.50"', ' home|"0.75"'])
        self.assertEqual(self.browser.texts("#cues bdi"), ["\u00b7sick (input context 2)", "\u00b7home (output context 1)"])
        self.assertEqual(self.browser.texts("#units bdi"), ["1. I was sick.", "2. It rained."])
        self.assertEqual(self.browser.texts("#units .weight"), ["1.625", "-0.250"])
        self.assertEqual(self.browser.text("#summary"),
                         "\u00b7hospital (2): pcxmi 2.500; without context \u00b7office; depends most on "
                         "\u00b7sick (input context 2) 1.500, \u00b7home (output context 1) 0.750")
        self.assertEqual(self.browser.text("#contextless"), "Without context: To the office")
        # The ends of both scales have their colour.
        self.assertEqual(self.browser.style("#output .step", "backgroundColor"), "rgb(180, 4, 38)")
        self.assertEqual(self.browser.style("#contexts .cue", "backgroundColor"), "rgb(180, 4, 38)")
        facts = dict(zip(self.browser.texts("dt"), self.browser.texts("dd")))
        self.assertEqual(facts["context sensitivity metric"], "pcxmi")

    def test_choosing_by_mouse_and_keys(self):
        self.show(self.result())
        self.browser.click("#output .step:nth-of-type(4)")
        self.assertEqual(self.browser.texts("#output .step[aria-pressed='true']"), [" today"])
        self.assertEqual(self.cues(), [' rained|"-0.30"'])
        self.assertTrue(self.browser.run("return document.getElementById('contextless').hidden"))
        self.assertEqual(self.browser.texts("#units bdi"), ["2. It rained."])
        self.assertEqual(self.browser.style("#contexts .cue", "backgroundColor"), "rgb(59, 76, 192)")
        self.browser.press("ArrowLeft")
        self.assertEqual(self.browser.texts("#output .step[aria-pressed='true']"), [" hospital"])
        self.assertEqual(len(self.cues()), 2)
        self.browser.press("End")
        self.assertEqual(self.browser.run("return document.activeElement.textContent"), " today")
        self.browser.press("ArrowRight")  # the last one
        self.assertEqual(self.browser.texts("#output .step[aria-pressed='true']"), [" today"])
        self.browser.run("document.querySelector('#output .step').focus()")
        self.browser.press("Enter")
        self.assertEqual(self.browser.texts("#output .step[aria-pressed='true']"), [" hospital"])

    def test_exact_values_on_hover_and_focus(self):
        self.show(self.result())
        tip = "#tip > *"
        self.browser.hover("#contexts span[data-position='1']")
        self.assertEqual(self.browser.texts(tip), ["0.125", "\u2192 \u00b7hospital (2)", "\u2193 \u00b7was (input context 1, I was sick.)"])
        self.browser.hover("#output span[data-position='1']")
        self.assertEqual(self.browser.texts(tip), ["0.2", "\u00b7the (1)", "pcxmi"])
        self.browser.hover("#units li:nth-child(2) button")
        self.assertEqual(self.browser.texts(tip)[0], "-0.25")
        self.assertEqual(self.browser.texts("#contexts .pointed"), [" It", " rained", "."])
        self.browser.hover("h1")
        self.assertEqual(self.browser.texts("#contexts .pointed"), [])
        self.browser.run("document.querySelector('#cues button').focus()")
        self.assertEqual(self.browser.texts(tip)[0], "1.5")
        self.browser.press("ArrowDown")
        self.assertEqual(self.browser.texts(tip)[0], "0.75")
        self.assertEqual(self.browser.texts("#contexts .pointed"), [" home"])

    def test_is_named_for_screen_readers(self):
        self.show(self.result())
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('[aria-labelledby], [aria-describedby]')]"
                                          ".flatMap((e) => [e.getAttribute('aria-labelledby'), e.getAttribute('aria-describedby')])"
                                          ".filter((id) => id && !document.getElementById(id))"), [])
        roles = "return [...document.querySelectorAll('#output .step')].map((e) => [e.getAttribute('role'), e.tabIndex])"
        self.assertEqual(self.browser.run(roles), [["button", 0], ["button", -1]])
        self.assertEqual(self.browser.run("return document.getElementById('summary').getAttribute('role')"), "status")

    def test_nothing_selected(self):
        self.show(results.context(OUTPUT, [0.0] * 5, [], INPUT, context_sensitivity_metric="pcxmi"))
        self.assertIn("no token depends on context", self.browser.text("#output-hint"))
        self.assertTrue(self.browser.run("return document.getElementById('ranked').hidden"))
        self.assertEqual(self.browser.text("#contexts p"), "I was sick. It rained.")
        self.browser.click("#copy-csv")
        self.browser.click("#save-svg")
        self.saved("context.svg")

    def test_saves_csv_svg_and_png(self):
        self.show(self.result())
        self.copy()
        self.assertEqual(self.browser.text("#done"), "copied")
        rows = list(csv.reader(io.StringIO(self.browser.wait("return navigator.clipboard.readText()"))))
        self.assertEqual(rows[0], ["part", "position", "token", "pcxmi", "2  hospital", "3  today"])
        self.assertEqual(rows[3], ["output", "2", " hospital", "2.5", "", ""])
        self.assertEqual(rows[8], ["input context", "2", " sick", "", "1.5", "0"])
        self.assertEqual(rows[13], ["unit of input context", "0 4", "I was sick.", "", "1.625", "0"])
        self.assertEqual(float32(float(rows[14][5])), float32(-0.3))
        self.assertEqual(rows[16], ["output context", "1", " home", "", "0.75", "0"])
        self.browser.click("#save-svg")
        svg = xml.etree.ElementTree.fromstring(self.saved("context.svg"))
        texts = [element.text for element in svg.findall(SVG + "text")]
        for text in (" sick", " hospital", "input context, cues of \u00b7hospital"):
            self.assertIn(text, texts)
        bold = [element.text for element in svg.findall(SVG + "text") if element.get("font-weight") and element.text.startswith(" ")]
        self.assertEqual(bold, [" hospital", " sick", " home"])
        self.browser.click("#save-png")
        png = self.saved("context.png")
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", png[16:24]), (2 * int(svg.get("width")), 2 * int(svg.get("height"))))

    def test_works_in_a_sandboxed_frame(self):
        page = self.show(self.result()).read_text(encoding="utf-8")
        frame = self.path / "frame.html"
        frame.write_text("<iframe id='frame' sandbox='allow-scripts allow-downloads' width='1100' height='800'></iframe>", encoding="utf-8")
        self.browser.open(frame)
        self.browser.wait("""
          const frame = document.getElementById('frame');
          await new Promise((done) => { frame.onload = done; frame.srcdoc = args[0]; });""", page)
        self.browser.enter("#frame")
        self.assertEqual(self.browser.texts("#output .step[aria-pressed='true']"), [" hospital"])
        self.copy()
        self.assertEqual(self.browser.text("#done"), "copied")
        self.browser.run("document.execCommand = () => false")
        self.copy()
        self.assertEqual(self.browser.text("#done"), "not copied: this browser gives a page no clipboard")
        self.browser.click("#save-svg")
        self.assertIn(b"hospital", self.saved("context.svg"))
        self.browser.click("#save-png")
        self.assertEqual(self.saved("context.png")[:4], b"\x89PNG")
        self.browser.enter(None)

    def test_follows_light_and_dark(self):
        self.show(self.result())
        parts = ("html", "#contexts .cue", "#output .step")
        light = [self.browser.style(part, "backgroundColor") for part in parts]
        self.browser.chromium("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        try:
            self.frames()  # scripts hear of the change with the next one
            dark = [self.browser.style(part, "backgroundColor") for part in parts]
            for one, other in zip(light, dark):
                self.assertNotEqual(one, other)
        finally:
            self.browser.chromium("Emulation.setEmulatedMedia", features=[])
        self.browser.run("const theme = document.getElementById('theme'); theme.value = 'dark'; theme.dispatchEvent(new Event('change'))")
        self.assertEqual([self.browser.style(part, "backgroundColor") for part in parts], dark)

    def test_text_of_any_script(self):
        arabic = ["\u0645\u0631\u062d\u0628\u0627", " \u0628\u0643", " \u0627\u0644\u0622\u0646"]
        chinese = ["\u4f60\u597d", "\u4e16\u754c", "\U0001f600"]
        self.show(results.context(arabic, [1.0, 0.5, 0.75], [(0, [1.0, 0, 0]), (2, [0, 1.0, 0])], chinese))
        self.assertEqual(self.browser.style("#output p", "direction"), "rtl")
        self.browser.press("Tab")
        self.browser.run("document.querySelector('#output .step').focus()")
        self.browser.press("ArrowLeft")  # the next one stands at the left
        self.assertEqual(self.browser.texts("#output .step[aria-pressed='true']"), [arabic[2]])
        self.assertEqual(self.browser.text("#contexts p"), "".join(chinese))
        self.assertEqual(self.cues(), [chinese[1] + '|"1.00"'])

    def test_hostile_tokens_are_text(self):
        count = len(HOSTILE)
        document = results.context(HOSTILE, [1.0] * count, [(0, [1.0] * count, None, [2.0], HOSTILE[1])], HOSTILE,
                                   units=[(HOSTILE[0], 0, count)], attribution_method="</title><script>window.hurt = 1</script>",
                                   context_sensitivity_metric="<b>metric</b>", input_current_text=HOSTILE[0],
                                   attribution_std_threshold=0)
        page = self.show(document)
        self.assertEqual(self.browser.text("#output p"), "".join(SHOWN))
        self.assertEqual(self.browser.text("#contexts p"), "".join(SHOWN))
        self.assertEqual(self.browser.texts("#cues bdi"), [f"{token} ({i})".replace(" ", "\u00b7", token.count(" ")) for i, token in enumerate(SHOWN)])
        self.assertEqual(self.browser.texts("#units bdi"), ["1. " + HOSTILE[0]])
        self.assertIn("<b>metric</b>", self.browser.text("#output-hint"))
        self.assertEqual(self.browser.run("return [document.scripts.length, document.images.length]"), [8, 0])
        self.assertNotIn("\u202e", page.read_text(encoding="utf-8"))
        svg = xml.etree.ElementTree.parse(self.show(document, renderer="svg"))
        text = "".join(element.text for element in svg.iter(SVG + "text"))
        for token in SHOWN:
            self.assertIn(token.replace(" ", ""), text.replace(" ", ""))

    def test_long_contexts_stay_quick(self):
        count, chosen = 10_000, 40
        tokens = [f"\u0120word{i}" for i in range(count)]
        selected = [(i, [float((k * 7 + i) % 101 == 0) + 0.01 * (k % 13) for k in range(count)]) for i in range(chosen)]
        self.show(results.context(tokens[:chosen], [1.0] * chosen, selected, tokens, attribution_std_threshold=3))
        self.assertEqual(self.browser.run("return document.querySelectorAll('#contexts span').length"), count)
        self.browser.chromium("Performance.enable", timeDomain="threadTicks")
        before, frames = self.busy_seconds(), 6
        self.browser.run("document.querySelector('#output .step').focus()")
        for _ in range(frames):
            self.browser.press("ArrowRight")
            self.frames(1)
        # A choice takes 0.1 to 0.2 s of the page's thread; the bound is for pages that freeze on slow machines.
        self.assertLess((self.busy_seconds() - before) / frames, 2)
        self.assertEqual(self.browser.text("#output .step[aria-pressed='true']"), " word6")
        self.assertEqual(len(self.browser.texts("#cues li")), 50)
        self.assertRegex(self.browser.text("#more-cues"), "^50 of ")
        # The strongest cue is in sight, in the list and in the text.
        self.browser.press("Tab")
        self.browser.run("document.querySelectorAll('#cues button')[49].focus()")
        self.assertTrue(self.browser.run("""
          const token = document.querySelector('#contexts .pointed').getBoundingClientRect();
          const box = document.querySelector('#contexts .text').getBoundingClientRect();
          return document.querySelector('#contexts .text').scrollTop > 0 && token.top >= box.top && token.bottom <= box.bottom"""))


if __name__ == "__main__":
    unittest.main()
