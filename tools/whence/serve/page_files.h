#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace whence::serve {

/// One file of the page, embedded by CMakeLists.txt.
struct PageFile {
  std::string path, type;
  std::shared_ptr<const std::string> text;
};

/// Null when there is no such file.
const PageFile* find_page_file(const std::string& path);

/// What browsers may do with the files of the page: load scripts and styles of this server, talk to it, and nothing
/// else; no other page may frame them.
extern const std::vector<std::pair<std::string, std::string>> kPageHeaders;
/// With the page of a result: it runs as if it came from nowhere, so that what a model wrote cannot reach the server.
extern const std::vector<std::pair<std::string, std::string>> kResultHeaders;

}  // namespace whence::serve
