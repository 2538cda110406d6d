//! Settings out of text.

use std::ffi::OsString;

use crate::conf::{Conf, KEYS, Setting};

/// Sets `key=value` of each line. A value that is taken can be set again as it is shown, and
/// means the same in the environment; one that is refused changes nothing.
pub fn config_parse(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut conf = Conf::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let before = format!("{conf:?}");
        if let Err(error) = conf.set(key, value) {
            assert_eq!(format!("{conf:?}"), before, "{key:?}={value:?}: {error}");
            let named = format!("{key:?}");
            let named = named.trim_matches('"');
            assert!(error.to_string().contains(named), "{key:?}: {error}");
            continue;
        }
        check_environment(&conf, key, value);
    }
    check_shown(&conf);
    // Whatever it says, it says it.
    let _ = conf.validate();
    let _ = conf.to_string();
}

/// The table of what is in force, taken as settings, gives itself.
fn check_shown(conf: &Conf) {
    let shown = conf.effective();
    let mut again = conf.clone();
    for Setting { name, value, .. } in &shown {
        if value == "not set" {
            continue;
        }
        if let Err(error) = again.set(name, value) {
            panic!("{name}={value} is shown: {error}");
        }
    }
    let values = |settings: &[Setting]| -> Vec<_> {
        let value = |setting: &Setting| (setting.name, setting.value.clone());
        settings.iter().map(value).collect()
    };
    assert_eq!(values(&again.effective()), values(&shown));
}

/// A variable does what the program's setting does.
fn check_environment(conf: &Conf, key: &str, value: &str) {
    let is_key = |known: &&crate::conf::Key| known.name == key || known.guide.contains(&key);
    let known = KEYS.iter().find(is_key).expect("it was set");
    let variable = (OsString::from(known.env), OsString::from(value));
    let loaded = Conf::new().load_env([variable]).expect("it was set");
    let value_of = |conf: &Conf| {
        let settings = conf.effective().into_iter();
        let mut values = settings.filter(|setting| setting.name == known.name);
        values.next().map(|setting| setting.value)
    };
    assert_eq!(value_of(&loaded), value_of(conf));
}
