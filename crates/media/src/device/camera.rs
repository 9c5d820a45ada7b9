//! The cameras of this machine, and the test pattern among them.

use serde::{Deserialize, Serialize};

pub use crate::video::capture::{CameraFormat, PixelFormat};
use crate::{
    units::VideoFormat,
    video::capture::{CameraError, CameraSpec, offered},
};

/// Id of the synthetic camera, and the spec that opens it.
const PATTERN_ID: &str = "pattern";
const PATTERN_NAME: &str = "Test pattern";
/// The pattern is drawn in any format; these are offered for choice.
const PATTERN_FORMATS: [VideoFormat; 3] = [
    VideoFormat { width: 1920, height: 1080, fps: 30 },
    VideoFormat::HD,
    VideoFormat { width: 640, height: 360, fps: 30 },
];

/// A camera that can be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraInfo {
    /// Stays the same when the camera is plugged in again, also in another order, as far as the system can
    /// tell.
    pub id: String,
    /// The name that the camera gives itself.
    pub name: String,
    /// What it offers, best first. Empty while another program has the camera.
    pub formats: Vec<CameraFormat>,
}

impl CameraInfo {
    /// What to open to get this camera.
    pub fn spec(&self) -> CameraSpec {
        if self.id == PATTERN_ID { CameraSpec::Pattern } else { CameraSpec::Device(self.id.clone()) }
    }
}

/// All cameras, real ones first, then the test pattern. Asks each for its formats, which takes some
/// milliseconds, and starts none.
pub fn cameras() -> Vec<CameraInfo> {
    let real = nodes().into_iter().filter_map(|node| {
        let formats = match offered(&node) {
            Ok(formats) => formats,
            // The second node of a USB camera carries metadata, no pictures.
            Err(CameraError::NoUsableFormat { .. }) => return None,
            Err(error) => {
                tracing::debug!(%error, camera = node.name, "formats unknown");
                Vec::new()
            }
        };
        Some(CameraInfo { id: node.id, name: node.name, formats })
    });
    let formats = PATTERN_FORMATS.map(|video| CameraFormat { video, pixels: PixelFormat::I420 });
    let pattern = CameraInfo { id: PATTERN_ID.into(), name: PATTERN_NAME.into(), formats: formats.into() };
    real.chain([pattern]).collect()
}

/// What the system lists as a source of video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// The system's number for it: N in `/dev/videoN`. Changes when devices are plugged in another order.
    pub(crate) index: u32,
    pub(crate) id: String,
    pub(crate) name: String,
}

/// The nodes that `device` (an id, an index, a path like `/dev/video0`, a name or a part of one) can mean.
/// More than one only for a name: a USB camera has two nodes of one name, and two cameras may be of one
/// model.
pub(crate) fn matching(device: &str) -> Vec<Node> {
    choose(nodes(), device)
}

fn choose(nodes: Vec<Node>, device: &str) -> Vec<Node> {
    let index: Option<u32> = device.strip_prefix("/dev/video").unwrap_or(device).parse().ok();
    let lower = device.to_lowercase();
    let rules: [&dyn Fn(&Node) -> bool; 4] =
        [&|node| node.id == device, &|node| Some(node.index) == index, &|node| node.name == device, &|node| {
            node.name.to_lowercase().contains(&lower)
        }];
    let matches = |rule: &&dyn Fn(&Node) -> bool| nodes.iter().filter(|node| rule(node)).cloned().collect::<Vec<_>>();
    rules.iter().map(matches).find(|found| !found.is_empty()).unwrap_or_default()
}

/// All nodes, by index.
#[cfg(target_os = "linux")]
fn nodes() -> Vec<Node> {
    let mut found: Vec<(u32, String)> = file_names("/sys/class/video4linux")
        .filter_map(|file| {
            let index = file.strip_prefix("video")?.parse().ok()?;
            let name = std::fs::read_to_string(format!("/sys/class/video4linux/{file}/name")).unwrap_or_default();
            let name = name.trim();
            Some((index, if name.is_empty() { format!("Camera {index}") } else { name.to_owned() }))
        })
        .collect();
    found.sort_unstable();
    // udev's links name the device by maker, model and serial number, or else by the socket it is plugged
    // into.
    let links = [udev_links("/dev/v4l/by-id"), udev_links("/dev/v4l/by-path")].concat();
    let ids = found.iter().map(|(index, name)| {
        let link = links.iter().find(|(target, _)| target == index);
        link.map_or_else(|| name.clone(), |(_, link)| link.clone())
    });
    let ids = numbered(ids.collect());
    found.into_iter().zip(ids).map(|((index, name), id)| Node { index, id, name }).collect()
}

/// The links in `dir`, each with the index of the node that it leads to.
#[cfg(target_os = "linux")]
fn udev_links(dir: &str) -> Vec<(u32, String)> {
    file_names(dir)
        .filter_map(|link| {
            let target = std::fs::read_link(format!("{dir}/{link}")).ok()?;
            let index = target.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()?;
            Some((index, link))
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn file_names(dir: &str) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

/// All nodes, in the system's order.
#[cfg(not(target_os = "linux"))]
fn nodes() -> Vec<Node> {
    let found = nokhwa::query(nokhwa::utils::ApiBackend::Auto).unwrap_or_default();
    // Media Foundation and AVFoundation give a lasting id in `misc`.
    let id = |info: &nokhwa::utils::CameraInfo| if info.misc().is_empty() { info.human_name() } else { info.misc() };
    let ids = numbered(found.iter().map(id).collect());
    let nodes = found
        .iter()
        .zip(ids)
        .filter_map(|(info, id)| Some(Node { index: info.index().as_index().ok()?, id, name: info.human_name() }));
    nodes.collect()
}

/// Makes equal ids differ: two cameras of one model without serial number are `X` and `X #2`.
fn numbered(ids: Vec<String>) -> Vec<String> {
    let before = |at: usize, id: &String| ids.iter().take(at).filter(|other| *other == id).count();
    let number = |(at, id): (usize, &String)| match before(at, id) {
        0 => id.clone(),
        earlier => format!("{id} #{}", earlier + 1),
    };
    ids.iter().enumerate().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(index: u32, id: &str, name: &str) -> Node {
        Node { index, id: id.into(), name: name.into() }
    }

    #[test]
    fn devices_are_found_by_id_index_path_or_name() {
        let nodes = vec![
            node(0, "usb-Acme_1-video-index0", "Acme Camera: HD"),
            node(1, "usb-Acme_1-video-index1", "Acme Camera: HD"),
            node(4, "7", "Other"),
            node(7, "Third", "Other 4"),
        ];
        for (device, indices) in [
            ("usb-Acme_1-video-index1", &[1][..]),
            ("0", &[0]),
            ("/dev/video4", &[4]),
            // An id goes before an index, an index before a name.
            ("7", &[4]),
            ("4", &[4]),
            ("Acme Camera: HD", &[0, 1]),
            ("Other", &[4]),
            ("acme", &[0, 1]),
            ("nothing like it", &[]),
        ] {
            let found: Vec<_> = choose(nodes.clone(), device).iter().map(|node| node.index).collect();
            assert_eq!(found, indices, "{device}");
        }
    }

    #[test]
    fn equal_ids_are_numbered() {
        let ids = ["a", "b", "a", "a"].map(String::from).to_vec();
        assert_eq!(numbered(ids), ["a", "b", "a #2", "a #3"]);
    }

    #[test]
    fn the_test_pattern_is_a_device_that_everybody_can_choose() {
        let pattern = cameras().pop().expect("a device");
        assert_eq!((&*pattern.name, pattern.spec()), ("Test pattern", CameraSpec::Pattern));
        assert!(pattern.formats.iter().any(|format| format.video == VideoFormat::HD));
    }
}
