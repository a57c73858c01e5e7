#include "page_files.h"

#include <algorithm>
#include <array>

namespace whence::serve {
namespace {

PageFile page_file(const char* path, const char* type, const char* text) {
  return {path, std::string(type) + "; charset=utf-8", std::make_shared<const std::string>(text)};
}

const std::vector<PageFile>& page_files() {
  static const std::vector<PageFile> kFiles{page_file("/", "text/html",
#include "serve.html.h"
                                                      ),
                                            page_file("/page/serve.css", "text/css",
#include "serve.css.h"
                                                      ),
                                            page_file("/page/icon.svg", "image/svg+xml",
#include "icon.svg.h"
                                                      ),
                                            page_file("/page/form.js", "text/javascript",
#include "form.js.h"
                                                      ),
                                            page_file("/page/job.js", "text/javascript",
#include "job.js.h"
                                                      ),
                                            page_file("/page/serve.js", "text/javascript",
#include "serve.js.h"
                                                      ),
                                            page_file("/openapi.json", "application/json",
#include "openapi.json.h"
                                                      )};
  return kFiles;
}

}  // namespace

const PageFile* find_page_file(const std::string& path) {
  const auto file = std::ranges::find(page_files(), path, &PageFile::path);
  return file == page_files().end() ? nullptr : &*file;
}

const std::vector<std::pair<std::string, std::string>> kPageHeaders{
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Opener-Policy", "same-origin"}};

const std::vector<std::pair<std::string, std::string>> kResultHeaders{
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:; base-uri 'none'; "
     "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts allow-downloads"},
    {"X-Frame-Options", "SAMEORIGIN"},
    {"Content-Disposition", "inline; filename=\"whence.html\""}};

}  // namespace whence::serve
