#pragma once

#include <string>
#include <vector>

#include "architecture.h"

namespace whence::transformer {

/// The settings of a checkpoint that neither its architecture file nor anything else here reads, each as "key: value".
/// Those that have no part in what a trained model computes, such as dropout, are not among them.
std::vector<std::string> unread_settings(const Architecture& architecture, const HyperParameters& checkpoint);

}  // namespace whence::transformer
