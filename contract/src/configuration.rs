//! A configuration file of one of our programs: TOML, the environment over it, flags over both. All that
//! is wrong is said at once, each with the place that is to blame. Whoever has the file reads it.

use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Far larger than any configuration; a file is read whole.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// More complaints than that are one: another file.
const PROBLEMS_MAX: usize = 50;

/// This process's variables, as they are given to [`read`]: one that is not UTF-8 is not one of ours, and
/// no reason to end.
pub fn variables(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (String, String)> {
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Where a configuration is, and what the command line sets over it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// `section.key=value`, as given with `--set`.
    pub set: Vec<String>,
}

impl Place {
    /// A file, with nothing over it but the environment.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            set: Vec::new(),
        }
    }
}

/// Where a value came from: what has to be mended when it is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Variable(String),
    Flag(String),
}

/// The places of all values of one configuration.
pub struct Origins {
    path: PathBuf,
    text: String,
    over: BTreeMap<(String, String), Origin>,
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// A key of a section, and what is wrong with its value.
pub struct Fault {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl Origins {
    /// Each fault with the place that is to blame.
    pub fn blame(&self, faults: &[Fault]) -> Vec<String> {
        let say = |fault: &Fault| self.line(fault.section, fault.key, &fault.problem);
        faults.iter().map(say).collect()
    }

    fn line(&self, section: &str, key: &str, problem: &str) -> String {
        let path = self.path.display();
        match self.over.get(&(section.to_owned(), key.to_owned())) {
            Some(Origin::Variable(name)) => format!("environment {name}: {problem}"),
            Some(Origin::Flag(flag)) => format!("--set {flag}: {problem}"),
            None => {
                let named = match (section, key) {
                    ("", "") => String::new(),
                    ("", key) => format!(" {key}:"),
                    (section, "") => format!(" [{section}]:"),
                    (section, key) => format!(" [{section}] {key}:"),
                };
                match line_of(&self.text, section, key) {
                    Some(line) => format!("{path}, line {line}:{named} {problem}"),
                    None => format!("{path}:{named} {problem}"),
                }
            }
        }
    }
}

/// What stands over a file.
pub struct Over<'o, E> {
    /// `<prefix>__SECTION__KEY` of the environment is one of ours.
    pub prefix: &'o str,
    /// The environment.
    pub environment: E,
    /// Sections and keys that may hold a secret: the process list shows every argument to everybody.
    pub never_flags: &'o [(&'o str, &'o str)],
}

/// Reads a file's text: unknown keys are refused, the environment stands over it, `--set
/// section.key=value` over both. Also says where each value came from, for what is checked later.
pub fn read<T: DeserializeOwned>(
    place: &Place,
    text: &str,
    over: Over<'_, impl Iterator<Item = (String, String)>>,
) -> Result<(T, Origins), ConfigError> {
    let path = &place.path;
    let mut table: toml::Table = toml::from_str(text).map_err(|error| {
        ConfigError(vec![format!(
            "{}: {}",
            path.display(),
            error.to_string().trim_end()
        )])
    })?;
    let mut origins = Origins {
        path: path.clone(),
        text: text.to_owned(),
        over: BTreeMap::new(),
    };
    let mut problems = lay_over(&mut table, &mut origins, over, &place.set);
    let mut removed = Vec::new();
    let value = loop {
        let (error, section, key) = match attempt::<T>(&table) {
            Ok(value) => break Some(value),
            Err(wrong) => wrong,
        };
        if problems.len() >= PROBLEMS_MAX {
            break None;
        }
        let Some(field) = missing_field(&error) else {
            problems.push(origins.line(&section, &key, &error));
            if !take_out(&mut table, &section, &key) {
                break None;
            }
            removed.push((section, key));
            continue;
        };
        // What was taken out because it is wrong is not missing as well.
        if !removed.contains(&(section.clone(), field.clone())) {
            problems.push(origins.line(&section, "", &error));
        }
        if !fill_in::<T>(&mut table, &section, &field, &error) {
            break None;
        }
    };
    match value {
        Some(value) if problems.is_empty() => Ok((value, origins)),
        Some(_) | None => Err(ConfigError(problems)),
    }
}

/// Puts environment and flags over the file; what of them cannot be used.
fn lay_over(
    table: &mut toml::Table,
    origins: &mut Origins,
    over_it: Over<'_, impl Iterator<Item = (String, String)>>,
    flags: &[String],
) -> Vec<String> {
    let Over {
        prefix,
        environment,
        never_flags,
    } = over_it;
    let lead = format!("{prefix}__");
    let mut problems = Vec::new();
    let mut over = |section: &str, key: &str, value: &str, origin: Origin| {
        let shown = match &origin {
            Origin::Variable(name) => format!("environment {name}"),
            Origin::Flag(flag) => format!("--set {flag}"),
        };
        let (section, key) = (kebab(section), kebab(key));
        let inner = table
            .entry(section.clone())
            .or_insert_with(|| toml::Table::new().into());
        match inner.as_table_mut() {
            Some(inner) => {
                inner.insert(key.clone(), parsed(value));
                origins.over.insert((section, key), origin);
            }
            None => problems.push(format!("{shown}: `{section}` is not a section")),
        }
    };
    let mut wrong = Vec::new();
    for (name, value) in environment.filter(|(name, _)| name.starts_with(&lead)) {
        match name[lead.len()..].split_once("__") {
            Some((section, key)) => over(section, key, &value, Origin::Variable(name.clone())),
            None => wrong.push(format!("environment {name}: wanted {lead}SECTION__KEY")),
        }
    }
    for flag in flags {
        let named = flag
            .split_once('=')
            .and_then(|(path, value)| Some((path.split_once('.')?, value)));
        match named {
            // As it will be read: the key is the same one in capitals.
            Some(((section, key), _)) if never_flags.contains(&(&kebab(section), &kebab(key))) => {
                let (section, key) = (kebab(section), kebab(key));
                wrong.push(format!(
                    "--set {section}.{key}: may hold a password, and everybody sees it here; use `{key}-file`"
                ));
            }
            Some(((section, key), value)) => {
                over(
                    section,
                    key,
                    value,
                    Origin::Flag(format!("{section}.{key}")),
                );
            }
            None => wrong.push(format!("--set {flag}: wanted section.key=value")),
        }
    }
    problems.extend(wrong);
    problems
}

/// Section and key as the file names them.
fn kebab(text: &str) -> String {
    text.to_ascii_lowercase().replace('_', "-")
}

/// A value that reads as TOML (a number, a list) is taken as such, anything else as text.
fn parsed(value: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()))
}

/// The first thing wrong: what, and the section and key.
type Wrong = (String, String, String);

/// The value, or the first thing wrong with it.
fn attempt<T: DeserializeOwned>(table: &toml::Table) -> Result<T, Wrong> {
    // As text again, one key a line, so that an error has a place: a merged table has none.
    let text = toml::to_string(table).unwrap_or_default();
    let error = match toml::from_str::<T>(&text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let message = error.message().trim_end().to_owned();
    let at = error.span().map_or(0, |span| span.start);
    let (mut section, key) = at_offset(&text, at);
    // The document's own start is also the first section's: a section that is missing is one that a
    // document may have. Alone, so that nothing else is wrong before it.
    if let Some(field) = missing_field(&message).filter(|_| at == 0) {
        let alone = toml::from_str::<T>(&format!("[{field}]\n"));
        let unknown = format!("unknown field `{field}`");
        let is_section = alone.map_or_else(|e| !e.message().starts_with(&unknown), |_| true);
        if is_section && !table.contains_key(&field) {
            section = String::new();
        }
    }
    Err((message, section, key))
}

/// Puts something in place of what is missing, so that what is wrong besides is found too; the value
/// that comes of it is never used. False when nothing fits.
fn fill_in<T: DeserializeOwned>(
    table: &mut toml::Table,
    section: &str,
    field: &str,
    error: &str,
) -> bool {
    if section.is_empty() {
        return table
            .insert(field.to_owned(), toml::Table::new().into())
            .is_none();
    }
    let Some(inner) = table.get_mut(section).and_then(toml::Value::as_table_mut) else {
        return false;
    };
    // An address is a text and a path, too; some texts have to be a name or a URL.
    let fillers = [
        toml::Value::String("127.0.0.1:1".to_owned()),
        toml::Value::String("a".to_owned()),
        toml::Value::String("https://localhost".to_owned()),
        toml::Value::Integer(1),
        toml::Value::Boolean(false),
        toml::Value::Array(Vec::new()),
    ];
    let before = inner.clone();
    for filler in fillers {
        let mut with = before.clone();
        with.insert(field.to_owned(), filler);
        table.insert(section.to_owned(), with.into());
        match attempt::<T>(table) {
            Ok(_) => return true,
            Err((next, at, key)) if next != error && !(at == section && key == field) => {
                return true;
            }
            Err(_) => {}
        }
    }
    table.insert(section.to_owned(), before.into());
    false
}

/// The section and key of an offset in a text with one key a line.
fn at_offset(text: &str, at: usize) -> (String, String) {
    let (mut section, mut start) = (String::new(), 0);
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if let Some(name) = header(line) {
            section = name.to_owned();
        }
        if at < end {
            let key = line.split_once('=').map_or("", |(key, _)| key.trim());
            return (section, key.trim_matches('"').to_owned());
        }
        start = end;
    }
    (section, String::new())
}

fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

/// The line of a key in the file as people wrote it; of the section when the key is not there.
fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    if section.is_empty() && key.is_empty() {
        return None;
    }
    let (mut inside, mut of_section) = (section.is_empty(), None);
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = header(line.split('#').next().unwrap_or_default()) {
            inside = name.trim() == section;
            if inside {
                of_section = Some(at + 1);
            }
        } else if inside {
            let named = line
                .split_once('=')
                .map(|(key, _)| key.trim().trim_matches('"'));
            if named == Some(key) && !key.is_empty() {
                return Some(at + 1);
            }
        }
    }
    of_section
}

/// The field that serde's message says is missing.
fn missing_field(message: &str) -> Option<String> {
    let rest = message.strip_prefix("missing field `")?;
    Some(rest.split('`').next().unwrap_or_default().to_owned())
}

fn take_out(table: &mut toml::Table, section: &str, key: &str) -> bool {
    if section.is_empty() {
        return table.remove(key).is_some();
    }
    if key.is_empty() {
        return table.remove(section).is_some();
    }
    let inner = table.get_mut(section).and_then(toml::Value::as_table_mut);
    inner.is_some_and(|inner| inner.remove(key).is_some())
}
