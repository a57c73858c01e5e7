#include <kainjow/mustache.hpp>

#include "context_data.h"
#include "context_words.h"
#include "options.h"
#include "page_data.h"
#include "page_files.h"
#include "text.h"
#include "whence/context_renderer.h"
#include "whence/draws_granularity.h"
#include "whence/error.h"
#include "whence/plugin.h"
#include "whence/renderer.h"

namespace whence::html {
namespace {

using kainjow::mustache::data;

/// A value as readers like it: "gausslegendre", "a, b", "n_steps: 20, seed: 1".
std::string value_text(const Value& value) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (value.is_null()) return "none";
  if (value.is_bool()) return value.as_bool() ? "yes" : "no";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_number()) return drawing::number_text(value.as_double(), 6);
  if (value.is_string()) return drawing::printable(value.as_string());
  if (value.is_list())
    for (const Value& entry : value.as_list()) add(value_text(entry));
  else
    for (const auto& [key, entry] : value.as_map()) add(drawing::printable(key) + ": " + value_text(entry));
  return text;
}

data facts(const Value::Map& info) {
  data list{data::type::list};
  for (const auto& [key, value] : info) {
    if (key == "notes" || value.is_null()) continue;
    const std::string text = value_text(value);
    if (text.empty()) continue;
    data fact;
    fact.set("name", drawing::replace_all(drawing::printable(key), "_", " "));
    fact.set("text", text);
    list << fact;
  }
  return list;
}

data texts(const std::vector<std::string>& lines) {
  data list{data::type::list};
  for (const std::string& line : lines) list << data("text", line);
  return list;
}

/// What every page has; `title` stands where the result has no heading.
data page_frame(const PageFiles& files, const std::string& heading, const std::string& title, const Value::Map& info) {
  data page;
  page.set("title", heading.empty() ? title : heading);
  page.set("style", files.style);
  page.set("scripts", texts(files.scripts));
  page.set("controls", data(kainjow::mustache::partial([files] { return files.controls; })));
  page.set("view", data(kainjow::mustache::partial([files] { return files.view; })));
  page.set("has_facts", !info.empty());
  page.set("facts", facts(info));
  return page;
}

class HtmlRenderer final : public Renderer, public ContextRenderer {
 public:
  explicit HtmlRenderer(const Params& params) {
    if (params.get<std::string>("tokens") == "raw") options_.tokens = drawing::TokenForm::raw;
    options_.max_value = drawing::max_value(params, "html");
    options_.max_bytes = params.get<std::int64_t>("max_megabytes") * 1'000'000;
  }

  std::string render(const AttributionOutput& output, const Canvas&) const override {
    data page = page_frame(heatmap_files(), drawing::heading(output), "Attributions", output.info);
    page.set("data", page_data(output, options_));
    const std::vector<std::string> notes = drawing::notes(output);
    page.set("has_notes", !notes.empty());
    page.set("notes", texts(notes));
    return kainjow::mustache::mustache(kPageFrame).render(page);
  }

  std::string render(const ContextAttribution& result, const Canvas&) const override {
    constexpr int kDecimals = 3;
    data page = page_frame(context_files(), drawing::heading(result), "Context attribution", result.info);
    page.set("data", context_data(result, options_));
    page.set("selection", drawing::selection_text(result, kDecimals));
    page.set("has_selected", !result.selected.empty());
    page.set("cue_rule", drawing::rule_text(drawing::cue_rule(result)));
    page.set("has_input", !result.input_current.empty());
    page.set("input", drawing::printable_lines(result.input_current));
    return kainjow::mustache::mustache(kPageFrame).render(page);
  }

  const void* query(std::string_view capability) const override {
    if (capability == ContextRenderer::kCapability) return static_cast<const ContextRenderer*>(this);
    return capability == kDrawsGranularity ? this : nullptr;
  }

 private:
  PageOptions options_;
};

void register_plugin(Registrar& registrar) {
  registrar.add_renderer("html", [](const Params& params) { return std::make_unique<HtmlRenderer>(params); });
}

}  // namespace
}  // namespace whence::html

WHENCE_PLUGIN(whence::html::register_plugin)
