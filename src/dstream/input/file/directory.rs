//! Which files a stream takes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directories that a file stream watches, and which of their files it takes.
///
/// Wherever one is asked for, a path will do.
///
/// # Examples
/// ```
/// use millstream::Directory;
/// use millstream::prelude::*;
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// let all = ssc.text_file_stream("/var/log/app")?;
/// let some = ssc.text_file_stream(
///     Directory::new("/var/log/{app,db}-*")
///         .new_files_only(false)
///         .filter(|path| path.extension().is_some_and(|extension| extension == "log")),
/// )?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a directory is watched by a stream"]
pub struct Directory {
    pub(super) pattern: PathBuf,
    pub(super) filter: Option<Filter>,
    pub(super) new_files_only: bool,
}

pub(super) type Filter = Arc<dyn Fn(&Path) -> bool + Send + Sync>;

impl Directory {
    /// A directory, or a pattern that directories match: `*`, `?`, `[a-z]` and
    /// `{one,other}` stand for parts of one name, `\` takes a sign as it is. A
    /// relative path counts from the present working directory.
    ///
    /// Directories that match later are watched from then on. Directories in them
    /// are not, and `*` does not match a name that begins with a dot.
    pub fn new(pattern: impl Into<PathBuf>) -> Self {
        Self {
            pattern: pattern.into(),
            filter: None,
            new_files_only: true,
        }
    }

    /// Takes only files whose full path `filter` says yes to. Default: those whose
    /// names do not begin with `.` or `_`, nor end with `.tmp`; with a filter, it
    /// alone decides.
    ///
    /// It is asked again and again for a file that it refused, so it should be
    /// fast.
    pub fn filter(mut self, filter: impl Fn(&Path) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// Leaves out files that were modified before the stream was declared.
    /// Default: `true`. If not, those that are there already are taken too, as far
    /// as they are younger than `file_stream_min_remember_duration`.
    pub fn new_files_only(mut self, new_files_only: bool) -> Self {
        self.new_files_only = new_files_only;
        self
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("pattern", &self.pattern)
            .field("filter", &self.filter.is_some())
            .field("new_files_only", &self.new_files_only)
            .finish()
    }
}

macro_rules! from_path {
    ($($path:ty)*) => {
        $(impl From<$path> for Directory {
            fn from(path: $path) -> Self {
                Self::new(path)
            }
        })*
    };
}

from_path! { &str String &String &Path PathBuf &PathBuf }
