#pragma once

#include <string>

#include "host/context_output.h"

namespace whence::host {

/// The beginning of a generated output that is its context. A candidate ends before the text that the output template
/// has between {context} and {current}, where that stands there once; else behind as many sentences as the input
/// context has, or one; else behind the last word that is aligned with a word of the input context. The strategy "auto"
/// takes it; otherwise a person confirms it or says another one. Throws InputError where there is none, and where
/// nobody answers.
std::string divided_context(const ContextTask& task, const std::string& output);

}  // namespace whence::host
