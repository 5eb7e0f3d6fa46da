//! A TOML table that is read key by key: each value with its place, and an error for whatever is left over.
use super::{Problem, Setting};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use toml::de::{DeInteger, DeTable, DeValue};
use toml::Spanned;

/// Problems that are told; of the others their number is.
const MOST_PROBLEMS: usize = 50;

/// Collects problems while a document is read.
pub struct Problems<'t> {
    text: &'t str,
    /// They lie behind the text: each at one place, from `first_setting` on.
    settings: &'t [Setting],
    /// Where each begins, and what it is.
    found: Vec<(usize, String)>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str, settings: &'t [Setting]) -> Self {
        Problems { text, settings, found: vec![] }
    }

    /// The places of settings begin here: no place in the text is behind its end.
    pub(super) fn first_setting(&self) -> usize {
        self.text.len() + 1
    }

    /// Where a place of the text lies, with a message.
    pub(super) fn at(&self, place: &Range<usize>, message: impl Display) -> Problem {
        let setting = place.start.checked_sub(self.first_setting()).and_then(|index| self.settings.get(index));
        if let Some(setting) = setting {
            return Problem { setting: Some(setting.name().into()), ..Problem::without_place(message.to_string()) };
        }
        let before = &self.text[..place.start.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            setting: None,
            message: message.to_string(),
        }
    }

    /// Something is wrong here: what, and what is allowed.
    pub fn add(&mut self, place: &Range<usize>, message: impl Display) {
        self.found.push((place.start, message.to_string()));
    }

    /// The problems, in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|(start, _)| *start);
        let more = found.len().saturating_sub(MOST_PROBLEMS);
        found.truncate(MOST_PROBLEMS);
        let mut problems: Vec<_> =
            found.into_iter().map(|(start, message)| self.at(&(start..start), message)).collect();
        if more > 0 {
            problems.push(Problem::without_place(format!("and {more} more problems")));
        }
        problems
    }
}

/// A value that is there, with its place.
pub type Found<T> = Option<(T, Range<usize>)>;

/// One table of the document.
pub struct Table<'i> {
    name: &'static str,
    keys: Vec<(Spanned<String>, Spanned<DeValue<'i>>)>,
    known: Vec<&'static str>,
}

impl<'i> Table<'i> {
    pub(super) fn new(name: &'static str, table: DeTable<'i>) -> Self {
        let keys = table
            .into_iter()
            .map(|(key, value)| (Spanned::new(key.span(), key.get_ref().to_string()), value))
            .collect();
        Table { name, keys, known: vec![] }
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        self.known.push(key);
        let index = self.keys.iter().position(|(name, _)| name.get_ref() == key)?;
        Some(self.keys.swap_remove(index).1)
    }

    /// "ids.vendor", or "vendor" at the top.
    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.into()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// A number in a range; `allowed` says what is allowed, and `accept` may refuse more.
    pub fn number(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        range: RangeInclusive<u64>,
        allowed: &str,
        accept: impl Fn(u64) -> bool,
    ) -> Found<u64> {
        let value = self.take(key)?;
        let path = self.path(key);
        match value.get_ref() {
            DeValue::Integer(number) => match to_u64(number) {
                Some(number) if range.contains(&number) && accept(number) => Some((number, value.span())),
                _ => {
                    problems.add(&value.span(), format!("{path} = {number} is out of range; allowed: {allowed}"));
                    None
                }
            },
            other => {
                problems
                    .add(&value.span(), format!("{path} must be a number, not {}; allowed: {allowed}", kind(other)));
                None
            }
        }
    }

    /// One of several names.
    pub fn choice<T: Copy>(&mut self, problems: &mut Problems, key: &'static str, names: &[(&str, T)]) -> Found<T> {
        let value = self.take(key)?;
        let chosen = choose(problems, &self.path(key), &value, names)?;
        Some((chosen, value.span()))
    }

    /// A list of names, each at most once.
    pub fn choices<T: Copy>(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        names: &[(&str, T)],
    ) -> Found<Vec<(T, Range<usize>)>> {
        let value = self.take(key)?;
        let path = self.path(key);
        let Some(items) = value.get_ref().as_array() else {
            let message =
                format!("{path} must be a list, not {}; allowed in it: {}", kind(value.get_ref()), list(names));
            problems.add(&value.span(), message);
            return None;
        };
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut chosen = vec![];
        for item in items.iter() {
            if let Some(one) = choose(problems, &path, item, names) {
                let name = item.get_ref().as_str().unwrap_or_default();
                match seen.insert(name) {
                    true => chosen.push((one, item.span())),
                    false => problems.add(&item.span(), format!("{path} names \"{name}\" twice")),
                }
            }
        }
        Some((chosen, value.span()))
    }

    /// A text.
    pub fn text(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        allowed: &str,
        accept: impl Fn(&str) -> bool,
    ) -> Found<String> {
        let value = self.take(key)?;
        let path = self.path(key);
        match value.get_ref().as_str() {
            Some(text) if accept(text) => Some((text.into(), value.span())),
            Some(text) => {
                problems.add(&value.span(), format!("{path} = \"{text}\" is not possible; allowed: {allowed}"));
                None
            }
            None => {
                let message = format!("{path} must be a text, not {}; allowed: {allowed}", kind(value.get_ref()));
                problems.add(&value.span(), message);
                None
            }
        }
    }

    /// A table inside this one, with its path as messages have it. Ends with [`Table::finish`].
    pub fn table(&mut self, problems: &mut Problems, key: &'static str, path: &'static str) -> Found<Table<'i>> {
        let value = self.take(key)?;
        let place = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some((Table::new(path, table), place)),
            other => {
                problems.add(&place, format!("{path} must be a section or table, not {}", kind(&other)));
                None
            }
        }
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in &self.keys {
            let place = if self.name.is_empty() { "at the top".into() } else { format!("in {}", self.name) };
            let near = self.known.iter().find(|known| near(known, key.get_ref()));
            let hint = near.map_or(String::new(), |known| format!("; did you mean {known}?"));
            let message = format!("unknown key {} {place}{hint}; allowed: {}", key.get_ref(), self.known.join(", "));
            problems.add(&key.span(), message);
        }
    }
}

fn to_u64(number: &DeInteger) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn choose<T: Copy>(problems: &mut Problems, path: &str, value: &Spanned<DeValue>, names: &[(&str, T)]) -> Option<T> {
    let Some(name) = value.get_ref().as_str() else {
        let message = format!("{path} takes a name, not {}; allowed: {}", kind(value.get_ref()), list(names));
        problems.add(&value.span(), message);
        return None;
    };
    let chosen = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    if chosen.is_none() {
        problems.add(&value.span(), format!("{path}: \"{name}\" is not known; allowed: {}", list(names)));
    }
    chosen
}

fn list<T>(names: &[(&str, T)]) -> String {
    names.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

pub(super) fn kind(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Whether two keys differ only in what fingers do: case, `-` for `_`, or one letter.
fn near(known: &str, written: &str) -> bool {
    let plain = |key: &str| key.to_lowercase().replace('-', "_");
    let (known, written) = (plain(known), plain(written));
    if known == written {
        return true;
    }
    let prefix = known.bytes().zip(written.bytes()).take_while(|(a, b)| a == b).count();
    let suffix = known.bytes().rev().zip(written.bytes().rev()).take_while(|(a, b)| a == b).count();
    let longest = known.len().max(written.len());
    longest > 3 && known.len().abs_diff(written.len()) <= 1 && prefix + suffix + 1 >= longest
}
