//! Whether the present thread is a driver's, which must not wait for itself or another one.

use std::cell::Cell;

thread_local! {
    static IS_DRIVER: Cell<bool> = const { Cell::new(false) };
}

/// The present thread drives members from here on.
pub(crate) fn mark() {
    IS_DRIVER.set(true);
}

/// Whether the present thread drives members: whoever calls runs in a hook.
pub(crate) fn is_present() -> bool {
    IS_DRIVER.get()
}
