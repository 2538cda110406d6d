//! serde's traits for [`Str`].

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Str, TOO_LONG};

impl Serialize for Str {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Str {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text is copied: a borrowed one saves the deserializer a copy.
        deserializer.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of less than 2 GiB")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Str, E> {
        if text.len() >= TOO_LONG {
            return Err(E::invalid_length(text.len(), &self));
        }
        Ok(Str::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_str_is_a_string_to_serde() {
        for text in [
            "",
            "short",
            "with \"quotes\"\n",
            "long enough for a block 😀",
        ] {
            let json = serde_json::to_string(&Str::from(text)).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
            assert_eq!(serde_json::from_str::<Str>(&json).unwrap(), text);
        }
        let error = serde_json::from_str::<Str>("7").unwrap_err().to_string();
        assert!(
            error.contains("expected a string of less than 2 GiB"),
            "{error}"
        );
    }
}
