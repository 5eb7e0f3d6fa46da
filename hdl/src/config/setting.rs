//! Keys that are set beside the file, as by `--set KEY=VALUE` on the command line.
use super::table::{kind, Problems};
use super::LinkOptions;
use std::ops::Range;
use std::str::FromStr;
use toml::de::{DeArray, DeTable, DeValue};
use toml::Spanned;

/// A key of a configuration and its value, which counts in place of the file's. Its text is `KEY=VALUE`: the key with dots for
/// sections, as `link.speed`, the value as in TOML. What is no value there, as `7-series`, is a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    key: String,
    value: String,
    /// How a message calls it.
    name: String,
}

/// What is no [`Setting`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no `=`.
    #[error("`{0}` has no value; write KEY=VALUE, as queue_size=64 or link.speed=\"gen2 x4\"")]
    NoValue(String),
    /// Nothing in front of the `=`, or between two dots.
    #[error("`{0}` is no key; write one as in the file, a section's with a dot: queue_size, link.speed")]
    Key(String),
    /// It begins as a list, a table or a quoted text, and goes wrong.
    #[error("the value {0} is not TOML's: {1}; write lists as [\"a\", \"b\"], and give your shell the whole in single quotes")]
    Value(String, String),
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let Some((key, value)) = text.split_once('=') else { return Err(SettingError::NoValue(text.into())) };
        let (key, value) = (key.trim(), value.trim());
        if key.split('.').any(|part| part.trim().is_empty()) {
            return Err(SettingError::Key(key.into()));
        }
        match DeValue::parse(value) {
            Err(error) if value.starts_with(['[', '{', '"', '\'']) => {
                Err(SettingError::Value(value.into(), error.message().into()))
            }
            _ => Ok(Setting { key: key.into(), value: value.into(), name: format!("--set {text}") }),
        }
    }
}

impl Setting {
    /// `KEY=VALUE`.
    pub fn text(&self) -> String {
        format!("{}={}", self.key, self.value)
    }

    /// How a message calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What an interface behind a configuration's name stands for, of a configuration that has this link because of it.
    pub(super) fn of_interface(link: &LinkOptions, name: &str) -> [Self; 3] {
        let interface = format!("\"{}\"", link.interface.name());
        let values = [
            ("interface", interface),
            ("data_bits", link.data_bits.to_string()),
            ("clock_hz", link.clock_hz.to_string()),
        ];
        values.map(|(key, value)| Setting { key: format!("link.{key}"), value, name: name.into() })
    }

    fn value(&self) -> DeValue<'_> {
        match DeValue::parse(&self.value) {
            Ok(value) => value.into_inner(),
            Err(_) => DeValue::String(self.value.as_str().into()),
        }
    }

    /// Puts it into the document, with this place for what is found wrong with it.
    pub(super) fn apply<'i>(&'i self, document: &mut DeTable<'i>, place: &Range<usize>, problems: &mut Problems) {
        let (sections, key) = self.key.rsplit_once('.').map_or((None, &*self.key), |(before, key)| (Some(before), key));
        let here = |key: &'i str| Spanned::new(place.clone(), key.trim().into());
        let mut table = document;
        for section in sections.into_iter().flat_map(|sections| sections.split('.')) {
            let empty = || Spanned::new(place.clone(), DeValue::Table(DeTable::new()));
            match table.entry(here(section)).or_insert_with(empty).get_mut() {
                DeValue::Table(inner) => table = inner,
                other => {
                    return problems.add(place, format!("{section} is {}, and has no keys of its own", kind(other)))
                }
            }
        }
        table.insert(here(key), placed(self.value(), place));
    }
}

/// The value, all of it at this place.
fn placed<'i>(value: DeValue<'i>, place: &Range<usize>) -> Spanned<DeValue<'i>> {
    let value = match value {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| placed(item.into_inner(), place)).collect::<DeArray>())
        }
        DeValue::Table(keys) => {
            let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'i>>)| {
                (Spanned::new(place.clone(), key.into_inner()), placed(value.into_inner(), place))
            };
            DeValue::Table(keys.into_iter().map(entry).collect())
        }
        value => value,
    };
    Spanned::new(place.clone(), value)
}
