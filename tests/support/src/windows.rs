//! The windows of a desktop, by their titles: closed, and looked at from outside.
//!
//! There is no window manager, so each is a child of the root and can be asked directly. The few requests
//! that this takes are written here, by the X protocol (X Window System Protocol, version 11, appendix B).

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{app::LIMIT, desktop::Desktop};

/// X tells of windows only to who asked for it; asking again is less.
const POLL: Duration = Duration::from_millis(50);
/// An X server answers within milliseconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

impl Desktop {
    /// Asks a window to close, as a desktop's close button does (ICCCM, section 4.1.2.7).
    ///
    /// # Panics
    /// There is no such window.
    pub fn close_window(&self, title: &str) {
        let mut server = Server::of(self);
        let window = server.find(title).unwrap_or_else(|| panic!("no window {title}"));
        server.close(window);
    }

    /// Waits until a window is shown.
    ///
    /// # Panics
    /// It is not within [`LIMIT`].
    pub async fn until_shown(&self, title: &str) {
        self.until(title, "shown", |server, window| window.is_some_and(|window| server.is_shown(window))).await;
    }

    /// Waits until a window is hidden; it is still there.
    ///
    /// # Panics
    /// It is not within [`LIMIT`].
    pub async fn until_hidden(&self, title: &str) {
        self.until(title, "hidden", |server, window| window.is_some_and(|window| !server.is_shown(window))).await;
    }

    /// Waits until there is no such window.
    ///
    /// # Panics
    /// There still is one after [`LIMIT`].
    pub async fn until_gone(&self, title: &str) {
        self.until(title, "gone", |_, window| window.is_none()).await;
    }

    /// Waits until what is typed goes to a window.
    ///
    /// # Panics
    /// It does not within [`LIMIT`].
    pub async fn until_focused(&self, title: &str) {
        self.until(title, "focused", |server, window| window.is_some_and(|window| server.has_focus(window))).await;
    }

    /// Whether what is typed goes to a window.
    ///
    /// # Panics
    /// There is no such window.
    pub fn is_focused(&self, title: &str) -> bool {
        let mut server = Server::of(self);
        let window = server.find(title).unwrap_or_else(|| panic!("no window {title}"));
        server.has_focus(window)
    }

    /// Whether a window tells window managers that it does not want the focus for being shown (Extended
    /// Window Manager Hints, `_NET_WM_USER_TIME`).
    ///
    /// # Panics
    /// There is no such window.
    pub fn declines_focus(&self, title: &str) -> bool {
        let mut server = Server::of(self);
        let window = server.find(title).unwrap_or_else(|| panic!("no window {title}"));
        server.property(window, "_NET_WM_USER_TIME").is_some_and(|time| time == [0; 4])
    }

    /// Moves a window, whose upper left corner is `x` pixels from the left edge then. One that is not there
    /// stays away.
    pub(crate) fn move_window(&self, title: &str, x: u32) {
        let mut server = Server::of(self);
        if let Some(window) = server.find(title) {
            server.move_to(window, x);
        }
    }

    async fn until(&self, title: &str, what: &str, is: impl Fn(&mut Server, Option<Window>) -> bool) {
        let mut server = Server::of(self);
        let limit = Instant::now() + LIMIT;
        loop {
            let window = server.find(title);
            if is(&mut server, window) {
                return;
            }
            assert!(Instant::now() < limit, "{title} is not {what} within {LIMIT:?}");
            sleep(POLL).await;
        }
    }
}

pub(crate) type Window = u32;

const GET_WINDOW_ATTRIBUTES: u8 = 3;
const CONFIGURE_WINDOW: u8 = 12;
const QUERY_TREE: u8 = 15;
const INTERN_ATOM: u8 = 16;
const GET_PROPERTY: u8 = 20;
const SEND_EVENT: u8 = 25;
const GET_INPUT_FOCUS: u8 = 43;
const GET_IMAGE: u8 = 73;

const CLIENT_MESSAGE: u32 = 33;
/// Of [`CLIENT_MESSAGE`]: five values of 32 bits.
const FORMAT_32: u32 = 32;
/// Of [`CONFIGURE_WINDOW`]: only its place from the left.
const X_ONLY: u32 = 1;
/// Of [`GET_IMAGE`]: pixel by pixel, all bits of each.
const Z_PIXMAP: u8 = 2;
const ALL_PLANES: u32 = u32::MAX;
/// A window's map state, where its parents are shown too.
const VIEWABLE: u8 = 2;
/// Of a property, in words of four bytes: no title is longer.
const PROPERTY_WORDS: u32 = 64;
/// Every reply is at least as long.
const REPLY: usize = 32;

/// A connection to the X server.
pub(crate) struct Server {
    stream: UnixStream,
    root: Window,
}

impl Server {
    pub(crate) fn of(desktop: &Desktop) -> Self {
        Self::connect(desktop.display()).expect("the X server answers")
    }

    fn connect(display: &str) -> io::Result<Self> {
        let mut stream = UnixStream::connect(format!("/tmp/.X11-unix/X{}", display.trim_start_matches(':')))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        // Little-endian, version 11.0, and nothing to show who we are.
        stream.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        let mut setup = vec![0; 4 * half(&head, 6)];
        stream.read_exact(&mut setup)?;
        assert_eq!(head[0], 1, "the X server refuses: {}", String::from_utf8_lossy(&setup));
        // The first screen comes after the vendor's name and the formats of pictures.
        let root = word(&setup, 32 + half(&setup, 16).next_multiple_of(4) + 8 * usize::from(setup[21]));
        Ok(Self { stream, root })
    }

    pub(crate) fn find(&mut self, title: &str) -> Option<Window> {
        let root = self.root;
        let (_, children) = self.family(root)?;
        children
            .into_iter()
            .find(|&child| self.property(child, "_NET_WM_NAME").is_some_and(|it| it == title.as_bytes()))
    }

    /// A window's parent and children.
    fn family(&mut self, window: Window) -> Option<(Window, Vec<Window>)> {
        let reply = self.ask(QUERY_TREE, &[window])?;
        let children = reply[REPLY..].chunks_exact(4).map(|child| word(child, 0)).take(half(&reply, 16));
        Some((word(&reply, 12), children.collect()))
    }

    fn property(&mut self, window: Window, name: &str) -> Option<Vec<u8>> {
        let name = self.atom(name);
        let reply = self.ask(GET_PROPERTY, &[window, name, 0, 0, PROPERTY_WORDS])?;
        let bytes_each = usize::from(reply[1] / 8);
        let length = bytes_each * word(&reply, 16) as usize;
        reply.get(REPLY..REPLY + length).map(<[u8]>::to_vec)
    }

    fn is_shown(&mut self, window: Window) -> bool {
        self.ask(GET_WINDOW_ATTRIBUTES, &[window]).is_some_and(|reply| reply[26] == VIEWABLE)
    }

    /// The focus may be inside of it.
    fn has_focus(&mut self, window: Window) -> bool {
        let focus = self.ask(GET_INPUT_FOCUS, &[]).map(|reply| word(&reply, 8));
        let mut inner = focus;
        while let Some(one) = inner.filter(|&one| one != window) {
            inner = self.family(one).map(|(parent, _)| parent);
        }
        inner.is_some()
    }

    fn close(&mut self, window: Window) {
        let (kind, close) = (self.atom("WM_PROTOCOLS"), self.atom("WM_DELETE_WINDOW"));
        let event = [CLIENT_MESSAGE | FORMAT_32 << 8, window, kind, close, 0, 0, 0, 0];
        // No mask: it is for who made the window.
        let body = [&[window, 0], &event[..]].concat();
        self.send(SEND_EVENT, 0, &body);
        self.ask(GET_INPUT_FOCUS, &[]).expect("the window is there to be closed");
    }

    fn move_to(&mut self, window: Window, x: u32) {
        self.send(CONFIGURE_WINDOW, 0, &[window, X_ONLY, x]);
        self.ask(GET_INPUT_FOCUS, &[]).expect("the server is there");
    }

    /// One line of a window's pixels, each blue, green, red and one byte more; none where it is not on the
    /// screen.
    pub(crate) fn line(&mut self, window: Window, x: u16, y: u16, width: u16) -> Option<Vec<u8>> {
        let place = u32::from(x) | u32::from(y) << 16;
        self.send(GET_IMAGE, Z_PIXMAP, &[window, place, u32::from(width) | 1 << 16, ALL_PLANES]);
        let mut reply = self.answer()?;
        Some(reply.split_off(REPLY))
    }

    fn atom(&mut self, name: &str) -> u32 {
        let mut body = vec![u32::try_from(name.len()).expect("a short name")];
        body.extend(name.as_bytes().chunks(4).map(|four| {
            let mut padded = [0; 4];
            padded[..four.len()].copy_from_slice(four);
            u32::from_le_bytes(padded)
        }));
        word(&self.ask(INTERN_ATOM, &body).expect("every name has an atom"), 8)
    }

    fn send(&mut self, opcode: u8, detail: u8, body: &[u32]) {
        let length = u16::try_from(body.len() + 1).expect("a short request");
        let mut request = vec![opcode, detail];
        request.extend(length.to_le_bytes());
        request.extend(body.iter().flat_map(|word| word.to_le_bytes()));
        self.stream.write_all(&request).expect("the X server listens");
    }

    /// None where the server calls it an error: the window has gone in this moment.
    fn ask(&mut self, opcode: u8, body: &[u32]) -> Option<Vec<u8>> {
        self.send(opcode, 0, body);
        self.answer()
    }

    fn answer(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut reply = vec![0; REPLY];
            self.stream.read_exact(&mut reply).expect("the X server answers");
            match reply[0] {
                0 => return None,
                1 => {
                    reply.resize(REPLY + 4 * word(&reply, 4) as usize, 0);
                    self.stream.read_exact(&mut reply[REPLY..]).expect("the X server answers in full");
                    return Some(reply);
                }
                // An event of those that nobody has to ask for.
                _ => {}
            }
        }
    }
}

fn half(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
