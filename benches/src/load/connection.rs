//! One keep-alive connection, with as few system calls a request as there can be.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer to a POST is a few hundred bytes; the longest that is read is a trace of a million spans.
const ANSWER_BYTES_MAX: usize = 512 << 20;
const READ_BYTES: usize = 16 << 10;

/// A server that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(150);

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    /// Bytes read, and how many of them belong to answers that were taken.
    buffer: Vec<u8>,
    filled: usize,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Whole.
    pub body: Vec<u8>,
    /// It says when to come back.
    pub retry_after: bool,
    /// It says that something is missing.
    pub is_partial: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            address,
            stream,
            buffer: vec![0; READ_BYTES],
            filled: 0,
        })
    }

    /// Connects again, to the same address.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.address)?;
        Ok(())
    }

    /// Sends a request, head and body in one, and waits for the answer.
    ///
    /// # Errors
    /// Where the connection breaks, or the answer is no HTTP/1.1.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.answer()
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// As [`Connection::exchange`].
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: benches\r\n\r\n").as_bytes())
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let (head, head_bytes) = loop {
            if let Some(end) = find(&self.buffer[..self.filled], b"\r\n\r\n") {
                break (Head::parse(&self.buffer[..end])?, end + 4);
            }
            self.read_more()?;
        };
        let body = match head.length {
            Length::Known(length) => {
                if length > ANSWER_BYTES_MAX {
                    return Err(malformed("the answer is too long"));
                }
                while self.filled < head_bytes + length {
                    self.read_more()?;
                }
                let body = self.buffer[head_bytes..head_bytes + length].to_vec();
                self.consume(head_bytes + length);
                body
            }
            Length::Chunked => {
                self.consume(head_bytes);
                self.chunks()?
            }
        };
        Ok(Answer {
            status: head.status,
            body,
            retry_after: head.retry_after,
            is_partial: head.is_partial,
        })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = find(&self.buffer[..self.filled], b"\r\n") {
                    break end;
                }
                self.read_more()?;
            };
            let size = std::str::from_utf8(&self.buffer[..line])
                .ok()
                .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
                .filter(|size| body.len() + size <= ANSWER_BYTES_MAX)
                .ok_or_else(|| malformed("a chunk without a size"))?;
            let end = line + 2 + size + 2;
            while self.filled < end {
                self.read_more()?;
            }
            body.extend_from_slice(&self.buffer[line + 2..line + 2 + size]);
            self.consume(end);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += read;
        if self.filled > ANSWER_BYTES_MAX + READ_BYTES {
            return Err(malformed("the answer is too long"));
        }
        Ok(())
    }

    fn consume(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Length,
    retry_after: bool,
    is_partial: bool,
}

impl Head {
    fn parse(head: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(head).map_err(|_| malformed("a head that is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
            .ok_or_else(|| malformed("no status line"))?;
        let (mut length, mut retry_after, mut is_partial) = (Length::Known(0), false, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                let value = value.trim().parse();
                length = Length::Known(value.map_err(|_| malformed("a length that is no number"))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("retry-after") {
                retry_after = value.trim().parse::<u32>().is_ok();
            } else if name.eq_ignore_ascii_case("tracehound-completeness") {
                is_partial = value.trim() != "complete";
            }
        }
        Ok(Self {
            status,
            length,
            retry_after,
            is_partial,
        })
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers each request that ends with an empty line with the next of `answers`, in pieces.
    fn serve(answers: &'static [&'static [&'static str]]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut received = Vec::new();
            for pieces in answers {
                while find(&received, b"\r\n\r\n").is_none() {
                    let mut bytes = [0; 1024];
                    let read = stream.read(&mut bytes).unwrap();
                    received.extend_from_slice(&bytes[..read]);
                }
                received.clear();
                for piece in *pieces {
                    stream.write_all(piece.as_bytes()).unwrap();
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        address
    }

    #[test]
    fn answers_are_read_however_they_arrive() {
        let address = serve(&[
            &["HTTP/1.1 202 Accepted\r\nContent-Le", "ngth: 0\r\n\r", "\n"],
            &["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe", "llo"],
            &[
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
                "c\r\n2\r",
                "\nde\r\n0\r\n\r\n",
            ],
            &["HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 4\r\n\r\nfull"],
        ]);
        let mut connection = Connection::open(address).unwrap();
        let mut ask = || {
            let answer = connection.get("/").unwrap();
            assert_eq!(answer.retry_after, answer.status == 503);
            (answer.status, String::from_utf8(answer.body).unwrap())
        };
        assert_eq!(ask(), (202, String::new()));
        assert_eq!(ask(), (200, "hello".to_owned()));
        assert_eq!(ask(), (200, "abcde".to_owned()));
        assert_eq!(ask(), (503, "full".to_owned()));
        assert!(connection.get("/").is_err());
    }

    #[test]
    fn what_is_no_http_is_an_error() {
        for head in [
            "",
            "HTTP/1.1",
            "SSH-2.0-x",
            "HTTP/1.1 abc",
            "HTTP/1.1 200 OK\r\ncontent-length: x",
        ] {
            assert!(Head::parse(head.as_bytes()).is_err(), "{head:?}");
        }
    }
}
