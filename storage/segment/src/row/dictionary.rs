//! What the rows of a segment have in common beside shapes: templates of values and addresses of services.
//!
//! A *column* is the values of one tag key (or of annotations) on spans of one service and name. It lists the templates
//! (`pattern.rs`) its values had, in the order first seen, so that a value names its template by a small number: a
//! path of one operation nearly always has the first. Addresses are listed by service, so that an instance is a
//! small number too. Everything is bounded; what is not admitted any more stays in the row.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::pattern::Pattern;
use crate::rows::Address;
use crate::shape::{ShapeNumber, ShapeTable};
use crate::strings::{Strings, Symbol};
use storage_record::bytes::{Cursor, Malformed, Put};
use storage_record::{put_addresses, read_addresses, read_port};

/// Columns a segment may have; further ones share the first.
const COLUMNS_MAX: usize = 1 << 16;
/// Templates a segment may have, and their text.
const TEMPLATES_MAX: usize = 1 << 16;
const TEMPLATE_BYTES_MAX: usize = 4 << 20;
/// Templates a column may have before each new one needs [`USES_PER_TEMPLATE`] uses of those there are: free text
/// has another template every time.
const FREE_TEMPLATES: usize = 64;
const USES_PER_TEMPLATE: u64 = 16;
/// Addresses a service may have, and all together.
const SERVICE_ADDRESSES_MAX: usize = 4096;
const ADDRESSES_MAX: usize = 1 << 16;
/// Keys that have codes of their own; further ones share them.
pub(crate) const KEY_CODES: usize = 48;

type Map<K, V> = HashMap<K, V, RandomState>;

/// What rows are read with, beside shapes and codes.
#[derive(Debug)]
pub(crate) struct Dictionary {
    templates: Strings,
    columns: Vec<Column>,
    column_numbers: Map<(Symbol, Symbol, Symbol), u32>,
    key_codes: Map<Symbol, u8>,
    /// Of every shape, the columns of the values it leaves open, and where those of each end: there are tens of
    /// thousands of shapes, and a list of its own would take more than what is in it.
    shape_columns: Vec<u32>,
    shape_ends: Vec<u32>,
    addresses: Map<Symbol, Vec<Address>>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Column {
    pub(crate) key: Symbol,
    /// Below [`KEY_CODES`].
    pub(crate) code: u8,
    templates: Vec<Symbol>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            templates: Strings::default(),
            columns: vec![Column::default()],
            column_numbers: Map::default(),
            key_codes: Map::default(),
            shape_columns: Vec::new(),
            shape_ends: Vec::new(),
            addresses: Map::default(),
        }
    }
}

impl Dictionary {
    /// Gives the values of shapes that are new in the table their columns: always the same ones for the same table.
    fn learn_shapes(&mut self, table: &ShapeTable) {
        for number in self.shape_ends.len()..table.len() {
            let Ok(shape) = table.get(number as ShapeNumber) else {
                break;
            };
            let tags = shape.tags.iter().copied();
            let annotations = shape.annotations.iter().map(|&slot| (Symbol::NONE, slot));
            let open = tags.chain(annotations).filter(|(_, slot)| slot.is_none());
            for (key, _) in open {
                let column = self.column_number(shape.service, shape.name, key);
                self.shape_columns.push(column);
            }
            self.shape_ends.push(self.shape_columns.len() as u32);
        }
    }

    fn column_number(&mut self, service: Symbol, name: Symbol, key: Symbol) -> u32 {
        let Self {
            columns,
            column_numbers,
            key_codes,
            ..
        } = self;
        if let Some(&number) = column_numbers.get(&(service, name, key)) {
            return number;
        }
        if columns.len() >= COLUMNS_MAX {
            return 0;
        }
        let next_code = (key_codes.len() % KEY_CODES) as u8;
        let code = *key_codes.entry(key).or_insert(next_code);
        let number = columns.len() as u32;
        columns.push(Column {
            key,
            code,
            templates: Vec::new(),
        });
        column_numbers.insert((service, name, key), number);
        number
    }

    /// The columns of the values that a shape leaves open.
    ///
    /// # Errors
    /// [`Malformed`] where there is no such shape.
    pub(crate) fn columns_of(&self, shape: ShapeNumber) -> Result<&[u32], Malformed> {
        let shape = shape as usize;
        let end = self.shape_ends.get(shape);
        let end = *end.ok_or(Malformed("a shape number beyond the shapes"))? as usize;
        let start = shape
            .checked_sub(1)
            .map_or(0, |before| self.shape_ends[before] as usize);
        Ok(&self.shape_columns[start..end])
    }

    /// A column by a number of [`Dictionary::columns_of`].
    pub(crate) fn column(&self, number: u32) -> &Column {
        &self.columns[number as usize]
    }

    /// A template by its number in a column.
    ///
    /// # Errors
    /// [`Malformed`] where the column has no such template.
    pub(crate) fn template(&self, column: &Column, place: u64) -> Result<&str, Malformed> {
        let template = usize::try_from(place)
            .ok()
            .and_then(|place| column.templates.get(place));
        template
            .map(|&template| self.templates.get(template))
            .ok_or(Malformed("a template that its column lacks"))
    }

    /// An address by its number in the list of a service.
    ///
    /// # Errors
    /// [`Malformed`] where the service has no such address.
    pub(crate) fn address(&self, service: Symbol, place: u64) -> Result<Address, Malformed> {
        let of_service = self.addresses.get(&service).zip(usize::try_from(place).ok());
        let address = of_service.and_then(|(list, place)| list.get(place));
        address
            .copied()
            .ok_or(Malformed("an address that its service lacks"))
    }

    /// Templates, what columns have of them, and addresses; [`Dictionary::read`] is the reverse.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(self.templates.len() as u64 - 1);
        for number in 1..self.templates.len() {
            out.put_text(self.templates.get(Symbol(number as u32)));
        }
        out.put_varint(self.columns.len() as u64);
        for column in &self.columns {
            out.put_varint(column.templates.len() as u64);
            column
                .templates
                .iter()
                .for_each(|template| out.put_varint(u64::from(template.0)));
        }
        let mut services: Vec<_> = self.addresses.iter().collect();
        services.sort_unstable_by_key(|(service, _)| **service);
        out.put_varint(services.len() as u64);
        for (service, addresses) in services {
            out.put_varint(u64::from(service.0));
            out.put_varint(addresses.len() as u64);
            for (ip, port) in addresses {
                put_addresses(*ip, 0, out);
                out.put_varint(u64::from(*port));
            }
        }
    }

    /// Reads the dictionary for the shapes of its segment.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are none, or that of other shapes.
    pub(crate) fn read(cursor: &mut Cursor<'_>, table: &ShapeTable) -> Result<Self, Malformed> {
        let mut dictionary = Self::default();
        dictionary.learn_shapes(table);
        for _ in 0..cursor.count(1)? {
            dictionary.templates.insert(cursor.text()?);
        }
        let templates = dictionary.templates.len() as u64;
        if cursor.count(1)? != dictionary.columns.len() {
            return Err(Malformed("another number of columns than shapes ask for"));
        }
        for column in &mut dictionary.columns {
            for _ in 0..cursor.count(1)? {
                match cursor.varint()? {
                    template if template < templates => column.templates.push(Symbol(template as u32)),
                    _ => return Err(Malformed("a template beyond the templates")),
                }
            }
        }
        for _ in 0..cursor.count(2)? {
            let service =
                u32::try_from(cursor.varint()?).map_err(|_| Malformed("a string number beyond 32 bits"))?;
            let mut addresses = Vec::new();
            for _ in 0..cursor.count(2)? {
                let (ip, _) = read_addresses(cursor)?;
                addresses.push((ip, read_port(cursor)?));
            }
            dictionary.addresses.insert(Symbol(service), addresses);
        }
        Ok(dictionary)
    }

    /// Memory it takes, roughly, bytes.
    pub(crate) fn bytes(&self) -> usize {
        let lists = self
            .columns
            .iter()
            .map(|column| column.templates.len() * 4)
            .sum::<usize>()
            + self
                .addresses
                .values()
                .map(|list| list.len() * size_of::<Address>())
                .sum::<usize>();
        self.templates.text_bytes()
            + self.templates.len() * 24
            + self.columns.len() * 80
            + (self.shape_columns.len() + self.shape_ends.len()) * 4
            + lists
    }
}

/// A dictionary that grows while rows are written.
#[derive(Debug, Default)]
pub(crate) struct DictionaryBuilder {
    dictionary: Dictionary,
    places: Map<(u32, Symbol), u32>,
    uses: Vec<u64>,
    address_places: Map<(Symbol, Address), u32>,
}

impl DictionaryBuilder {
    pub(crate) fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// MUST be called before rows of shapes that are new in the table are written.
    pub(crate) fn learn_shapes(&mut self, table: &ShapeTable) {
        self.dictionary.learn_shapes(table);
        self.uses.resize(self.dictionary.columns.len(), 0);
    }

    /// Splits a value of a column; gives the place of its template there, or `None` where it stays text.
    pub(crate) fn split(&mut self, column: u32, text: &str, pattern: &mut Pattern) -> Option<u64> {
        if !pattern.split(text) {
            return None;
        }
        let uses = self.uses.get_mut(column as usize)?;
        let Dictionary {
            templates, columns, ..
        } = &mut self.dictionary;
        // Nearly every value has the first template of its column: that is found without hashing anything.
        let first = columns[column as usize].templates.first();
        if first.is_some_and(|&first| templates.get(first) == pattern.template) {
            *uses += 1;
            return Some(0);
        }
        let known = templates.find(&pattern.template);
        if let Some(place) = known.and_then(|template| self.places.get(&(column, template))) {
            *uses += 1;
            return Some(u64::from(*place));
        }
        let column_templates = &mut columns[column as usize].templates;
        let is_free_text = column_templates.len() >= FREE_TEMPLATES
            && *uses < USES_PER_TEMPLATE * column_templates.len() as u64;
        let is_full = templates.len() >= TEMPLATES_MAX || templates.text_bytes() >= TEMPLATE_BYTES_MAX;
        if is_free_text || (known.is_none() && is_full) {
            return None;
        }
        let template = known.unwrap_or_else(|| templates.insert(&pattern.template));
        let place = column_templates.len() as u32;
        column_templates.push(template);
        self.places.insert((column, template), place);
        Some(u64::from(place))
    }

    /// The place of an address in the list of a service, or `None` where it stays in the row.
    pub(crate) fn address(&mut self, service: Symbol, address: Address) -> Option<u64> {
        if let Some(&place) = self.address_places.get(&(service, address)) {
            return Some(u64::from(place));
        }
        if self.address_places.len() >= ADDRESSES_MAX {
            return None;
        }
        let list = self.dictionary.addresses.entry(service).or_default();
        if list.len() >= SERVICE_ADDRESSES_MAX {
            return None;
        }
        let place = list.len() as u32;
        list.push(address);
        self.address_places.insert((service, address), place);
        Some(u64::from(place))
    }
}
