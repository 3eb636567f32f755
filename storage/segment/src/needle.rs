//! Bytes that a text must have to meet a condition: what can be looked for in many rows at once, before any is read.

use memchr::memchr2_iter;
use memchr::memmem::Finder;
use storage::text::TextPart;

use crate::conditions::Wanted;

/// See the head of this file.
#[derive(Debug)]
pub(crate) enum Needle<'q> {
    /// Exactly these.
    Exact(Box<Finder<'q>>),
    /// These letters and digits, in any case.
    Word(Word<'q>),
}

impl<'q> Needle<'q> {
    /// What everything that is wanted has; nothing where there may be no such bytes.
    pub(crate) fn of(wanted: Wanted<'q>) -> Option<Self> {
        match wanted {
            Wanted::Value(value) => Some(Self::exact(value)),
            Wanted::Part(TextPart::Phrase(phrase)) => {
                let words = phrase.words().iter().filter(|word| word.is_ascii());
                Word::new(words.max_by_key(|word| word.len())?).map(Self::Word)
            }
            Wanted::Part(TextPart::Regex(pattern)) => literal(pattern.source()).map(Self::exact),
        }
    }

    fn exact(text: &'q str) -> Self {
        Self::Exact(Box::new(Finder::new(text)))
    }

    /// False only if no text in these bytes has it.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Exact(finder) => finder.find(bytes).is_some(),
            Self::Word(word) => word.is_in(bytes),
        }
    }
}

/// ASCII letters and digits in lower case.
#[derive(Debug)]
pub(crate) struct Word<'q> {
    lower: &'q [u8],
    /// Where in it the byte is that is looked for first.
    rare: usize,
    /// Whether it has a letter that a character outside ASCII becomes in lower case.
    has_k: bool,
}

/// The only character outside ASCII that is a letter of ASCII in lower case, which is `k`.
const KELVIN: &[u8] = "\u{212a}".as_bytes();
/// From what is seldom in texts, and in the bytes between them, to what is often.
const BY_RARITY: &[u8] = b"zqjxkvwybpgfmuhdclsnriotae";

impl<'q> Word<'q> {
    fn new(lower: &'q str) -> Option<Self> {
        let lower = lower.as_bytes();
        let rarity = |byte: &u8| BY_RARITY.iter().position(|other| other == byte);
        let (rare, _) = lower
            .iter()
            .enumerate()
            .min_by_key(|(_, byte)| rarity(byte).unwrap_or(BY_RARITY.len()))?;
        Some(Self {
            lower,
            rare,
            has_k: lower.contains(&b'k'),
        })
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let byte = self.lower[self.rare];
        let is_there = memchr2_iter(byte, byte.to_ascii_uppercase(), bytes).any(|at| {
            let start = at.checked_sub(self.rare);
            let found = start.and_then(|start| bytes.get(start..start + self.lower.len()));
            found.is_some_and(|found| found.eq_ignore_ascii_case(self.lower))
        });
        is_there || self.has_k && memchr::memmem::find(bytes, KELVIN).is_some()
    }
}

/// The longest text that every match of a regular expression has in it. Only of expressions that are one part after the
/// other: characters, classes, anchors, with how often each may come.
fn literal(source: &str) -> Option<&str> {
    if source.contains(['|', '(', ')', '\\']) {
        return None;
    }
    let (mut best, mut rest) = ("", source);
    while !rest.is_empty() {
        let end = rest.find(['[', ']', '{', '}', '?', '*', '+', '.', '^', '$']);
        let mut plain = &rest[..end.unwrap_or(rest.len())];
        let after = end.map(|end| &rest[end..]).unwrap_or_default();
        // What comes often enough may be there never as a whole: `a+*`.
        if after.trim_start_matches('+').starts_with(['?', '*', '{']) {
            // Which is about the character before.
            let last = plain.char_indices().next_back().map_or(0, |(at, _)| at);
            plain = &plain[..last];
        }
        if plain.len() > best.len() {
            best = plain;
        }
        rest = match after.chars().next() {
            // A class in a class, or one that begins with its end: who knows where it ends.
            Some('[') => {
                let close = after.find(']')?;
                let class = &after[1..close];
                if class.is_empty() || class == "^" || class.contains('[') {
                    return None;
                }
                &after[close + 1..]
            }
            Some('{') => &after[after.find('}')? + 1..],
            Some(_) => &after[1..],
            None => "",
        };
    }
    Some(best).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::text::TextQuery;

    use super::*;

    fn check(query: &str, text: &str) {
        let Ok(query) = TextQuery::parse(query) else {
            return;
        };
        for part in query.parts() {
            if let Some(needle) = Needle::of(Wanted::Part(part))
                && part.is_in(text)
            {
                assert!(needle.is_in(text.as_bytes()), "{part:?} is in {text:?}");
            }
        }
    }

    #[test]
    fn what_is_nowhere_is_told() {
        let query = TextQuery::parse("timeout \"Read Failed\" kel* /ab?cde+f[0-9]x/ /a|b/ /\\d/").unwrap();
        let has = |index: usize, text: &str| {
            let needle = Needle::of(Wanted::Part(&query.parts()[index]));
            needle.map(|needle| needle.is_in(text.as_bytes()))
        };
        assert_eq!(has(0, "a TimeOut!"), Some(true));
        assert_eq!(has(0, "time out"), Some(false));
        assert_eq!(has(1, "it FAILED"), Some(true));
        assert_eq!(has(1, "it fails, to read"), Some(false));
        assert_eq!(has(2, "the \u{212a}ELvins"), Some(true));
        assert_eq!(has(2, "ke l"), Some(false));
        assert_eq!(has(3, "acdef7x"), Some(true));
        assert_eq!(has(3, "abc"), Some(false));
        assert_eq!((has(4, "a"), has(5, "1")), (None, None));
        assert!(Needle::of(Wanted::Value("a=b")).unwrap().is_in(b"xa=by"));
    }

    #[test]
    fn what_comes_once_or_more_may_come_never_as_a_whole() {
        for query in ["/aa+*/", "/aa+?/", "/aa+{0}/", "/aa++*/"] {
            check(query, "a");
            check(query, "aa");
        }
    }

    proptest! {
        #[test]
        fn what_meets_a_condition_has_its_needle(
            query in prop_oneof!["[kKa1 ]{1,6}\\*?", "/[ab.\\[\\]{}?*+^$1,-]{1,8}/"],
            text in "[aAbBkK\u{212a}1 ]{0,12}",
        ) {
            check(&query, &text);
        }
    }
}
