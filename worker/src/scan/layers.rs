//! The files of an image's layers, each layer apart: what a later layer deleted is still in the
//! image for whoever has it.

use crate::image::{FetchError, LayerKind, Layout};
use crate::step::{ArchiveError, archive};
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::Path;

/// A secret stands in no larger file; the rest is programs and data.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A layer unpacks to no more than this; more is a bomb.
const LAYER_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// What was unpacked.
#[derive(Debug, Default, Clone, Copy)]
pub struct Told {
    /// Layers.
    pub layers: usize,
    /// Files that are handed on.
    pub files: u64,
    /// What they take in a work area, in whole pages.
    pub bytes: u64,
    /// Links, devices, strange paths, and files that are too large to be looked at.
    pub passed_over: u64,
}

/// Writes `<layer>/<path>` of every layer into a tar, at most `limit` bytes of files.
pub fn unpack(layout: &Layout, into: &Path, limit: u64) -> Result<Told, FetchError> {
    let file = std::fs::File::create(into).map_err(FetchError::Folder)?;
    let mut out = tar::Builder::new(BufWriter::new(file));
    let mut told = Told::default();
    for (number, layer) in layout.layers.iter().enumerate() {
        told.layers += 1;
        let blob = std::fs::File::open(layout.blob(&layer.digest)).map_err(FetchError::Folder)?;
        let reader = opened(BufReader::new(blob), layer.kind)?;
        let mut skipped = 0;
        told.passed_over += archive::each_file::<FetchError>(reader, LAYER_BYTES_MAX, |entry| {
            if entry.bytes > FILE_BYTES_MAX {
                skipped += 1;
                return Ok(());
            }
            let whole_pages = entry.bytes.next_multiple_of(4096);
            told.bytes += whole_pages;
            if told.bytes > limit {
                return Err(FetchError::TooLarge("the files of its layers"));
            }
            let path = format!("{number}/{}", entry.path);
            archive::append(&mut out, &path, 0o644, entry.bytes, entry.content)?;
            told.files += 1;
            Ok(())
        })?;
        told.passed_over += skipped;
    }
    out.into_inner()
        .and_then(|mut inner| inner.flush())
        .map_err(|error| FetchError::Archive(ArchiveError::Read(error)))?;
    Ok(told)
}

fn opened(blob: BufReader<std::fs::File>, kind: LayerKind) -> Result<Box<dyn Read>, FetchError> {
    let reader: Box<dyn Read> = match kind {
        LayerKind::Tar => Box::new(blob),
        LayerKind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        LayerKind::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(blob).map_err(FetchError::Folder)?)
        }
    };
    // Headers and padding included, so that a bomb of empty entries ends as well.
    Ok(Box::new(reader.take(LAYER_BYTES_MAX * 2)))
}
