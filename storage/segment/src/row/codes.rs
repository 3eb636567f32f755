//! Prefix codes: symbols of one byte in as many bits as they are seldom, a code a context.
//!
//! What is likely depends on what is coded: a *context* is one kind of thing, such as durations of client spans, and
//! has a code of its own. Codes are made from the very symbols they code, so every symbol that is there has one, and
//! none is spent on others. They are canonical: the lengths of the code words say everything.

use storage_record::bytes::{Cursor, Malformed, Put};

use crate::bits::{BitReader, BitWriter};

/// How many contexts there may be.
pub(crate) const CONTEXTS: usize = 128;

/// Contexts below this never code a symbol in no bits at all, so that what is read is bounded by the bits that are
/// there. In others a symbol that is the only one costs nothing.
pub(crate) const PLAIN_CONTEXTS: usize = 32;

/// Bits of the longest code word: a table of so many entries is looked up once a symbol.
const LENGTH_MAX: u32 = 11;

/// How often each symbol comes in each context.
pub(crate) struct Counts(Vec<[u32; 256]>);

impl Counts {
    pub(crate) fn new() -> Self {
        Self(vec![[0; 256]; CONTEXTS])
    }

    #[inline]
    pub(crate) fn add(&mut self, context: u8, symbol: u8) {
        self.0[usize::from(context) % CONTEXTS][usize::from(symbol)] += 1;
    }
}

/// Code words of one context: bits, the first lowest, and how many.
type Words = [(u16, u8); 256];

/// Codes to write with.
pub(crate) struct Encoder {
    lengths: Vec<Lengths>,
    words: Vec<Words>,
}

/// (symbol, length) of a context, ascending by symbol.
type Lengths = Vec<(u8, u8)>;

impl Encoder {
    pub(crate) fn new(counts: &Counts) -> Self {
        let lengths: Vec<Lengths> = counts
            .0
            .iter()
            .enumerate()
            .map(|(c, counts)| lengths_of(c, counts))
            .collect();
        let words = lengths.iter().map(|lengths| {
            let mut words = [(0, 0); 256];
            for_each_word(lengths, |symbol, word, length| {
                words[usize::from(symbol)] = (word, length)
            });
            words
        });
        Self {
            words: words.collect(),
            lengths,
        }
    }

    #[inline]
    pub(crate) fn write(&self, context: u8, symbol: u8, out: &mut BitWriter) {
        let (word, length) = self.words[usize::from(context) % CONTEXTS][usize::from(symbol)];
        out.put(u64::from(word), u32::from(length));
    }

    /// The lengths; [`Decoder::read`] is the reverse.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for lengths in &self.lengths {
            out.put_varint(lengths.len() as u64);
            let mut next = 0;
            for &(symbol, length) in lengths {
                out.push(symbol - next);
                out.push(length);
                next = symbol.wrapping_add(1);
            }
        }
    }
}

/// Codes to read with.
#[derive(Debug)]
pub(crate) struct Decoder {
    contexts: Vec<Table>,
}

/// Every entry is symbol and length; 0xff where no code word begins so.
#[derive(Debug)]
struct Table {
    bits: u32,
    entries: Vec<(u8, u8)>,
}

const NO_WORD: u8 = 0xff;

impl Decoder {
    /// Reads what [`Encoder::put`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] where it is none.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let contexts = (0..CONTEXTS).map(|context| Table::read(context, cursor));
        Ok(Self {
            contexts: contexts.collect::<Result<_, _>>()?,
        })
    }

    /// Memory it takes, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.contexts
            .iter()
            .map(|table| table.entries.len() * 2 + size_of::<Table>())
            .sum()
    }

    #[inline]
    pub(crate) fn symbol(&self, context: u8, reader: &mut BitReader<'_>) -> Result<u8, Malformed> {
        let table = &self.contexts[usize::from(context) % CONTEXTS];
        let (symbol, length) = table.entries[reader.peek(table.bits) as usize];
        if length == NO_WORD {
            return Err(Malformed("bits that are no code word"));
        }
        reader.skip(u32::from(length))?;
        Ok(symbol)
    }
}

impl Table {
    fn read(context: usize, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        const WRONG: Malformed = Malformed("a code that cannot be");
        let count = cursor.count(2)?;
        let mut lengths = Vec::with_capacity(count.min(256));
        let mut next = 0u32;
        for _ in 0..count {
            let symbol = next + u32::from(cursor.u8()?);
            let length = cursor.u8()?;
            let least = u8::from(count > 1 || context < PLAIN_CONTEXTS);
            if symbol > 255 || u32::from(length) > LENGTH_MAX || length < least {
                return Err(WRONG);
            }
            lengths.push((symbol as u8, length));
            next = symbol + 1;
        }
        // More words than there is room for would write over each other.
        let room: u32 = lengths
            .iter()
            .map(|&(_, length)| 1 << (LENGTH_MAX - u32::from(length)))
            .sum();
        if room > 1 << LENGTH_MAX {
            return Err(WRONG);
        }
        let bits = lengths.iter().map(|word| u32::from(word.1)).max().unwrap_or(0);
        let mut entries = vec![(0, NO_WORD); 1 << bits];
        for_each_word(&lengths, |symbol, word, length| {
            for entry in entries.iter_mut().skip(usize::from(word)).step_by(1 << length) {
                *entry = (symbol, length);
            }
        });
        Ok(Self { bits, entries })
    }
}

/// Gives `found` the canonical code word of every symbol: shorter ones first, then by symbol; its first bit lowest.
fn for_each_word(lengths: &Lengths, mut found: impl FnMut(u8, u16, u8)) {
    let mut code = 0u32;
    for length in 0..=LENGTH_MAX as u8 {
        for &(symbol, _) in lengths.iter().filter(|word| word.1 == length) {
            let reversed = if length == 0 {
                0
            } else {
                (code as u16).reverse_bits() >> (16 - length)
            };
            found(symbol, reversed, length);
            code += 1;
        }
        code <<= 1;
    }
}

/// Lengths of the code words for symbols that come so often.
fn lengths_of(context: usize, counts: &[u32; 256]) -> Lengths {
    let symbols = (0..=255u8).filter(|&symbol| counts[usize::from(symbol)] > 0);
    let symbols: Vec<u8> = symbols.collect();
    if symbols.len() <= 1 {
        let length = u8::from(context < PLAIN_CONTEXTS);
        return symbols.into_iter().map(|symbol| (symbol, length)).collect();
    }
    let mut weights: Vec<u64> = symbols
        .iter()
        .map(|&symbol| u64::from(counts[usize::from(symbol)]))
        .collect();
    loop {
        let lengths = huffman(&weights);
        if lengths.iter().all(|&length| length <= LENGTH_MAX) {
            return symbols
                .into_iter()
                .zip(lengths)
                .map(|(symbol, length)| (symbol, length as u8))
                .collect();
        }
        // Flatter, until the seldom ones are not too deep. All being 1 ends it: 256 symbols take 8 bits.
        weights.iter_mut().for_each(|weight| *weight = *weight / 2 + 1);
    }
}

/// Depths in the tree that Huffman's algorithm makes of these weights, at least two: the two lightest are joined,
/// again and again. Leaves sorted by weight, and joined nodes, which come in ascending order, are two queues.
fn huffman(weights: &[u64]) -> Vec<u32> {
    let mut leaves: Vec<usize> = (0..weights.len()).collect();
    leaves.sort_by_key(|&leaf| weights[leaf]);
    let mut joined: Vec<u64> = Vec::with_capacity(weights.len());
    // Of leaves, then of joined nodes: the joined node above.
    let mut above = vec![0usize; weights.len() * 2];
    let (mut leaf, mut node) = (0, 0);
    while joined.len() + 1 < weights.len() {
        let mut weight = 0;
        for _ in 0..2 {
            let take_leaf =
                node >= joined.len() || (leaf < leaves.len() && weights[leaves[leaf]] <= joined[node]);
            if take_leaf {
                weight += weights[leaves[leaf]];
                above[leaves[leaf]] = joined.len();
                leaf += 1;
            } else {
                weight += joined[node];
                above[weights.len() + node] = joined.len();
                node += 1;
            }
        }
        joined.push(weight);
    }
    let root = joined.len() - 1;
    let mut depths = vec![0u32; joined.len()];
    for node in (0..root).rev() {
        depths[node] = depths[above[weights.len() + node]] + 1;
    }
    (0..weights.len()).map(|leaf| depths[above[leaf]] + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(symbols: &[(u8, u8)]) -> (Vec<u8>, Vec<u8>) {
        let mut counts = Counts::new();
        symbols
            .iter()
            .for_each(|&(context, symbol)| counts.add(context, symbol));
        let encoder = Encoder::new(&counts);
        let (mut table, mut bits) = (Vec::new(), BitWriter::default());
        encoder.put(&mut table);
        symbols
            .iter()
            .for_each(|&(context, symbol)| encoder.write(context, symbol, &mut bits));
        bits.align();
        (table, bits.bytes().to_vec())
    }

    proptest! {
        #[test]
        fn symbols_are_read_as_written(
            symbols in prop::collection::vec((0u8..4, prop_oneof![4 => 0u8..4, 1 => any::<u8>()]), 0..2000),
        ) {
            let symbols: Vec<(u8, u8)> = symbols.into_iter().map(|(context, symbol)| (context * 40, symbol)).collect();
            let (table, bits) = written(&symbols);
            let mut cursor = Cursor::new(&table);
            let decoder = Decoder::read(&mut cursor).unwrap();
            prop_assert!(cursor.is_empty());
            let mut reader = BitReader::new(&bits);
            for &(context, symbol) in &symbols {
                prop_assert_eq!(decoder.symbol(context, &mut reader), Ok(symbol));
            }
            prop_assert!(reader.remaining() < 8);
        }

        #[test]
        fn damaged_codes_are_refused_or_read(bytes in prop::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..300)) {
            let mut table = bytes.clone();
            table.resize(bytes.len() + CONTEXTS, 0);
            if let Ok(decoder) = Decoder::read(&mut Cursor::new(&table)) {
                let mut reader = BitReader::new(&bytes);
                while reader.remaining() > 0 && decoder.symbol(0, &mut reader).is_ok() {}
                prop_assert!(decoder.bytes() > 0);
            }
        }
    }

    #[test]
    fn frequent_symbols_are_short_and_none_is_too_long() {
        let mut counts = [0; 256];
        // Weights like Fibonacci numbers make the deepest tree.
        let (mut a, mut b) = (1, 1);
        for count in &mut counts[..40] {
            *count = a;
            (a, b) = (b, a + b);
        }
        let lengths = lengths_of(0, &counts);
        assert_eq!(lengths.len(), 40);
        assert!(lengths.iter().all(|word| u32::from(word.1) <= LENGTH_MAX));
        assert!(lengths.is_sorted_by(|seldom, often| seldom.1 >= often.1));
        assert!(lengths[39].1 <= 2 && lengths[0].1 > 8);
    }

    #[test]
    fn what_is_certain_costs_nothing_but_in_plain_contexts() {
        assert!(written(&[(100, 7); 50]).1.is_empty());
        assert_eq!(written(&[(0, 7); 50]).1.len(), 7);
    }
}
