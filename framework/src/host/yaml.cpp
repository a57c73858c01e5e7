#include "host/yaml.h"

#include <utf8proc.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/null.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <unordered_map>

namespace whence::host {
namespace {

using Data = std::remove_cvref_t<decltype(std::declval<Value>().data())>;

constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxDepth = 64;
/// Counted after aliases are expanded, which is what keeps nested anchors from growing without end.
constexpr std::size_t kMaxValues = 1'000'000;

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::string_view without_sign(std::string_view text) {
  return !text.empty() && (text[0] == '+' || text[0] == '-') ? text.substr(1) : text;
}

bool all_of(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

/// Reads all of `text` as a number. std::from_chars knows "-" but not "+".
template <class T, class Format>
T read_number(std::string_view text, Format format, const Mark& where) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  T number{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, format);
  if (error != std::errc{} || end != digits.data() + digits.size())
    throw ConfigError(
        where, "number " + std::string(text.substr(0, 40)) + " is out of range; quote it if it is meant as text");
  return number;
}

bool is_float(std::string_view text) {
  const std::string_view body = without_sign(text);
  const std::size_t exponent = body.find_first_of("eE");
  std::string_view mantissa = body.substr(0, exponent);
  if (exponent != std::string_view::npos && !all_of(without_sign(body.substr(exponent + 1)), "0123456789"))
    return false;
  const std::size_t point = mantissa.find('.');
  if (point == std::string_view::npos) return all_of(mantissa, "0123456789");
  const std::string_view before = mantissa.substr(0, point), after = mantissa.substr(point + 1);
  if (before.empty()) return all_of(after, "0123456789");
  return all_of(before, "0123456789") && (after.empty() || all_of(after, "0123456789"));
}

/// What an unquoted scalar means in the core schema of YAML 1.2: `yes` and `no` are text.
Data resolve_plain(const std::string& text, const Mark& where) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return std::monostate{};
  if (is_one_of(text, {"true", "True", "TRUE"})) return true;
  if (is_one_of(text, {"false", "False", "FALSE"})) return false;
  const std::string_view unsigned_text = without_sign(text);
  if (all_of(unsigned_text, "0123456789")) return read_number<std::int64_t>(text, 10, where);
  const std::string_view view = text;
  if (view.starts_with("0o") && all_of(view.substr(2), "01234567"))
    return read_number<std::int64_t>(view.substr(2), 8, where);
  if (view.starts_with("0x") && all_of(view.substr(2), "0123456789abcdefABCDEF"))
    return read_number<std::int64_t>(view.substr(2), 16, where);
  if (is_one_of(unsigned_text, {".inf", ".Inf", ".INF"})) return text[0] == '-' ? -INFINITY : INFINITY;
  if (is_one_of(text, {".nan", ".NaN", ".NAN"})) return std::nan("");
  if (is_float(text)) return read_number<double>(text, std::chars_format::general, where);
  return text;
}

class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(const std::string& file) : file_(file), root_(std::monostate{}, Mark{file, 1, 1}) {}

  Value take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw ConfigError(place(mark), "a second document starts here; keep one document in a file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) throw ConfigError(place(mark), "a key is empty or null; quote it if it is meant as text");
    count(1, place(mark));
    add(Value(std::monostate{}, place(mark)), anchor, {1, 0});
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (expects_key()) return set_key(text, mark, anchor);
    count(1, place(mark));
    add(Value(resolve(tag, text, place(mark)), place(mark)), anchor, size_of(text));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      throw ConfigError(place(mark), "this alias lies within the value it stands for; write the value out");
    const auto& [value, size] = found->second;
    if (expects_key()) {
      if (!value.is_string())
        throw ConfigError(place(mark), "a key must be text, found " + std::string(value.type_name()));
      return set_key(value.as_string(), mark, 0);
    }
    if (stack_.size() + size.depth > kMaxDepth) fail_too_deep(mark);
    count(size.values, place(mark));
    add(value, 0, size);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(false, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(true, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Size {
    std::size_t values = 1, depth = 0;
  };
  /// A long text weighs as much as several values, as aliases copy it.
  static Size size_of(const std::string& text) { return {1 + text.size() / 32, 0}; }

  struct Frame {
    bool is_map;
    Mark mark;
    YAML::anchor_t anchor;
    Size size;
    Value::List list;
    Value::Map map;
    std::unordered_map<std::string, int> lines;  ///< key -> where it was first given
    std::optional<std::string> key;
    Mark key_mark;
  };

  Mark place(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }

  bool expects_key() const { return !stack_.empty() && stack_.back().is_map && !stack_.back().key; }

  void set_key(const std::string& text, const YAML::Mark& mark, YAML::anchor_t anchor) {
    Frame& frame = stack_.back();
    const auto [first, is_new] = frame.lines.emplace(text, mark.line + 1);
    if (!is_new)
      throw ConfigError(place(mark), "key '" + text + "' is given twice, first on line " +
                                         std::to_string(first->second) + "; keep one");
    frame.key = text;
    frame.key_mark = place(mark);
    if (anchor) anchors_.insert_or_assign(anchor, std::pair(Value(text, place(mark)), size_of(text)));
  }

  Data resolve(const std::string& tag, const std::string& text, const Mark& where) const {
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return text;
    Data plain = resolve_plain(text, where);
    if (tag == "?" || tag.empty()) return plain;
    const Value value(plain, where);
    if ((tag == "tag:yaml.org,2002:int" && value.is_int()) || (tag == "tag:yaml.org,2002:bool" && value.is_bool()) ||
        (tag == "tag:yaml.org,2002:null" && value.is_null()))
      return plain;
    if (tag == "tag:yaml.org,2002:float" && value.is_number()) return value.as_double();
    throw ConfigError(where, "tag '" + tag + "' does not fit '" + text.substr(0, 40) + "'; leave the tag out");
  }

  [[noreturn]] void fail_too_deep(const YAML::Mark& mark) const {
    throw ConfigError(place(mark),
                      "more than " + std::to_string(kMaxDepth) + " levels of nesting; flatten the document");
  }

  void open(bool is_map, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (expects_key())
      throw ConfigError(place(mark), std::string("a key must be text, found ") + (is_map ? "a mapping" : "a list"));
    if (stack_.size() >= kMaxDepth) fail_too_deep(mark);
    count(1, place(mark));
    if (tag != "?" && tag != "!" && !tag.empty() && tag != (is_map ? "tag:yaml.org,2002:map" : "tag:yaml.org,2002:seq"))
      throw ConfigError(place(mark), "unknown tag '" + tag + "'; leave the tag out");
    stack_.push_back({is_map, place(mark), anchor});
  }

  void close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    Data data = frame.is_map ? Data(std::move(frame.map)) : Data(std::move(frame.list));
    ++frame.size.depth;
    add(Value(std::move(data), frame.mark), frame.anchor, frame.size);
  }

  void count(std::size_t values, const Mark& where) {
    values_ += values;
    if (values_ > kMaxValues)
      throw ConfigError(where, "the document expands to more than a million values; use fewer aliases or split it");
  }

  void add(Value value, YAML::anchor_t anchor, Size size) {
    if (anchor) {
      count(size.values, value.mark());
      anchors_.insert_or_assign(anchor, std::pair(value, size));
    }
    if (stack_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& frame = stack_.back();
    frame.size.values += size.values;
    frame.size.depth = std::max(frame.size.depth, size.depth);
    if (frame.is_map) {
      value.set_key_place(frame.key_mark.line, frame.key_mark.column);
      frame.map.emplace_back(std::move(*frame.key), std::move(value));
      frame.key.reset();
    } else {
      frame.list.push_back(std::move(value));
    }
  }

  const std::string file_;
  Value root_;
  std::vector<Frame> stack_;
  std::unordered_map<YAML::anchor_t, std::pair<Value, Size>> anchors_;
  std::size_t values_ = 0;
  int documents_ = 0;
};

/// YAML is UTF-8 without control characters; the parser beneath would stop at some of them as if the text ended there.
void check_characters(std::string_view text, const std::string& file) {
  int line = 1;
  std::size_t line_start = 0;
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t code = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &code);
    const bool is_control = code == 0x7f || (code < 0x20 && code != '\t' && code != '\n' && code != '\r');
    if (length < 0 || is_control)
      throw ConfigError({file, line, static_cast<int>(at - line_start) + 1},
                        length < 0 ? "not valid UTF-8; save the file as UTF-8"
                                   : "control character with code " + std::to_string(code) + "; remove it");
    at += static_cast<std::size_t>(length);
    if (code == '\n') {
      ++line;
      line_start = at;
    }
  }
}

void emit(YAML::Emitter& out, const Value& value);

/// Quotes what would be read back as something else than text.
void emit_text(YAML::Emitter& out, const std::string& text) {
  const bool starts_plainly = !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_');
  if (!starts_plainly || !std::holds_alternative<std::string>(resolve_plain(text, {}))) out << YAML::DoubleQuoted;
  out << text;
}

void emit_double(YAML::Emitter& out, double number) {
  if (std::isnan(number)) {
    out << ".nan";
  } else if (std::isinf(number)) {
    out << (number < 0 ? "-.inf" : ".inf");
  } else {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    std::string text(digits.data(), end);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    out << text;
  }
}

void emit_list(YAML::Emitter& out, const Value::List& list) {
  const bool is_short =
      std::none_of(list.begin(), list.end(), [](const Value& item) { return item.is_map() || item.is_list(); });
  out << (is_short ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
  for (const Value& item : list) emit(out, item);
  out << YAML::EndSeq;
}

void emit_map(YAML::Emitter& out, const Value::Map& map) {
  out << YAML::BeginMap;
  for (const auto& [key, item] : map) {
    out << YAML::Key;
    emit_text(out, key);
    out << YAML::Value;
    emit(out, item);
  }
  out << YAML::EndMap;
}

void emit(YAML::Emitter& out, const Value& value) {
  if (value.is_null()) {
    out << YAML::Null;
  } else if (value.is_bool()) {
    out << value.as_bool();
  } else if (value.is_int()) {
    out << value.as_int();
  } else if (value.is_number()) {
    emit_double(out, value.as_double());
  } else if (value.is_string()) {
    emit_text(out, value.as_string());
  } else if (value.is_list()) {
    emit_list(out, value.as_list());
  } else {
    emit_map(out, value.as_map());
  }
}

}  // namespace

Value parse_yaml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxBytes) throw ConfigError({file}, "larger than 16 MiB; split it");
  check_characters(text, file);
  std::istringstream stream{std::string(text)};
  Builder builder(file);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    const Mark where = error.mark.is_null() ? Mark{file} : Mark{file, error.mark.line + 1, error.mark.column + 1};
    throw ConfigError(where, "not valid YAML: " + error.msg + "; check indentation and quotes");
  }
  return builder.take_root();
}

Value load_yaml(const std::filesystem::path& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (!std::filesystem::exists(status)) throw ConfigError({path.string()}, "no such file; correct the path");
  if (!std::filesystem::is_regular_file(status))
    throw ConfigError({path.string()}, "not a regular file; name a YAML file");
  std::ifstream stream(path, std::ios::binary);
  std::string text(std::min<std::uintmax_t>(std::filesystem::file_size(path, failure), kMaxBytes + 1), '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (failure || !stream) throw ConfigError({path.string()}, "cannot be read; check its permissions");
  return parse_yaml(text, path.string());
}

std::string to_yaml(const Value& value) {
  YAML::Emitter out;
  emit(out, value);
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace whence::host
