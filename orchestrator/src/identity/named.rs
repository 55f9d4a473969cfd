//! Names of people who are written down by their id: what is fixed for ever (audit entries) holds no
//! name, since a name is a person's to have forgotten.

use super::actor::PersonId;
use super::store;
use crate::db::{Conn, Error};

/// How an actor's text says that a person follows.
const BEGINS: &str = "person(";

/// The text for people: `person(mara)` in place of `person(<id>)`.
pub async fn with_names(conn: &mut Conn, text: &str) -> Result<String, Error> {
    let Some((before, inner, after)) = split(text) else {
        return Ok(text.to_owned());
    };
    let found = match PersonId::parse(inner) {
        Ok(id) => store::person_by_id(conn, &id).await?,
        // Entries of earlier versions hold the name itself.
        Err(_) => None,
    };
    let name = found.map_or_else(|| inner.to_owned(), |person| person.name);
    Ok(format!("{before}{name}{after}"))
}

/// The text as it is stored: `person(<id>)` in place of `person(mara)`.
pub async fn with_ids(conn: &mut Conn, text: &str) -> Result<String, Error> {
    let Some((before, inner, after)) = split(text) else {
        return Ok(text.to_owned());
    };
    let found = store::person_by_name(conn, inner).await?;
    let id = found.map_or_else(|| inner.to_owned(), |person| person.id);
    Ok(format!("{before}{id}{after}"))
}

/// What stands before, in and after the person's brackets; an actor's text has one such pair.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let from = text.find(BEGINS)? + BEGINS.len();
    let to = from + text.get(from..)?.find(')')?;
    Some((&text[..from], &text[from..to], &text[to..]))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_persons_brackets_are_found_wherever_they_stand() {
        let table = [
            ("person(mara)", Some(("person(", "mara", ")"))),
            (
                "token(t) of person(x)",
                Some(("token(t) of person(", "x", ")")),
            ),
            ("person(", None),
            ("host(0)", None),
        ];
        for (text, wanted) in table {
            assert_eq!(split(text), wanted, "{text}");
        }
    }
}
