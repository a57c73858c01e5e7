//! C interface to indicatif: one progress bar on standard error. The contract is in whence_progress.h.

use std::fmt::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

const PLAIN: &str = "{msg} [{bar:30}] {pos}/{len}, {rate}, {eta} left";
const COLORED: &str = "{msg} [{bar:30.cyan}] {pos}/{len}, {rate}, {eta} left";

fn write_rate(state: &ProgressState, output: &mut dyn Write) {
    // A line that cannot be written is drawn without its rate.
    let _ = write!(output, "{:.1}/s", state.per_sec());
}

/// # Safety
/// `label` points to `label_size` readable bytes.
#[no_mangle]
pub unsafe extern "C" fn whence_progress_new(label: *const u8, label_size: usize, total: u64, colored: i32) -> *mut ProgressBar {
    let bytes = std::slice::from_raw_parts(label, label_size);
    catch_unwind(|| {
        let template = if colored != 0 { COLORED } else { PLAIN };
        let style = ProgressStyle::with_template(template).ok()?.progress_chars("=> ").with_key("rate", write_rate);
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10)).with_style(style);
        bar.set_message(String::from_utf8_lossy(bytes).into_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        Some(Box::into_raw(Box::new(bar)))
    })
    .ok()
    .flatten()
    .unwrap_or(std::ptr::null_mut())
}

/// # Safety
/// `bar` came from `whence_progress_new` and was not finished, or is null.
#[no_mangle]
pub unsafe extern "C" fn whence_progress_update(bar: *mut ProgressBar, done: u64, total: u64) {
    let Some(bar) = bar.as_ref() else { return };
    // A bar that cannot be drawn is no reason to end an attribution.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        bar.set_length(total);
        bar.set_position(done);
    }));
}

/// # Safety
/// `bar` came from `whence_progress_new` and is not used again, or is null.
#[no_mangle]
pub unsafe extern "C" fn whence_progress_finish(bar: *mut ProgressBar) {
    if bar.is_null() {
        return;
    }
    let bar = Box::from_raw(bar);
    let _ = catch_unwind(AssertUnwindSafe(move || bar.finish_and_clear()));
}
