#include <gtest/gtest.h>

#include "host/experiment.h"
#include "host/yaml.h"
#include "support/temporary_folder.h"

namespace whence::host {
namespace {

using whence::testing::TemporaryFolder;

std::string error_of(const std::filesystem::path& file, const std::string& fields = "") {
  try {
    read_inputs(file, fields.empty() ? Value() : parse_yaml(fields, "e.yaml"));
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Inputs, ReadsOneTextALine) {
  const TemporaryFolder folder;
  const auto inputs = read_inputs(folder.write("t.txt", "first\r\n\n  \nsecond"), {});
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].text, "first");
  EXPECT_EQ(inputs[1].text, "second");
  EXPECT_EQ(inputs[1].where.line, 4);
}

TEST(Inputs, ReadsJsonLines) {
  const TemporaryFolder folder;
  const auto inputs =
      read_inputs(folder.write("t.jsonl", R"({"prompt": "a", "answer": "a b", "n": 3, "start": -1, "end": null})"
                                          "\n"
                                          R"({"prompt": "b"})"),
                  parse_yaml("{text: prompt, generated: answer, id: n}", "e.yaml"));
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0], (InputText{"3", "a", {}, "a b", -1, {}, {}}));
  EXPECT_EQ(inputs[1], (InputText{"", "b", {}, {}, {}, {}, {}}));
}

TEST(Inputs, NamesFileAndLineOfWhatIsWrong) {
  const TemporaryFolder folder;
  const auto file = [&](const std::string& text) { return folder.write("t.jsonl", text); };
  const std::string place = (folder.path() / "t.jsonl").string();
  EXPECT_EQ(error_of(folder.path() / "none.txt"),
            (folder.path() / "none.txt").string() + ": cannot be read; expected a file of texts, one per line");
  EXPECT_EQ(error_of(file("\n")), place + ": holds no text; expected one per line");
  EXPECT_EQ(error_of(file("{\"text\": \"a\"}\n[1]\n")),
            place + ":2: a JSON array; expected an object with the member 'text'");
  EXPECT_EQ(error_of(file("{\"texts\": \"a\"}\n")),
            place + ":1: the member 'text' is missing; did you mean fields: {text: texts}?");
  EXPECT_EQ(error_of(file("{\"text\": 3}\n")), place + ":1: 'text' is number; expected text");
  EXPECT_EQ(error_of(file("{\"text\": \"a\", \"start\": \"x\"}\n")),
            place + ":1: 'start' is string; expected an integer");
  EXPECT_EQ(error_of(file("{\"text\": \n")).substr(0, place.size() + 18), place + ":1: no valid JSON:");
}

TEST(Inputs, FieldsNeedJsonLines) {
  const TemporaryFolder folder;
  const auto file = folder.write("t.txt", "a\n");
  EXPECT_THROW(read_inputs(file, parse_yaml("{text: a}", "e.yaml")), ConfigError);
  EXPECT_THROW(read_inputs(folder.write("t.jsonl", "{}"), parse_yaml("{txt: a}", "e.yaml")), UnknownName);
}

}  // namespace
}  // namespace whence::host
