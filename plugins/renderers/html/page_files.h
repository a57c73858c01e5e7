#pragma once

#include <string>
#include <vector>

namespace whence::html {

/// Files of page/, embedded by CMakeLists.txt, that make a page of one kind.
struct PageFiles {
  std::string controls, view;  ///< templates of the parts that kPageFrame leaves open
  std::string style;
  std::vector<std::string> scripts;  ///< in the order that they use each other
};

/// The template of every page.
extern const char* const kPageFrame;

PageFiles heatmap_files();
PageFiles context_files();

}  // namespace whence::html
