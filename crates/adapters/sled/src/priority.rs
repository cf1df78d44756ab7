//! Letting others go first.

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// The nice value of what nobody waits for. On processors that are all busy it gets about a third of a request's share.
const NICE: i32 = 5;

/// Lets the calling thread give way to those that answer requests. (On Linux a thread has a nice value of its own.)
pub(crate) fn lower() {
    if let Err(error) = setpriority_process(Some(gettid()), NICE) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}
