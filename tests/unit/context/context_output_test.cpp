// Outputs that are generated, and what of them is context.
#include <gtest/gtest.h>

#include "context/context_models.h"
#include "host/context_split.h"
#include "host/context_text.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::text_of_error;
using testing::tiny_model;

class ContextOutputTest : public ::testing::Test {
 protected:
  ContextInput input;
  ContextSpec spec;
  GenerationConfig generation{.max_new_tokens = 4};
  ContextOptions options;
  std::vector<std::string> questions, answers;

  void SetUp() override {
    input.input_current = "They asked him.";
    spec.output_context = OutputContextStrategy::automatic;
    spec.output_template = ContextTemplate{"{context} {current}", {}};
  }

  /// Somebody who gives the answers, and then nothing.
  void answer(std::vector<std::string> all) {
    answers = std::move(all);
    options.ask = [this](const std::string& question) -> std::optional<std::string> {
      questions.push_back(question);
      if (questions.size() > answers.size()) return {};
      return answers[questions.size() - 1];
    };
    spec.output_context = OutputContextStrategy::manual;
  }

  template <class Work>
  auto with_task(const Work& work, const std::string& model = "gpt2") {
    const ContextTemplates templates = parse_templates(input, spec);
    ContextTask task{.model = tiny_model(model),
                     .input = input,
                     .spec = spec,
                     .generation = generation,
                     .options = options,
                     .templates = templates,
                     .how = {},
                     .input_context = input.input_context.value_or(""),
                     .documents = {},
                     .kept = {}};
    task.how.id = "0";
    return work(task);
  }
  std::string divided(const std::string& output) {
    return with_task([&](const ContextTask& task) { return divided_context(task, output); });
  }
  std::string refusal(const std::string& output) {
    return text_of_error<InputError>([&] { divided(output); });
  }
};

TEST_F(ContextOutputTest, DividedAtTheTextBetween) {
  spec.output_template->text = "{context}\n{current}";
  EXPECT_EQ(divided("One. Two\nThree. Four."), "One. Two");
  // Twice: it could be either.
  EXPECT_EQ(divided("One. Two\nThree.\nFour."), "One.");
}

TEST_F(ContextOutputTest, DividedBehindAsManySentencesAsTheInputContextHas) {
  EXPECT_EQ(divided("Mr. X is é. He left. He came."), "Mr. X is é.");
  input.input_context = "A boy. A girl.";
  EXPECT_EQ(divided("Un. Deux. Trois."), "Un. Deux.");
  EXPECT_EQ(refusal("hello there").substr(0, 88),
            "input '0': no beginning of the generated output 'hello there' can be told as its context");
}

TEST_F(ContextOutputTest, DividedByAlignment) {
  spec.alignment.way = AlignmentWay::tokens;
  input.input_context = "the nurse";
  EXPECT_EQ(divided("the nurse told the doctor"), "the nurse");
}

TEST_F(ContextOutputTest, APersonConfirms) {
  answer({"maybe", "y"});
  EXPECT_EQ(divided("One. Two."), "One.");
  EXPECT_EQ(questions, (std::vector<std::string>{"The model wrote: One. Two.\nIs its context 'One.'? [y/n]",
                                                 "Please answer y or n. The model wrote: One. Two.\nIs its context "
                                                 "'One.'? [y/n]"}));
}

TEST_F(ContextOutputTest, APersonSaysAnother) {
  answer({"n", "Two", "One. T"});
  EXPECT_EQ(divided("One. Two."), "One. T");
  EXPECT_EQ(questions.at(2),
            "'Two' is not what the output begins with: One. Two.\nWhich beginning of it is context? Nothing for none.");
  questions.clear();
  answer({"", "n", "", "y"});
  EXPECT_EQ(divided("single"), "");
}

TEST_F(ContextOutputTest, NobodyAnswers) {
  answer({"n"});
  EXPECT_EQ(refusal("One. Two."),
            "input '0': nobody says which beginning of the output is its context; give output_context_text, or choose "
            "the strategy 'auto'");
}

TEST_F(ContextOutputTest, ForcedCurrentOutputsStay) {
  input.output_current = "he said.";
  generation.max_new_tokens = 12;
  answer({"n", "", "y", "", "y"});
  const ContextOutput output = with_task([](const ContextTask& task) { return prepare_output(task); });
  EXPECT_EQ(output.current, "he said.");
  EXPECT_EQ(output.context, "");
  EXPECT_FALSE(output.generated);
}

TEST_F(ContextOutputTest, GeneratesBehindTheBeginningOfTheOutput) {
  input.output_context = "It was late.";
  for (const std::string model : {"gpt2", "t5"}) {
    SCOPED_TRACE(model);
    const ContextOutput output = with_task([](const ContextTask& task) { return prepare_output(task); }, model);
    EXPECT_EQ(output.context, "It was late.");
    EXPECT_TRUE(output.generated);
    EXPECT_FALSE(output.current.empty());
    EXPECT_EQ(output.current.find("late"), std::string::npos);
    EXPECT_EQ(output.current.find("asked"), std::string::npos);
  }
}

TEST_F(ContextOutputTest, GeneratesWhatTheModelWouldWrite) {
  spec.output_template.reset();
  const ContextOutput output = with_task([](const ContextTask& task) { return prepare_output(task); });
  InputText text;
  text.text = input.input_current;
  const PreparedText made = prepare_sequences(tiny_model("gpt2"), {text}, generation).front();
  EXPECT_EQ(output.current, stripped(made.generated_text.substr(text.text.size())));
}

}  // namespace
}  // namespace whence::host
