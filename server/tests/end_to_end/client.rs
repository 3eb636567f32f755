//! The least HTTP client that lets tests send what no good client would.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything a test waits for on purpose.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection; answers are read in the order of requests.
pub(crate) struct Connection {
    stream: TcpStream,
    // Read already, but not of the last answer.
    ahead: Vec<u8>,
}

/// An answer, with its body whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in: {}", self.text()))
    }

    /// The first of that name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.0 == name)
            .map(|header| header.1.as_str())
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|| panic!("nobody listens on {address}"))
    }

    /// `None` where nobody listens, or no more.
    pub(crate) fn try_open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self {
            stream,
            ahead: Vec::new(),
        })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes of which the server may refuse to read the end.
    pub(crate) fn send_in_vain(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.stream.write_all(bytes.as_ref()));
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method == "POST" || !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let mut message = (head + "\r\n").into_bytes();
        message.extend_from_slice(body);
        self.send(message);
    }

    /// The next answer; `None` where the connection ends first.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !self.read_more() {
                return None;
            }
        };
        let head = String::from_utf8(self.ahead[..head_end].to_vec()).unwrap();
        self.ahead.drain(..head_end + 4);
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        answer.body = match answer.header("content-length") {
            Some(length) => self.take(length.parse().unwrap()),
            None if answer.header("transfer-encoding") == Some("chunked") => self.take_chunks(),
            None => Vec::new(),
        };
        Some(answer)
    }

    /// The next bytes, whatever they are.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        self.take(length)
    }

    /// How many bytes come until the connection ends.
    pub(crate) fn bytes_to_the_end(&mut self) -> usize {
        while self.read_more() {}
        self.ahead.len()
    }

    /// True if the server closes the connection, whatever it sends before that.
    pub(crate) fn is_closed(&mut self) -> bool {
        while self.read_more() {}
        true
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            assert!(
                self.read_more(),
                "the answer ended after {} of {length} bytes",
                self.ahead.len()
            );
        }
        self.ahead.drain(..length).collect()
    }

    fn take_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.take_line(), 16).unwrap();
            body.extend(self.take(size));
            assert_eq!(self.take_line(), "");
            if size == 0 {
                return body;
            }
        }
    }

    fn take_line(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|window| window == b"\r\n") {
                let line = self.take(end + 2);
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.read_more(), "the answer ended within a line");
        }
    }

    /// False at the end. Silence for longer than a test's patience fails it.
    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.ahead.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                panic!("the server neither answered nor closed the connection")
            }
            Err(_) => false,
        }
    }
}

/// `content` as a client that compresses would send it.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// What a gzip answer inflates to.
pub(crate) fn gunzip(content: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(content)
        .read_to_end(&mut inflated)
        .unwrap();
    inflated
}
