#include "host/yaml.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/temporary_folder.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using whence::testing::text_of_error;

Value parse(const std::string& text) { return parse_yaml(text, "f.yaml"); }
std::string error(const std::string& text) {
  return text_of_error([&] { parse(text); });
}

TEST(Yaml, ReadsTheCoreSchema) {
  const Value value = parse(
      "a: yes\nb: 12\nc: 1.50\nd: '1'\ne: ~\nf: 0x1F\ng: .5\nh: -.inf\ni: 1e3\nj: True\nk: 0o17\nl: |\n  two\n  "
      "lines\nm:\n"
      "n: +7\no: 1.2.3\np: 12e\nq: .\nr: -x\n");
  EXPECT_EQ(value.at("a").as_string(), "yes");
  EXPECT_EQ(value.at("b").as_int(), 12);
  EXPECT_EQ(value.at("c").as_double(), 1.5);
  EXPECT_EQ(value.at("d").as_string(), "1");
  EXPECT_TRUE(value.at("e").is_null());
  EXPECT_EQ(value.at("f").as_int(), 31);
  EXPECT_EQ(value.at("g").as_double(), 0.5);
  EXPECT_EQ(value.at("h").as_double(), -INFINITY);
  EXPECT_FALSE(value.at("i").is_int());
  EXPECT_EQ(value.at("i").as_double(), 1000.0);
  EXPECT_TRUE(value.at("j").as_bool());
  EXPECT_EQ(value.at("k").as_int(), 15);
  EXPECT_EQ(value.at("l").as_string(), "two\nlines\n");
  EXPECT_TRUE(value.at("m").is_null());
  EXPECT_EQ(value.at("n").as_int(), 7);
  for (const char* key : {"o", "p", "q", "r"}) EXPECT_TRUE(value.at(key).is_string()) << key;
  EXPECT_TRUE(parse("").is_null());
  EXPECT_TRUE(std::isnan(parse(".nan").as_double()));
  EXPECT_EQ(parse("!!str 12").as_string(), "12");
}

TEST(Yaml, RemembersPlaces) {
  const Value value = parse("a: 1\nbody:\n  - x\n  - {c: 2}\n");
  EXPECT_EQ(value.at("a").mark().text(), "f.yaml:1:4");
  EXPECT_EQ(value.at("a").key_mark().text(), "f.yaml:1:1");
  EXPECT_EQ(value.at("body").mark().text(), "f.yaml:3:3");
  EXPECT_EQ(value.at("body").key_mark().text(), "f.yaml:2:1");
  EXPECT_EQ(value.at("body").as_list()[1].at("c").mark().text(), "f.yaml:4:9");
  EXPECT_EQ(text_of_error([&] { value.at("a").as_string(); }), "f.yaml:1:4: expected text, found integer");
  EXPECT_EQ(text_of_error([&] {
              value.require_known_keys({"a", "boxy"});
            }),
            "f.yaml:2:1: unknown key 'body'; did you mean 'boxy'? known: a, boxy");
}

TEST(Yaml, ExpandsAliases) {
  const Value value = parse("a: &x [1, 2]\nb: *x\nc: &y text\n*y : 3\n");
  EXPECT_EQ(value.at("a"), value.at("b"));
  EXPECT_EQ(value.at("text").as_int(), 3);
}

TEST(Yaml, NamesThePlaceOfErrors) {
  EXPECT_EQ(error("a: 1\nb: 2\na: 3\n"), "f.yaml:3:1: key 'a' is given twice, first on line 1; keep one");
  EXPECT_EQ(error("a: [1\n"),
            "f.yaml:2:1: not valid YAML: end of sequence flow not found; check indentation and quotes");
  EXPECT_EQ(error("a: 99999999999999999999\n"),
            "f.yaml:1:4: number 99999999999999999999 is out of range; quote it if it is meant as text");
  EXPECT_EQ(error("a: 1e999\n"), "f.yaml:1:4: number 1e999 is out of range; quote it if it is meant as text");
  EXPECT_EQ(error("? [1]\n: 2\n"), "f.yaml:1:3: a key must be text, found a list");
  EXPECT_EQ(error("~: 2\n"), "f.yaml:1:1: a key is empty or null; quote it if it is meant as text");
  EXPECT_EQ(error("- a\n---\n- b\n"), "f.yaml:2:1: a second document starts here; keep one document in a file");
  EXPECT_EQ(error("a: !!int x\n"), "f.yaml:1:4: tag 'tag:yaml.org,2002:int' does not fit 'x'; leave the tag out");
  EXPECT_EQ(error("a: !thing [1]\n"), "f.yaml:1:4: unknown tag '!thing'; leave the tag out");
  EXPECT_EQ(error("a: &x [*x]\n"), "f.yaml:1:8: this alias lies within the value it stands for; write the value out");
}

TEST(Yaml, RefusesBytesThatAreNoText) {
  EXPECT_EQ(error("a: b\nc: \x04 d\n"), "f.yaml:2:4: control character with code 4; remove it");
  EXPECT_EQ(error(std::string("a\0b", 3)), "f.yaml:1:2: control character with code 0; remove it");
  EXPECT_EQ(error("a: \xff\n"), "f.yaml:1:4: not valid UTF-8; save the file as UTF-8");
}

TEST(Yaml, IsBounded) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char anchor = 'b'; anchor < 'k'; ++anchor) {
    bomb += std::string(1, anchor) + ": &" + anchor + " [";
    for (int i = 0; i < 10; ++i) bomb += std::string(i ? "," : "") + "*" + static_cast<char>(anchor - 1);
    bomb += "]\n";
  }
  EXPECT_NE(error(bomb).find("the document expands to more than a million values; use fewer aliases or split it"),
            std::string::npos);
  std::string long_text = "a: &a " + std::string(1 << 20, 'x') + "\nb: [";
  for (int i = 0; i < 100; ++i) long_text += "*a, ";
  EXPECT_NE(error(long_text + "]\n").find("more than a million values"), std::string::npos);
  EXPECT_EQ(error(std::string(65, '[') + std::string(65, ']')),
            "f.yaml:1:65: more than 64 levels of nesting; flatten the document");
  EXPECT_EQ(error(std::string(64, '[') + std::string(64, ']')), "nothing was thrown");
  std::string deep = "a: &a " + std::string(40, '[') + std::string(40, ']') + "\nb: " + std::string(40, '[') + "*a" +
                     std::string(40, ']') + "\n";
  EXPECT_NE(error(deep).find("more than 64 levels of nesting"), std::string::npos);
  EXPECT_EQ(error(std::string((16 << 20) + 1, '#')), "f.yaml: larger than 16 MiB; split it");
}

TEST(Yaml, WritesWhatItReadsBack) {
  const Value::List list = {Value("text"),
                            Value("true"),
                            Value("null"),
                            Value("12"),
                            Value("1e5"),
                            Value(""),
                            Value("~"),
                            Value("- a"),
                            Value("a: b"),
                            Value("a #b"),
                            Value("tab\tline\nend\x04"),
                            Value("größe \xe2\x80\xa8 😀"),
                            Value(std::string(" padded ")),
                            Value(true),
                            Value(std::int64_t{-5}),
                            Value(std::numeric_limits<std::int64_t>::min()),
                            Value(1.0),
                            Value(-0.1),
                            Value(1e300),
                            Value(5e-324),
                            Value(INFINITY),
                            Value()};
  const Value value(Value::Map{{"list", Value(list)},
                               {"nested", Value(Value::List{Value(Value::List{}), Value(Value::Map{}), Value(list)})},
                               {"12", Value(Value::Map{{"true", Value()}, {"a b: c", Value("x")}})},
                               {"", Value("empty key")}});
  const std::string text = to_yaml(value);
  EXPECT_EQ(parse(text), value) << text;
  for (const Value& item : list) EXPECT_EQ(parse(to_yaml(item)), item) << to_yaml(item);
}

TEST(Yaml, LoadsFiles) {
  const whence::testing::TemporaryFolder folder;
  EXPECT_EQ(load_yaml(folder.write("a.yaml", "x: 1\n")).at("x").mark().text(),
            (folder.path() / "a.yaml").string() + ":1:4");
  EXPECT_EQ(text_of_error([&] { load_yaml(folder.path() / "b.yaml"); }),
            (folder.path() / "b.yaml").string() + ": no such file; correct the path");
  EXPECT_EQ(text_of_error([&] { load_yaml(folder.path()); }),
            folder.path().string() + ": not a regular file; name a YAML file");
}

}  // namespace
}  // namespace whence::host
