"""usage: heatmap_test.py WHENCE [options of unittest]"""
import csv
import io
import struct
import sys
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True

import results  # noqa: E402
from pages import HOSTILE, SHOWN, PageTest, float32, view  # noqa: E402


def short_score(_part, row, step):
    return (1 if (row + step) % 2 else -1) * (row + 1) / (step + 7)


class Pages(PageTest):
    def view(self, sequences, *options, renderer="html", **info):
        result, page = self.path / "result.json", self.path / f"page.{renderer}"
        results.write(result, sequences, **info)
        view(result, page, renderer, *options)
        return page

    def show(self, sequences, *options, **info):
        page = self.view(sequences, *options, **info)
        self.browser.open(page)
        return page

    def short(self):
        return results.sequence(["\u0120To", "\u0120be", "\u0120or", "\u0120not"], 2, short_score, step_scores={"probability": [0.5, 0.125]})

    def test_cells_show_scores(self):
        self.show([self.short()], attribution_method="saliency", attributed_fn="probability_fn", notes=["a <b>note</b>"], seed=3)
        self.assertEqual(self.browser.text("h1"), "saliency of probability_fn")
        self.assertEqual(self.browser.texts("#heatmap .head bdi")[1:], ["\u00b7or", "\u00b7not"])
        self.assertEqual(self.browser.texts("#heatmap .body .label"), ["0\u00b7To", "1\u00b7be", "2\u00b7or", "3\u00b7not"])
        self.assertEqual(self.browser.texts("#heatmap .body .cell"), ["-0.14", "0.13", "0.29", "-0.25", "", "0.38", "", ""])
        self.assertEqual(self.browser.texts("#heatmap .foot .cell"), ["0.50", "0.13"])
        self.assertEqual(self.browser.texts("li"), ["a <b>note</b>"])
        self.assertIn("seed", self.browser.texts("dt"))
        # The largest magnitude has the colour at the end of the scale, and what cannot be has none.
        self.assertEqual(self.browser.style("#cell-2-1", "backgroundColor"), "rgb(180, 4, 38)")
        self.assertEqual(self.browser.style("#cell-3-0", "backgroundColor"), "rgba(0, 0, 0, 0)")

    def test_pointing_shows_exact_values(self):
        self.show([self.short()])
        self.browser.hover("#cell-0-0")
        self.assertEqual(self.browser.texts("#tip > *"), ["-0.14285715", "\u2192 \u00b7or (2)", "\u2193 \u00b7To (target 0)"])
        self.browser.hover("#cell-3-0")
        self.assertEqual(self.browser.text("#tip strong"), "no influence possible")
        self.browser.hover("#cell-4-1")
        self.assertEqual(self.browser.texts("#tip > *")[0::2], ["0.125", "\u2193 probability"])
        self.browser.hover("#text [data-row='1']")
        self.assertEqual(self.browser.text("#tip strong"), "0.2857143")
        self.browser.hover("h1")
        self.assertTrue(self.browser.run("return document.getElementById('tip').hidden"))

    def test_keys_walk_through_the_heatmap(self):
        self.show([self.short()])
        self.browser.run("document.querySelector('#heatmap').focus({focusVisible: true})")
        active = "return document.getElementById('heatmap').getAttribute('aria-activedescendant')"
        self.assertEqual(self.browser.run(active), "cell-0-0")
        for keys, cell in (("ArrowDown", "cell-1-0"), ("ArrowRight", "cell-1-1"), ("ArrowRight", "cell-1-1"), ("ArrowUp", "cell-0-1"),
                           ("Home", "cell-0-0"), ("Control+End", "cell-4-1"), ("PageDown", "cell-4-1"), ("Control+Home", "cell-0-0")):
            self.browser.press(keys)
            self.assertEqual(self.browser.run(active), cell, keys)
        self.browser.press("ArrowDown")
        self.assertEqual(self.browser.run("return document.getElementById(arguments[0]).getAttribute('aria-label')", "cell-1-0"),
                         "\u00b7or (2) from \u00b7be (target 1): 0.2857143")
        self.assertEqual(self.browser.text("#tip strong"), "0.2857143")
        self.browser.press("Escape")
        self.assertTrue(self.browser.run("return document.getElementById('tip').hidden"))

    def test_says_its_structure_to_screen_readers(self):
        self.show([self.short()])
        names = self.browser.run("""
          return [...document.querySelectorAll('#heatmap [role]')].map((e) => e.getAttribute('role'))""")
        self.assertEqual({name: names.count(name) for name in set(names)},
                         {"rowgroup": 3, "row": 6, "columnheader": 3, "rowheader": 5, "gridcell": 10})
        self.assertEqual(self.browser.run("""
          const grid = document.getElementById('heatmap');
          return [grid.getAttribute('aria-rowcount'), grid.getAttribute('aria-colcount')]"""), ["6", "3"])
        self.assertEqual(self.browser.run("""
          return [...document.querySelectorAll('button, select, input')].filter((e) => !e.labels?.length && !e.textContent)
            .length"""), 0)

    def test_choosing_a_token_colours_the_text(self):
        self.show([self.short()])
        ground = "#text [data-row='0']"
        self.assertEqual(self.browser.text("#text .step[aria-pressed='true']"), " or")
        first = self.browser.style(ground, "backgroundColor")
        self.browser.click("#text .step:nth-of-type(4)")
        self.assertEqual(self.browser.text("#text .step[aria-pressed='true']"), " not")
        self.assertNotEqual(self.browser.style(ground, "backgroundColor"), first)
        self.assertEqual(self.browser.text("#summary"), "\u00b7not (3) depends most on \u00b7or (2) 0.375, \u00b7be (1) -0.250, "
                                                        "\u00b7To (0) 0.125; probability 0.125")
        self.assertEqual(self.browser.texts("#heatmap .body .cell.chosen"), ["0.13", "-0.25", "0.38", ""])
        self.browser.press("ArrowLeft")
        self.assertEqual(self.browser.text("#text .step[aria-pressed='true']"), " or")
        self.assertEqual(self.browser.style(ground, "backgroundColor"), first)
        # The heatmap chooses, too.
        self.browser.click("#cell-0-1")
        self.assertEqual(self.browser.text("#text .step[aria-pressed='true']"), " not")

    def test_sliders_choose_layers_and_heads(self):
        attention = results.sequence(["a", "b", "c"], 1, lambda _part, row, step, layer, head: layer + 10 * head + row,
                                     dims=[("layer", 2), ("head", 3)])
        self.show([attention])
        value = "return document.getElementById('cell-0-0').textContent"
        slide = """const slider = document.querySelectorAll('#dims input')[arguments[0]];
          slider.value = arguments[1]; slider.dispatchEvent(new Event('input'))"""
        self.assertEqual(self.browser.texts("#dims label"), ["layer mean", "head mean"])
        self.assertEqual(self.browser.run(value), "10.50")
        self.browser.run(slide, 0, 1)
        self.assertEqual(self.browser.run(value), "11.00")
        self.browser.run(slide, 1, 2)
        self.assertEqual(self.browser.run(value), "21.00")
        self.assertEqual(self.browser.texts("#dims label"), ["layer 1", "head 2"])
        self.browser.run(slide, 0, -1)
        self.assertEqual(self.browser.run(value), "20.50")
        # Aggregated before, there is nothing to choose.
        self.show([attention], "--aggregators", "mean", "mean")
        self.assertEqual(self.browser.texts("#dims label"), [])

    def test_maps_between_tokens(self):
        self.show([results.sequence(["a", "b", "c"], 1, short_score, source=["x", "y"], maps={
            "encoder_self_attentions": ([0.25, 0.5, 0.75, 1.0], [2, 2]),
            "decoder_self_attentions": ([row + 0.125 * layer for row in range(9) for layer in range(2)], [3, 3, 2])})])
        self.assertEqual(self.browser.texts("#map option"), ["attributions", "decoder self attentions", "encoder self attentions"])
        self.assertEqual(self.browser.text("#remark"), "")
        choose = "const e = document.getElementById('map'); e.value = arguments[0]; e.dispatchEvent(new Event('change'))"
        self.browser.run(choose, "1")
        self.assertEqual(self.browser.texts("#heatmap .head bdi")[1:], ["x", "y"])
        self.assertEqual(self.browser.texts("#heatmap .body .cell"), ["0.25", "0.50", "0.75", "1.00"])
        self.browser.click("#cell-1-1")
        self.assertEqual(self.browser.text("#summary"), "y (1) depends most on y (1) 1.000, x (0) 0.500")
        self.browser.run(choose, "0")
        self.assertEqual(self.browser.texts("#heatmap .head bdi")[1:], ["a", "b", "c"])
        self.assertEqual(self.browser.texts("#dims label"), ["dim 2 mean"])
        self.assertEqual(self.browser.text("#cell-2-2"), "8.06")
        self.browser.run(choose, "-1")
        self.assertEqual(len(self.browser.texts("#heatmap .head bdi")), 1 + 2)
        # A text without maps has nothing to choose.
        self.show([self.short()])
        self.assertTrue(self.browser.run("return document.getElementById('map-control').hidden"))

    def test_saves_csv_svg_and_png(self):
        self.show([results.sequence(["\u0120a,b", '\u0120"q"', "<c>"], 2, short_score, source=["s", "t"],
                                    step_scores={"probability": [0.5]})])
        self.browser.click("#copy-csv")
        self.browser.wait("while (document.getElementById('done').textContent === '') await new Promise((next) => setTimeout(next, 10))")
        self.assertEqual(self.browser.text("#done"), "copied")
        rows = list(csv.reader(io.StringIO(self.browser.wait("return navigator.clipboard.readText()"))))
        self.assertEqual(rows[0], ["part", "position", "token", "2 <c>"])
        self.assertEqual([row[:3] for row in rows[1:]], [["source", "0", "s"], ["source", "1", "t"], ["target", "0", " a,b"],
                                                         ["target", "1", ' "q"'], ["target", "2", "<c>"],
                                                         ["step score", "", "probability"]])
        self.assertEqual([float32(float(row[3])) for row in rows[1:5]], [float32(short_score("", row, 0)) for row in (0, 1, 0, 1)])
        self.assertEqual([row[3] for row in rows[5:]], ["", "0.5"])

        self.browser.click("#save-svg")
        svg = xml.etree.ElementTree.fromstring(self.saved("heatmap.svg"))
        space = "{http://www.w3.org/2000/svg}"
        self.assertEqual(len(svg.findall(space + "rect")), 1 + 4)
        texts = [element.text for element in svg.findall(space + "text")]
        for text in ("source", "0 s", '1 \u00b7"q"', "<c> 2", "-0.14", "0.29", "probability", "0.50"):
            self.assertIn(text, texts)

        self.browser.click("#save-png")
        png = self.saved("heatmap.png")
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", png[16:24])
        self.assertEqual((width, height), (2 * int(svg.get("width")), 2 * int(svg.get("height"))))

    def test_follows_light_and_dark(self):
        self.show([self.short()])
        light = [self.browser.style(part, "backgroundColor") for part in ("html", "#cell-1-0")]
        self.browser.chromium("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        try:
            # Scripts hear of the change with the next frame.
            self.browser.wait("for (let i = 0; i < 3; ++i) await new Promise(requestAnimationFrame)")
            dark = [self.browser.style(part, "backgroundColor") for part in ("html", "#cell-1-0")]
            self.assertNotEqual(light[0], dark[0])
            self.assertNotEqual(light[1], dark[1])
            choose = "const theme = document.getElementById('theme'); theme.value = arguments[0]; theme.dispatchEvent(new Event('change'))"
            self.browser.run(choose, "light")
            self.assertEqual([self.browser.style(part, "backgroundColor") for part in ("html", "#cell-1-0")], light)
        finally:
            self.browser.chromium("Emulation.setEmulatedMedia", features=[])
        self.browser.run(choose, "dark")
        self.assertEqual([self.browser.style(part, "backgroundColor") for part in ("html", "#cell-1-0")], dark)

    def test_scales(self):
        self.show([self.short(), results.sequence(["x", "y"], 1, lambda *_: 8.0)])
        end = "#legend"
        choose = "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change'))"
        self.assertEqual(self.browser.text(end), "Colours: -88")
        self.browser.run(choose, "scale", "view")
        self.assertEqual(self.browser.text(end), "Colours: -0.3750.375")
        self.browser.run(choose, "scale", "step")
        for step, row in ((0, 1), (1, 2)):
            self.assertIn(self.browser.style(f"#cell-{row}-{step}", "backgroundColor"), "rgb(180, 4, 38)")
        self.browser.run(choose, "sequence", "1")
        self.assertEqual(self.browser.text("#text p"), "xy")

    def test_text_of_any_script(self):
        arabic = ["\u0645\u0631", "\u062d\u0628\u0627", " \u0628\u0643", " \u0627\u0644\u0622\u0646"]
        self.show([results.sequence(arabic, 2, short_score)])
        self.assertEqual(self.browser.style("#text p", "direction"), "rtl")
        self.browser.click("#text .step:nth-of-type(3)")
        self.browser.press("ArrowLeft")
        self.assertEqual(self.browser.text("#text .step[aria-pressed='true']"), arabic[3])
        chinese = ["\u4f60\u597d", "\u4e16\u754c", "\U0001f600", "\u3002"]
        self.show([results.sequence(chinese, 2, short_score)])
        self.assertEqual(self.browser.text("#text p"), "".join(chinese))
        self.assertEqual(self.browser.texts("#heatmap .body bdi"), chinese)

    def test_hostile_tokens_are_text(self):
        page = self.show([results.sequence(HOSTILE, 6, short_score, step_scores={"<u>score</u>": [1, 2, 3]})],
                         attribution_method="</title><script>window.hurt = 1</script>", generated_texts=["</script><b>"],
                         model_name="{{{data}}}")
        self.assertEqual(self.browser.texts("#heatmap .body bdi"), [token.replace(" ", "\u00b7") for token in SHOWN])
        self.assertEqual(self.browser.text("#text p"), "".join(SHOWN))
        self.assertEqual(self.browser.text("h1"), "</title><script>window.hurt = 1</script>, {{{data}}}")
        self.assertEqual(self.browser.run("return [document.scripts.length, document.images.length]"), [9, 0])
        self.assertNotIn("\u202e", page.read_text(encoding="utf-8"))
        svg = xml.etree.ElementTree.parse(self.view([results.sequence(HOSTILE, 6, short_score)], renderer="svg"))
        texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
        for position, token in enumerate(SHOWN):
            self.assertTrue(any(f"{position} {token}".replace(" ", "\u00b7").startswith(text.replace(" ", "\u00b7").rstrip("\u2026")) for text in texts), token)

    def test_long_texts_stay_quick(self):
        tokens = [f"\u0120word{i}" for i in range(1200)]
        self.show([results.sequence(tokens, 1000, lambda _part, row, step: ((row * 7 + step * 3) % 11) / 11,
                                    step_scores={"probability": [0.5] * 200})])
        nodes = "return document.querySelectorAll('#heatmap *').length"
        self.assertLess(self.browser.run(nodes), 6000)
        # Processor time of the page's thread, which other processes don't change, while the whole heatmap goes by. A redraw
        # takes 0.1 to 0.2 s; the bound is for pages that freeze on slow machines, where all cells would take many seconds.
        self.browser.chromium("Performance.enable", timeDomain="threadTicks")
        before, frames = self.busy_seconds(), 6
        self.browser.wait("""
          const grid = document.getElementById('heatmap');
          for (let i = 0; i <= args[0]; ++i) {
            grid.scrollTo(grid.scrollWidth * i / args[0], grid.scrollHeight * i / args[0]);
            await new Promise(requestAnimationFrame);
          }""", frames)
        self.assertLess((self.busy_seconds() - before) / frames, 2)
        self.assertLess(self.browser.run(nodes), 6000)
        self.assertTrue(self.browser.run("return Boolean(document.getElementById('cell-1199-199'))"))
        # The chosen token is in sight, far down in the text.
        self.assertTrue(self.browser.run("""
          const box = (name) => document.querySelector(name).getBoundingClientRect();
          const token = box("#text .step[aria-pressed='true']"), text = box('#text');
          return document.getElementById('text').scrollTop > 0 && token.top >= text.top && token.bottom <= text.bottom"""))
        # Headers and step scores stay where they are.
        self.assertEqual(self.browser.run("""
          const box = (name) => document.querySelector(name).getBoundingClientRect();
          const grid = box('#heatmap');
          const near = (a, b) => Math.abs(a - b) < 20;
          return [near(box('#heatmap .head').top, grid.top), near(box('#heatmap .foot').bottom, grid.bottom),
                  near(box('#heatmap .body .label').left, grid.left)]"""), [True, True, True])
        self.browser.click("#cell-1190-190")
        self.browser.press("Control+Home")
        self.assertEqual(self.browser.text("#cell-0-0"), "0.00")
        self.assertEqual(self.browser.run("return document.getElementById('heatmap').scrollTop"), 0)


if __name__ == "__main__":
    unittest.main()
