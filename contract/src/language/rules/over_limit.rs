//! A step asks for no more than its project allows.

use crate::complaint::{Code, Complaints};
use crate::language::CheckContext;
use crate::language::syntax::File;
use crate::yaml::{shown_duration, shown_size};

pub(super) fn check(file: &File, context: &CheckContext, complaints: &mut Complaints<'_>) {
    let timeout_ms = context.timeout_ms_max.unwrap_or(u64::MAX);
    let memory_bytes = context.memory_bytes_max.unwrap_or(u64::MAX);
    for step in &file.steps {
        if let Some(timeout) = step.timeout.as_ref().filter(|t| t.value > timeout_ms) {
            let label = format!("this project allows {}", shown_duration(timeout_ms));
            let message = "the timeout is longer than the project allows";
            complaints.error(Code::OverLimit, timeout.span, message, label);
        }
        let memory = step.resources.memory.as_ref();
        if let Some(memory) = memory.filter(|memory| memory.value > memory_bytes) {
            let label = format!("this project allows {}", shown_size(memory_bytes));
            let message = "the step wants more memory than the project allows";
            complaints.error(Code::OverLimit, memory.span, message, label);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_step_stays_within_the_projects_limits() {
        insta::assert_snapshot!(complaints_about("  a: { analyze: {}, timeout: 2h, resources: { memory: 8GiB } }\n"), @r"
        error[over-limit]: the timeout is longer than the project allows
          --> .sallyport.yml:4:30
           |
         4 |   a: { analyze: {}, timeout: 2h, resources: { memory: 8GiB } }
           |                              ^^ this project allows 1h
           = more: docs/language.md#over-limit

        error[over-limit]: the step wants more memory than the project allows
          --> .sallyport.yml:4:55
           |
         4 |   a: { analyze: {}, timeout: 2h, resources: { memory: 8GiB } }
           |                                                       ^^^^ this project allows 4GiB
           = more: docs/language.md#over-limit
        ");
    }
}
