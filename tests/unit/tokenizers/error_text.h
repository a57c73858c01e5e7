#pragma once

#include <gtest/gtest.h>

#include <string>

namespace whence {

/// The text of the E that `work` throws; a failure and an empty text when it throws nothing of that kind.
template <typename E, typename Work>
std::string error_text(Work&& work) {
  try {
    work();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
    return {};
  }
  ADD_FAILURE() << "no exception";
  return {};
}

}  // namespace whence
