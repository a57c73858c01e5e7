#pragma once

// C interface of the progress bar library. A bar draws on standard error and belongs to one thread.

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct whence_progress whence_progress;

/// Starts a bar labelled with the `label_size` bytes of UTF-8 at `label`, of `total` units of work, coloured if
/// `colored`. Null if it could not be made.
whence_progress* whence_progress_new(const char* label, uintptr_t label_size, uint64_t total, int colored);
/// Moves the bar; it shows the share done, the rate per second and the time left.
void whence_progress_update(whence_progress* bar, uint64_t done, uint64_t total);
/// Wipes the bar from the terminal and frees it.
void whence_progress_finish(whence_progress* bar);

#ifdef __cplusplus
}
#endif
