#include "page_files.h"

namespace whence::html {
namespace {

constexpr const char* kStyle =
#include "page.css.h"
    ;
constexpr const char* kContextStyle =
#include "context.css.h"
    ;
constexpr const char* kHeatmapControls =
#include "heatmap_controls.html.h"
    ;
constexpr const char* kHeatmapView =
#include "heatmap.html.h"
    ;
constexpr const char* kContextView =
#include "context.html.h"
    ;
constexpr const char* kResult =
#include "result.js.h"
    ;
constexpr const char* kColors =
#include "colors.js.h"
    ;
constexpr const char* kSave =
#include "save.js.h"
    ;
constexpr const char* kWidgets =
#include "widgets.js.h"
    ;
constexpr const char* kTextView =
#include "text_view.js.h"
    ;
constexpr const char* kHeatmap =
#include "heatmap.js.h"
    ;
constexpr const char* kExport =
#include "export.js.h"
    ;
constexpr const char* kPage =
#include "page.js.h"
    ;
constexpr const char* kContextViewScript =
#include "context_view.js.h"
    ;
constexpr const char* kContextExport =
#include "context_export.js.h"
    ;
constexpr const char* kContextPage =
#include "context_page.js.h"
    ;

}  // namespace

const char* const kPageFrame =
#include "page.html.h"
    ;

PageFiles heatmap_files() {
  return {
      kHeatmapControls, kHeatmapView, kStyle, {kResult, kColors, kSave, kWidgets, kTextView, kHeatmap, kExport, kPage}};
}

PageFiles context_files() {
  return {"",
          kContextView,
          std::string(kStyle) + kContextStyle,
          {kResult, kColors, kSave, kWidgets, kContextViewScript, kContextExport, kContextPage}};
}

}  // namespace whence::html
