// Work is counted where it is done.
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "checkpoints.h"

namespace whence::transformer {
namespace {

const std::vector<TokenIds> kTexts = {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {1, 9, 30, 44, 2, 51}, {3, 4}};

class WorkOf : public ::testing::Test {
 protected:
  std::unique_ptr<Model> model = load_model(own_model("qwen3"));

  /// Work done since the last call.
  Work done() {
    const Work before = std::exchange(seen_, model->work());
    return {seen_.forward_passes - before.forward_passes, seen_.backward_passes - before.backward_passes,
            seen_.forward_rows - before.forward_rows, seen_.head_rows - before.head_rows,
            seen_.backward_rows - before.backward_rows};
  }

 private:
  Work seen_;
};

void expect_work(const Work& got, const Work& expected) {
  EXPECT_EQ(got.forward_passes, expected.forward_passes);
  EXPECT_EQ(got.backward_passes, expected.backward_passes);
  EXPECT_EQ(got.forward_rows, expected.forward_rows);
  EXPECT_EQ(got.head_rows, expected.head_rows);
  EXPECT_EQ(got.backward_rows, expected.backward_rows);
}

TEST_F(WorkOf, StartsAtNothing) { expect_work(done(), {}); }

TEST_F(WorkOf, AForwardIsTheRowsUpToTheLastAskedOne) {
  model->forward({pad(kTexts)}, {positions({{3, 7}, {-1, 2}, {-1, -1}})});
  expect_work(done(), {1, 0, 8 + 3, 3, 0});
  model->forward({pad(kTexts)}, {positions({{-1}, {-1}, {-1}})});
  expect_work(done(), {});
}

TEST_F(WorkOf, CapturesAndKeptPrefixesTakeWholeTexts) {
  model->forward({pad(kTexts)}, {positions({{3}, {-1}, {-1}}), /*attentions=*/true});
  expect_work(done(), {1, 0, 9 + 6 + 2, 1, 0});
  model->forward({pad(kTexts)}, {positions({{3}, {-1}, {-1}}), false, /*layer_states=*/true});
  expect_work(done(), {1, 0, 9 + 6 + 2, 1, 0});
  model->forward({pad(kTexts)}, {positions({{-1}, {-1}, {-1}}), false, false, false, /*keep_prefix=*/true});
  expect_work(done(), {1, 0, 9 + 6 + 2, 0, 0});
}

TEST_F(WorkOf, ABackwardIsTheRowsUpToWhereEachStepIsRead) {
  const Forward forward =
      model->forward({pad(kTexts)}, {positions({{3, 8, -1}, {0, 5, 5}, {-1, -1, 1}}), false, false, /*trace=*/true});
  expect_work(done(), {1, 0, 9 + 6 + 2, 6, 0});
  model->pull_back(forward, {forward.logits}, {});
  expect_work(done(), {0, 1, 0, 0, (4 + 9) + (1 + 6 + 6) + 2});
  model->pull_back(forward, {forward.logits.narrow(1, 1, 1), 1}, {});
  expect_work(done(), {0, 1, 0, 0, 9 + 6});
}

TEST_F(WorkOf, SharedRowsAreNotDoneAgain) {
  const Forward base =
      model->forward({pad(kTexts)}, {positions({{-1}, {-1}, {-1}}), false, false, false, /*keep_prefix=*/true});
  done();
  ForwardRequest request{positions({{8, 5}, {4, -1}, {-1, -1}}), false, false, /*trace=*/true};
  request.shared = {&base, at::tensor({0, 0, 1}, at::kLong), at::tensor({5, 2, 1}, at::kLong)};
  const Forward forward = model->forward({pad({kTexts[0], kTexts[0], kTexts[1]})}, request);
  expect_work(done(), {1, 0, 4 + 3, 3, 0});
  model->pull_back(forward, {forward.logits}, {});
  expect_work(done(), {0, 1, 0, 0, 4 + 1 + 3});
}

TEST_F(WorkOf, ZeroedValuesAreARowForEachPositionSeen) {
  const ValueZeroing::Visitor nothing = [](const ValueZeroing::Row&) {};
  const auto* zeroing = static_cast<const ValueZeroing*>(model->query(ValueZeroing::kCapability));
  ASSERT_NE(zeroing, nullptr);
  const Tensor asked = positions({{3, 7}, {-1, 2}, {-1, -1}});
  zeroing->zero_values({pad(kTexts)}, {.target = {asked, {}}}, nothing);
  expect_work(done(), {1, 0, (8 + 3) + (4 + 8 + 3), 0, 0});
  // In one of the two layers.
  const Tensor some = at::tensor({1, 0, 0, 1}) != 0, none = at::tensor({0, 0, 0, 0}) != 0;
  zeroing->zero_values({pad(kTexts)}, {.target = {positions({{3}, {1}, {-1}}), {none, some}}}, nothing);
  expect_work(done(), {1, 0, (4 + 2) + (4 + 2) / 2, 0, 0});
  zeroing->zero_values({pad(kTexts)}, {.target = {positions({{-1}, {-1}, {-1}}), {}}}, nothing);
  expect_work(done(), {});
}

}  // namespace
}  // namespace whence::transformer
