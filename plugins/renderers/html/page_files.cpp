#include "page_files.h"

namespace whence::html {

const char* const kPageTemplate =
#include "page.html.h"
    ;

const char* const kPageStyle =
#include "page.css.h"
    ;

const std::array<const char*, 6> kPageScripts = {
#include "result.js.h"
    ,
#include "colors.js.h"
    ,
#include "text_view.js.h"
    ,
#include "heatmap.js.h"
    ,
#include "export.js.h"
    ,
#include "page.js.h"
};

}  // namespace whence::html
