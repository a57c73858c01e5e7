// Attributions that are not finite are an error, and say where.
#include "attribute_fixture.h"

namespace whence {
namespace {

class NotFinite : public testing::AttributeTest {};

TEST_F(NotFinite, NamesMethodStepAndLayerOfWhatIsNotFinite) {
  const host::Catalogue catalogue({WHENCE_BINARY_DIR "/tests/fixtures", WHENCE_BINARY_DIR "/lib/whence/plugins"});
  const host::PluginHost plugins(catalogue);
  EXPECT_EQ(
      testing::text_of_error<PluginError>(
          [&] { host::attribute(model, plugins, texts(), spec("not_finite"), options); }),
      "sequence '0', step 1 (token 't9'), method 'not_finite', layer 2: the attribution is not finite; nothing was "
      "stored");
}

/// As a model does whose layer 1 has no finite gradients at the second step.
class BrokenModel final : public testing::FakeModel {
 public:
  Gradients pull_back(const Forward& forward, const Cotangents& cotangents,
                      const PullBackRequest& request) const override {
    if (cotangents.first_step <= 1 && cotangents.first_step + cotangents.logits.size(1) > 1)
      throw ModelError("layer 1: gradients of hidden states are not finite numbers");
    return FakeModel::pull_back(forward, cotangents, request);
  }
};

TEST_F(NotFinite, NamesMethodAndStepWhereAModelNamesTheLayer) {
  const BrokenModel broken;
  EXPECT_EQ(testing::text_of_error<ModelError>(
                [&] { host::attribute(broken, testing::built_plugins(), texts(), spec("saliency"), options); }),
            "method 'saliency', step 1, layer 1: gradients of hidden states are not finite numbers");
}

}  // namespace
}  // namespace whence
