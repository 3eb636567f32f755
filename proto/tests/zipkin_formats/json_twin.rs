//! A slow twin of the v2 JSON reader, on serde_json: no arena, no cursor, no shared code but the model's types.
//!
//! It judges only what serde_json accepts; what Zipkin accepts beyond standard JSON is in the golden cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use model::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// JSON with its repeated keys.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Null,
    Boolean(bool),
    Integer(i128),
    Fraction(f64),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Why the twin gives no spans.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// They are no spans.
    Invalid,
    /// It cannot tell: not standard JSON, or a fraction where its exact digits matter.
    Unjudged,
}

type Judged<T> = Result<T, Refusal>;

/// Reads a list of spans; what follows it does not matter.
pub(crate) fn read(text: &str) -> Judged<Vec<Span>> {
    let list =
        Node::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|_| Refusal::Unjudged)?;
    list.elements()?.iter().map(span).collect()
}

fn span(node: &Node) -> Judged<Span> {
    let (mut trace_id, mut id, mut parent_id, mut kind, mut name) = (None, None, None, None, None);
    let (mut timestamp, mut duration, mut local_endpoint, mut remote_endpoint) = (None, None, None, None);
    let (mut annotations, mut tags) = (BTreeSet::new(), BTreeMap::new());
    let (mut debug, mut shared) = (false, false);
    for (key, value) in node.members()? {
        match (key.as_str(), value) {
            ("traceId", _) => {
                trace_id = Some(
                    hex(&value.text()?, 32)
                        .filter(|&id| id != 0)
                        .ok_or(Refusal::Invalid)?,
                )
            }
            ("id", _) => id = Some(hex(&value.text()?, 16).ok_or(Refusal::Invalid)?),
            (_, Node::Null) => {}
            ("parentId", _) => parent_id = Some(hex(&value.text()?, 16).ok_or(Refusal::Invalid)?),
            ("kind", _) => kind = Some(Kind::parse(&value.text()?).map_err(|_| Refusal::Invalid)?),
            ("name", _) => name = lower_case(&value.text()?),
            ("timestamp", _) => timestamp = positive(value.integer(i64::MAX)?),
            ("duration", _) => duration = positive(value.integer(i64::MAX)?),
            ("localEndpoint", _) => local_endpoint = endpoint(value)?,
            ("remoteEndpoint", _) => remote_endpoint = endpoint(value)?,
            ("annotations", _) => {
                for element in value.elements()? {
                    annotations.extend(annotation(element)?);
                }
            }
            ("tags", _) => {
                for (key, value) in value.members()? {
                    tags.insert(key.clone(), value.text()?);
                }
            }
            ("debug", _) => debug |= value.boolean()?,
            ("shared", _) => shared |= value.boolean()?,
            _ => {}
        }
    }
    let id = id.ok_or(Refusal::Invalid)? as u64;
    let trace_id = trace_id.ok_or(Refusal::Invalid)?;
    let parent_id = parent_id
        .map(|parent| parent as u64)
        .filter(|&parent| parent != 0 && parent != id);
    Ok(Span {
        trace_id: TraceId::new((trace_id >> 64) as u64, trace_id as u64).expect("not zero"),
        parent_id: parent_id.map(SpanId::new),
        id: SpanId::new(id),
        kind,
        name,
        timestamp,
        duration,
        local_endpoint,
        remote_endpoint,
        annotations: annotations.into_iter().collect(),
        tags: tags.into_iter().collect(),
        debug,
        shared: shared && kind != Some(Kind::Client),
    })
}

fn annotation(node: &Node) -> Judged<Option<Annotation>> {
    let (mut timestamp, mut value) = (None, None);
    for (key, node) in node.members()? {
        match key.as_str() {
            "timestamp" => timestamp = Some(node.integer(i64::MAX)?),
            "value" => value = Some(node.text()?),
            _ => {}
        }
    }
    let (timestamp, value) = timestamp.zip(value).ok_or(Refusal::Invalid)?;
    Ok(u64::try_from(timestamp)
        .ok()
        .map(|timestamp| Annotation { timestamp, value }))
}

fn endpoint(node: &Node) -> Judged<Option<Endpoint>> {
    let mut endpoint = Endpoint {
        service_name: None,
        ip: IpAddresses::default(),
        port: 0,
    };
    for (key, value) in node.members()? {
        match (key.as_str(), value) {
            (_, Node::Null) => {}
            ("serviceName", _) => endpoint.service_name = lower_case(&value.text()?),
            ("ipv4" | "ipv6", _) => {
                endpoint.ip.insert_text(&value.text()?);
            }
            ("port", _) => {
                let port = value.integer(i64::from(i32::MAX))?;
                endpoint.port = u16::try_from(port.max(0)).map_err(|_| Refusal::Invalid)?;
            }
            _ => {}
        }
    }
    Ok(endpoint.into_option())
}

fn hex(text: &str, most: usize) -> Option<u128> {
    let lower = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if lower && text.len() <= most {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

fn lower_case(text: &str) -> Option<String> {
    Some(text.to_lowercase()).filter(|text| !text.is_empty())
}

fn positive(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|&value| value != 0)
}

impl Node {
    fn elements(&self) -> Judged<&[Node]> {
        if let Self::Array(elements) = self {
            Ok(elements)
        } else {
            Err(Refusal::Invalid)
        }
    }

    fn members(&self) -> Judged<&[(String, Node)]> {
        if let Self::Object(members) = self {
            Ok(members)
        } else {
            Err(Refusal::Invalid)
        }
    }

    fn boolean(&self) -> Judged<bool> {
        if let Self::Boolean(value) = self {
            Ok(*value)
        } else {
            Err(Refusal::Invalid)
        }
    }

    fn text(&self) -> Judged<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Integer(value) => Ok(value.to_string()),
            Self::Fraction(_) => Err(Refusal::Unjudged),
            _ => Err(Refusal::Invalid),
        }
    }

    /// `most` is that of the type; the least is its opposite.
    fn integer(&self, most: i64) -> Judged<i64> {
        let whole = |value: f64| {
            if (value as i64) as f64 == value {
                Ok(value as i64)
            } else {
                Err(Refusal::Invalid)
            }
        };
        let value = match self {
            Self::Integer(value) => i64::try_from(*value).or_else(|_| whole(*value as f64))?,
            Self::Fraction(value) => whole(*value)?,
            Self::Text(text) => {
                let text = text.trim_matches(|character| character <= ' ');
                let fraction = || text.parse().map_err(|_| Refusal::Invalid).and_then(whole);
                // Rust reads words that stand for numbers; whether Java does is not for the twin to say.
                if text.contains(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E') {
                    return Err(Refusal::Unjudged);
                }
                text.parse().or_else(|_| fraction())?
            }
            _ => return Err(Refusal::Invalid),
        };
        if (-most - 1..=most).contains(&value) {
            Ok(value)
        } else {
            Err(Refusal::Invalid)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Node::Object(object))
    }
}
