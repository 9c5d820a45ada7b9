//! Pictures among what the page has painted, by the CPU.
//!
//! ```text
//! container's "draw":  page, with holes of one colour ──▶ image ◀── pictures, where that colour is
//!                                                           └──▶ window
//! ```
//!
//! A webview without a graphics card copies a picture of 1280x720 four times, and scales it on the way: in
//! two windows on two cores it took 0.4 of a core and was seen after 60 to 130 ms. So the pictures of a call
//! do not go through the page then: it leaves holes (`ui/src/media/holes.ts`), and what is seen in them is
//! put there by the toolkit's own thread, see [`super::keyed`]. (A page that lets through what lies under it
//! would need no colour. But WebKitGTK 2.50 clears nothing where it paints such a page without compositing:
//! everything that was ever there stays.)

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use ahoy_media::{
    video::screen::{Fit, PIXEL, Size},
    webm::hub::{Hub, StreamId},
};
use gtk::{
    cairo::{Context, Format, ImageSurface, Operator},
    glib::{MainContext, Propagation},
    prelude::*,
};
use tauri::WebviewWindow;
use tokio::sync::mpsc;
use webkit2gtk::{WebView, WebViewExt};

use super::keyed::{Area, Page};
use crate::{
    api::{AppEvent, Hole, PictureNews},
    painter::{Look, News, Painter, Pixels},
};

/// More holes than any call has pictures. What comes from the page is hostile until it is looked at.
const HOLES_MAX: usize = 32;
/// Wider than any screen, in pixels of the page.
const SIDE_MAX: f64 = 16_384.0;
/// The window's side of it; may be used from any thread.
#[derive(Debug)]
pub struct Stage(mpsc::UnboundedSender<Message>);

#[derive(Debug)]
enum Message {
    Place(Vec<Hole>),
    News(u32, News),
}

impl Stage {
    /// Takes over the painting of the window's pictures; none where its webview is not as expected. Called by
    /// the toolkit's thread.
    pub fn set(window: &WebviewWindow, hub: Hub, tell: impl Fn(AppEvent) + Send + 'static) -> Option<Self> {
        let (sender, messages) = mpsc::unbounded_channel();
        let stage = Self(sender.clone());
        let (set_up, is_set_up) = std::sync::mpsc::channel();
        let set = window.with_webview(move |webview| {
            let webview = webview.inner();
            let Some(container) = webview.parent().and_downcast::<gtk::Container>() else {
                return tracing::warn!("the webview has no container");
            };
            let scene = Scene {
                container: container.clone(),
                webview,
                hub,
                sender,
                tell: Box::new(tell),
                holes: Vec::new(),
                pictures: HashMap::new(),
                image: RefCell::new(None),
            };
            let scene = Rc::new(RefCell::new(scene));
            let painted = Rc::clone(&scene);
            container.connect_draw(move |_, context| painted.borrow().draw(context));
            MainContext::default().spawn_local(serve(scene, messages));
            let _ = set_up.send(());
        });
        // On this thread that was done at once.
        if set.is_err() || is_set_up.try_recv().is_err() {
            tracing::warn!("the page paints its pictures itself");
            return None;
        }
        Some(stage)
    }

    /// The page's holes from now on. What is no place on a screen is left out.
    pub fn place(&self, mut holes: Vec<Hole>) {
        holes.retain(is_on_screen);
        holes.truncate(HOLES_MAX);
        // What is smaller lies over what is larger.
        holes.sort_by(|one, other| (other.width * other.height).total_cmp(&(one.width * one.height)));
        let _ = self.0.send(Message::Place(holes));
    }
}

fn is_on_screen(hole: &Hole) -> bool {
    let places = [hole.x, hole.y, hole.width, hole.height];
    places.iter().all(|place| place.is_finite() && place.abs() <= SIDE_MAX) && hole.width >= 1.0 && hole.height >= 1.0
}

async fn serve(scene: Rc<RefCell<Scene>>, mut messages: mpsc::UnboundedReceiver<Message>) {
    while let Some(message) = messages.recv().await {
        let mut scene = scene.borrow_mut();
        match message {
            Message::Place(holes) => scene.place(holes),
            Message::News(id, news) => scene.hear(id, news),
        }
    }
}

/// All that lives on the toolkit's thread.
struct Scene {
    container: gtk::Container,
    webview: WebView,
    hub: Hub,
    sender: mpsc::UnboundedSender<Message>,
    tell: Box<dyn Fn(AppEvent)>,
    holes: Vec<Hole>,
    /// By the ids of their holes.
    pictures: HashMap<u32, Picture>,
    /// What the page is painted into, as large as the container.
    image: RefCell<Option<ImageSurface>>,
}

struct Picture {
    stream: String,
    painter: Painter,
    shown: Option<Pixels>,
}

impl Scene {
    fn place(&mut self, holes: Vec<Hole>) {
        for hole in &self.holes {
            self.invalidate(hole);
        }
        self.pictures.retain(|&id, picture| holes.iter().any(|hole| hole.id == id && hole.stream == picture.stream));
        for hole in &holes {
            let look = self.look(hole);
            match self.pictures.get(&hole.id) {
                Some(picture) => picture.painter.set_look(look),
                None => self.start(hole.id, &hole.stream, look),
            }
        }
        self.holes = holes;
        if self.holes.is_empty() {
            // Megabytes, which nothing needs before the next call.
            self.image.take();
        }
        for hole in &self.holes {
            self.invalidate(hole);
        }
    }

    fn start(&mut self, id: u32, stream: &str, look: Look) {
        let sender = self.sender.clone();
        let tell = move |news| drop(sender.send(Message::News(id, news)));
        let runtime = tauri::async_runtime::handle().inner().clone();
        match Painter::start(self.hub.clone(), StreamId::new(stream), look, runtime, tell) {
            Ok(painter) => {
                self.pictures.insert(id, Picture { stream: stream.to_owned(), painter, shown: None });
            }
            Err(error) => {
                tracing::error!(%error, "a picture cannot be painted");
                self.tell(stream, PictureNews::Failed);
            }
        }
    }

    fn look(&self, hole: &Hole) -> Look {
        let Area { width, height, .. } = self.on_screen(hole);
        // No more than the window has, whatever the page says.
        let (scale, window) = (self.container.scale_factor(), self.container.allocation());
        let side = |length: i32, most: i32| u32::try_from(length.min(most * scale)).unwrap_or_default();
        Look {
            size: Size { width: side(width, window.width()), height: side(height, window.height()) },
            fit: if hole.cover { Fit::Cover } else { Fit::Contain },
            mirrored: hole.mirrored,
        }
    }

    fn hear(&mut self, id: u32, news: News) {
        // Its hole may have been closed in the meantime.
        let Some(picture) = self.pictures.get_mut(&id) else { return };
        let told = match news {
            News::Ended => Some(PictureNews::Ended),
            News::Failed => Some(PictureNews::Failed),
            News::Picture => {
                let Some(pixels) = picture.painter.take() else { return };
                let before = picture.shown.replace(pixels);
                let first = before.is_none();
                before.into_iter().for_each(|before| picture.painter.recycle(before));
                first.then_some(PictureNews::Playing)
            }
        };
        if let Some(news) = told {
            let stream = picture.stream.clone();
            self.tell(&stream, news);
        }
        for hole in self.holes.iter().filter(|hole| hole.id == id) {
            self.invalidate(hole);
        }
    }

    fn tell(&self, stream: &str, news: PictureNews) {
        (self.tell)(AppEvent::Picture { stream: stream.to_owned(), news });
    }

    /// A hole in pixels of the screen, from the container's corner: the page may be zoomed.
    fn on_screen(&self, hole: &Hole) -> Area {
        let device = f64::from(self.container.scale_factor());
        let zoom = self.webview.zoom_level() * device;
        let (left, top) = self.webview.translate_coordinates(&self.container, 0, 0).unwrap_or_default();
        let side = |from: i32, near: f64, far: f64| {
            let (near, far) =
                ((f64::from(from) * device + near * zoom).round(), (f64::from(from) * device + far * zoom).round());
            (near as i32, (far - near) as i32)
        };
        let ((x, width), (y, height)) =
            (side(left, hole.x, hole.x + hole.width), side(top, hole.y, hole.y + hole.height));
        Area { x, y, width, height }
    }

    fn invalidate(&self, hole: &Hole) {
        let Area { x, y, width, height } = self.on_screen(hole);
        let scale = self.container.scale_factor().max(1);
        self.container.queue_draw_area(x / scale, y / scale, width / scale + 2, height / scale + 2);
    }

    fn draw(&self, context: &Context) -> Propagation {
        if self.holes.is_empty() {
            return Propagation::Proceed;
        }
        match self.compose(context) {
            Ok(()) => Propagation::Stop,
            Err(error) => {
                tracing::error!(%error, "the window could not be painted");
                Propagation::Proceed
            }
        }
    }

    fn compose(&self, context: &Context) -> Result<(), Box<dyn std::error::Error>> {
        let (left, top, right, bottom) = context.clip_extents()?;
        let scale = self.container.scale_factor();
        let window = self.container.allocation();
        let (width, height) = (window.width() * scale, window.height() * scale);
        let edge = |at: f64, most: i32| (at as i32 * scale).clamp(0, most);
        let (x, y) = (edge(left.floor(), width), edge(top.floor(), height));
        let area = Area { x, y, width: edge(right.ceil(), width) - x, height: edge(bottom.ceil(), height) - y };
        if area.width <= 0 || area.height <= 0 {
            return Ok(());
        }
        let kept = self.image.take();
        let mut image = match kept.filter(|image| image.width() == width && image.height() == height) {
            Some(image) => image,
            // One that the window takes without a copy, where there is such.
            None => context.target().create_similar_image(Format::Rgb24, width, height)?,
        };
        image.set_device_scale(f64::from(scale), f64::from(scale));
        {
            let onto = Context::new(&image)?;
            onto.rectangle(left, top, right - left, bottom - top);
            onto.clip();
            self.container.propagate_draw(&self.webview, &onto);
        }
        image.flush();
        let stride = usize::try_from(image.stride())?;
        let mut data = image.data()?;
        let first = usize::try_from(area.y)? * stride + usize::try_from(area.x)? * PIXEL;
        let mut page = Page { data: data.get_mut(first..).unwrap_or_default(), stride, area };
        for hole in &self.holes {
            let shown = self.pictures.get(&hole.id).and_then(|picture| picture.shown.as_ref());
            let Some(shown) = shown else { continue };
            let place = self.on_screen(hole);
            let middle = |from: i32, room: i32, length: u32| from + (room - i32::try_from(length).unwrap_or(room)) / 2;
            let corner =
                (middle(place.x, place.width, shown.size.width), middle(place.y, place.height, shown.size.height));
            page.show(shown, corner, place, hole.key);
        }
        drop(data);
        context.set_source_surface(&image, 0.0, 0.0)?;
        context.set_operator(Operator::Source);
        context.paint()?;
        self.image.replace(Some(image));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_place_on_a_screen_is_left_out() {
        let hole = |x: f64, width: f64| Hole {
            id: 1,
            stream: "s".to_owned(),
            x,
            y: 0.0,
            width,
            height: 50.0,
            key: 0,
            cover: false,
            mirrored: false,
        };
        for (x, width, there) in [
            (0.0, 100.0, true),
            (-40.5, 100.0, true),
            (0.0, 0.5, false),
            (0.0, -100.0, false),
            (0.0, 1e300, false),
            (1e9, 100.0, false),
            (f64::NAN, 100.0, false),
            (0.0, f64::INFINITY, false),
        ] {
            assert_eq!(is_on_screen(&hole(x, width)), there, "{x} {width}");
        }
    }
}
