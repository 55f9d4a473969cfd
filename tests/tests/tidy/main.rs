//! Tidy: the house's rules, read from its own text. Nothing is built or started here.

mod api;
mod crates;
mod examples;
mod language;
mod links;
mod operations;
mod rooms;
mod signs;
mod sql;
mod text;
