#include "host/param_check.h"

#include <gtest/gtest.h>

#include "host/manifests.h"
#include "host/yaml.h"
#include "support/text_of_error.h"
#include "whence/span.h"

namespace whence::host {
namespace {

using whence::testing::text_of_error;

class ParamCheck : public ::testing::Test {
 protected:
  ParamCheck() {
    plugin = read_manifest(whence::testing::add_plugin(folder, "m", R"(  parameters:
    steps: {type: int, default: 50, min: 1, max: 1000, help: how many}
    rule: {type: string, default: gauss, choices: [gauss, left, right], help: which}
    scale: {type: float, default: null, min: 0, help: how much}
    signed: {type: bool, default: false, help: whether}
    words: {type: "list[string]", default: [], help: some}
    layers: {type: "list[int]", default: null, min: 0, help: some}
    spans: {type: "list[span]", default: null, help: some}
    part: {type: span, default: null, help: one}
    weights: {type: "list[float]", default: [1], help: some}
    units: {type: any, default: null, help: some}
  presets:
    left: {summary: From the left, params: {rule: left, scale: 2}}
)"));
    EXPECT_EQ(plugin.problem, "");
  }

  Params check(const std::string& yaml, const std::string& name = "m") const {
    return check_params(plugin, {name, parse_yaml(yaml, "e.yaml"), {"e.yaml", 9, 9}});
  }
  std::string error(const std::string& yaml, const std::string& name = "m") const {
    return text_of_error([&] { check(yaml, name); });
  }

  whence::testing::TemporaryFolder folder;
  PluginInfo plugin;
};

TEST_F(ParamCheck, FillsDefaults) {
  const Params params = check("");
  EXPECT_EQ(params.get<std::int64_t>("steps"), 50);
  EXPECT_EQ(params.get<std::string>("rule"), "gauss");
  EXPECT_FALSE(params.has("scale"));
  EXPECT_FALSE(params.get<bool>("signed"));
  EXPECT_EQ(params.get<std::vector<double>>("weights"), std::vector<double>{1.0});
  EXPECT_EQ(params.values().size(), 10u);
}

TEST_F(ParamCheck, TakesWhatIsGiven) {
  const Params params =
      check("{steps: 3, scale: 2, words: [a], layers: [0, 4], spans: [[1, 2], [4, 4]], part: [0, 9], signed: true}");
  EXPECT_EQ(params.get<std::int64_t>("steps"), 3);
  EXPECT_EQ(params.get<double>("scale"), 2.0);
  EXPECT_FALSE(params.values().at("scale").is_int());
  EXPECT_EQ(params.get<std::vector<std::int64_t>>("layers"), (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(params.get<std::vector<Span>>("spans"), (std::vector<Span>{{1, 2}, {4, 4}}));
  EXPECT_EQ(params.get<Span>("part"), (Span{0, 9}));
}

TEST_F(ParamCheck, NamesWhatIsWrong) {
  EXPECT_EQ(
      error("{stepps: 3}"),
      "e.yaml:1:2: unknown parameter of method 'm' 'stepps'; did you mean 'steps'? known: layers, part, rule, scale, "
      "signed, spans, steps, units, weights, words");
  EXPECT_EQ(error("{steps: many}"),
            "e.yaml:1:9: parameter 'steps' of method 'm': expected an integer, found text 'many'");
  EXPECT_EQ(error("{steps: 2.0}"),
            "e.yaml:1:9: parameter 'steps' of method 'm': expected an integer, found number 2.0");
  EXPECT_EQ(error("{steps: null}"), "e.yaml:1:9: parameter 'steps' of method 'm': expected an integer, found null");
  EXPECT_EQ(error("{steps: 0}"), "e.yaml:1:9: parameter 'steps' of method 'm': expected at least 1, found 0");
  EXPECT_EQ(error("{steps: 1001}"), "e.yaml:1:9: parameter 'steps' of method 'm': expected at most 1000, found 1001");
  EXPECT_EQ(error("{scale: .nan}"), "e.yaml:1:9: parameter 'scale' of method 'm': expected at least 0.0, found .nan");
  EXPECT_EQ(error("{signed: yes}"),
            "e.yaml:1:10: parameter 'signed' of method 'm': expected true or false, found text 'yes'");
  EXPECT_EQ(error("{rule: gaus}"),
            "e.yaml:1:8: unknown value of parameter 'rule' of method 'm' 'gaus'; did you mean 'gauss'? known: gauss, "
            "left, right");
  EXPECT_EQ(error("{words: a}"),
            "e.yaml:1:9: parameter 'words' of method 'm': expected a list, found text 'a'; write [...] around it");
  EXPECT_EQ(error("{layers: [1, -1]}"), "e.yaml:1:14: parameter 'layers' of method 'm': expected at least 0, found -1");
  EXPECT_EQ(error("{layers: [1, x]}"),
            "e.yaml:1:14: parameter 'layers' of method 'm': expected an integer, found text 'x'");
  EXPECT_EQ(error("{part: [3, 1]}"),
            "e.yaml:1:8: parameter 'part' of method 'm': expected a span [start, end] with start <= end, found a list");
  EXPECT_EQ(error("[steps]"), "e.yaml:1:1: parameters of method 'm': expected a mapping, found a list");
}

TEST_F(ParamCheck, SaysWhatTakesThePlaceOfSizesOfBatches) {
  EXPECT_EQ(
      error("{internal_batch_size: 4}"),
      "e.yaml:1:2: parameter 'internal_batch_size' of method 'm': passes are as large as the memory budget allows "
      "and results don't depend on it; leave it out, or set 'memory' (--memory)");
}

TEST_F(ParamCheck, LeavesAnyValueToThePlugin) {
  EXPECT_EQ(check("{units: {0: [1, [2, 4]]}}").get<Value>("units"), parse_yaml("{0: [1, [2, 4]]}", "e.yaml"));
  EXPECT_EQ(check("{units: 3}").get<Value>("units").mark().column, 9);
  EXPECT_FALSE(check("{units: null}").has("units"));
}

TEST_F(ParamCheck, PresetsFixParameters) {
  const Params params = check("{steps: 4}", "left");
  EXPECT_EQ(params.get<std::string>("rule"), "left");
  EXPECT_EQ(params.get<double>("scale"), 2.0);
  EXPECT_EQ(params.get<std::int64_t>("steps"), 4);
  EXPECT_EQ(error("{rule: right}", "left"),
            "e.yaml:1:2: parameter 'rule' is fixed by preset 'left'; use method 'm' to choose it");
}

TEST_F(ParamCheck, AsksForWhatIsRequired) {
  plugin.parameters[0].required = true;
  EXPECT_EQ(error("{}"), "e.yaml:9:9: method 'm' needs parameter 'steps' (int); how many");
}

}  // namespace
}  // namespace whence::host
