//! Rows of CSV files: plain or gzipped, with a byte-order mark or without, and with what is wrong about each bad row.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, ErrorKind, StringRecord};
use flate2::bufread::MultiGzDecoder;

use super::mapping::Mapping;
use super::mapping::expression::Wrong;

/// How much of a file is read at a time.
const CHUNK: usize = 1 << 16;

/// An open file.
pub(crate) struct Rows {
    reader: csv::Reader<Box<dyn Read + Send>>,
    header: Vec<String>,
    record: ByteRecord,
    taken: Arc<AtomicU64>,
}

/// A row, or why it cannot be read.
#[derive(Debug)]
pub(crate) struct Line {
    /// The line of the file it begins at, from 1.
    pub(crate) number: u64,
    /// Its cells.
    pub(crate) cells: Result<StringRecord, Wrong>,
}

impl Rows {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// It cannot be opened, is no gzip where its name says so, or has a header that is not UTF-8.
    pub(crate) fn open(path: &Path, mapping: &Mapping) -> io::Result<Self> {
        let taken = Arc::new(AtomicU64::new(0));
        let file = Counted { file: File::open(path)?, taken: Arc::clone(&taken) };
        let plain = BufReader::with_capacity(CHUNK, file);
        let is_gzip = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        let source: Box<dyn Read + Send> = if is_gzip { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(mapping.delimiter)
            .quote(mapping.quote)
            .buffer_capacity(CHUNK)
            .from_reader(source);
        let header = reader.headers().map_err(io_error)?.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self { reader, header, record: ByteRecord::new(), taken })
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// The next row.
    ///
    /// # Errors
    /// The file cannot be read any further.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let before = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let number = self.record.position().map_or(before, csv::Position::line);
                let cells = StringRecord::from_byte_record(self.record.clone()).map_err(|fault| {
                    let place = fault.utf8_error().field() + 1;
                    Wrong { reason: "NOT_UTF8", text: format!("cell {place} is not UTF-8") }
                });
                Ok(Some(Line { number, cells }))
            }
            Err(fault) => {
                let ErrorKind::UnequalLengths { pos, expected_len, len } = fault.kind() else {
                    return Err(io_error(fault));
                };
                let number = pos.as_ref().map_or(before, csv::Position::line);
                let text = format!("has {len} cells, the header has {expected_len}");
                Ok(Some(Line { number, cells: Err(Wrong { reason: "CSV_MALFORMED", text }) }))
            }
        }
    }

    /// How many bytes of the file were read so far; another thread may look.
    pub(crate) fn taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }
}

fn io_error(fault: csv::Error) -> io::Error {
    if fault.is_io_error()
        && let ErrorKind::Io(fault) = fault.into_kind()
    {
        return fault;
    }
    io::Error::new(io::ErrorKind::InvalidData, "is no CSV file in UTF-8")
}

/// Counts the bytes of a file as they are read.
struct Counted {
    file: File,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
