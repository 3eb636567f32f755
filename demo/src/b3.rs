//! B3: which trace a request belongs to, as headers. One header, `b3`, or several that begin with `x-b3-`; callers
//! choose, callees read both.

use http::{HeaderMap, HeaderName, HeaderValue};

/// How a caller writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `b3: {trace}-{span}-{sampled}-{parent}`
    Single,
    /// `x-b3-traceid` and its siblings.
    Several,
}

/// The span that a caller began and a callee takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent_id: Option<u64>,
    /// Whether anybody records it.
    pub(crate) is_sampled: bool,
}

const SINGLE: HeaderName = HeaderName::from_static("b3");
const TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const PARENT_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");

impl Context {
    /// As headers of a request.
    pub(crate) fn write(&self, style: Style) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, text: String| {
            // Hexadecimal digits and hyphens are always a header's value.
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        };
        let sampled = u8::from(self.is_sampled);
        match style {
            Style::Single => {
                let parent = self.parent_id.map(|parent| format!("-{parent:016x}"));
                let parent = parent.unwrap_or_default();
                let text = format!("{:032x}-{:016x}-{sampled}{parent}", self.trace_id, self.span_id);
                add(SINGLE, text);
            }
            Style::Several => {
                add(TRACE_ID, format!("{:032x}", self.trace_id));
                add(SPAN_ID, format!("{:016x}", self.span_id));
                add(SAMPLED, sampled.to_string());
                if let Some(parent) = self.parent_id {
                    add(PARENT_ID, format!("{parent:016x}"));
                }
            }
        }
        headers
    }

    /// From the headers of a request; `None` where they name no span, or not one that can be.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(single) = text(&SINGLE) {
            let mut parts = single.split('-');
            let (trace_id, span_id) = (parts.next()?, parts.next()?);
            return Self::of_texts(trace_id, span_id, parts.next(), parts.next());
        }
        Self::of_texts(
            text(&TRACE_ID)?,
            text(&SPAN_ID)?,
            text(&SAMPLED),
            text(&PARENT_ID),
        )
    }

    fn of_texts(
        trace_id: &str,
        span_id: &str,
        sampled: Option<&str>,
        parent_id: Option<&str>,
    ) -> Option<Self> {
        let parent_id = match parent_id {
            Some(parent_id) => Some(span_id_of(parent_id)?),
            None => None,
        };
        Some(Self {
            trace_id: u128::from_str_radix(trace_id, 16).ok().filter(|id| *id != 0)?,
            span_id: span_id_of(span_id)?,
            parent_id,
            is_sampled: sampled != Some("0"),
        })
    }
}

fn span_id_of(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_say_the_same() {
        for parent_id in [None, Some(3)] {
            for is_sampled in [true, false] {
                let context = Context {
                    trace_id: 0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124,
                    span_id: 0xa2fb_4a1d_1a96_d312,
                    parent_id,
                    is_sampled,
                };
                for style in [Style::Single, Style::Several] {
                    let headers = context.write(style);
                    assert_eq!(Context::read(&headers), Some(context), "{headers:?}");
                }
            }
        }
    }

    #[test]
    fn headers_are_those_of_b3() {
        let context = Context {
            trace_id: 1,
            span_id: 2,
            parent_id: Some(3),
            is_sampled: true,
        };
        let single = context.write(Style::Single);
        assert_eq!(single.len(), 1);
        assert_eq!(
            single["b3"],
            "00000000000000000000000000000001-0000000000000002-1-0000000000000003"
        );
        let several = context.write(Style::Several);
        assert_eq!(several["x-b3-traceid"], "00000000000000000000000000000001");
        assert_eq!(several["x-b3-spanid"], "0000000000000002");
        assert_eq!(several["x-b3-parentspanid"], "0000000000000003");
        assert_eq!(several["x-b3-sampled"], "1");
    }

    #[test]
    fn what_is_no_span_is_none() {
        let read = |name: &'static str, text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(text));
            Context::read(&headers)
        };
        assert_eq!(read("b3", "1"), None);
        assert_eq!(read("b3", "0-0-1"), None);
        assert_eq!(read("b3", "xyz-1-1"), None);
        assert_eq!(read("x-b3-traceid", "1"), None);
        assert_eq!(Context::read(&HeaderMap::new()), None);
    }
}
