#pragma once

#include <exception>
#include <string>

namespace whence::serve {

/// Why something was not done, as clients are told.
struct Failure {
  int status = 500;   ///< of HTTP
  std::string place;  ///< of the request: a header, "body", or the path of a field; may be empty
  std::string message;
};

/// What a thrown exception tells clients: 422 where the request is to blame, else 500.
Failure failure_from(std::exception_ptr error);

/// `{"error": {"status", "place", "message"}}` on one line.
std::string failure_json(const Failure& failure);

}  // namespace whence::serve
