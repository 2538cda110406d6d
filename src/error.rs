//! The one error type of the crate.
//!
//! An [`Error`] is a kind to branch on, a message for people, and what it is about: the stream, the
//! batch, the place of declaration, the cause. It names no type of the modules above it, so that
//! every module can use it.

use std::any::Any;
use std::fmt::{self, Write as _};
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::Arc;

/// A `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms a program can branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing, malformed, out of range or at odds with another one.
    Config,
    /// An argument of a call breaks the rules of that call.
    InvalidArgument,
    /// The call is not allowed in the present state, such as a second start.
    IllegalState,
    /// The operating system refused a file, directory or socket operation.
    Io,
    /// What was read is not what was written: it was damaged, or is of another kind.
    Corrupt,
    /// A receiver failed.
    Receiver,
    /// A job of a batch failed.
    Job,
    /// User code panicked.
    Panic,
    /// A time limit ran out.
    Timeout,
    /// More would be kept than a setting allows.
    Limit,
    /// The request is understood, but this build or platform cannot do it.
    Unsupported,
    /// None of these: an error of the program's own, or of another library.
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "configuration error",
            Self::InvalidArgument => "invalid argument",
            Self::IllegalState => "illegal state",
            Self::Io => "input/output error",
            Self::Corrupt => "corrupt data",
            Self::Receiver => "receiver error",
            Self::Job => "job failed",
            Self::Panic => "panic",
            Self::Timeout => "timed out",
            Self::Limit => "limit exceeded",
            Self::Unsupported => "unsupported",
            Self::Other => "error",
        })
    }
}

/// What went wrong, to what, where and why. Cloning is cheap.
///
/// `{}` and `{:?}` give one line; `{:#?}` gives the parts. The line ends with the direct cause;
/// deeper causes are found through [`source`](std::error::Error::source).
///
/// # Examples
///
/// ```
/// use millstream::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Job, "output 2 gave up")
///     .with_stream("words")
///     .in_batch(1_700_000_000_000)
///     .with_source(std::io::Error::other("disk full"));
/// assert_eq!(error.kind(), ErrorKind::Job);
/// assert_eq!(
///     error.to_string(),
///     "job failed: output 2 gave up (stream words, batch 1700000000000 ms): disk full"
/// );
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    stream: Option<String>,
    batch_ms: Option<i64>,
    declared: Option<&'static Location<'static>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind; the message names the offending thing, its value, the rule and the
    /// remedy.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            stream: None,
            batch_ms: None,
            declared: None,
            source: None,
        }))
    }

    /// An error of kind [`ErrorKind::InvalidArgument`].
    #[must_use]
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// An error of kind [`ErrorKind::IllegalState`].
    #[must_use]
    pub fn illegal_state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::IllegalState, message)
    }

    /// An error of kind [`ErrorKind::Config`].
    #[must_use]
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// An error of kind [`ErrorKind::Io`]; `what` names the operation and the file or address.
    ///
    /// ```
    /// use millstream::Error;
    ///
    /// let cause = std::io::Error::other("disk full");
    /// let error = Error::io("cannot write out/part-00000", cause);
    /// assert_eq!(error.to_string(), "input/output error: cannot write out/part-00000: disk full");
    /// ```
    #[must_use]
    pub fn io(what: impl Into<String>, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, what).with_source(cause)
    }

    /// An error of kind [`ErrorKind::Other`] from any error, or from a text. With it the `?` of a
    /// closure takes what other libraries return; an `Error` that comes in stays as it is.
    ///
    /// ```
    /// use millstream::{Error, ErrorKind};
    ///
    /// fn port(text: &str) -> millstream::Result<u16> {
    ///     let port = text.parse().map_err(Error::other)?;
    ///     if port == 0 {
    ///         return Err(Error::other("port 0 is no port"));
    ///     }
    ///     Ok(port)
    /// }
    ///
    /// let error = port("x").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Other);
    /// assert_eq!(error.to_string(), "error: invalid digit found in string");
    /// assert_eq!(port("0").unwrap_err().to_string(), "error: port 0 is no port");
    /// ```
    #[must_use]
    pub fn other(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        match cause.into().downcast::<Self>() {
            Ok(own) => *own,
            Err(cause) => Self::new(ErrorKind::Other, "").with_source(cause),
        }
    }

    /// An error of kind [`ErrorKind::Panic`] from a caught panic of `what`, with the panic's text
    /// if it has one.
    ///
    /// ```
    /// use millstream::Error;
    ///
    /// let payload = std::panic::catch_unwind(|| panic!("no such key: {}", 7)).unwrap_err();
    /// let error = Error::from_panic(payload, "the closure of map");
    /// assert_eq!(error.to_string(), "panic: the closure of map panicked: no such key: 7");
    /// ```
    #[must_use]
    pub fn from_panic(payload: Box<dyn Any + Send>, what: &str) -> Self {
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(payload) => {
                    // A payload may panic again when dropped; that must not escape from the handler
                    // of the first panic.
                    if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                        Box::leak(again);
                    }
                    "(not a text)".to_owned()
                }
            },
        };
        Self::new(ErrorKind::Panic, format!("{what} panicked: {text}"))
    }

    /// Runs what may be the program's own code: a panic is an error that names `what`. What it
    /// leaves half changed is up to the caller.
    pub(crate) fn caught<R>(what: &str, code: impl FnOnce() -> Result<R>) -> Result<R> {
        panic::catch_unwind(AssertUnwindSafe(code))
            .unwrap_or_else(|payload| Err(Self::from_panic(payload, what)))
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = Arc::from(source.into());
        self.edit(|inner| inner.source = Some(source))
    }

    /// Adds the stream it happened in.
    #[must_use]
    pub fn with_stream(self, stream: impl Into<String>) -> Self {
        let stream = stream.into();
        self.edit(|inner| inner.stream = Some(stream))
    }

    /// Adds the batch it happened in, by its time in milliseconds since the epoch.
    #[must_use]
    pub fn in_batch(self, batch_ms: i64) -> Self {
        self.edit(|inner| inner.batch_ms = Some(batch_ms))
    }

    /// Adds the place in the program where the failing thing was declared.
    ///
    /// ```
    /// use millstream::Error;
    /// use std::panic::Location;
    ///
    /// let here = Location::caller();
    /// let text = Error::invalid_argument("slide interval = 0 ms").at(here).to_string();
    /// assert!(text.ends_with(&format!("(declared at {}:{})", here.file(), here.line())));
    /// ```
    #[must_use]
    pub fn at(self, declared: &'static Location<'static>) -> Self {
        self.edit(|inner| inner.declared = Some(declared))
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The kind, to branch on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a time limit ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut line = OneLine(f);
        write!(line, "{}", inner.kind)?;
        if !inner.message.is_empty() {
            write!(line, ": {}", inner.message)?;
        }
        let mut lead = " (";
        if let Some(stream) = &inner.stream {
            write!(line, "{lead}stream {stream}")?;
            lead = ", ";
        }
        if let Some(batch_ms) = inner.batch_ms {
            write!(line, "{lead}batch {batch_ms} ms")?;
            lead = ", ";
        }
        if let Some(place) = inner.declared {
            write!(line, "{lead}declared at {}:{}", place.file(), place.line())?;
            lead = ", ";
        }
        if lead == ", " {
            line.write_str(")")?;
        }
        match &inner.source {
            Some(source) => write!(line, ": {source}"),
            None => Ok(()),
        }
    }
}

/// Keeps an error on one line of a log, whatever a message or a panic text holds.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (i, part) in text.split(char::is_control).enumerate() {
            if i > 0 {
                self.0.write_str(" ")?;
            }
            self.0.write_str(part)?;
        }
        Ok(())
    }
}

// A `main` that returns an error prints it with `{:?}`: people should get the line there, not the
// parts.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("stream", &self.0.stream)
            .field("batch_ms", &self.0.batch_ms)
            .field("declared", &self.0.declared)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Of kind [`ErrorKind::Io`]; but an `Error` that came through somebody's input or output stays
/// as it is.
impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        cause.downcast().unwrap_or_else(|cause| Self::io("", cause))
    }
}

/// As [`Error::other`]: for functions that return boxed errors.
impl From<Box<dyn std::error::Error + Send + Sync>> for Error {
    fn from(cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::other(cause)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::panic;

    use super::*;

    #[test]
    fn is_small_cheap_and_shareable() {
        fn shareable<T: Clone + Send + Sync + std::error::Error + 'static>() {}
        shareable::<Error>();
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn every_kind_has_its_words() {
        let words = [
            (ErrorKind::Config, "configuration error"),
            (ErrorKind::InvalidArgument, "invalid argument"),
            (ErrorKind::IllegalState, "illegal state"),
            (ErrorKind::Io, "input/output error"),
            (ErrorKind::Corrupt, "corrupt data"),
            (ErrorKind::Receiver, "receiver error"),
            (ErrorKind::Job, "job failed"),
            (ErrorKind::Panic, "panic"),
            (ErrorKind::Timeout, "timed out"),
            (ErrorKind::Unsupported, "unsupported"),
            (ErrorKind::Other, "error"),
        ];
        for (kind, text) in words {
            let error = Error::new(kind, "x");
            assert_eq!(error.to_string(), format!("{text}: x"));
            assert_eq!(error.kind(), kind);
            assert_eq!(error.is_timeout(), kind == ErrorKind::Timeout);
        }
        assert_eq!(
            Error::invalid_argument("x").kind(),
            ErrorKind::InvalidArgument
        );
        assert_eq!(Error::illegal_state("x").kind(), ErrorKind::IllegalState);
        assert_eq!(Error::config("x").kind(), ErrorKind::Config);
    }

    #[test]
    fn the_line_names_everything() {
        let place = Location::caller();
        let plain = Error::new(ErrorKind::Job, "failed");
        let full = plain
            .clone()
            .with_stream("words")
            .in_batch(-5)
            .at(place)
            .with_source(Error::config("deep"));
        let line = format!(
            "job failed: failed (stream words, batch -5 ms, declared at {}:{}): \
             configuration error: deep",
            place.file(),
            place.line()
        );
        assert_eq!(full.to_string(), line);
        assert_eq!(format!("{full:?}"), line);
        assert_eq!(
            full.source().unwrap().to_string(),
            "configuration error: deep"
        );
        assert_eq!(
            plain.to_string(),
            "job failed: failed",
            "a clone is a value of its own"
        );
        assert!(plain.source().is_none());
        assert!(format!("{full:#?}").starts_with("Error {\n    kind: Job,\n"));
    }

    #[test]
    fn line_breaks_do_not_break_the_line() {
        let error = Error::config("a\nb\u{1b}c").with_source("d\r\ne");
        assert_eq!(error.to_string(), "configuration error: a b c: d  e");
    }

    #[test]
    fn question_mark_takes_io_errors() {
        let error = Error::from(std::io::Error::other("disk full"));
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.to_string(), "input/output error: disk full");
        assert!(
            error
                .source()
                .unwrap()
                .downcast_ref::<std::io::Error>()
                .is_some()
        );
        let own = Error::from(std::io::Error::other(Error::config("empty")));
        assert_eq!(own.to_string(), "configuration error: empty");
        assert!(own.source().is_none());
    }

    #[test]
    fn question_mark_takes_boxed_errors() {
        fn boxed(text: &str) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
            match text {
                "" => Err(Box::new(Error::config("empty"))),
                _ => Ok(text.parse()?),
            }
        }
        fn ours(text: &str) -> Result<u8> {
            Ok(boxed(text)?)
        }
        assert_eq!(ours("7").unwrap(), 7);
        let error = ours("x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(error.to_string(), "error: invalid digit found in string");
        assert!(error.source().unwrap().is::<std::num::ParseIntError>());
        let own = ours("").unwrap_err();
        assert_eq!(own.to_string(), "configuration error: empty");
        assert!(own.source().is_none());
    }

    #[test]
    fn panics_of_every_sort_become_errors() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let caught = |f: fn()| {
            let error = Error::from_panic(panic::catch_unwind(f).unwrap_err(), "the job");
            assert_eq!(error.kind(), ErrorKind::Panic);
            error.to_string()
        };
        assert_eq!(caught(|| panic!("plain")), "panic: the job panicked: plain");
        assert_eq!(
            caught(|| panic!("made of {}", 2)),
            "panic: the job panicked: made of 2"
        );
        assert_eq!(
            caught(|| panic::panic_any(7)),
            "panic: the job panicked: (not a text)"
        );
        assert_eq!(
            caught(|| panic::panic_any(Bomb)),
            "panic: the job panicked: (not a text)"
        );
    }
}
