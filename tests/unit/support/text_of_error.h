#pragma once

#include <exception>
#include <string>

namespace whence::testing {

/// The text of the exception that `act` throws; "nothing was thrown" otherwise.
template <class Act>
std::string text_of_error(const Act& act) {
  try {
    act();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace whence::testing
