//! Variables whose values are known before a build.

use std::collections::HashMap;

/// A value grown by substitution; more is an attack, not a name.
const VALUE_BYTES_MAX: usize = 4096;

/// Names with their values; `None` when a value is not known before the build.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(HashMap<String, Option<String>>);

/// Why a text has no known value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// This variable's value is not known.
    Variable(String),
    /// A form of substitution, a quote or a backslash that builders read differently.
    Form,
}

impl Variables {
    /// Sets a variable.
    pub(super) fn set(&mut self, name: &str, value: Option<String>) {
        self.0.insert(name.to_owned(), value);
    }

    /// The text with its variables filled in: `$X`, `${X}`, `${X:-d}`, `${X:+d}`.
    pub(super) fn fill(&self, text: &str) -> Result<String, Unknown> {
        if text.contains(['"', '\'', '\\']) {
            return Err(Unknown::Form);
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = self.one(&rest[at + 1..], &mut out)?;
            if out.len() > VALUE_BYTES_MAX {
                return Err(Unknown::Form);
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Fills in the variable after a `$`; what follows it comes back.
    fn one<'t>(&self, after: &'t str, out: &mut String) -> Result<&'t str, Unknown> {
        let Some(braced) = after.strip_prefix('{') else {
            let end = name_end(after)?;
            out.push_str(&self.known(&after[..end])?);
            return Ok(&after[end..]);
        };
        let close = braced.find('}').ok_or(Unknown::Form)?;
        let (inside, rest) = (&braced[..close], &braced[close + 1..]);
        let (name, how) = inside.split_at(name_end(inside)?);
        match (how.get(..2), how.get(2..)) {
            _ if how.is_empty() => out.push_str(&self.known(name)?),
            (Some(":-"), Some(word)) if !word.contains('$') => {
                out.push_str(&self.or(name, word)?);
            }
            (Some(":+"), Some(word)) if !word.contains('$') => {
                let set = !self.or(name, "")?.is_empty();
                out.push_str(if set { word } else { "" });
            }
            _ => return Err(Unknown::Form),
        }
        Ok(rest)
    }

    fn known(&self, name: &str) -> Result<String, Unknown> {
        match self.0.get(name) {
            Some(Some(value)) => Ok(value.clone()),
            Some(None) | None => Err(Unknown::Variable(name.to_owned())),
        }
    }

    /// A variable that is not set, or set to nothing, has the word instead.
    fn or(&self, name: &str, word: &str) -> Result<String, Unknown> {
        match self.0.get(name) {
            Some(Some(value)) if !value.is_empty() => Ok(value.clone()),
            Some(Some(_)) => Ok(word.to_owned()),
            Some(None) | None => Err(Unknown::Variable(name.to_owned())),
        }
    }
}

/// Where the name that a text begins with ends. The builder takes the letters of every language for part of
/// a name, and after a digit only digits.
fn name_end(text: &str) -> Result<usize, Unknown> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let strange = text.starts_with(|c: char| c.is_ascii_digit())
        || text[end..].starts_with(|c: char| !c.is_ascii());
    if strange {
        return Err(Unknown::Form);
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_as_a_shell_does() {
        let mut variables = Variables::default();
        variables.set("A", Some("a".to_owned()));
        variables.set("E", Some(String::new()));
        variables.set("U", None);
        variables.set("1a", Some("a".to_owned()));
        for (text, value) in [
            ("x", "x"),
            ("$A/b", "a/b"),
            ("${A}b", "ab"),
            ("${E:-d}", "d"),
            ("${A:-d}", "a"),
            ("${A:+d}", "d"),
            ("${E:+d}", ""),
        ] {
            assert_eq!(variables.fill(text).as_deref(), Ok(value), "{text}");
        }
        for text in [
            "$U", "$N", "${N:-d}", "$", "${A", "${A#a}", "${A:-$A}", "a\\b", "'a'", "$$A", "$Aé",
            "${Aé}", "$1a", "${1a}",
        ] {
            assert!(variables.fill(text).is_err(), "{text}");
        }
    }
}
