//! Sockets without manners: bytes as they are, and errors told instead of panics, for tests in
//! which a server is killed or a client misbehaves.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;
use super::http::Answer;

/// A connection that is kept alive from request to request.
#[derive(Debug)]
pub(crate) struct Raw<S = TcpStream> {
    reader: BufReader<S>,
}

impl Raw {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the server listens")
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub(crate) fn into_socket(self) -> TcpStream {
        self.reader.into_inner()
    }

    /// Says that nothing more will be sent.
    pub(crate) fn close_half(&self) {
        self.socket().shutdown(Shutdown::Write).expect("a connected socket");
    }
}

impl<S: Read + Write> Raw<S> {
    /// Over a connection of another kind.
    pub(crate) fn over(stream: S) -> Self {
        Self { reader: BufReader::new(stream) }
    }

    /// What it is over.
    pub(crate) fn stream(&mut self) -> &mut S {
        self.reader.get_mut()
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server reads");
    }

    /// The next answer: status, headers and a body of known length or of chunks.
    pub(crate) fn try_answer(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("status {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().map_err(io::Error::other)?];
            self.reader.read_exact(&mut answer.body)?;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.try_chunk()? {
                answer.body.extend(chunk);
            }
        }
        Ok(answer)
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// Posts on this connection.
    pub(crate) fn try_post(
        &mut self,
        path: &str,
        headers: &str,
        body: impl AsRef<[u8]>,
    ) -> io::Result<Answer> {
        let body = body.as_ref();
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n");
        self.try_send([head.as_bytes(), body].concat())?;
        self.try_answer()
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub(crate) fn try_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size];
        self.reader.read_exact(&mut chunk)?;
        self.line()?;
        Ok((size > 0).then_some(chunk))
    }

    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// What comes next; nothing at an end in order.
    pub(crate) fn some(&mut self) -> io::Result<Vec<u8>> {
        let some = self.reader.fill_buf()?.to_vec();
        self.reader.consume(some.len());
        Ok(some)
    }

    /// As many bytes as there is room for.
    pub(crate) fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(bytes)
    }

    /// Everything up to the end, which is in order.
    pub(crate) fn try_rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Everything up to the end, be it in order or a reset. Fails where no end comes.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                panic!("the connection does not end; so far: {}", String::from_utf8_lossy(&rest))
            }
            _ => rest,
        }
    }

    /// Reads until the text has come.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(text.as_bytes()) {
            let mut byte = [0];
            self.reader.read_exact(&mut byte).unwrap_or_else(|error| {
                panic!("{error} before {text:?}: {}", String::from_utf8_lossy(&read))
            });
            read.extend(byte);
        }
        String::from_utf8(read).expect("UTF-8")
    }
}
