// Which tokens belong to which part of a text.
#include "host/context_text.h"

#include <gtest/gtest.h>

#include "context/context_models.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::text_of_error;
using testing::tiny_model;

ParsedTemplate form(const std::string& text) { return {ContextTemplate{text, {}}, "template"}; }

/// Texts of "He was sick." and "They asked him." with the output "It was late. He said."
ReadTexts texts(const std::string& model, const std::string& input, const std::string& output,
                const std::string& separator = " ", const TokenIds& kept = {}) {
  InputText how;
  how.id = "0";
  return read_texts(tiny_model(model), how, form(input).filled("He was sick.", "They asked him."),
                    form(output).filled("It was late.", "He said."), separator, kept);
}

std::string shown(const std::string& model, const ReadText& text, Side side, const std::vector<std::int64_t>& rows) {
  std::string all;
  for (const std::int64_t row : rows) all += *tiny_model(model).tokenizer().on(side).token(text.ids.at(row)) + " ";
  return all;
}

TEST(ContextText, JoinsWithOneSeparator) {
  EXPECT_EQ(joined("a", " ", "b"), "a b");
  EXPECT_EQ(joined("a ", " ", "b"), "a b");
  EXPECT_EQ(joined("a ", " ", " b"), "a  b");
  EXPECT_EQ(joined("a", " ", ""), "a ");
  EXPECT_EQ(joined("a", "", "b"), "ab");
}

TEST(ContextText, RowsCountAddedTokens) {
  for (const std::string model : {"gpt2", "llama"}) {
    SCOPED_TRACE(model);
    const ReadTexts read = texts(model, "{context} {current}", "{context} {current}", "\n");
    const bool bos = tiny_model(model).tokenizer().encode("a").special.front();
    EXPECT_EQ(bos, model == "llama");
    EXPECT_EQ(read.input_context_rows.front(), bos ? 1 : 0);
    for (const auto& [rows, text] :
         {std::pair(read.input_context_rows, "He was sick."), std::pair(read.output_context_rows, "It was late."),
          std::pair(read.output_rows, "He said.")}) {
      TokenIds ids;
      for (const std::int64_t row : rows) ids.push_back(read.target.ids.at(row));
      EXPECT_EQ(stripped(tiny_model(model).tokenizer().decode(ids, false)), text);
      for (std::size_t i = 1; i < rows.size(); ++i) EXPECT_EQ(rows[i], rows[i - 1] + 1);
    }
    EXPECT_EQ(read.output_rows.back(), std::ssize(read.target.ids) - 1);
  }
}

TEST(ContextText, PrefixesAndSuffixesBelongToNoPart) {
  const ReadTexts read = texts("gpt2", "Q: {current} ({context}):", "Answer: {current}!", "\n");
  EXPECT_EQ(shown("gpt2", read.target, Side::target, read.input_context_rows), "He Ġwas Ġs ic k . ");
  TokenIds output;
  for (const std::int64_t row : read.output_rows) output.push_back(read.target.ids.at(row));
  EXPECT_TRUE(stripped(tiny_model("gpt2").tokenizer().decode(output, false)).starts_with("He said"));
  EXPECT_FALSE(read.output_context);
  EXPECT_LT(read.output_rows.back(), std::ssize(read.target.ids) - 1);
}

TEST(ContextText, EncoderDecodersHaveTwoTexts) {
  const ReadTexts read = texts("t5", "{context} {current}", "{context} {current}");
  ASSERT_TRUE(read.source);
  EXPECT_EQ(read.input_context_rows.front(), 0);
  EXPECT_EQ(read.output_context_rows.front(), 1);  // behind the token that the decoder starts from
  EXPECT_EQ(read.output_rows.back(), std::ssize(read.target.ids) - 1);
  const TokenIds source = tiny_model("t5").tokenizer().encode("He was sick. They asked him.").ids;
  EXPECT_EQ(read.source->ids, source);
}

TEST(ContextText, SpecialTokensAreTextOnlyWhenKept) {
  const Model& model = tiny_model("qwen2");
  ContextSpec spec;
  spec.special_tokens_to_keep = {"<|im_end|>"};
  const TokenIds kept = kept_specials(model, spec);
  const TokenIds ids = model.tokenizer().encode("a<|im_end|>b<|im_start|>").ids;
  EXPECT_EQ(written(model.tokenizer(), kept, ids), "a<|im_end|>b");
  EXPECT_EQ(written(model.tokenizer(), {}, ids), "ab");
  spec.special_tokens_to_keep = {"<brk>"};
  EXPECT_EQ(text_of_error<ConfigError>([&] { kept_specials(model, spec); }),
            "special_tokens_to_keep: the vocabulary of model 'qwen2' has no token '<brk>'; write it as the vocabulary "
            "does, or leave it out");
}

TEST(ContextText, TextsLongerThanTheModel) {
  InputText how;
  how.id = "7";
  std::string context;
  const std::int64_t most = tiny_model("gpt2").info().max_positions;
  for (std::int64_t i = 0; i < most; ++i) context += " the";
  EXPECT_NE(text_of_error<InputError>([&] {
              read_texts(tiny_model("gpt2"), how, form("{context} {current}").filled(context, "a"),
                         form("{current}").filled("", "b"), " ", {});
            }).find("input '7': the input and output with their templates has "),
            std::string::npos);
}

}  // namespace
}  // namespace whence::host
