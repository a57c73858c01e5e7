#pragma once

#include <array>

namespace whence::html {

// The files of page/, embedded by CMakeLists.txt.
extern const char* const kPageTemplate;
extern const char* const kPageStyle;
/// In the order that they use each other.
extern const std::array<const char*, 6> kPageScripts;

}  // namespace whence::html
