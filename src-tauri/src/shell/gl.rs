//! Whether graphics are computed by a graphics card or by the CPU.

use std::{fs, path::Path};

#[cfg(target_os = "linux")]
use super::egl;
#[cfg(target_os = "linux")]
use crate::profile::Profile;

/// Drivers of screens without a card behind them: Mesa computes on the CPU there.
const WITHOUT_CARD: [&str; 10] =
    ["ast", "bochs-drm", "cirrus", "cirrus-qemu", "hyperv_drm", "mgag200", "qxl", "simple-framebuffer", "vgem", "vkms"];

/// Whether OpenGL runs on the CPU, as far as that can be told without opening a context.
pub fn is_software() -> bool {
    let forced = std::env::var("LIBGL_ALWAYS_SOFTWARE").is_ok_and(|value| value == "1" || value == "true");
    judge(forced, &render_drivers(Path::new("/dev/dri"), Path::new("/sys/class/drm")))
}

/// Tells WebKit and the toolkit by their environment to leave out what a window without a graphics card, or
/// one whose pictures the program paints, has no use for. Should the program then not come to paint after all
/// (there is a warning), the page does so without its compiler. What the user has set stays. For the time
/// before any thread: the environment belongs to all of them.
#[cfg(target_os = "linux")]
pub fn spare(software: bool, program_paints: bool, profile: &Profile) {
    // A page that plays pictures has Mesa: by MediaSource it was 158 and 346 ms behind without, and 134 to
    // 164 in four runs with it.
    let vendors = if software && program_paints { egl::directories(&profile.egl()) } else { None };
    for (name, value) in spared(software, program_paints, vendors) {
        // It can only fail for a name that is none.
        let _ = gtk::glib::setenv(name, value, false);
    }
}

/// What is left out, in one app of two on a machine (its proportional set, measured): 15 MB for buffers that
/// would be shared with a compositor, 38 MB for Mesa's compilers of shaders in two processes (which the
/// toolkit asks for as well, by GLX), and 9 MB for a compiler of JavaScript, which has no picture to work on.
#[cfg(target_os = "linux")]
fn spared(software: bool, program_paints: bool, vendors: Option<String>) -> Vec<(&'static str, String)> {
    let mut spared = Vec::new();
    if software {
        spared.push(("WEBKIT_DISABLE_DMABUF_RENDERER", "1".to_owned()));
    }
    if vendors.is_some() {
        spared.push(("GDK_GL", "disable".to_owned()));
    }
    spared.extend(vendors.map(|vendors| (egl::DIRECTORIES, vendors)));
    if program_paints {
        spared.push(("JSC_useJIT", "0".to_owned()));
    }
    spared
}

fn judge(forced: bool, drivers: &[String]) -> bool {
    forced || drivers.iter().all(|driver| WITHOUT_CARD.contains(&driver.as_str()))
}

/// The drivers behind the render nodes that this user may open; without one nothing is computed by a card.
fn render_drivers(nodes: &Path, classes: &Path) -> Vec<String> {
    let names =
        fs::read_dir(nodes).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with("renderD"))
        .filter(|name| fs::File::options().read(true).write(true).open(nodes.join(name)).is_ok())
        .map(|name| {
            let driver = fs::read_link(classes.join(&name).join("device/driver")).ok();
            driver.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())).unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_told_from_plain_screens() {
        for (forced, drivers, software) in [
            (false, &[][..], true),
            (false, &["i915"], false),
            (false, &["virtio_gpu"], false),
            (false, &["vkms"], true),
            (false, &["vkms", "amdgpu"], false),
            (false, &[""], false),
            (true, &["i915"], true),
        ] {
            let drivers: Vec<_> = drivers.iter().map(|&driver| driver.to_owned()).collect();
            assert_eq!(judge(forced, &drivers), software, "{drivers:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_page_that_paints_pictures_has_its_compiler() {
        let names = |software, paints| {
            let spared = spared(software, paints, (software && paints).then(|| "/ours:/theirs".to_owned()));
            spared.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(false, false), [""; 0]);
        assert_eq!(names(true, false), ["WEBKIT_DISABLE_DMABUF_RENDERER"]);
        assert_eq!(names(false, true), ["JSC_useJIT"]);
        assert_eq!(names(true, true), ["WEBKIT_DISABLE_DMABUF_RENDERER", "GDK_GL", egl::DIRECTORIES, "JSC_useJIT"]);
    }

    #[test]
    fn drivers_are_read_from_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let (nodes, classes) = (folder.path().join("dri"), folder.path().join("drm"));
        fs::create_dir_all(&nodes).unwrap();
        assert!(render_drivers(&nodes, &classes).is_empty());
        for node in ["card0", "renderD128"] {
            fs::write(nodes.join(node), "").unwrap();
            fs::create_dir_all(classes.join(node).join("device")).unwrap();
            std::os::unix::fs::symlink("/bus/drivers/i915", classes.join(node).join("device/driver")).unwrap();
        }
        assert_eq!(render_drivers(&nodes, &classes), ["i915"]);
    }
}
