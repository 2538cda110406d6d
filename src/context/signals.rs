//! Stopping at a signal, when the program asks for it.

use std::sync::{Arc, Weak};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::{Inner, StreamingContext};
use crate::dstream::StreamingContextState;
use crate::error::{Error, Result};

/// # Signals
impl StreamingContext {
    /// Stops the context at the first SIGTERM or SIGINT (Ctrl-C): gracefully if
    /// `stop_gracefully_on_shutdown` is on, else at once. A second signal has its
    /// usual effect, so it ends a process that takes too long to stop; so has any
    /// signal once the context is stopped or gone.
    ///
    /// The handlers are those of the whole process, which is why nothing sets
    /// them unless asked; programs with handlers of their own call
    /// [`stop`](Self::stop) from there.
    ///
    /// # Errors
    /// If the handlers or their thread cannot be set up.
    #[doc(alias = "stopGracefullyOnShutdown")]
    pub fn stop_on_signals(&self) -> Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT])
            .map_err(|cause| Error::io("signal handlers cannot be set", cause))?;
        // Weak: a program that drops its context is not kept running by this.
        let context = Arc::downgrade(&self.inner);
        let waiting = move || {
            let mut heard_before = false;
            for signal in signals.forever() {
                let first = !std::mem::replace(&mut heard_before, true);
                // The stop has a thread of its own, so that a second signal is
                // heard meanwhile.
                let heard = match first.then(|| unstopped(&context)).flatten() {
                    Some(context) => spawn("ms-signal-stop", move || stop(&context)),
                    None => emulate_default_handler(signal),
                };
                if let Err(error) = heard {
                    tracing::error!(%error, signal, "the signal has no effect");
                }
            }
        };
        // Not threads of the context: they wait for all of those.
        spawn("ms-signals", waiting)
            .map_err(|cause| Error::io("the signals' thread cannot be started", cause))
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map(|_| ())
}

/// The context, unless there is nothing left to stop.
fn unstopped(context: &Weak<Inner>) -> Option<StreamingContext> {
    let context = context.upgrade().map(|inner| StreamingContext { inner })?;
    (context.state() != StreamingContextState::Stopped).then_some(context)
}

fn stop(context: &StreamingContext) {
    if let Err(error) = context.stop(context.conf().stop_gracefully_on_shutdown) {
        tracing::error!(%error, "the context did not stop cleanly");
    }
}
