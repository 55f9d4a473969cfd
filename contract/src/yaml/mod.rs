//! YAML as a tree of texts with places, and typed reading of it. The only module that knows which
//! library reads YAML.
//!
//! *Comes in*: bytes of a stranger. *Goes out*: a [`Node`] tree, or complaints. *Owns*: every bound
//! on size, depth and number. *Never*: anchors, tags, or YAML's own guesses at types: `no`, `on` and
//! `1.10` stay the texts that were written. *Before / After*: before both languages' `syntax`.

mod fields;
mod tree;
mod values;
mod write;

pub(crate) use fields::{Fields, entries, fields, nearest, version};
pub(crate) use tree::{DOCUMENT_BYTES_MAX, Kind, Node, parse, read_source};
pub(crate) use values::{
    byte_size, cpu_milli, duration_ms, integer, keyed, list, name, one_of, shown_cpu,
    shown_duration, shown_size, text, text_up_to, texts,
};
pub(crate) use write::Writer;
