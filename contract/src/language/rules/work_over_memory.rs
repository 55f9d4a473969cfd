//! The work area is taken from the step's memory, so it is smaller.

use crate::complaint::{Code, Complaints};
use crate::language::CheckContext;
use crate::language::check::memory_bytes;
use crate::language::syntax::File;
use crate::yaml::shown_size;

pub(super) fn check(file: &File, context: &CheckContext, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        let memory = memory_bytes(&step.resources, context);
        let work = step.resources.work.as_ref();
        if let Some(work) = work.filter(|work| work.value >= memory) {
            let label = format!("the step has {}", shown_size(memory));
            let message = "the work area takes all of the step's memory";
            complaints
                .error(Code::WorkOverMemory, work.span, message, label)
                .help("the work area lies in memory; leave some for the programs");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn the_work_area_leaves_memory_for_programs() {
        insta::assert_snapshot!(complaints_about("  a: { analyze: {}, resources: { memory: 256MiB, work: 1GiB } }\n"), @r"
        error[work-over-memory]: the work area takes all of the step's memory
          --> .sallyport.yml:4:56
           |
         4 |   a: { analyze: {}, resources: { memory: 256MiB, work: 1GiB } }
           |                                                        ^^^^ the step has 256MiB
           = help: the work area lies in memory; leave some for the programs
           = more: docs/language.md#work-over-memory
        ");
    }
}
