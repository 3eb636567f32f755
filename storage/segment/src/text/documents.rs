//! The tantivy index of a segment's texts: made in memory by the calling thread, without store, norms or positions.
//!
//! Document `n` is the string of symbol `n + 1`; those after the dictionary's are listed words and stems.

use storage::text::words;
use tantivy::directory::RamDirectory;
use tantivy::directory::error::OpenReadError;
use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{Directory, Index, TantivyDocument};

use super::put_lower_case;
use crate::strings::{Strings, Symbol};

/// The one field, of words.
pub(super) const FIELD: &str = "words";

/// The identifier of every index's one segment.
const SEGMENT: &str = "00000000000000000000000000000001";

/// What the writer may take, which it does not cut segments by; less is refused.
const WRITER_BYTES: usize = 15 << 20;
/// Bytes of strings that are indexed; those after are looked at one by one, when something is asked.
const DICTIONARY_TEXT_BYTES_MAX: usize = 8 << 20;

/// The files of an index.
pub(super) struct Documents {
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// How many symbols are indexed, from 1.
    pub(super) symbols: u32,
}

/// Indexes a dictionary and what is listed.
pub(super) fn index<'l>(
    strings: &Strings,
    listed: impl Iterator<Item = &'l str>,
) -> tantivy::Result<Documents> {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    let field = schema.add_text_field(FIELD, TextOptions::default().set_indexing_options(indexing));
    let directory = RamDirectory::create();
    let mut writer = Index::builder()
        .schema(schema.build())
        .single_segment_index_writer::<TantivyDocument>(directory.clone(), WRITER_BYTES)?;
    let mut add = |words: &mut dyn Iterator<Item = String>| {
        let mut document = TantivyDocument::default();
        let tokens = words.map(token).collect();
        let text = String::new();
        document.add_pre_tokenized_text(field, PreTokenizedString { text, tokens });
        writer.add_document(document)
    };
    let (mut symbols, mut text_bytes) = (0, 0);
    for number in 1..strings.len() as u32 {
        let string = strings.get(Symbol(number));
        text_bytes += string.len();
        if text_bytes > DICTIONARY_TEXT_BYTES_MAX {
            break;
        }
        symbols = number;
        add(&mut words(string).map(|word| {
            let mut lower = String::new();
            put_lower_case(word, &mut lower);
            lower
        }))?;
    }
    for text in listed {
        add(&mut std::iter::once(text.to_owned()))?;
    }
    let index = writer.finalize()?;
    let files = files_of(&index, &directory)?;
    Ok(Documents { files, symbols })
}

/// The files of the one segment, named as if its identifier, which is random, were [`SEGMENT`]: equal texts make equal
/// bytes.
fn files_of(index: &Index, directory: &RamDirectory) -> tantivy::Result<Vec<(String, Vec<u8>)>> {
    let ids = index.searchable_segment_ids()?;
    let renamed = |text: &str| {
        ids.iter().fold(text.to_owned(), |text, id| {
            let id = id.uuid_string();
            text.replace(&id, SEGMENT)
                .replace(&hyphenated(&id), &hyphenated(SEGMENT))
        })
    };
    let mut files = Vec::new();
    for path in index.directory().list_managed_files() {
        let name = path.to_string_lossy();
        let bytes = match directory.open_read(&path) {
            Ok(file) => file.read_bytes()?,
            // Files that are not always there are listed, too.
            Err(OpenReadError::FileDoesNotExist(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let bytes = match std::str::from_utf8(&bytes) {
            Ok(meta) if name.ends_with(".json") => renamed(meta).into_bytes(),
            _ => bytes.to_vec(),
        };
        files.push((renamed(&name), bytes));
    }
    files.sort();
    Ok(files)
}

fn hyphenated(id: &str) -> String {
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}

fn token(text: String) -> Token {
    Token {
        text,
        // All at one place: positions are not kept, and those of the default overflow.
        position: 0,
        ..Token::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_make_equal_bytes() {
        let mut strings = Strings::default();
        strings.insert("GET /users");
        let index = || index(&strings, ["users", "\0"].into_iter()).unwrap();
        let (one, two) = (index(), index());
        assert_eq!(one.files, two.files);
        assert_eq!((one.symbols, one.files.is_empty()), (1, false));
    }
}
