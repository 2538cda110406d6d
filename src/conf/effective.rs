//! The settings as they are, and where each value comes from.

use std::fmt;

use super::{Conf, KEYS, Key};

/// Where the value of a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nothing set it.
    Default,
    /// The program set it.
    Program,
    /// This environment variable set it.
    Environment(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Program => f.write_str("program"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// One line of the table of effective settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The key's name.
    pub name: &'static str,
    /// The value, as [`Conf::set`] takes it; `not set` if it must be given and is not.
    pub value: String,
    /// Where the value comes from.
    pub source: Source,
}

impl Conf {
    /// A setting with its value and source, for messages.
    pub(super) fn describe(&self, name: &str) -> String {
        let setting = self
            .effective()
            .into_iter()
            .find(|setting| setting.name == name);
        setting.map_or_else(String::new, |s| {
            format!("{} = {} ({})", s.name, s.value, s.source)
        })
    }

    /// All settings with their values and where these come from, in the order of [`KEYS`].
    ///
    /// ```
    /// use millstream::conf::{Conf, Source};
    ///
    /// let conf = Conf::new().load_env([("MILLSTREAM_WORKERS".into(), "4".into())])?;
    /// let workers = conf.effective().into_iter().find(|s| s.name == "workers").unwrap();
    /// assert_eq!(workers.value, "4");
    /// assert_eq!(workers.source, Source::Environment("MILLSTREAM_WORKERS"));
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[must_use]
    pub fn effective(&self) -> Vec<Setting> {
        let mut conf = self.clone();
        let setting = |key: &'static Key| {
            let value = key.text(&mut conf);
            let source = match self.set_by.get(key.name) {
                Some((source, set)) if *set == value => *source,
                _ if value == key.default => Source::Default,
                _ => Source::Program,
            };
            let value = if value.is_empty() {
                "not set".to_owned()
            } else {
                value
            };
            Setting {
                name: key.name,
                value,
                source,
            }
        };
        KEYS.iter().map(setting).collect()
    }
}

impl fmt::Display for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.effective();
        let width = |text: fn(&Setting) -> usize| settings.iter().map(text).max().unwrap_or(0);
        let (names, values) = (width(|s| s.name.len()), width(|s| s.value.chars().count()));
        writeln!(f, "{:names$}  {:values$}  source", "name", "value")?;
        for setting in &settings {
            let Setting {
                name,
                value,
                source,
            } = setting;
            writeln!(f, "{name:names$}  {value:values$}  {source}")?;
        }
        Ok(())
    }
}
