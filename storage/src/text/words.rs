//! Words: what a text is cut into to be searched.
//!
//! A word is a longest run of characters that Unicode calls alphabetic or numeric; everything else, `.`, `_`, `-` and
//! `/` among it, only separates. Words are compared in lower case, character by character: what becomes several
//! characters in lower case (only `İ` does) stays as it is, so that a word never changes its number of characters.

/// Bytes of a word that can be asked for, in lower case. Texts may have longer ones; they are found by a prefix.
pub const WORD_BYTES_MAX: usize = 256;

/// The words of a text, as they stand there.
pub fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// A character as it is compared.
pub fn lower_case(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => character,
    }
}

/// Whether a word, in any case, is `lower`, which is in lower case.
pub(super) fn is_word(word: &str, lower: &str) -> bool {
    word.chars().map(lower_case).eq(lower.chars())
}

/// Whether a word, in any case, begins with `lower`, which is in lower case.
pub(super) fn begins_with(word: &str, lower: &str) -> bool {
    let mut characters = word.chars().map(lower_case);
    lower.chars().all(|wanted| characters.next() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_everything_that_is_no_letter_and_no_digit() {
        let all: Vec<_> = words("GET /api/v2/my_key-7.x\tимя=名前!").collect();
        assert_eq!(all, ["GET", "api", "v2", "my", "key", "7", "x", "имя", "名前"]);
        assert_eq!(words("--\0 ").count(), 0);
    }

    #[test]
    fn lower_case_is_final_and_keeps_words_whole() {
        for character in '\0'..=char::MAX {
            let lower = lower_case(character);
            assert_eq!(lower_case(lower), lower, "{character:?}");
            assert_eq!(
                lower.is_alphanumeric(),
                character.is_alphanumeric(),
                "{character:?}"
            );
        }
        assert_eq!(lower_case('İ'), 'İ');
        assert_eq!(lower_case('Ä'), 'ä');
    }

    #[test]
    fn compares_without_case() {
        assert!(
            is_word("TimeOut", "timeout") && !is_word("TimeOuts", "timeout") && !is_word("Time", "timeout")
        );
        assert!(begins_with("TimeOut", "timeo") && !begins_with("Tim", "timeo"));
        assert!(is_word("ÄRGER", "ärger"));
    }
}
