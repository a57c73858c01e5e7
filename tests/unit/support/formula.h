#pragma once

#include <cctype>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>

namespace whence::testing {

/// Value of a formula of plugin.yaml: numbers, names, + - * / ( ), and min, max and floor. Throws std::invalid_argument
/// for anything else.
class Formula {
 public:
  using Names = std::map<std::string, double>;

  static double evaluate(const std::string& text, const Names& names) {
    Formula formula(text, names);
    const double value = formula.sum();
    if (formula.at_ != text.size()) formula.fail();
    return value;
  }

 private:
  Formula(const std::string& text, const Names& names) : text_(text), names_(names) { skip(); }

  [[noreturn]] void fail() const {
    throw std::invalid_argument("'" + text_ + "' is no formula at letter " + std::to_string(at_ + 1));
  }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char letter) {
    if (at_ >= text_.size() || text_[at_] != letter) return false;
    ++at_;
    skip();
    return true;
  }

  double sum() {
    double value = product();
    for (;;)
      if (take('+'))
        value += product();
      else if (take('-'))
        value -= product();
      else
        return value;
  }

  double product() {
    double value = factor();
    for (;;)
      if (take('*'))
        value *= factor();
      else if (take('/'))
        value /= factor();
      else
        return value;
  }

  double factor() {
    if (take('(')) return closed(sum());
    if (take('-')) return -factor();
    const std::size_t start = at_;
    const bool number = at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]));
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    const std::string word = text_.substr(start, at_ - start);
    skip();
    if (word.empty()) fail();
    if (number) return std::stod(word);
    if (take('(')) return call(word);
    const auto name = names_.find(word);
    if (name == names_.end()) throw std::invalid_argument("'" + text_ + "': unknown name '" + word + "'");
    return name->second;
  }

  double call(const std::string& function) {
    const double first = sum();
    if (function == "floor") return closed(std::floor(first));
    if ((function != "min" && function != "max") || !take(',')) fail();
    const double second = closed(sum());
    return function == "min" ? std::min(first, second) : std::max(first, second);
  }

  double closed(double value) {
    if (!take(')')) fail();
    return value;
  }

  const std::string& text_;
  const Names& names_;
  std::size_t at_ = 0;
};

}  // namespace whence::testing
