#include "failure.h"

#include "json_text.h"
#include "whence/error.h"

namespace whence::serve {

Failure failure_from(std::exception_ptr error) {
  constexpr int kRequestIsWrong = 422, kServerFailed = 500;
  try {
    std::rethrow_exception(error);
  } catch (const ConfigError& wrong) {
    return {kRequestIsWrong, wrong.where().text(), wrong.what()};
  } catch (const InputError& wrong) {
    return {kRequestIsWrong, "", wrong.what()};
  } catch (const Error& failed) {
    return {kServerFailed, "", failed.what()};
  } catch (const std::bad_alloc&) {
    return {kServerFailed, "", "not enough memory for this request; shorten the texts"};
  } catch (const std::exception& defect) {
    return {kServerFailed, "", std::string("defect in whence, please report it: ") + defect.what()};
  } catch (...) {
    return {kServerFailed, "", "defect in whence, please report it: an exception of unknown type"};
  }
}

std::string failure_json(const Failure& failure) {
  return json_text({{"error", {{"status", failure.status}, {"place", failure.place}, {"message", failure.message}}}});
}

}  // namespace whence::serve
