//! JSON as this program writes it: a value, and how it looks. Nothing here reads JSON.

use std::fmt::{self, Write as _};

/// A JSON value; objects keep the order in which they were built.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`: not known, not measured.
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Count(u64),
    /// Any other number, written with three digits behind the point; `null` if not finite.
    Number(f64),
    /// Text.
    Text(String),
    /// `[..]`
    List(Vec<Self>),
    /// `{..}`
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Text from anything that is text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An object from its fields.
    pub fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The same object with more fields behind the ones it has; anything else stays what it is.
    pub fn with(mut self, more: impl IntoIterator<Item = (String, Self)>) -> Self {
        if let Self::Object(fields) = &mut self {
            fields.extend(more);
        }
        self
    }
}

impl From<Option<f64>> for Json {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Number)
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) if n.is_finite() => write!(f, "{n:.3}"),
            Self::Null | Self::Number(_) => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Count(n) => write!(f, "{n}"),
            Self::Text(text) => quoted(text, f),
            Self::List(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_char(']')
            }
            Self::Object(fields) => {
                f.write_char('{')?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    quoted(name, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn every_kind_of_value_is_written_as_json() {
        let value = Json::object([
            ("a\"b", Json::text("c\\d\n")),
            ("list", Json::List(vec![Json::Count(1), Json::Bool(true), Json::Null])),
            ("n", Json::Number(1.5)),
            ("nan", Json::Number(f64::NAN)),
        ]);
        assert_eq!(
            value.to_string(),
            r#"{"a\"b":"c\\d\u000a","list":[1,true,null],"n":1.500,"nan":null}"#
        );
    }
}
