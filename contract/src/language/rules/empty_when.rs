//! A filter of `when` that is there names something.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        let when = &step.when;
        let empty = when.branches.as_ref().is_some_and(Vec::is_empty)
            || when.tags.as_ref().is_some_and(Vec::is_empty)
            || when.events.as_ref().is_some_and(Vec::is_empty);
        if empty {
            let message = "a filter of `when` is empty";
            complaints
                .error(Code::EmptyWhen, when.key, message, "would fit nothing")
                .help("leave the filter out to run always");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_filter_names_something() {
        insta::assert_snapshot!(complaints_about("  a: { analyze: {}, when: { branches: [] } }\n"), @r"
        error[empty-when]: a filter of `when` is empty
          --> .sallyport.yml:4:21
           |
         4 |   a: { analyze: {}, when: { branches: [] } }
           |                     ^^^^ would fit nothing
           = help: leave the filter out to run always
           = more: docs/language.md#empty-when
        ");
    }
}
