#pragma once

#include <gtest/gtest.h>

#include "host/attribute.h"
#include "support/fake_model.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence::testing {

/// Attributions of three texts by methods of this build on the fake model.
class AttributeTest : public ::testing::Test {
 protected:
  FakeModel model;
  host::AttributeOptions options{.batch_size = 2};

  static std::vector<host::PreparedText> texts() {
    std::vector<host::PreparedText> texts;
    for (const Sequence& sequence :
         {fake_sequence({3, 7, 2, 9, 4, 6, 8, 11}, {2, 8}), fake_sequence({5, 3, 8, 10}, {1, 4}),
          fake_sequence({6, 9, 2, 4, 10, 3}, {2, 6})}) {
      texts.push_back({.sequence = sequence});
      texts.back().sequence.id = std::to_string(texts.size() - 1);
    }
    return texts;
  }

  static host::AttributionSpec spec(const std::string& method, Value::Map params = {}) {
    host::AttributionSpec spec;
    spec.name = method;
    spec.method = choice(method, std::move(params));
    return spec;
  }

  AttributionOutput attribute(const host::AttributionSpec& spec) const {
    return host::attribute(model, built_plugins(), texts(), spec, options);
  }
};

}  // namespace whence::testing
