#pragma once

/// Marks what the shared framework library offers to plugins and hosts. Everything else is hidden.
#define WHENCE_API __attribute__((visibility("default")))
