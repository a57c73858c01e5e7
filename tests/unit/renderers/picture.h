#pragma once

#include <algorithm>
#include <boost/property_tree/xml_parser.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace whence::testing {

struct Box {
  double x, y, width, height;
  std::string fill;
};

struct Line {
  double x, y;
  std::string anchor, text;
  bool upward;
};

/// A drawing, read by an XML parser.
struct Picture {
  double width, height, letter;
  std::vector<Box> boxes;
  std::vector<Line> lines;

  bool has(const std::string& text) const {
    return std::any_of(lines.begin(), lines.end(), [&](const Line& line) { return line.text == text; });
  }
};

inline Picture read_picture(const std::string& svg_text) {
  std::istringstream text(svg_text);
  boost::property_tree::ptree document;
  boost::property_tree::read_xml(text, document);
  const boost::property_tree::ptree& svg = document.get_child("svg");
  Picture picture{svg.get<double>("<xmlattr>.width"), svg.get<double>("<xmlattr>.height"),
                  0.61 * svg.get<double>("<xmlattr>.font-size")};
  for (const auto& [name, element] : svg) {
    const auto number = [&, &element = element](const std::string& key) {
      return element.get<double>("<xmlattr>." + key);
    };
    if (name == "rect")
      picture.boxes.push_back({element.get("<xmlattr>.x", 0.0), element.get("<xmlattr>.y", 0.0), number("width"),
                               number("height"), element.get<std::string>("<xmlattr>.fill")});
    if (name == "text")
      picture.lines.push_back({number("x"), number("y"), element.get<std::string>("<xmlattr>.text-anchor"),
                               element.data(), element.get_optional<std::string>("<xmlattr>.transform").has_value()});
  }
  return picture;
}

}  // namespace whence::testing
