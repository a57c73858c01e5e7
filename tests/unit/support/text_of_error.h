#pragma once

#include <exception>
#include <string>

namespace whence::testing {

/// The text of the Expected that `act` throws; "nothing was thrown", or "another kind of error: ..." otherwise.
template <class Expected = std::exception, class Act>
std::string text_of_error(const Act& act) {
  try {
    try {
      act();
    } catch (const Expected& error) {
      return error.what();
    }
  } catch (const std::exception& error) {
    return std::string("another kind of error: ") + error.what();
  }
  return "nothing was thrown";
}

}  // namespace whence::testing
